// The rows that a write over several shards needs before it can go out: the query, and what comes of it. See
// router/plan/staged_source.hpp.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "router/plan/merge_source.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/rows.hpp"
#include "router/plan/staged_source.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;

namespace {

/// Of a row to insert: its key's values say no shard.
p::error_report no_home(const router::staged_source& source, const std::vector<router::key_value>& key, bool unowned) {
  std::string names, values;
  for (std::size_t i = 0; i < key.size(); ++i) {
    names.append(i == 0 ? "" : ", ").append(source.keys[i].name);
    values.append(i == 0 ? "" : ", ").append(key[i].text.substr(0, 200));
  }
  if (unowned) return p::make_error(error_id::key_unowned, values, names, source.table);
  return p::make_error(error_id::key_not_provable, names, source.table);
}

}  // namespace

// The source's query goes to the server that has the fragments, or to the one that it belongs on.
bool session_machine::ask_source(step& s, const p::bind_view* m, const statement* st) {
  const router::staged_query& query = *stage_->plan->query;
  stage_->asked = true;
  stage_->source.json.assign(targets_.size(), {});
  std::string sql = query.sql;
  branch_index asked = *std::min_element(targets_.begin(), targets_.end());
  if (gather_) {
    bound_values none;
    add_fragments(none);
    sql = combining_text(*gather_);
    asked = gather_->combiner;
    gather_.reset();
  } else if (query.only) {
    const auto home = std::find_if(targets_.begin(), targets_.end(),
                                   [&](branch_index i) { return branches_[i].shard == *query.only; });
    if (home == targets_.end()) return false;
    asked = *home;
  }
  stage_->home = asked;
  if (query.collated) stage_->asked_sql = sql;
  const router::insert_part part = router::renumbered(sql);
  own_parameters given;
  if (!parameters_of(part, m, st, given)) return false;
  branch& b = branches_[asked];
  const std::size_t from = s.backend_bytes.size();
  const auto ask = [&](answer kind) { b.expect({kind, disposition::gather, 0, asking_source}); };
  if (cycle_ == cycle_kind::simple) {
    // For errors of the statement in the server's own words.
    p::encode_parse(s.backend_bytes, "", query.shown);
    ask(answer::parse);
  }
  ask_rows(s, b, part.sql, given, asking_source);
  s.own_to_backend(asked, from);
  return true;
}

bool session_machine::must_ask_collations() const {
  const stage_state& stage = *stage_;
  return stage.plan->query && !stage.plan->source && stage.plan->query->collated && !stage.collations_asked &&
         router::any_collatable(stage.source.types);
}

// Which collations the columns of the rows have: the server that has told them is asked again, for none.
bool session_machine::ask_collations(step& s, const p::bind_view* m, const statement* st) {
  stage_->collations_asked = true;
  stage_->source.lacks_collation = true;
  const router::insert_part part =
      router::renumbered(router::collations_query(stage_->asked_sql, stage_->source.types));
  stage_->asked_sql.clear();
  own_parameters given;
  if (!parameters_of(part, m, st, given)) return false;
  const std::size_t from = s.backend_bytes.size();
  ask_rows(s, branches_[stage_->home], part.sql, given, asking_collations);
  s.own_to_backend(stage_->home, from);
  return true;
}

// A row of their names, NULL where there is none that could be said.
void session_machine::take_collations(std::string_view body) {
  source_rows& rows = stage_->source;
  p::data_row_view row;
  if (!p::decode(body, row)) return;
  rows.lacks_collation = false;
  auto given = row.columns.values();
  p::wire_value value;
  for (std::size_t i = 0; given.next(value) && i < rows.columns.size(); ++i) {
    if (!router::any_collatable({rows.types[i]})) continue;
    if (value.null) {
      rows.lacks_collation = true;
    } else if (value.bytes != "\"default\"") {
      rows.columns[i].collation = value.bytes;
    }
  }
}

