// Transactions on several servers that wait for each other: see proxy/cluster/lock_watch.hpp.
#include "proxy/session/machine.hpp"

#include "protocol/frontend.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;

std::vector<waiting_transaction::part> session_machine::waiting_parts() const {
  std::vector<waiting_transaction::part> parts;
  bool waits = false;
  for (const branch& b : branches_) {
    if (b.state != branch_state::ready || !b.in_block || b.facts == nullptr) continue;
    waits = waits || b.outstanding();
    if (b.replica) continue;  // nobody waits there for what others have locked
    parts.push_back({b.shard, b.facts->pid});
  }
  if (!waits) parts.clear();
  return parts;
}

void session_machine::on_deadlock(step& s) {
  // What has been decided is not called back.
  const bool committing = control_ && control_->running && control_->commit;
  if (committing && control_->commit->at != commit_state::phase::prepare) return;
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    const branch& b = branches_[i];
    if (b.state != branch_state::ready || !b.outstanding()) continue;
    if (!b.owes_statement() && !needs_.waits() && !(committing && b.expected[b.next].what == disposition::control))
      continue;
    deadlocked_ = true;
    s.add(action_kind::cancel, static_cast<branch_index>(i));
  }
}

// Servers give up all locks of a transaction that has failed, before the client says ROLLBACK. With a savepoint they keep
// those from before it, and here all are kept until the client says how far to go back.
void session_machine::let_go(step& s, branch_index failed) {
  const auto is_savepoint = [](const prologue_entry& e) { return e.what == prologue_entry::kind::savepoint; };
  if (!txn_.active || std::any_of(txn_.prologue.begin(), txn_.prologue.end(), is_savepoint)) return;
  txn_.failed = txn_.broken = true;
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    branch& b = branches_[i];
    if (i == failed || b.state != branch_state::ready || !b.in_block || b.outstanding()) continue;
    const std::size_t from = s.backend_bytes.size();
    p::encode_query(s.backend_bytes, "ROLLBACK");
    s.own_to_backend(static_cast<branch_index>(i), from);
    b.expect({answer::query, disposition::swallow});
    b.in_block = false;
    b.facts->current.reset();
  }
}

// The server speaks of a cancelled statement; the client has cancelled nothing.
bool session_machine::gives_way(const p::error_fields_view& error) {
  constexpr std::string_view query_canceled = "57014";
  return deadlocked_ && error.sqlstate() == query_canceled;
}

}  // namespace pgbraid::proxy
