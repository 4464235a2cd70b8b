// The extended query protocol: a batch of messages up to its Sync, worked off in order. A run of operations that go to the
// same branches is sent without waiting; where the branches change, the answers so far are fetched by a Flush first.
#include "proxy/session/machine.hpp"

#include "protocol/frontend.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;

namespace {

// A batch longer than this is worked off in parts: it can not be begun anew, but it need not be kept either.
constexpr std::size_t max_batch_bytes = 256 * 1024;

}  // namespace

void session_machine::collect_batch(step& s) {
  collecting_ = false;
  // What pgbraid has written itself is there, whole.
  const std::size_t max_batch = by_protocol_ ? input_.size() + 1 : max_batch_bytes;
  const std::size_t max_message = by_protocol_ ? input_.size() : env_.max_message_bytes;
  while (true) {
    p::frame_view frame;
    const p::frame_status status = p::next_frame({input_.data() + scan_, input_.size() - scan_}, max_message, frame);
    if (status == p::frame_status::malformed) return protocol_violation(s, "invalid message length");
    if (frame.total == 0 || status == p::frame_status::incomplete) {
      if (scan_ >= max_batch || (scan_ > 0 && frame.total > max_batch)) break;
      collecting_ = true;
      s.read_client = true;
      return;
    }
    if (status == p::frame_status::too_large) {
      if (scan_ > 0) break;
      if (!p::frontend::is_known(frame.type)) return protocol_violation(s, "invalid message length");
      return begin_skip(s, frame);
    }
    switch (frame.type) {
      case p::frontend::parse:
      case p::frontend::bind:
      case p::frontend::describe:
      case p::frontend::execute:
      case p::frontend::close:
      case p::frontend::sync:
      case p::frontend::flush:
        break;
      case p::frontend::copy_data:
      case p::frontend::copy_done:
      case p::frontend::copy_fail:
        if (scan_ > 0) {
          collecting_ = false;
          return run_batch(s);
        }
        s.consumed += frame.total;
        s.more_input = true;
        return;
      case p::frontend::query:
      case p::frontend::function_call:
        if (scan_ == 0) return end_without_sync(s, frame);
        collecting_ = false;
        return run_batch(s);
      case p::frontend::terminate:
        s.add(action_kind::close);
        return;
      default:
        return protocol_violation(s, fmt::format("message type {} inside an extended-query batch", static_cast<int>(static_cast<unsigned char>(frame.type))));
    }
    operations_.push_back({frame.type, static_cast<std::uint32_t>(scan_), static_cast<std::uint32_t>(frame.total)});
    scan_ += frame.total;
    if (frame.type == p::frontend::sync) {
      batch_synced_ = true;
      break;
    }
    if (frame.type == p::frontend::flush || scan_ >= max_batch) break;
  }
  collecting_ = false;
  if (!batch_synced_) again_ = false;
  run_batch(s);
}

// A simple query behind messages without Sync, as asyncpg sends COPY behind a Describe: to the server it ends them, and
// is answered by the only ReadyForQuery. Behind an error it is passed over like all else up to Sync. What has been
// executed would be of one transaction with it, which two cycles are not, but for a transaction block.
void session_machine::end_without_sync(step& s, const p::frame_view& frame) {
  collecting_ = false;
  if (!drained(s)) return;
  if (cycle_failed_) {
    s.consumed += frame.total;
    collecting_ = s.more_input = true;
    return;
  }
  if (batch_executed_ && (!txn_.active || txn_.own))
    return protocol_violation(s, "a simple query behind an Execute without Sync, outside of a transaction block");
  answered_ = batch_synced_ = true;
  operations_.push_back({p::frontend::sync, 0, 0});
  run_batch(s);
}

