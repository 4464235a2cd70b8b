// What a statement needs of servers before it is sent itself, asked for and answered; see needs.hpp.
#include "proxy/session/needs.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "proxy/session/machine.hpp"

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;

// True: all that the statement needs has been answered. False: it waits, or has failed.
bool session_machine::needs_met(step& s) {
  return (!needs_.hold() || held(s)) && (!needs_.copy_locks() || copies_locked(s)) && (!needs_.claims() || claimed(s));
}

// The statement waits for the answer; `what`: its expectation::local_type.
void session_machine::ask_need(step& s, branch_index i, std::string_view sql, char what) {
  branch& b = branches_[i];
  const std::size_t from = s.backend_bytes.size();
  p::encode_query(s.backend_bytes, sql);
  s.own_to_backend(i, from);
  b.facts->unnamed = 0;
  b.expect({answer::query, disposition::prepare, what});
  ++b.preparing;
}

// Whom to ask now. `enough`: the others need not be asked, or nobody.
std::span<const branch_index> session_machine::next_in_turn(step& s, asked_in_turn& need, bool enough) {
  using phase = asked_in_turn::phase;
  if (need.at == phase::held) return {};
  bool open = true;
  for (const branch_index i : need.over) open = prepare(s, i) && open;
  if (!open || cycle_failed_) return {};
  // What failed among the messages sent before would have the server pass over this one.
  if (need.at == phase::wanted && !nothing_unsynced() && !drained(s)) return {};
  if (need.at == phase::others || enough) {
    need.at = phase::held;
    return {};
  }
  const std::span<const branch_index> over = need.over;
  const bool first = need.at == phase::wanted;
  need.at = first ? phase::first : phase::others;
  return first ? over.first(1) : over.subspan(1);
}

// A branch has answered, the last of those that were asked or not.
void session_machine::need_answered(step& s, branch& b, char what) {
  if ((what == of_hold || what == of_tables) && needs_.hold()) hold_answered(s, b);
  if (what == of_claims) claim_answered(s);
}

// A server has refused what it was asked for.
session_machine::verdict session_machine::need_error(step& s, branch_index i, const p::frame_view& frame) {
  constexpr std::string_view insufficient_privilege = "42501", read_only_sql_transaction = "25006";
  constexpr std::string_view lock_not_available = "55P03";
  if (cycle_failed_) return verdict::drop;
  const char what = branches_[i].expected[branches_[i].next].local_type;
  const bool of_gates = what == of_hold || what == of_tables;
  p::error_fields_view fields;
  const bool readable = p::decode(frame.body, fields);
  const std::string_view code = readable ? fields.sqlstate() : std::string_view{};
  if (of_gates && goes_without(s, i, what, code)) return verdict::drop;
  if (!of_gates && code == read_only_sql_transaction) s.add(action_kind::doubt, i);
  if (readable && gives_way(fields)) {
    fail_need(s, p::make_error(error_id::deadlock_detected));
    if (!of_gates) let_go(s, i);
  } else if (what == of_hold && code == lock_not_available) {
    fail_need(s, p::make_error(error_id::snapshot_not_taken));
  } else if (what == of_copies && code == insufficient_privilege) {
    fail_need(s, p::make_error(error_id::copies_not_locked, fields.message()));
  } else {
    flush_run(s);
    forward(s, frame.bytes);
    need_failed();
  }
  return verdict::drop;
}

void session_machine::fail_need(step& s, const p::error_report& error) {
  flush_run(s);
  tell_error(s, error);
  need_failed();
}

// Its error has been told, and the statement does not go anywhere.
void session_machine::need_failed() {
  cycle_failed_ = true;
  if (txn_.active) txn_.failed = true;
  if (cycle_ == cycle_kind::batch) batch_failed();
}

}  // namespace pgbraid::proxy
