// One answer out of several branches' answers, and what a session has lost with a branch.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;

// Rows are concatenated, so the columns must be the same in all but where they come from (table OID, attribute number).
// Table OIDs may differ. `sequence`: of the answer.
bool session_machine::row_descriptions_agree(std::uint32_t sequence, std::string_view body) {
  p::row_description description;
  if (!p::decode(body, description)) return false;
  if (braid_.merge && !braid_.merge->fits(description)) return false;
  std::string text;
  for (p::field_description& field : description.fields) {
    text.append(field.name).push_back('\0');
    text.append(fmt::format("{} {} {} {};", field.type, field.type_size, field.type_modifier, field.format));
  }
  const std::size_t hash = std::hash<std::string>{}(text);
  // What no branch owes any more is not kept: a pipeline may go on for ever.
  std::uint32_t owed = sequence;
  for (const branch& b : branches_) {
    if (b.outstanding()) owed = std::min(owed, b.expected[b.next].sequence);
  }
  braid_.row_descriptions.erase(braid_.row_descriptions.begin(), braid_.row_descriptions.lower_bound(owed));
  return braid_.row_descriptions.try_emplace(sequence, hash).first->second == hash;
}

session_machine::verdict session_machine::braid_complete(step& s, branch_index i, std::string_view body) {
  if (plan_ && !plan_->declares.empty() && body.starts_with("COMMENT")) return verdict::drop;
  if (braid_.speaker >= 0) return mirror_complete(s, i, body);
  p::command_complete_view complete;
  bool counted = true;
  if (p::decode(body, complete)) {
    const std::size_t blank = complete.tag.rfind(' ');
    if (blank != std::string_view::npos) {
      std::uint64_t rows = 0;
      std::from_chars(complete.tag.data() + blank + 1, complete.tag.data() + complete.tag.size(), rows);
      braid_.rows += rows;
      braid_.tag.assign(complete.tag.substr(0, blank));
    } else {
      braid_.tag = complete.tag;  // EXPLAIN counts nothing
      counted = false;
    }
  }
  if (braid_.executing > 0) --braid_.executing;
  if (braid_.merge) braid_.merge->end(i);
  if (braid_.executing > 0 || braid_.failed) return verdict::drop;
  if (braid_.taken && braid_.rows > 0) {
    const auto taken = braid_.taken;
    fail_statement(s, *taken);
    return verdict::drop;
  }
  flush_run(s);
  if (braid_.merge) {
    tell_sorted_rows(s);
    braid_.rows = braid_.merge->taken();
    braid_.merge.reset();
  }
  tell_ordered_rows(s);
  if (braid_.moves) braid_.tag = "UPDATE";
  tell_completion(s, counted ? fmt::format("{} {}", braid_.tag, braid_.rows) : braid_.tag);
  return verdict::drop;
}

// All of them have done what they were asked.
void session_machine::tell_completion(step& s, std::string_view tag) {
  if (copy_ && must_claim_copied(tag)) return;
  if (holds_completion()) {
    // As a server does: told when the transaction has been committed.
    return p::encode_command_complete(held_complete_, tag);
  }
  const std::size_t from = s.client_bytes.size();
  p::encode_command_complete(s.client_bytes, tag);
  s.own_to_client(from);
  told_ = true;
  local_answers_.append(std::exchange(braid_.behind, {}));
}

// Mirrored: they must all have done the same.
session_machine::verdict session_machine::mirror_complete(step& s, branch_index i, std::string_view body) {
  if (braid_.executing > 0) --braid_.executing;
  if (braid_.failed) return verdict::drop;
  if (!echoes(i) && !braid_.tag.empty()) {
    // The others would never be asked.
    s.add(action_kind::discard, i);
    on_backend_lost(s, i, "the server has completed one statement twice");
    return verdict::over;
  }
  if (!echoes(i)) {
    braid_.tag = body;
  } else if (braid_.tag != body && !braid_.reads_copies) {
    fail_statement(s, p::make_error(error_id::copies_differ));
    return verdict::drop;
  }
  if (braid_.executing > 0) return verdict::drop;
  flush_run(s);
  braid_.ahead = false;
  braid_.speaker = -1;
  const std::string tag = std::exchange(braid_.tag, {});
  p::command_complete_view complete;
  (void)p::decode(std::string_view{tag}, complete);
  tell_completion(s, complete.tag);
  return verdict::drop;
}

// The statement cannot go on: told at once, and what the servers still send of it is passed over.
void session_machine::fail_statement(step& s, const p::error_report& error) {
  if (braid_.active) braid_.failed = true;
  if (cycle_failed_) return;
  flush_run(s);
  tell_error(s, error);
  if (txn_.active) txn_.failed = true;
  if (cycle_ == cycle_kind::batch) batch_failed();
}

p::error_report session_machine::no_room_left() const {
  return p::make_error(error_id::gather_total_too_large, env_.gathered == nullptr ? 0 : env_.gathered->limit());
}

// Rows that are kept are no use any more, and no more of them are.
void session_machine::keeps_too_much(step& s) {
  const bool by_itself = (gather_ ? gather_->bytes : braid_.kept) > env_.max_gather;
  if (gather_) {
    fail_statement(s, by_itself ? p::make_error(error_id::gather_too_large, env_.max_gather, gather_->biggest()) : no_room_left());
    gather_->json.assign(gather_->json.size(), {});
    gather_->share.give_back();
  } else if (braid_.merge) {
    fail_statement(s, p::make_error(error_id::row_too_large, env_.max_gather));
  } else {
    fail_statement(s, by_itself ? p::make_error(error_id::returned_too_large, env_.max_gather) : no_room_left());
    braid_.order.clear();
    braid_.rows_of.clear();
    braid_.share.give_back();
  }
}

