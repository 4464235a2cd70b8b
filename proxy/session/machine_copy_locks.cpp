// Locks in front of a write to reference tables which reads others of them; see copy_locks.hpp.
#include "proxy/session/copy_locks.hpp"

#include "proxy/session/machine.hpp"

namespace pgbraid::proxy {

// The statement has its place. With one snapshot for all of a transaction every copy is read as of that anyway.
void session_machine::arrange_copy_locks(const router::plan& plan, const router::route& r, const targets& used) {
  // Parse, Bind and Execute are each given the place anew, also while it waits for the locks.
  const copy_locks_state* const before = needs_.copy_locks();
  if (before != nullptr && before->under_way() && before->sql == plan.copy_locks && before->over == used) return;
  needs_.drop_copy_locks();
  const auto* many = std::get_if<router::to_many>(&r.target);
  if (plan.copy_locks.empty() || many == nullptr || !many->mirrored || r.mode != router::access::write ||
      used.size() < 2 || txn_.one_snapshot())
    return;
  copy_locks_state locks;
  locks.sql = plan.copy_locks;
  locks.over = used;
  needs_.add(std::move(locks));
}

// True: the tables are locked on all branches. False: it waits, or has failed.
bool session_machine::copies_locked(step& s) {
  copy_locks_state& locks = *needs_.copy_locks();
  for (const branch_index i : next_in_turn(s, locks, false)) ask_need(s, i, locks.sql, of_copies);
  return locks.at == asked_in_turn::phase::held;
}

}  // namespace pgbraid::proxy
