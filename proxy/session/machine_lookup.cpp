// Keys that are looked up in a table: the designated shard's primary is asked before the statement is routed, in the
// transaction under way if there is one. See key_lookup.hpp.
//
// What is kept in mind was asked for outside of any change: an entry counts only if it was asked for after the last
// transaction ended that may have changed the table (write_marks), and a transaction that has changed it itself asks
// anew.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "router/plan/gather_text.hpp"
#include "router/plan/names.hpp"
#include "router/plan/planner.hpp"

#include <algorithm>
#include <charconv>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;

namespace {

/// The unnamed one may be the client's.
constexpr std::string_view own_portal = "pgbraid_lookup";

std::string quoted_table(const router::lookup_rule& rule) {
  return router::quote_identifier(rule.schema) + "." + router::quote_identifier(rule.table);
}

std::string question_for(const router::lookup_rule& rule, std::size_t keys) {
  std::string sql;
  for (std::size_t i = 0; i < keys; ++i) {
    sql += fmt::format("{}SELECT {}, d.{} FROM {} d WHERE d.{} OPERATOR(pg_catalog.=) ${}", i == 0 ? "" : " UNION ALL ",
                       i, router::quote_identifier(rule.shard), quoted_table(rule), router::quote_identifier(rule.key),
                       i + 1);
  }
  return sql;
}

std::string question_for_all(const router::lookup_rule& rule) {
  return fmt::format("SELECT d.{}, d.{} FROM {} d", router::quote_identifier(rule.key),
                     router::quote_identifier(rule.shard), quoted_table(rule));
}

}  // namespace

// The first one, unless the transaction stays on another: all have the table.
router::shard_index session_machine::shard_with_directory() const {
  if (!txn_.active || !(txn_.one_snapshot() || txn_.foreign)) return router::designated_shard;
  const auto stays = std::find_if(branches_.begin(), branches_.end(),
                                  [](const branch& b) { return b.state == branch_state::ready && b.in_block; });
  return stays == branches_.end() ? router::designated_shard : stays->shard;
}

// This transaction may have changed the table in which keys are looked up.
bool session_machine::has_changed_directory() const {
  if (!changed_) return false;
  const router::lookup_rule& rule = *context_->context.map->directory;
  const std::uint32_t mark = router::table_mark(rule.schema + "." + rule.table);
  return !changed_->more.empty() || std::any_of(changed_->marks.begin(), changed_->marks.end(),
                                                [&](const auto& each) { return each.second == mark; });
}

// It sees what was there when it began, and what others keep in mind may be newer.
bool session_machine::has_old_snapshot() const {
  if (!txn_.active || !txn_.one_snapshot()) return false;
  return txn_.snapshots || std::any_of(branches_.begin(), branches_.end(), [](const branch& b) { return b.in_block; });
}

steady_time session_machine::directory_changed_at() const {
  const router::lookup_rule& rule = *context_->context.map->directory;
  const std::uint64_t seed = env_.mark_seeds[router::designated_shard];
  if (schema_is_old(router::designated_shard)) return env_.marks->last_of_all(seed);
  const std::uint32_t mark = router::table_mark(rule.schema + "." + rule.table);
  return env_.marks->last(seed, {&mark, 1});
}

router::route session_machine::resolve(const router::plan& plan, std::string_view text,
                                       std::span<const router::sql::constant_position> constants,
                                       std::span<const router::bound_parameter> parameters) {
  const router::topology& map = *context_->context.map;
  if (!env_.keys || !map.directory) return router::resolve(plan, map, text, constants, parameters, context_->literals);
  if (!lookup_) lookup_ = std::make_unique<key_lookup>();
  const bool by_others = !has_changed_directory() && !has_old_snapshot();
  lookup_->begin(by_others ? env_.keys : nullptr, directory_changed_at(), env_.now());
  router::literal_context literals = context_->literals;
  literals.directory = lookup_.get();
  return router::resolve(plan, map, text, constants, parameters, literals);
}

