// What is begun anew when a server fails, and what is said where that cannot be. A statement that may have changed
// something is never run twice.
#include "proxy/session/machine.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;
using router::session_effect;

namespace {

// Enough for a primary that is lost and a new one that is lost again; what fails more often is no failover.
constexpr std::uint8_t most_beginnings = 3;

}  // namespace

// A read that a replica failed for its own sake is run again on the primary, if the client has seen nothing of it.
bool session_machine::begin_anew_on_primary(step& s, branch_index failed, bool lost) {
  if (cycle_ == cycle_kind::none || !again_ || told_ || force_primary_ || copy_in_ >= 0) return false;
  if (txn_.active && txn_.one_snapshot()) return false;
  for (const branch& b : branches_) {
    if (b.state == branch_state::ready && b.outstanding() && !b.replica) return false;
  }
  force_primary_ = true;
  if (txn_.active) txn_.primary_only = true;
  begin_anew(s, failed, lost);
  return true;
}

// A primary was lost, outside of a transaction, before it was sent anything but reads, or anything at all of what the
// client has asked: whoever is primary then is asked.
bool session_machine::begin_anew_elsewhere(step& s, branch_index failed) {
  if (cycle_ == cycle_kind::none || !again_ || told_ || cycle_failed_ || copy_in_ >= 0 || pinned_ == failed)
    return false;
  // What a session is tied to would go with a transaction of pgbraid's own.
  if ((txn_.active && !(txn_.own && needs_.hold() && pinned_ < 0)) || begun_anew_ >= most_beginnings) return false;
  const bool wrote = std::any_of(branches_.begin(), branches_.end(),
                                 [](const branch& b) { return b.state == branch_state::ready && b.wrote; });
  if (wrote) return false;
  ++begun_anew_;
  control_.reset();
  begin_anew(s, failed, true);
  return true;
}

// Works the cycle off from its first byte, on other branches than those that still owe answers.
void session_machine::begin_anew(step& s, branch_index failed, bool lost) {
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    const branch& b = branches_[i];
    const auto index = static_cast<branch_index>(i);
    if (b.state != branch_state::ready || (!b.outstanding() && index != failed && !(txn_.own && b.in_block))) continue;
    if (!(lost && index == failed)) s.add(action_kind::discard, index);
    drop_branch(index);
  }
  if (txn_.own) txn_.clear();
  needs_.reset();
  undo_unconfirmed();
  placed_ = sent_ = sync_sent_ = draining_ = cycle_failed_ = false;
  operation_ = 0;
  gather_.reset();
  stage_.reset();
  question_.reset();
  round_.reset();
  if (lookup_) lookup_->forget();
  braid_ = braid_state{};
  run_ = at_;
  if (cycle_ == cycle_kind::simple) {
    // The scan that the plan was looked up with has been used since.
    p::frame_view frame;
    if (p::next_frame(input_, env_.max_message_bytes, frame) == p::frame_status::complete) {
      cycle_bytes_ = 0;
      start_simple(s, frame);
    }
  } else {
    work(s);
  }
}

// Whether what the branch has been sent may have been committed although it did not answer. A transaction block that
// was not told to commit has not.
bool session_machine::outcome_unknown(branch_index i) const noexcept {
  const branch& b = branches_[i];
  if (!b.wrote || !b.outstanding()) return false;
  if (!txn_.active || !b.in_block) return true;
  // Over several shards it has phases: see commit_lost().
  if (control_ && control_->running)
    return sent_ && !control_->commit && control_->plan->effect == session_effect::commit;
  return plan_ && plan_->statement_count > 1;
}

void session_machine::on_backend_lost(step& s, branch_index i, std::string_view why) {
  const bool unknown = branches_[i].state == branch_state::ready && outcome_unknown(i);
  lose_branch(s, i, with_round(p::make_error(unknown ? error_id::outcome_unknown : error_id::server_lost, why)));
}

// While a statement waits for a primary, nobody should have to wait for locks that its session holds elsewhere.
bool session_machine::may_wait_for_primary() const noexcept {
  return std::none_of(branches_.begin(), branches_.end(),
                      [](const branch& b) { return b.state == branch_state::ready && b.in_block && b.wrote; });
}

}  // namespace pgbraid::proxy
