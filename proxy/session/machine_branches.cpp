// Branches: how they are leased and given up, and what a backend must be told before a statement may go to it.
#include "proxy/session/machine.hpp"

#include "protocol/frontend.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;

branch_index session_machine::branch_for(step& s, router::shard_index shard, bool replica, steady_time floor,
                                         bool same) {
  int found = -1;
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    const branch& b = branches_[i];
    if (b.state == branch_state::free || b.state == branch_state::lost || b.shard != shard) continue;
    const bool is_replica = b.state == branch_state::ready ? b.replica : b.wants_replica;
    if (is_replica && !replica) continue;
    if (found < 0 || is_replica == replica) found = static_cast<int>(i);
  }
  if (found >= 0) return static_cast<branch_index>(found);
  const branch_index made = lease_branch(s, shard, replica);
  s.actions.back().floor = floor;
  s.actions.back().same = same;
  return made;
}

branch_index session_machine::lease_branch(step& s, router::shard_index shard, bool replica) {
  const auto free =
      std::find_if(branches_.begin(), branches_.end(), [](const branch& b) { return b.state == branch_state::free; });
  const auto free_slot = static_cast<std::size_t>(free - branches_.begin());
  if (free_slot == branches_.size()) branches_.emplace_back();
  branch& b = branches_[free_slot];  // a free one is as it was made
  b.state = branch_state::acquiring;
  b.shard = shard;
  b.wants_replica = replica;
  action& a = s.actions.emplace_back();
  a.kind = action_kind::acquire;
  a.branch = static_cast<branch_index>(free_slot);
  a.shard = shard;
  a.replica = replica;
  a.may_wait = may_wait_for_primary();
  a.later = begun_anew_ > 0;
  return static_cast<branch_index>(free_slot);
}

void session_machine::pin(branch_index b, std::string reason) {
  // Its temporary schema stays with a backend, and shows: PREPARE TRANSACTION minds whether it is made or there.
  if (reason == "temporary objects") indelible_ = true;
  if (pinned_ >= 0) return;
  pinned_ = b;
  pin_reason_ = std::make_unique<const std::string>(std::move(reason));
}

void session_machine::drop_branch(branch_index b) {
  if (pinned_ == b) {
    pinned_ = -1;
    pin_reason_.reset();
  }
  branches_[b] = branch{};
  if (txn_.home == b) txn_.home.reset();
  needs_.lose(b);
  // A statement that was to go there and waits for others is placed anew.
  if (!sent_) placed_ = false;
  const auto uses_it = [b](const portal& p) {
    return std::find(p.branches.begin(), p.branches.end(), b) != p.branches.end();
  };
  portals_.erase_if(uses_it);
  cursors_.erase_if([b](branch_index home) { return home == b; });
  if (uses_it(unnamed_portal_)) unnamed_portal_open_ = false;
}

bool session_machine::awaits_lease(const targets& wanted) const noexcept {
  for (const branch_index i : wanted) {
    if (branches_[i].state == branch_state::acquiring) return true;
  }
  return false;
}

bool session_machine::ready(step& s, const targets& wanted) {
  const auto elsewhere = [this](const auto& need) { return awaits_lease(need.over); };
  if (awaits_lease(wanted) || needs_.any_of(elsewhere)) return false;
  bool all = true;
  for (const branch_index i : wanted) all = prepare(s, i) && all;
  return all && (!needs_ || needs_met(s));
}

// Brings the backend's settings in line and opens the client's transaction on it. False: it must answer first.
bool session_machine::prepare(step& s, branch_index i) {
  branch& b = branches_[i];
  if (b.state != branch_state::ready) return false;
  if (b.preparing > 0) return false;
  if (listening_ && !finds_its_voice(s, i)) return false;
  if (b.in_block) return true;
  if (!txn_.active && b.facts->current == current_ && !b.facts->sql && !b.shows_channels && !env_.sequences_asked)
    return true;
  return bring_in_line(s, i);
}

