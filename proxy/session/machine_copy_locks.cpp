// Locks in front of a write to reference tables which reads others of them; see copy_locks.hpp.
#include "proxy/session/copy_locks.hpp"

#include <algorithm>

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "proxy/session/machine.hpp"

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;

// The statement has its place. With one snapshot for all of a transaction every copy is read as of that anyway.
void session_machine::arrange_copy_locks(const router::plan& plan, const router::route& r, const targets& used) {
  // Parse, Bind and Execute are each given the place anew, also while it waits for the locks.
  const bool under_way = copy_locks_ && copy_locks_->at != copy_locks_state::phase::wanted &&
                         copy_locks_->sql == plan.copy_locks && copy_locks_->over == used;
  if (under_way) return;
  copy_locks_.reset();
  const auto* many = std::get_if<router::to_many>(&r.target);
  if (plan.copy_locks.empty() || many == nullptr || !many->mirrored || r.mode != router::access::write ||
      used.size() < 2 || txn_.one_snapshot())
    return;
  copy_locks_ = std::make_unique<copy_locks_state>();
  copy_locks_->sql = plan.copy_locks;
  copy_locks_->over = used;
}

// True: the tables are locked on all branches. False: it waits, or has failed.
bool session_machine::copies_locked(step& s) {
  using phase = copy_locks_state::phase;
  copy_locks_state& locks = *copy_locks_;
  if (locks.at == phase::held) return true;
  const auto waits = [this](branch_index i) { return branches_[i].preparing > 0; };
  if (cycle_failed_ || std::any_of(locks.over.begin(), locks.over.end(), waits)) return false;
  // What failed among the messages sent before would have the server pass over this one.
  if (locks.at == phase::wanted && !nothing_unsynced() && !drained(s)) return false;
  if (locks.at == phase::others) {
    locks.at = phase::held;
    return true;
  }
  const bool first = locks.at == phase::wanted;
  locks.at = first ? phase::first : phase::others;
  for (const branch_index i : locks.over) {
    if (first != (i == locks.over.front())) continue;
    branch& b = branches_[i];
    const std::size_t from = s.backend_bytes.size();
    p::encode_query(s.backend_bytes, locks.sql);
    s.own_to_backend(i, from);
    b.facts->unnamed = 0;
    b.expect({answer::query, disposition::prepare, of_copies});
    ++b.preparing;
  }
  return false;
}

session_machine::verdict session_machine::copy_locks_error(step& s, branch_index i, const p::frame_view& frame) {
  constexpr std::string_view insufficient_privilege = "42501", read_only_sql_transaction = "25006";
  if (cycle_failed_) return verdict::drop;
  p::error_fields_view fields;
  const bool readable = p::decode(frame.body, fields);
  if (readable && fields.sqlstate() == read_only_sql_transaction) s.add(action_kind::doubt, i);
  flush_run(s);
  cycle_failed_ = true;
  if (txn_.active) txn_.failed = true;
  if (readable && gives_way(fields)) {
    tell_error(s, p::make_error(error_id::deadlock_detected));
    let_go(s, i);
  } else if (readable && fields.sqlstate() == insufficient_privilege) {
    tell_error(s, p::make_error(error_id::copies_not_locked, fields.message()));
  } else {
    forward(s, frame.bytes);
  }
  if (cycle_ == cycle_kind::batch) batch_failed();
  return verdict::drop;
}

}  // namespace pgbraid::proxy
