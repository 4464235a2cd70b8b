// pgbraid.consistency_token: SHOW asks the primaries of the shards that the session has written to how far their WAL
// has come, SET keeps the session from reading anything older. What the session has seen and written, the driver knows:
// it is asked by `recall` and told by `remember`.
#include "proxy/session/machine.hpp"

#include "proxy/cluster/epochs.hpp"

#include <algorithm>
#include <charconv>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;

namespace {

// The timeline of an insert position is in the name of its WAL file.
constexpr std::string_view question =
    "SELECT pg_catalog.concat(pg_catalog.pg_current_wal_insert_lsn(), ' ', "
    "pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()))";

}  // namespace

bool session_machine::names_token(const router::plan& plan) noexcept {
  return plan.variable.name == token_setting;
}

void session_machine::control_refused(const p::error_report& error) {
  p::encode_error(control_->reply, error);
  control_->failed = control_->done = true;
}

bool session_machine::control_token(step& s) {
  using router::session_effect;
  if (control_->plan->effect == session_effect::show) {
    const bool batch_wrote =
        std::any_of(branches_.begin(), branches_.end(), [](const branch& b) { return b.unsynced && b.wrote; });
    if (batch_wrote || (txn_.active && (txn_.writer || txn_.foreign))) {
      control_refused(p::make_error(error_id::token_unfinished));
      return true;
    }
    control_->token = std::make_unique<token_state>();
    control_->running = true;
    placed_ = false;
    s.add(action_kind::recall);
    return true;
  }
  const router::sql::variable_statement& variable = control_->plan->variable;
  const bool forgets = control_->plan->effect == session_effect::reset || variable.to_default;
  const std::string_view text =
      forgets || variable.values.empty() ? std::string_view{} : std::string_view{variable.values.front()};
  std::variant<consistency_token, p::error_report> token = read_token(text, *env_.state);
  if (variable.values.size() > 1) {
    token = p::make_error(error_id::token_invalid, "a list");
  } else if (txn_.active && txn_.one_snapshot() &&
             std::any_of(branches_.begin(), branches_.end(), [](const branch& b) { return b.in_block; })) {
    token = p::make_error(error_id::token_late);
  }
  if (const auto* const refused = std::get_if<p::error_report>(&token)) {
    control_refused(*refused);
    return true;
  }
  // A replica that the transaction is on already may not show it.
  if (std::any_of(branches_.begin(), branches_.end(), [](const branch& b) { return b.in_block && b.replica; }))
    txn_.primary_only = true;
  s.token = std::get<consistency_token>(std::move(token));
  s.add(action_kind::remember);
  control_local(control_->plan->effect == session_effect::reset ? "RESET" : "SET");
  return true;
}

void session_machine::on_recall(step& s, const std::vector<router::shard_index>& touched,
                                const consistency_token& known) {
  if (!control_ || !control_->token) return;
  token_state& t = *control_->token;
  t.known = known;
  std::vector<router::shard_index> shards = touched;
  // What is kept on its connection has not been given back since it wrote.
  for (const branch& b : branches_) {
    if (b.state == branch_state::ready && b.wrote) shards.push_back(b.shard);
  }
  std::sort(shards.begin(), shards.end());
  shards.erase(std::unique(shards.begin(), shards.end()), shards.end());
  targets_.clear();
  for (const router::shard_index shard : shards) {
    if (shard >= env_.state->shards.size()) continue;
    // A simple query would end the implicit transaction of a batch: only what is in none, or in a block, can be asked.
    const auto open = std::find_if(branches_.begin(), branches_.end(), [&](const branch& b) {
      return b.state == branch_state::ready && b.shard == shard && !b.replica && !b.unsynced && !b.outstanding();
    });
    if (open != branches_.end()) {
      targets_.push_back(static_cast<branch_index>(open - branches_.begin()));
    } else {
      targets_.push_back(lease_branch(s, shard, false));
      t.leased.push_back(targets_.back());
    }
  }
  placed_ = true;
  run_token(s);
}

// Nothing is prepared on the branches: the question means the same whatever their settings, and belongs to no
// transaction.
void session_machine::run_token(step& s) {
  if (sent_ || !placed_ || awaits_lease(targets_)) return;
  sent_ = true;
  if (targets_.empty()) {
    control_->running = false;
    return finish_control(s);
  }
  for (const branch_index i : targets_) ask_control(s, i, question);
}

void session_machine::note_position(branch_index i, std::string_view row) {
  p::data_row_view columns;
  if (!p::decode(row, columns)) return;
  auto values = columns.columns.values();
  p::wire_value said;
  if (!values.next(said)) return;
  const std::size_t blank = said.bytes.find(' ');
  if (blank == std::string_view::npos || said.bytes.size() < blank + 9) return;
  const char* const file = said.bytes.data() + blank + 1;
  const shard_state& shard = env_.state->shards[branches_[i].shard];
  wal_position position{shard.system_identifier, 0, 0};
  std::from_chars(file, file + 8, position.timeline, 16);
  const std::optional<std::uint64_t> at = parse_lsn(said.bytes.substr(0, blank));
  if (!at || shard.system_identifier == 0) return;
  position.lsn = replayable(*at, shard.segment_bytes, shard.block_bytes);
  demand(control_->token->known, position);
  ++control_->token->answers;
}

