// Merging; see merge.hpp. Source for what ORDER BY items mean: findTargetlistEntrySQL92() in parse_clause.c.
#include "router/plan/merge.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "router/plan/columns.hpp"
#include "router/plan/same_expression.hpp"
#include "router/plan/scatter.hpp"
#include "router/shard/sort_bytes.hpp"

namespace pgbraid::router {
namespace {

/// What a result's columns are, as far as they are known: nullptr for what is no plain column of a table.
struct result_column {
  std::string name;
  const column* described = nullptr;
  const sql::expr* value = nullptr;  ///< none: of a star
};

/// Nothing where it is not known which columns there are.
std::optional<std::vector<result_column>> result_columns(const sql::select_query& q, const analysis& a, std::size_t level) {
  std::vector<result_column> out;
  for (const sql::target& t : q.targets) {
    if (t.value == nullptr) return std::nullopt;
    if (t.value->kind == sql::expr_kind::column && t.value->star) {
      const bool one_table = q.from.size() == 1 && q.from.front().kind == sql::from_kind::relation;
      const auto use = one_table ? a.use_of.find(&q.from.front()) : a.use_of.end();
      if (use == a.use_of.end() || a.uses[use->second].table.described == nullptr) return std::nullopt;
      if (!a.uses[use->second].column_aliases.empty()) return std::nullopt;
      for (const column& c : a.uses[use->second].table.described->columns) out.push_back({c.name, &c, nullptr});
      continue;
    }
    const auto name = t.name.empty() ? result_name(*t.value) : std::optional{t.name};
    if (!name) return std::nullopt;
    const auto found = column_of(a, level, *t.value);
    const bool other = t.value->kind == sql::expr_kind::column && t.value->name.size() == 1 &&
                       merges_types(a, level, t.value->name[0]);
    out.push_back({*name, found && !other ? found->described : nullptr, t.value.get()});
  }
  return out;
}

/// The result's column that a sort key stands for.
std::optional<std::size_t> column_of_key(const sql::expr& key, const std::vector<result_column>& columns, const analysis& a, std::size_t level) {
  if (key.kind == sql::expr_kind::constant) {
    std::size_t number = 0;
    std::from_chars(key.text.data(), key.text.data() + key.text.size(), number);
    if (key.constant != sql::constant_kind::integer || number == 0 || number > columns.size()) return std::nullopt;
    return number - 1;
  }
  if (key.kind == sql::expr_kind::column && key.name.size() == 1) {
    const auto named = [&](const result_column& c) { return c.name == key.name[0]; };
    const auto found = std::find_if(columns.begin(), columns.end(), named);
    // Two of one name are an error, unless they are the same; the server says.
    if (found != columns.end()) return std::count_if(columns.begin(), columns.end(), named) == 1 ? std::optional{static_cast<std::size_t>(found - columns.begin())} : std::nullopt;
  }
  const auto meant = column_of(a, level, key);
  if (!meant) return std::nullopt;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const bool same = columns[i].value == nullptr ? columns[i].described == meant->described : same_expression(a, level, *columns[i].value, key);
    if (same) return i;
  }
  return std::nullopt;
}

bool depends_on_settings(oid type) {
  return type == type_oid::date || type == type_oid::timestamp || type == type_oid::timestamptz || type == type_oid::float4 || type == type_oid::float8;
}

}  // namespace

std::shared_ptr<const merge_order> make_merge(const sql::statement& statement, const analysis& a, const plan_context& context) {
  if (statement.kind != sql::statement_kind::select || statement.select == nullptr) return nullptr;
  const sql::select_query& q = *statement.select;
  const auto top = std::find_if(a.levels.begin(), a.levels.end(), [](const query_level& level) { return level.top; });
  if (top == a.levels.end() || top->query != &q) return nullptr;
  // Each shard locks as many rows as the LIMIT says, more than one server would. For others that is a longer wait,
  // unless they look at what they cannot have.
  if (a.locking && q.limit != nullptr && !q.lock_waits) return nullptr;
  // Of rows in no order any will do, but they must be as few as were asked for.
  if (!top->ordered && !(a.locking && top->limited)) return nullptr;
  const bool more = !top->aggregate.empty() || !top->window.empty() || top->grouped || top->having || top->distinct || top->values;
  if (more || q.offset != nullptr || q.limit_with_ties || a.types_differ || a.refusal || a.not_understood || a.writes || a.into) return nullptr;
  if (judge_rows(a, context)) return nullptr;
  const bool known = std::all_of(a.uses.begin(), a.uses.end(), [](const table_use& use) {
    return use.table.where == placement::sharded || use.table.where == placement::reference;
  });
  const auto level = static_cast<std::size_t>(top - a.levels.begin());
  const auto columns = result_columns(q, a, level);
  auto out = std::make_shared<merge_order>();
  const auto limit = limit_of(q.limit);
  if (!known || !columns || !limit) return nullptr;
  out->limit = *limit;
  for (const sql::sort_key& key : q.order_by) {
    if (key.value == nullptr || key.using_operator) return nullptr;
    const auto at = column_of_key(*key.value, *columns, a, level);
    const column* described = at ? (*columns)[*at].described : nullptr;
    if (described == nullptr || !has_sort_bytes(described->type)) return nullptr;
    const bool characters = described->type == type_oid::text || described->type == type_oid::varchar;
    if (characters && !described->byte_order) return nullptr;
    out->of_characters = out->of_characters || characters;
    out->of_settings = out->of_settings || depends_on_settings(described->type);
    const bool standard = key.nulls == sql::nulls_order::standard;
    out->keys.push_back({static_cast<std::uint16_t>(*at), described->type, key.descending, standard ? key.descending : key.nulls == sql::nulls_order::first});
  }
  return out;
}

}  // namespace pgbraid::router
