// MERGE; see merge_into.hpp and analyzer.hpp.
#include "router/plan/merge_into.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "router/plan/analyzer.hpp"
#include "router/plan/insert_select.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/refusals.hpp"
#include "router/plan/value_rows.hpp"

namespace pgbraid::router {

using protocol::error_id;
using protocol::make_error;

namespace {

/// The pairs that a condition requires to be equal.
void equalities_of(const sql::expr& left, const sql::expr& right,
                   std::vector<std::pair<const sql::expr*, const sql::expr*>>& out) {
  if (left.kind != sql::expr_kind::row || right.kind != sql::expr_kind::row) {
    out.emplace_back(&left, &right);
    return;
  }
  if (left.children.size() != right.children.size()) return;
  for (std::size_t i = 0; i < left.children.size(); ++i) {
    if (left.children[i] != nullptr && right.children[i] != nullptr)
      equalities_of(*left.children[i], *right.children[i], out);
  }
}

void equalities_of(const sql::expr& e, bool any_operator,
                   std::vector<std::pair<const sql::expr*, const sql::expr*>>& out) {
  if (e.kind == sql::expr_kind::and_) {
    for (const sql::expr_ptr& child : e.children) {
      if (child != nullptr) equalities_of(*child, any_operator, out);
    }
    return;
  }
  if (e.kind != sql::expr_kind::op || e.children.size() != 2 || e.name.empty() || e.name.back() != "=") return;
  if (e.name.size() == 1 ? !any_operator : e.name[e.name.size() - 2] != "pg_catalog") return;
  if (e.children[0] != nullptr && e.children[1] != nullptr) equalities_of(*e.children[0], *e.children[1], out);
}

/// What stands in a column of the source, row by row, where the statement says it; empty where it does not.
std::vector<const sql::expr*> known_values(const sql::from_item& source, const std::string& column) {
  std::vector<const sql::expr*> out;
  if (source.kind != sql::from_kind::subquery || source.query == nullptr) return out;
  const sql::select_query& q = *source.query;
  // Grouping sets make NULLs of constants.
  if (q.set_op != sql::set_operation::none || q.grouping_sets) return out;
  const std::size_t count = q.values.empty() ? q.targets.size() : q.values.front().size();
  std::size_t at = nowhere;
  for (std::size_t i = 0; i < count && at == nowhere; ++i) {
    if (q.values.empty()) {
      const sql::expr* value = q.targets[i].value.get();
      if (value == nullptr || (value->kind == sql::expr_kind::column && value->star)) return out;
    }
    const std::string name = i < source.column_aliases.size() ? source.column_aliases[i]
                             : q.values.empty()               ? q.targets[i].name
                                                              : "column" + std::to_string(i + 1);
    if (name == column) at = i;
  }
  if (at == nowhere) return out;
  if (q.values.empty()) return {q.targets[at].value.get()};
  // They get one type, and values that look like another's may change on the way.
  if (look_at_column(q.values, at) == value_column::mixed) return out;
  for (const std::vector<sql::expr_ptr>& row : q.values) out.push_back(row[at].get());
  return out;
}

std::optional<key_tie> tie_to(key_place place, const std::vector<const sql::expr*>& values, bool insert_row,
                              const plan_context& context, constant_marks& marks, const analysis& a) {
  key_tie tie{place, {}, insert_row};
  for (const sql::expr* value : values) {
    auto found =
        value == nullptr ? std::nullopt : read_key_value(*value, column_at(a, place).type, *context.schema, marks);
    if (!found) return std::nullopt;
    tie.sources.push_back(std::move(*found));
  }
  return tie.sources.empty() ? std::nullopt : std::optional{std::move(tie)};
}

}  // namespace

std::size_t merge_target(const analysis& a) {
  for (const query_level& level : a.levels) {
    if (level.top && level.target != nowhere) return level.target;
  }
  return nowhere;
}

std::string source_name(const sql::from_item& source) {
  if (!source.alias.empty()) return source.alias;
  return source.kind == sql::from_kind::relation && !source.name.empty() ? source.name.back() : std::string{};
}

std::string column_of_source(const analysis& a, const sql::expr& e, bool alone) {
  if (e.kind != sql::expr_kind::column || e.star || e.name.empty() || e.name.size() > 2) return {};
  const std::string name = source_name(a.merge->source.front());
  if (e.name.size() == 2) return !name.empty() && e.name.front() == name ? e.name.back() : std::string{};
  if (alone) return e.name.back();
  const std::size_t target = merge_target(a);
  const bool known = target != nowhere && a.uses[target].table.described != nullptr;
  return known && !has_column(a.uses[target], e.name.back()) ? e.name.back() : std::string{};
}

std::vector<merged_key> merged_keys(const analysis& a, const plan_context& context) {
  std::vector<merged_key> out;
  const std::size_t target = merge_target(a);
  if (target == nowhere || a.merge->condition == nullptr) return out;
  const table_use& use = a.uses[target];
  const bool known = name_resolver{context}.catalog_first() || !context.schema->user_operators.contains("=");
  std::vector<std::pair<const sql::expr*, const sql::expr*>> pairs;
  equalities_of(*a.merge->condition, known, pairs);
  const auto add = [&](const sql::expr& key, const sql::expr& other) {
    if (use_of_column(a, {use.level, nullptr}, key) != target) return;
    const std::size_t part = use.shown_part(key.name.back());
    const std::string column = part == nowhere ? std::string{} : column_of_source(a, other, false);
    if (!column.empty()) out.push_back({part, column});
  };
  for (const auto& [left, right] : pairs) {
    add(*left, *right);
    add(*right, *left);
  }
  return out;
}

const sql::expr* inserted_value(const sql::insert_query& q, const std::string& column, const table_use& use) {
  if (q.source == nullptr || q.source->values.empty() || q.overriding_user) return nullptr;
  const std::vector<sql::expr_ptr>& row = q.source->values.front();
  const std::vector<router::column>& columns = use.table.described->columns;
  const std::size_t count = q.columns.empty() ? columns.size() : q.columns.size();
  for (std::size_t i = 0; i < count; ++i) {
    if ((q.columns.empty() ? columns[i].name : q.columns[i].name) != column) continue;
    if (i >= row.size() || row[i] == nullptr || row[i]->kind == sql::expr_kind::default_) return nullptr;
    return !q.columns.empty() && q.columns[i].indirection ? nullptr : row[i].get();
  }
  return nullptr;
}

void analyzer::read_merge(const sql::merge_query& q, std::size_t parent) {
  const std::size_t outer_tables = common_tables_.size();
  read_with(q.with, parent);
  if (several() && out_.writes) out_.refuse(refuse_write("WITH that writes in front of MERGE"));
  const std::size_t level = add_level(parent);
  const std::size_t use = add_use(q.table, q.alias, level, table_role::update);
  out_.merge = &q;
  out_.levels[level].target = use;
  out_.levels[level].top = true;
  out_.levels[level].from = &q.source;
  judge_write(use);
  read_from(q.source, level);
  if (q.condition != nullptr) {
    read_expr(*q.condition, level, literal::free);
    // A row of the source that ON does not let through is one to insert.
    add_condition(*q.condition, level, nullptr, q.inserts() ? confines::target : confines::all, context_, marks_, out_);
  }
  if (several() && !out_.uses[use].keys.empty()) tie_target_to_source(use);
  for (const sql::merge_action& action : q.actions) {
    read_expr(action.condition, level, literal::free);
    if (action.kind == sql::merge_action_kind::update) read_merged_update(action, use);
    if (action.kind == sql::merge_action_kind::insert) read_merged_insert(*action.insert, use);
  }
  // A parameter that stands elsewhere too may have been given another type there; one of the source's ties more than
  // once.
  for (std::size_t n = 0; n < out_.parameter_types.size(); ++n) {
    if (n < out_.parameter_uses.size() && out_.parameter_uses[n] > 1 && out_.parameter_types[n] != 0)
      out_.parameter_types[n] = mixed_types;
  }
  leave_with(outer_tables);
}

// ON key = v.id, where VALUES say what v.id is.
void analyzer::tie_target_to_source(std::size_t target) {
  for (const merged_key& each : merged_keys(out_, context_)) {
    const key_place place{target, each.part};
    auto tie = tie_to(place, known_values(out_.merge->source.front(), each.column), false, context_, marks_, out_);
    if (!tie) continue;
    for (const key_source& source : tie->sources) out_.note_tie(source, column_at(out_, place).type);
    out_.ties.push_back(std::move(*tie));
  }
}

void analyzer::read_merged_update(const sql::merge_action& action, std::size_t target) {
  const std::size_t level = out_.uses[target].level;
  for (const sql::target& set : action.set) {
    const std::size_t part = several() ? out_.uses[target].key_part(set.name) : nowhere;
    if (part != nowhere) {
      // What ON requires to be equal to the key leaves the row where it is.
      const std::string column =
          set.value == nullptr || set.indirection ? "" : column_of_source(out_, *set.value, false);
      const std::vector<merged_key> equal = merged_keys(out_, context_);
      const bool stays = !column.empty() && is_stored_as(*set.value, level, column_at(out_, {target, part})) &&
                         std::any_of(equal.begin(), equal.end(), [&](const merged_key& each) {
                           return each.part == part && each.column == column;
                         });
      if (!stays) out_.refuse(make_error(error_id::key_change, set.name, out_.uses[target].table.full_name));
    }
    if (set.value != nullptr && set.value->kind == sql::expr_kind::default_) set_to_default(set.name, target);
    read_expr(set.value, level, literal::free);
  }
}

/// A column of a table, whose equal values of the key's own type are the same.
bool analyzer::is_stored_as(const sql::expr& value, std::size_t level, const column& key) const {
  constexpr std::array<oid, 6> exact{type_oid::int2, type_oid::int4, type_oid::int8,
                                     type_oid::uuid, type_oid::date, type_oid::boolean};
  const std::size_t use = use_of_column(out_, {level, nullptr}, value);
  if (use == nowhere || out_.uses[use].table.described == nullptr || !out_.uses[use].column_aliases.empty())
    return false;
  if (std::find(exact.begin(), exact.end(), key.type) == exact.end()) return false;
  const std::vector<column>& columns = out_.uses[use].table.described->columns;
  return std::any_of(columns.begin(), columns.end(),
                     [&](const column& c) { return c.name == value.name.back() && c.type == key.type; });
}

void analyzer::read_merged_insert(const sql::insert_query& q, std::size_t target) {
  const std::size_t level = out_.uses[target].level;
  if (several() && q.source != nullptr) {
    // A star is as many values as there are columns behind it.
    for (const sql::expr_ptr& value : q.source->values.front()) {
      if (value != nullptr && value->star) return out_.refuse(refuse_write("MERGE with * among the values of INSERT"));
    }
  }
  if (q.source != nullptr) {
    for (const sql::expr_ptr& value : q.source->values.front()) read_expr(value, level, literal::free);
  }
  if (!several()) return;
  const std::size_t index = add_use(out_.merge->table, {}, level, table_role::insert);
  const table_use& use = out_.uses[index];
  for (std::size_t part = 0; part < use.keys.size(); ++part) read_merged_key(q, {index, part});
  // Values of one key's columns belong together, row by row.
  std::size_t rows = 1;
  for (const key_tie& tie : out_.ties) rows = tie.place.use == index ? std::max(rows, tie.sources.size()) : rows;
  for (key_tie& tie : out_.ties) {
    if (tie.place.use == index && tie.sources.size() == 1) tie.sources.resize(rows, key_source{tie.sources.front()});
  }
  const bool copies = use.table.where == placement::reference;
  if (use.table.described == nullptr || (use.table.where != placement::sharded && !copies)) return;
  look_at_sequences(q, use);
  for (const column* c : left_to_default(q, use)) {
    if (!c->draws.empty()) continue;
    const default_facts facts = facts_of_default(*c, context_);
    std::vector<std::string>& moments = out_.moment_defaults;
    if (facts.differs || (facts.by_row && (facts.by_moment || copies))) {
      if (out_.functions.differs.empty()) out_.functions.differs = "the default of column \"" + c->name + "\"";
    } else if (facts.by_moment && std::find(moments.begin(), moments.end(), c->name) == moments.end()) {
      moments.push_back(c->name);
    }
  }
}

void analyzer::read_merged_key(const sql::insert_query& q, key_place place) {
  const table_use& use = out_.uses[place.use];
  const column& key = column_at(out_, place);
  const std::size_t position = position_of(key.name, q, use);
  if (q.overriding_user || (position != nowhere && !q.columns.empty() && q.columns[position].indirection))
    return out_.refuse(make_error(error_id::key_not_provable, key.name, use.table.full_name));
  const sql::expr* value = inserted_value(q, key.name, use);
  if (value == nullptr) return miss_key(place);
  const sql::from_item& source = out_.merge->source.front();
  const std::string name = column_of_source(out_, *value, true);
  const std::vector<const sql::expr*> values =
      name.empty() ? std::vector<const sql::expr*>{value} : known_values(source, name);
  if (auto tie = tie_to(place, values, true, context_, marks_, out_)) {
    const bool null = std::any_of(tie->sources.begin(), tie->sources.end(), [](const key_source& s) { return s.null; });
    if (null) return out_.refuse(make_error(error_id::null_key, key.name, use.table.full_name));
    for (const key_source& each : tie->sources) out_.note_tie(each, key.type);
    return out_.ties.push_back(std::move(*tie));
  }
  // The key of a table that is the source: new rows stand beside the rows that they come from.
  const auto from = out_.use_of.find(&source);
  if (name.empty() || from == out_.use_of.end()) return;
  const std::size_t part = out_.uses[from->second].shown_part(name);
  if (part == nowhere) return;
  if (stored_alike(column_at(out_, {from->second, part}), key)) out_.edges.push_back({{from->second, part}, place});
}

}  // namespace pgbraid::router
