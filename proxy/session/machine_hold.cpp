// Snapshots of several shards that show commits over several shards whole; see hold.hpp.
#include "proxy/session/hold.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "proxy/session/machine.hpp"
#include "router/plan/gather_text.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;
using router::sql::isolation_level;

namespace {

// A savepoint, since locks taken behind it are let go with it.
constexpr std::string_view take_back = "ROLLBACK TO SAVEPOINT pgbraid_hold";
constexpr std::string_view let_go_of_gate =
    "ROLLBACK TO SAVEPOINT pgbraid_hold; RELEASE SAVEPOINT pgbraid_hold";
constexpr std::string_view keep_what_was_written = "RELEASE SAVEPOINT pgbraid_hold";
// LOCK takes no snapshot by itself: the transaction's is that of the SELECT.
constexpr std::string_view take_snapshot =
    "SELECT 1; ROLLBACK TO SAVEPOINT pgbraid_hold; RELEASE SAVEPOINT pgbraid_hold";

// Who holds one shard's gate and waits for another's may keep a commit from the first that keeps it from the second:
// then it lets go. Together about ten seconds.
constexpr unsigned shortest_wait_ms = 10, longest_wait_ms = 320;
constexpr std::uint8_t most_tries = 34;

unsigned wait_of(unsigned tries) {
  return tries > 5 ? longest_wait_ms : std::min(longest_wait_ms, shortest_wait_ms << tries);
}

const std::vector<router::shard_index>* several_shards(const router::route& r) {
  const std::vector<router::shard_index>* many = nullptr;
  if (const auto* concatenated = std::get_if<router::to_many>(&r.target)) many = &concatenated->shards;
  if (const auto* gathered = std::get_if<router::to_gather>(&r.target)) many = &gathered->shards;
  return many != nullptr && many->size() > 1 ? many : nullptr;
}

}  // namespace

bool session_machine::sees_commits_whole(const router::route& r) const {
  return context_->context.map->consistent && r.mode == router::access::read && several_shards(r) != nullptr;
}

// Decides how the statement that is about to be placed comes to snapshots of one state. False: it is refused.
bool session_machine::arrange_hold(const router::plan& plan, const router::route& r, p::error_report& refusal) {
  const bool wanted = sees_commits_whole(r);
  bool alone = false;
  if (!txn_.active && wanted) {
    if (batch_writer_) {
      const std::vector<router::shard_index>& many = *several_shards(r);
      const router::topology& map = *context_->context.map;
      const router::shard_index other = many.front() == *batch_writer_ ? many.back() : many.front();
      refusal = p::with_hint(p::make_error(error_id::transaction_second_shard, "pipelined", map.shards[*batch_writer_], map.shards[other]),
                             "Begin a transaction before it, or send Sync.");
      return false;
    }
    // A server refuses a cursor that would not outlive its statement.
    if (plan.effect == router::session_effect::declare_cursor && plan.tag.find("HOLD") == std::string::npos)
      return true;
    alone = stands_alone();
    begin_own();
    if (alone || txn_.one_snapshot()) {
      txn_.isolation = isolation_level::repeatable_read;
      txn_.prologue.front().sql = "BEGIN ISOLATION LEVEL REPEATABLE READ";
    }
  }
  if (needs_.hold() || !txn_.active || txn_.foreign || txn_.imported) return true;
  if (txn_.isolation == isolation_level::repeatable_read) {
    // LOCK comes before the snapshot, which is to show what it has waited for.
    if (txn_.snapshots || plan.tag == "LOCK TABLE") return true;
    txn_.primary_only = true;
    hold_state hold;
    hold.snapshot = true;
    hold.alone = alone;
    const router::topology& map = *context_->context.map;
    for (const std::string& name : plan.reads) {
      if (alone && (map.tables.contains(name) || map.reference_tables.contains(name))) hold.tables.push_back(name);
    }
    needs_.add(std::move(hold));
  } else if (wanted && !txn_.one_snapshot()) {
    needs_.add(hold_state{});
  }
  return true;
}

// The statement has its place: on which branches its snapshots are to be taken.
void session_machine::place_hold(step& s, const targets& used) {
  hold_state* const hold = needs_.hold();
  if (hold == nullptr || hold->at != hold_state::phase::wanted) return;
  hold->over = used;
  if (!hold->snapshot || hold->alone) return;
  // Nobody knows yet where the transaction will read.
  hold->over.clear();
  for (std::size_t i = 0; i < context_->context.map->shards.size(); ++i)
    hold->over.push_back(branch_for(s, static_cast<router::shard_index>(i), false));
}

bool session_machine::nothing_unsynced() const noexcept {
  return std::none_of(branches_.begin(), branches_.end(), [](const branch& b) { return b.state == branch_state::ready && b.unsynced; });
}

// The statement is all that its transaction of pgbraid's own will have.
bool session_machine::stands_alone() const noexcept {
  return cycle_ == cycle_kind::simple || (batch_synced_ && !more_to_bind() && nothing_unsynced());
}

// What a read over several shards sends in one batch before its Sync, and nothing else: its rows may come as they come.
bool session_machine::reads_in_one_batch() const noexcept {
  const auto count = [this](char type) {
    return std::count_if(operations_.begin(), operations_.end(), [type](const operation& o) { return o.type == type; });
  };
  return batch_synced_ && count(p::frontend::bind) == 1 && count(p::frontend::execute) == 1;
}

// In the extended protocol: whether the gates must be let go before the client's portal is made, which would go with them.
bool session_machine::gathers_behind_hold() const {
  if (!sees_commits_whole(route_)) return false;
  if (!txn_.active) return !stands_alone();
  return !txn_.one_snapshot() && !reads_in_one_batch();
}