// Without rows no server gets the statement, which one server would plan all the same, and find constants in it that do
// not fit: SET code = 'too long'. False: it need not, or cannot, be asked.
bool session_machine::plan_without_rows(step& s, const p::bind_view* m, const statement* st) {
  stage_state& stage = *stage_;
  if (!stage.plan->source || stage.source.bytes > 0 || std::exchange(stage.planned, true)) return false;
  const router::insert_part part = router::renumbered("EXPLAIN " + stage.said);
  own_parameters given;
  if (!parameters_of(part, m, st, given)) return false;
  const branch_index asked = stage.plan->moves ? targets_.front() : stage.home;
  const std::size_t from = s.backend_bytes.size();
  ask_rows(s, branches_[asked], part.sql, given, asking_plan);
  s.own_to_backend(asked, from);
  return true;
}

// Appends the question for rows to what goes to a branch.
void session_machine::ask_rows(step& s, branch& b, std::string_view sql, const own_parameters& given,
                               std::uint32_t mark) {
  const auto ask = [&](answer kind) { b.expect({kind, disposition::gather, 0, mark}); };
  const bool described = mark == asking_source;
  p::encode_parse(s.backend_bytes, "", sql, types_for(static_cast<branch_index>(&b - branches_.data()), given.types));
  p::encode_bind(s.backend_bytes, "", "", given.formats, given.values, {});
  if (described) p::encode_describe(s.backend_bytes, p::object_kind::portal, "");
  p::encode_execute(s.backend_bytes, "");
  ask(answer::parse);
  ask(answer::bind);
  if (described) ask(answer::describe_portal);
  ask(answer::execute);
  if (cycle_ == cycle_kind::simple) {
    p::encode_sync(s.backend_bytes);
    ask(answer::sync);
  } else {
    p::encode_flush(s.backend_bytes);
    b.unsynced = b.flushed = true;
  }
  b.facts->unnamed = 0;
}

// The client's parameters that stand in a text of ours; none in the simple protocol. False: they cannot be said again.
bool session_machine::parameters_of(const router::insert_part& part, const p::bind_view* m, const statement* st,
                                    own_parameters& out) {
  if (m == nullptr) return part.parameters.empty();
  std::vector<p::optional_value> all;
  auto given = m->parameters.values();
  p::wire_value value;
  while (given.next(value)) all.push_back(value.null ? p::optional_value{} : p::optional_value{value.bytes});
  for (const std::uint16_t index : part.parameters) {
    out.types.push_back(index < st->parameter_types.size() ? st->parameter_types[index] : 0);
    out.formats.push_back(m->formats.of(index));
    // What the whole statement would take it for need not be what a part of it takes it for.
    if (out.types.back() == 0 && out.formats.back() != p::text_format) return false;
    out.values.push_back(index < all.size() ? all[index] : p::optional_value{});
  }
  return true;
}

void session_machine::take_source_columns(step& s, std::string_view body) {
  p::row_description described;
  if (!p::decode(body, described))
    return fail_statement(s, p::make_error(error_id::internal, "the rows to insert could not be read"));
  std::vector<router::oid> types;
  for (const p::field_description& field : described.fields) types.push_back(field.type);
  if (!stage_->plan->source) {
    stage_->source.columns.clear();
    for (const p::field_description& field : described.fields)
      stage_->source.columns.push_back({std::string{field.name}, field.type, false, false, field.type_modifier});
  }
  if (stage_->plan->source && stage_->plan->source->merge && stage_->source.types.empty()) {
    std::vector<std::string> names;
    for (const p::field_description& field : described.fields) names.emplace_back(field.name);
    auto plan = std::make_shared<router::staged_write>(*stage_->plan);
    plan->source = router::with_columns(*plan->source, names, types);
    if (plan->source == nullptr)
      return fail_statement(
          s, p::make_error(error_id::cross_shard_write, "the source of MERGE has no such column as its key"));
    stage_->plan = std::move(plan);
  }
  if (stage_->source.types.empty()) {
    stage_->source.types = std::move(types);
  } else if (stage_->source.types != types) {
    fail_statement(
        s, p::make_error(error_id::server_results_differ, "rows that move have other columns on another shard"));
  }
}