bool session_machine::bring_in_line(step& s, branch_index i) {
  branch& b = branches_[i];
  const settings_ptr& wanted = txn_.active ? txn_.base : current_;
  const std::size_t from = s.backend_bytes.size();
  // What others have drawn must not pass for this session's, once anybody asks.
  const bool forgets_sequences =
      env_.sequences_asked && !b.replica && !b.wrote && b.facts->drawer != 0 && b.facts->drawer != serial_;
  if (b.facts->current != wanted || b.facts->sql || b.shows_channels || forgets_sequences) {
    std::string sql = forgets_sequences ? "DISCARD SEQUENCES" : "";
    if (forgets_sequences) b.facts->drawer = 0;
    if (const std::string listen = listen_for_show(i); !listen.empty())
      sql.append(sql.empty() ? "" : "; ").append(listen);
    if (const std::string deallocate = deallocate_foreign(i); !deallocate.empty())
      sql.append(sql.empty() ? "" : "; ").append(deallocate);
    const std::string difference =
        b.facts->current == wanted ? std::string{} : settings_difference(b.facts->current.get(), *wanted);
    if (!sql.empty() && !difference.empty()) sql.append("; ");
    sql.append(difference);
    b.facts->current = wanted;
    if (!sql.empty()) {
      p::encode_query(s.backend_bytes, sql);
      b.facts->unnamed = 0;
      b.expect({answer::query, disposition::prepare});
      ++b.preparing;
    }
  }
  if (txn_.active) {
    b.in_block = true;
    if (!b.replica && (!txn_.first || !branches_[*txn_.first].in_block)) txn_.first = i;
    p::encode_query(s.backend_bytes, txn_.replay());
    b.facts->unnamed = 0;
    // BEGIN alone cannot fail on an idle backend, so that the statement may follow in the same packet.
    const bool wait = b.preparing > 0 || !txn_.plain();
    b.expect({answer::query, wait ? disposition::prepare : disposition::swallow});
    if (wait) ++b.preparing;
    b.facts->current = current_;
  }
  if (s.backend_bytes.size() > from) s.own_to_backend(i, from);
  return b.preparing == 0;
}

void session_machine::on_lease(step& s, branch_index i, backend_facts& facts, bool replica, steady_time shows) {
  branch& b = branches_[i];
  b.state = branch_state::ready;
  b.facts = &facts;
  b.replica = replica;
  b.shows = shows;
  b.transaction = 'I';
  b.expected = std::move(facts.spare);
  b.expected.clear();
  if (env_.pool_mode == config::pool_mode::session && !replica) pin(i, "pool.mode is session");
  work(s);
}

void session_machine::on_lease_failed(step& s, branch_index i, const protocol::error_report& error) {
  const bool replica = branches_[i].wants_replica;
  branches_[i] = branch{};
  const bool wanted = std::find(targets_.begin(), targets_.end(), i) != targets_.end() || needs_.concern(i);
  if (cycle_ == cycle_kind::none || !wanted) return;
  const bool servers_fault = error.id == error_id::server_login_failed || error.id == error_id::server_lost ||
                             error.id == error_id::server_unreachable;
  if (replica && servers_fault && !force_primary_ && context_->context.map->replicas == router::replica_use::prefer) {
    // The replica is gone and the control plane has not noticed yet.
    force_primary_ = true;
    placed_ = false;
    return work(s);
  }
  if (control_ && control_->running) control_.reset();
  const bool in_vain = question_ && !question_->done && question_->refusal;
  if (cycle_ == cycle_kind::batch) {
    (void)op_error(s, in_vain ? *question_->refusal : with_round(error));
    return run_batch(s);
  }
  refuse_simple(s, in_vain ? p::error_report{*question_->refusal} : with_round(error));
}

}  // namespace pgbraid::proxy