// The statement that has just been resolved to route_ must wait for the table's rows.
bool session_machine::must_look_up(const router::plan& plan) const {
  if (!lookup_) return false;
  const bool whole =
      plan.whole_directory && std::holds_alternative<router::to_many>(route_.target) && !lookup_->whole_known();
  return whole || !lookup_->wanted().empty();
}

void session_machine::begin_lookup() {
  if (!question_) question_ = std::make_unique<question_state>();
  question_->is_lookup = true;
  question_->asked = question_->done = false;
}

void session_machine::ask_directory(step& s, branch_index i) {
  branch& b = branches_[i];
  const router::lookup_rule& rule = *context_->context.map->directory;
  const std::vector<router::wanted_key>& wanted = lookup_->wanted();
  std::vector<router::oid> types;
  std::vector<std::int16_t> formats;
  std::vector<p::optional_value> values;
  for (const router::wanted_key& key : wanted) {
    types.push_back(key.type);
    formats.push_back(key.binary ? p::binary_format : p::text_format);
    values.emplace_back(key.value);
  }
  // A snapshot of before must not become what others keep in mind.
  const bool fresh = txn_.active ? !txn_.one_snapshot() && !txn_.foreign
                                 : default_isolation_ == router::sql::isolation_level::read_committed;
  lookup_->ask(fresh && !has_changed_directory() ? env_.keys : nullptr, env_.now());
  p::encode_parse(s.backend_bytes, "", wanted.empty() ? question_for_all(rule) : question_for(rule, wanted.size()),
                  types);
  p::encode_bind(s.backend_bytes, own_portal, "", formats, values, {});
  p::encode_execute(s.backend_bytes, own_portal);
  p::encode_close(s.backend_bytes, p::object_kind::portal, own_portal);
  for (const answer kind : {answer::parse, answer::bind, answer::execute, answer::close})
    b.expect({kind, disposition::gather, 0, asking_numbers});
}

void session_machine::take_directory_row(step& s, std::string_view body) {
  p::data_row_view row;
  p::wire_value key, name;
  const bool decoded = p::decode(body, row);
  auto values = row.columns.values();
  if (!decoded || !values.next(key) || !values.next(name))
    return fail_statement(s, p::make_error(error_id::internal, "a row of the lookup table could not be read"));
  const std::vector<std::string>& shards = context_->context.map->shards;
  const auto found = name.null ? shards.end() : std::find(shards.begin(), shards.end(), name.bytes);
  auto shard =
      found == shards.end() ? std::nullopt : std::optional{static_cast<router::shard_index>(found - shards.begin())};
  if (!lookup_->wanted().empty()) {
    std::size_t number = 0;
    std::from_chars(key.bytes.data(), key.bytes.data() + key.bytes.size(), number);
    return lookup_->answer(number, shard);
  }
  // Keys are compared as the servers' bytes.
  const auto high = [](char c) { return static_cast<unsigned char>(c) >= 0x80; };
  if (!key.null && !context_->literals.utf8 && std::any_of(key.bytes.begin(), key.bytes.end(), high)) shard.reset();
  if (!key.null) lookup_->add_row(key.bytes, shard);
  if (lookup_->bytes() <= env_.max_gather) return;
  const router::lookup_rule& rule = *context_->context.map->directory;
  fail_statement(s, p::make_error(error_id::gather_too_large, env_.max_gather, rule.schema + "." + rule.table));
}

// All answers are there: the statement can be resolved again.
void session_machine::end_lookup() {
  if (lookup_->wanted().empty()) {
    lookup_->whole_answered();
  } else {
    lookup_->answered();
  }
  question_->is_lookup = false;
  // What has been drawn before stays.
  if (question_->text.empty()) question_.reset();
}

// What keys of rows that are known only later go by: all rows of the table, as they were asked for.
std::shared_ptr<const router::value_map> session_machine::looked_up(
    const std::shared_ptr<const router::value_map>& values, router::oid type, std::int32_t modifier) const {
  if (values == nullptr || !values->looks_up()) return values;
  return lookup_ ? lookup_->whole(*values, type, modifier) : nullptr;
}

}  // namespace pgbraid::proxy