// A row goes to the shard of its key.
void session_machine::take_source_row(step& s, std::string_view body) {
  source_rows& rows = stage_->source;
  p::data_row_view row;
  if (!p::decode(body, row))
    return fail_statement(s, p::make_error(error_id::internal, "the rows to insert could not be read"));
  std::vector<std::optional<std::string_view>> values;
  auto given = row.columns.values();
  p::wire_value value;
  while (given.next(value)) values.push_back(value.null ? std::nullopt : std::optional{value.bytes});
  const bool picked = stage_->plan->pick == router::picking::finds;
  const auto keep = [&](std::size_t at) {
    std::string& out = picked ? stage_->list : rows.json[at];
    const std::size_t before = out.size();
    if (picked) {
      add_listed_row(out, values);
      ++stage_->listed;
    } else {
      add_source_row(out, values);
    }
    rows.bytes += out.size() - before;
    const bool by_itself = rows.bytes > env_.max_gather;
    if (!by_itself && rows.share.cover(env_.gathered, rows.bytes)) return;
    const std::string_view table = stage_->plan->source ? stage_->plan->source->table : "of a subquery";
    fail_statement(s, by_itself ? p::make_error(error_id::gather_too_large, env_.max_gather, table) : no_room_left());
    rows.json.assign(targets_.size(), {});
    stage_->list.clear();
    rows.share.give_back();
  };
  if (!stage_->plan->source) return keep(0);
  const router::staged_source& source = *stage_->plan->source;
  if (values.size() != rows.types.size()) {
    return fail_statement(
        s, p::make_error(error_id::server_results_differ, "a row to insert has other columns than were described"));
  }
  // A row of MERGE that can only find a partner: where that might be, it is looked for.
  const auto keep_everywhere = [&] {
    for (std::size_t at = 0; at < targets_.size() && !cycle_failed_; ++at) keep(at);
  };
  const bool finds_only = source.merge && !source.merge->inserts;
  if (finds_only && source.keys.empty()) return keep_everywhere();
  thread_local std::vector<router::key_value> key;
  key.clear();
  for (const router::source_key& part : source.keys) {
    const bool null = part.at >= values.size() || !values[part.at];
    // It has no partner; what a server says to it as a new row, it says on any shard.
    if (null && source.merge && (finds_only || source.merge->key_is_there)) return keep(0);
    if (null) return fail_statement(s, p::make_error(error_id::null_key, part.name, source.table));
    key.push_back(
        {*values[part.at], part.type, part.modifier, source.columns[part.at].untyped ? 0 : rows.types[part.at]});
  }
  if (stage_->plan->moves && !note_move(values)) {
    return fail_statement(
        s, p::make_error(error_id::server_results_differ, "a row that moves has other columns than were asked for"));
  }
  using owned = router::key_owner::kind;
  const router::key_owner owner =
      router::owner_of_key(*context_->context.map, key, context_->literals, source.values.get());
  if (finds_only && owner.is != owned::shard) return keep_everywhere();
  const auto home =
      owner.is != owned::shard ? targets_.end() : std::find_if(targets_.begin(), targets_.end(), [&](branch_index i) {
        return branches_[i].shard == owner.shard;
      });
  if (home == targets_.end()) return fail_statement(s, no_home(source, key, owner.is == owned::unowned));
  if (!rows.any) {
    for (const auto& each : values) rows.constants.push_back(each ? std::optional{std::string{*each}} : std::nullopt);
    rows.any = true;
  }
  const auto at = static_cast<std::size_t>(home - targets_.begin());
  if (source.in_order) rows.order.push_back(at);
  keep(at);
}

// What each of the targets gets of an INSERT whose rows are there. False: they cannot be said as text.
bool session_machine::spread_source() {
  const router::staged_source& source = *stage_->plan->source;
  for (std::string& json : stage_->source.json) {
    json.append(json.empty() ? "[]" : "]");
    const std::string select = router::source_select(source, stage_->source.types, stage_->source.constants, json);
    if (select.empty()) return false;
    json.clear();
    stage_->texts.push_back(router::with_moments(source.before, stage_->moments) +
                            router::with_moments(select, stage_->moments) +
                            router::with_moments(source.after, stage_->moments));
  }
  return true;
}

}  // namespace pgbraid::proxy