void session_machine::run_batch(step& s) {
  if (control_ && control_->running) return run_control(s);
  while (operation_ < operations_.size()) {
    const operation& o = operations_[operation_];
    const std::string_view frame{input_.data() + o.offset, o.length};
    bool done = true;
    if (!cycle_failed_ || o.type == p::frontend::sync) {
      switch (o.type) {
        case p::frontend::parse: done = op_parse(s, frame); break;
        case p::frontend::bind: done = op_bind(s, frame); break;
        case p::frontend::describe: done = op_describe(s, frame); break;
        case p::frontend::execute: done = op_execute(s, frame); break;
        case p::frontend::close: done = op_close(s, frame); break;
        case p::frontend::sync: done = op_sync(s); break;
        default: break;
      }
    }
    if (!done || cycle_ != cycle_kind::batch) return;
    placed_ = false;
    ++operation_;
  }
  if (batch_synced_) return;
  // The part is worked off; the batch goes on with what the client sends next.
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    const branch& b = branches_[i];
    if (b.state != branch_state::ready || !b.unsynced || !b.outstanding() || operations_.empty()) continue;
    if (operations_.back().type != p::frontend::flush) continue;
    const std::size_t from = s.backend_bytes.size();
    p::encode_flush(s.backend_bytes);
    s.own_to_backend(static_cast<branch_index>(i), from);
  }
  s.consumed += scan_;
  operations_.clear();
  operation_ = scan_ = 0;
  again_ = false;
  collecting_ = true;
  s.more_input = s.read_client = true;
}

// All answers so far are in. If not, the branches are asked for them.
bool session_machine::drained(step& s) {
  if (!anything_outstanding()) return true;
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    branch& b = branches_[i];
    if (b.state != branch_state::ready || !b.unsynced || !b.outstanding() || b.flushed) continue;
    b.flushed = true;
    const std::size_t from = s.backend_bytes.size();
    p::encode_flush(s.backend_bytes);
    s.own_to_backend(static_cast<branch_index>(i), from);
  }
  return false;
}

// The usual case, at the cost of a few comparisons: `wanted` is the only branch there is, and it has all that it must.
bool session_machine::on_its_only_branch(const targets& wanted) const noexcept {
  if (branches_.size() != 1 || wanted.size() != 1 || listening_ || braid_.active || braid_.executing > 0) return false;
  const branch& b = branches_.front();
  if (b.state != branch_state::ready || b.preparing > 0) return false;
  if (env_.sequences_asked) return false;
  return b.in_block || (!txn_.active && b.facts->current == current_ && !b.facts->sql);
}

// Makes `wanted` the branches that operations go to; `counted`: what they answer is not passed on as it is. False:
// wait.
bool session_machine::settle(step& s, const targets& wanted, bool counted) {
  if (on_its_only_branch(wanted)) return true;
  if (awaits_lease(wanted)) return false;
  const bool several = wanted.size() > 1 || counted;
  // Who owes nothing must not be heard before those who still owe what comes first.
  const bool joins =
      braid_.active && braid_.heard + 1 < braid_.next_sequence &&
      std::any_of(wanted.begin(), wanted.end(), [this](branch_index i) { return !branches_[i].outstanding(); });
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    const branch& b = branches_[i];
    if (b.state != branch_state::ready || !b.outstanding() || b.expected[b.next].what == disposition::probe) continue;
    const bool mine = std::find(wanted.begin(), wanted.end(), static_cast<branch_index>(i)) != wanted.end();
    const bool preparing = b.preparing > 0;
    if (preparing) return false;
    if (!mine || joins || several != braid_.active || braid_.executing > 0) return drained(s);
  }
  if (several != braid_.active || braid_.executing > 0) {
    braid_ = braid_state{};
    braid_.active = several;
  }
  return ready(s, wanted);
}

void session_machine::batch_failed() {
  cycle_failed_ = true;
  control_sent_ = false;
  if (txn_.active) {
    const bool server_knows = std::any_of(branches_.begin(), branches_.end(), [](const branch& b) { return b.failed_quietly && b.in_block; });
    if (!server_knows) txn_.failed = true;
  }
  undo_unconfirmed();
}

void session_machine::undo_unconfirmed() {
  for (const std::string& name : unconfirmed_) statements_.erase(name);
  unconfirmed_.clear();
}

// An error of ours in place of the operation's answer. False: answers before it must come first.
bool session_machine::op_error(step& s, const p::error_report& error) {
  if (!drained(s)) return false;
  if (cycle_failed_) return true;
  tell_error(s, error);
  if (txn_.active) txn_.failed = true;
  batch_failed();
  return true;
}