// Whether a row of branch `i`, of `bytes` with its header, is kept for later, not passed on or passed over as it comes.
bool session_machine::is_kept(step& s, branch_index i, std::size_t bytes) {
  const expectation& e = branches_[i].expected[branches_[i].next];
  const disposition what = e.what;
  const bool gathered = what == disposition::gather;
  if (!gathered && (what != disposition::forward || (braid_.order.empty() && !braid_.merge))) {
    return what == disposition::round || (what == disposition::prepare && e.local_type == of_claims) ||
           (what == disposition::control && control_ && control_->token) ||
           (what == disposition::forward && config_ && bytes <= env_.max_gather);
  }
  const bool over = gathered ? cycle_failed_ : braid_.failed;
  // A row of that size is not waited for either.
  if (!over && bytes > env_.max_gather) keeps_too_much(s);
  return !over && bytes <= env_.max_gather;
}

// Whether a statement that goes in steps is to come back to a branch that owes nothing at the moment.
bool session_machine::still_wants(branch_index i) const noexcept {
  if (copy_ && copy_->draws_on(i) && copy_->at == copy_state::phase::receiving) return true;
  const bool copied = copy_ && !copy_->tag.empty();
  if (cycle_ == cycle_kind::none || cycle_failed_ || (sent_ && !copied)) return false;
  if (needs_.under_way_on(i)) return true;
  if (gather_ && gather_->fetching && gather_->combiner == i) return true;
  const bool in_steps = stage_ != nullptr || braid_.ahead;
  return in_steps && std::find(targets_.begin(), targets_.end(), i) != targets_.end();
}

// COMMIT is under way, and the branch has only read, or held locks: what the one that has written answers is the
// client's answer too.
bool session_machine::commits_without(branch_index i) {
  if (!control_ || !control_->running || control_->commit || !sent_ || targets_.empty() ||
      control_->plan->effect != router::session_effect::commit)
    return false;
  for (std::size_t k = 0; k < branches_.size(); ++k) {
    const branch& b = branches_[k];
    if (k == i || b.state != branch_state::ready || !b.wrote) continue;
    const auto writer = static_cast<branch_index>(k);
    // The first one's answer is told.
    if (targets_.front() == i && !b.outstanding()) return false;
    if (targets_.front() == i) targets_.front() = writer;
    return true;
  }
  return false;
}

void session_machine::lose_branch(step& s, branch_index i, const p::error_report& error) {
  branch& b = branches_[i];
  if (b.state == branch_state::free) return;
  doubt_changes();
  const bool in_middle = b.bulk > 0 && b.bulk_forward;
  const bool owed = (b.outstanding() && b.expected[b.next].what != disposition::probe) || still_wants(i);
  const bool in_block = b.in_block;
  const bool was_pinned = pinned_ == i;
  if (in_middle) {
    // Half a message has gone to the client: nothing can be told any more.
    s.add(action_kind::close);
    drop_branch(i);
    return;
  }
  if (owed && b.replica && begin_anew_on_primary(s, i, true)) return;
  if (owed && !b.replica && begin_anew_elsewhere(s, i)) return;
  if (copy_in_ == i) {
    b.state = branch_state::lost;
    end_copy(s);
  }
  if (copy_) {
    b.state = branch_state::lost;
    copy_lost(s, i, error);
  }
  if (braid_.active) braid_.failed = true;
  if (braid_.merge) tell_sorted_rows(s);
  const bool only_held = owed && in_block && !b.wrote && !was_pinned && commits_without(i);
  drop_branch(i);
  if (control_ && control_->running && control_->commit) return commit_lost(s, i, error);
  if (only_held) {
    if (anything_outstanding()) return;
    control_->running = false;
    return finish_control(s);
  }
  if (in_block && txn_.active) txn_.failed = txn_.broken = true;
  if (was_pinned && !(cycle_ != cycle_kind::none && owed)) {
    // What the session kept on this server is gone with it.
    auto fatal = p::make_error(error_id::shutting_down);
    fatal.message = "terminating connection: the server connection that this session was tied to is lost";
    fatal.detail = error.message;
    const std::size_t from = s.client_bytes.size();
    p::encode_error(s.client_bytes, fatal);
    s.own_to_client(from);
    s.add(action_kind::close);
    return;
  }
  if (cycle_ == cycle_kind::none || !owed) {
    if (in_block && txn_.active && !txn_.untold) txn_.untold = std::make_unique<p::error_report>(error);
    return;
  }

  if (control_ && control_->running) {
    control_->failed = true;
    control_->reply.clear();
    p::encode_error(control_->reply, error);
    if (sent_ && !anything_outstanding()) {
      control_->running = false;
      finish_control(s);
    } else if (!sent_) {
      control_.reset();
      if (cycle_ == cycle_kind::batch) {
        (void)op_error(s, error);
        return run_batch(s);
      }
      refuse_simple(s, error);
    }
    return;
  }
  if (cycle_ == cycle_kind::batch) {
    if (!cycle_failed_) tell_error(s, error);
    if (txn_.active) txn_.failed = true;
    batch_failed();
    if (!sync_sent_) return run_batch(s);
  } else {
    if (!cycle_failed_) tell_error(s, error);
    if (txn_.active) txn_.failed = true;
    sent_ = true;
  }
  if (anything_outstanding()) return;
  end_cycle(s);
}

}  // namespace pgbraid::proxy