// Everybody has been heard: what SHOW tells, and an end to the connections that were leased for it alone.
void session_machine::tell_token(step& s) {
  const token_state& t = *control_->token;
  for (const branch_index i : t.leased) {
    branch& b = branches_[i];
    if (b.state != branch_state::ready || b.outstanding() || b.in_block || i == pinned_) continue;
    action a;
    a.kind = action_kind::release;
    a.branch = i;
    a.shard = b.shard;
    s.actions.push_back(a);
    b.facts->spare = std::move(b.expected);
    b = branch{};
  }
  if (control_->failed) return;
  if (t.answers < targets_.size()) {
    control_->reply.clear();
    return control_refused(
        p::make_error(error_id::no_server, "primary", env_.state->name, "its WAL position is not known"));
  }
  if (cycle_ != cycle_kind::batch) encode_shown_shape(control_->reply, token_setting);
  const std::string text = to_text(t.known);
  p::encode_data_row(control_->reply, std::vector<p::optional_value>{std::string_view{text}});
  p::encode_command_complete(control_->reply, "SHOW");
}

void session_machine::encode_shown_shape(std::string& out, std::string_view name) {
  const p::field_description field{name, 0, 0, router::type_oid::text, -1, -1, p::text_format};
  p::encode_row_description(out, {&field, 1});
}

// --- reads.consistency: global ---------------------------------------------------------------------------------------

// Later reads of a transaction with one snapshot may be of any table.
steady_time session_machine::floor_of(const router::plan& plan, router::shard_index shard) const noexcept {
  const std::uint64_t seed = env_.mark_seeds[shard];
  const bool snapshot = txn_.active && txn_.one_snapshot();
  if (plan.reads_more || snapshot) return env_.marks->last_of_all(seed);
  if (plan.read_marks.empty()) return steady_time::min();
  if (schema_is_old(shard)) return env_.marks->last_of_all(seed);
  return env_.marks->last(seed, plan.read_marks);
}

// The replica that the session reads from on this shard at present, if there is one, will do for this read as well.
bool session_machine::shows_enough(const router::plan& plan, router::shard_index shard) const noexcept {
  return std::none_of(branches_.begin(), branches_.end(), [&](const branch& b) {
    return b.state == branch_state::ready && b.replica && b.shard == shard && b.shows <= floor_of(plan, shard);
  });
}

// What stands behind tables is known as of when the catalog was last read: definitions that have changed since may
// reach anywhere.
bool session_machine::schema_is_old(router::shard_index shard) const noexcept {
  return env_.state->schema_as_of <= env_.marks->last_definition(env_.mark_seeds[shard]);
}

void session_machine::note_changes(const router::plan& plan, const targets& used) {
  const auto add = [](auto& list, const auto& entry) {
    if (std::find(list.begin(), list.end(), entry) == list.end()) list.push_back(entry);
  };
  for (const branch_index i : used) {
    const router::shard_index shard = branches_[i].shard;
    const bool more = plan.writes_more || (!plan.write_marks.empty() && schema_is_old(shard));
    if (!more && plan.write_marks.empty()) continue;
    if (!changed_) changed_ = env_.spare_changes ? std::move(env_.spare_changes) : std::make_unique<changed_tables>();
    if (more) add(changed_->more, shard);
    if (plan.writes_more && branches_[i].ddl) add(changed_->defined, shard);
    for (const std::uint32_t mark : plan.write_marks) add(changed_->marks, std::pair{shard, mark});
  }
}

// The client or a server is gone before the transaction's end is known.
void session_machine::doubt_changes() {
  if (changed_) changed_->uncertain = true;
}

void session_machine::client_left() {
  if (!changed_) return;
  doubt_changes();
  publish_changes();
}

// The transaction is over, and its client has not been told yet.
void session_machine::publish_changes() {
  std::unique_ptr<changed_tables> changed = std::move(changed_);
  if (env_.marks == nullptr) return;
  // What a lost server has still to do is done, by it or by recovery, within that time.
  const steady_time now = env_.now() + (changed->uncertain ? std::chrono::seconds{60} : std::chrono::seconds{0});
  for (const auto& [shard, mark] : changed->marks) {
    if (shard < env_.mark_seeds.size()) env_.marks->wrote(env_.mark_seeds[shard], mark, now);
  }
  for (const router::shard_index shard : changed->more) {
    if (shard < env_.mark_seeds.size()) env_.marks->wrote_anything(env_.mark_seeds[shard], now);
  }
  for (const router::shard_index shard : changed->defined) {
    if (shard < env_.mark_seeds.size()) env_.marks->defined(env_.mark_seeds[shard], now);
  }
  changed->clear();
  env_.spare_changes = std::move(changed);
}

}  // namespace pgbraid::proxy