// An empty message of ours, at its place among the answers.
void session_machine::answer_locally(step& s, char type) {
  if (braid_.active && braid_.executing > 0) {
    // The first branch that is through with its rows does not speak for the others.
    braid_.behind.push_back(type);
    again_ = false;
    return;
  }
  const bool unheard = !braid_.active || braid_.heard + 1 < braid_.next_sequence;
  for (branch& b : branches_) {
    if (!unheard || b.state != branch_state::ready || !b.outstanding() || b.expected[b.next].what == disposition::probe)
      continue;
    expectation e{answer::local, disposition::forward};
    e.local_type = type;
    if (braid_.active) e.sequence = braid_.next_sequence;
    b.expect(e);
    again_ = false;  // what it did for the client is done
    if (!braid_.active) return;
  }
  if (unheard && anything_outstanding()) {
    ++braid_.next_sequence;
    return;
  }
  local_answers_.push_back(type);
  tell_local_answers(s);
}

// Where a cursor of this name can be: where SQL has declared it, on the session's own backend, or on the transaction's
// only one. -1: nowhere, or nobody knows.
int session_machine::home_of_cursor(std::string_view name) const noexcept {
  if (name.empty()) return -1;
  if (const branch_index* home = cursors_.find(name)) return *home;
  if (pinned_ >= 0) return pinned_;
  int home = -1;
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    const branch& b = branches_[i];
    if (b.state != branch_state::ready || !b.in_block) continue;
    if (home >= 0) return -1;
    home = static_cast<int>(i);
  }
  return home;
}

// A portal that no Bind has made: PostgreSQL keeps cursors and portals under one roof, and drivers describe the one that
// DECLARE has opened. The server knows.
bool session_machine::op_cursor(step& s, std::string_view frame, answer kind, std::string_view name) {
  const int home = home_of_cursor(name);
  if (home < 0) {
    if (!drained(s)) return false;
    // Where it was may have been lost with the transaction.
    if (txn_.untold) return op_error(s, *std::exchange(txn_.untold, nullptr));
    return op_error(s, client_status() == 'E' ? p::make_error(error_id::transaction_aborted) : p::make_error(error_id::no_such_portal, name));
  }
  const auto i = static_cast<branch_index>(home);
  targets_.assign(1, i);
  again_ = false;
  if (!settle(s, targets_)) return false;
  branches_[i].expect({kind, disposition::forward});
  branches_[i].unsynced = true;
  s.to_backend(i, frame);
  return true;
}

bool session_machine::op_sync(step& s) {
  if (sync_sent_) return true;
  if (listening_ && !cycle_failed_ && (!txn_.active || txn_.own) && awaits_channels(s)) return false;
  const auto unsynced = std::count_if(branches_.begin(), branches_.end(), [](const branch& b) { return b.state == branch_state::ready && b.unsynced; });
  const bool wrote = std::any_of(branches_.begin(), branches_.end(), [](const branch& b) { return b.unsynced && b.wrote; });
  // Sync commits: nothing is committed on one branch before all others are known to have succeeded.
  if (!txn_.active && unsynced > 1 && wrote && !drained(s)) return false;
  bool owed = false;
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    branch& b = branches_[i];
    if (b.state != branch_state::ready || !b.unsynced) continue;
    const std::size_t from = s.backend_bytes.size();
    if (cycle_failed_ && !b.failed_quietly && !txn_.active && b.wrote) {
      // The batch is one implicit transaction, which failed elsewhere: a statement that cannot be parsed undoes it here.
      p::encode_parse(s.backend_bytes, "", "pgbraid undoes the implicit transaction");
      b.facts->unnamed = 0;
      b.expect({answer::parse, disposition::swallow});
    }
    p::encode_sync(s.backend_bytes);
    s.own_to_backend(static_cast<branch_index>(i), from);
    b.expect({answer::sync, disposition::forward});
    owed = true;
  }
  sync_sent_ = true;
  cycle_bytes_ = scan_;
  if (owed) return true;
  if (!drained(s)) return true;  // settled() tells the rest
  end_cycle(s);
  return true;
}

}  // namespace pgbraid::proxy