// True: the gates are held, or the snapshots taken. False: it waits, or has failed.
bool session_machine::held(step& s) {
  using phase = hold_state::phase;
  hold_state& h = *needs_.hold();
  if (h.at == phase::held || h.at == phase::over) return true;
  if (cycle_failed_ || awaits_lease(h.over)) return false;
  // What failed among the messages sent before would have the server pass over this one.
  if (h.at == phase::wanted && !nothing_unsynced() && !drained(s)) return false;
  bool all = true;
  for (const branch_index i : h.over) all = prepare(s, i) && all;
  if (!all) return false;
  if (h.at == phase::wanted && !h.tables.empty()) {
    const std::string locks = locks_of_tables();
    h.at = phase::tables;
    for (const branch_index i : h.over) ask_need(s, i, locks, of_tables);
    return false;
  }
  if (h.at != phase::asked || h.refused) {
    const std::string sql = fmt::format("{}; SET LOCAL lock_timeout = {}; LOCK TABLE pgbraid.commit_gate IN SHARE MODE",
                                        h.at == phase::asked ? take_back : "SAVEPOINT pgbraid_hold", wait_of(h.tries));
    h.at = phase::asked;
    h.refused = false;
    ++h.tries;
    for (const branch_index i : h.over) ask_need(s, i, sql, of_hold);
    return false;
  }
  if (h.snapshot) {
    h.at = phase::over;
    txn_.snapshots = true;
    for (const branch_index i : h.over) say_behind_hold(s, i, take_snapshot);
    return true;
  }
  h.at = phase::held;
  const setting* const own = local_->find("lock_timeout");
  const std::string as_before = own == nullptr || own->value.empty() || own->value.find('\'') != std::string::npos ? "SET LOCAL lock_timeout TO DEFAULT" : fmt::format("SET LOCAL lock_timeout = '{}'", own->value);
  for (const branch_index i : h.over) say_behind_hold(s, i, as_before);
  return true;
}

// Who waits for a table's definition to change must see the table as it is then: a snapshot that is older than that may
// find it empty. These locks stay, as the statement's own would.
std::string session_machine::locks_of_tables() const {
  std::string names;
  for (const std::string& table : needs_.hold()->tables) {
    const std::size_t dot = table.find('.');
    names.append(names.empty() ? "" : ", ").append(router::quote_identifier(table.substr(0, dot)));
    names.append(".").append(router::quote_identifier(table.substr(dot + 1)));
  }
  if (names.empty()) return {};
  return fmt::format("SAVEPOINT pgbraid_hold; LOCK TABLE {} IN ACCESS SHARE MODE; RELEASE SAVEPOINT pgbraid_hold",
                     names);
}

// Tables that are not fetched: what combines the rows reads them where they stand.
bool session_machine::reads_stored_tables(const router::plan& plan) const {
  const router::topology& map = *context_->context.map;
  return plan.reads_more || std::any_of(plan.reads.begin(), plan.reads.end(),
                                        [&](const std::string& name) { return !map.tables.contains(name); });
}

p::error_report session_machine::needs_own_batch() {
  return p::make_error(error_id::cross_shard_read, "reads.snapshot is consistent, and more follows in its batch",
                       "Send Sync behind it.");
}

// The statement does not wait for the answer.
void session_machine::say_behind_hold(step& s, branch_index i, std::string_view sql) {
  branch& b = branches_[i];
  const std::size_t from = s.backend_bytes.size();
  p::encode_query(s.backend_bytes, sql);
  s.own_to_backend(i, from);
  b.facts->unnamed = 0;
  b.expect({answer::query, disposition::swallow, of_hold});
}

// Whether what a server has refused is asked for once more, or can be done without.
bool session_machine::goes_without(step& s, branch_index i, char what, std::string_view code) {
  constexpr std::string_view lock_not_available = "55P03", insufficient_privilege = "42501",
                             wrong_object_type = "42809";
  if (what == of_tables) {
    // Only some columns of it may be read, or only by way of a view, or it is none that LOCK takes: then without.
    if (code != insufficient_privilege && code != wrong_object_type) return false;
    ask_need(s, i, let_go_of_gate, of_tables);
    return true;
  }
  hold_state* const hold = needs_.hold();
  if (code != lock_not_available || hold == nullptr || hold->tries >= most_tries) return false;
  hold->refused = true;
  return true;
}

// The answer to what was said behind the hold is complete.
void session_machine::hold_answered(step& s, branch& b) {
  // What goes back to its savepoint and on has not failed for the client.
  if (!cycle_failed_ && b.transaction == 'E') b.transaction = 'T';
  const hold_state& hold = *needs_.hold();
  if (hold.cancelled && hold.waits() && !cycle_failed_) fail_statement(s, p::make_error(error_id::query_canceled));
}

// `keeps`: a branch that will take another snapshot for the same statement, and keeps its gate until the transaction
// ends.
void session_machine::release_hold(step& s, int keeps) {
  const std::optional<hold_state> hold = needs_.take_hold();
  if (!hold || (hold->at != hold_state::phase::asked && hold->at != hold_state::phase::held)) return;
  for (const branch_index i : hold->over) {
    const branch& b = branches_[i];
    // What has failed has let go by itself.
    if (b.state != branch_state::ready || !b.in_block || b.transaction == 'E') continue;
    say_behind_hold(s, i, hold->wrote || keeps == i ? keep_what_was_written : let_go_of_gate);
  }
}

}  // namespace pgbraid::proxy
