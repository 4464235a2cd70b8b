// Writing through views; see written_view.hpp.
#include "router/plan/written_view.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "router/sql/parser.hpp"

namespace pgbraid::router {
namespace {

/// Views over views: deeper than anybody builds them.
constexpr int max_depth = 16;

/// Nothing but columns of one table, of those of its rows that fit.
bool is_plain(const sql::select_query& q) {
  const bool rows = q.set_op == sql::set_operation::none && q.values.empty() && q.with.tables.empty() && !q.distinct &&
                    q.group_by.empty() && !q.grouping_sets && q.having == nullptr && q.windows.empty() &&
                    q.limit == nullptr && q.offset == nullptr && !q.locking && !q.into;
  if (!rows || q.from.size() != 1) return false;
  const sql::from_item& from = q.from.front();
  const bool table = from.kind == sql::from_kind::relation && !from.only && !from.tablesample &&
                     from.column_aliases.empty() && from.name.size() == 2;
  return table && std::all_of(q.targets.begin(), q.targets.end(), [](const sql::target& t) {
           return t.value != nullptr && !t.indirection && t.value->kind == sql::expr_kind::column && !t.value->star &&
                  !t.value->name.empty();
         });
}

/// What the definition reads is this relation and what that reads itself: no subquery reads anything.
bool reads_alone(const relation& view, const resolved_table& below) {
  std::vector<std::string> read{below.full_name};
  read.insert(read.end(), below.described->view_relations.begin(), below.described->view_relations.end());
  return view.view_relations.size() == read.size() &&
         std::is_permutation(view.view_relations.begin(), view.view_relations.end(), read.begin());
}

const column* named(const std::vector<column>& columns, const std::string& name) {
  const auto found = std::find_if(columns.begin(), columns.end(), [&](const column& c) { return c.name == name; });
  return found == columns.end() ? nullptr : &*found;
}

/// Takes the view's columns from what stands below. False: one is another, is shown twice, or has a default of its own.
bool take_columns(const relation& view, const sql::select_query& q, const written_view& below, written_view& out) {
  if (q.targets.size() != view.columns.size()) return false;
  std::vector<const column*> taken;
  for (std::size_t i = 0; i < view.columns.size(); ++i) {
    const column* stored = named(below.shown.columns, q.targets[i].value->name.back());
    if (stored == nullptr || view.columns[i].has_default || stored->type != view.columns[i].type) return false;
    if (std::find(taken.begin(), taken.end(), stored) != taken.end()) return false;
    taken.push_back(stored);
    out.shown.columns.push_back(*stored);
    out.shown.columns.back().name = view.columns[i].name;
  }
  out.hidden = below.hidden;
  for (const column& c : below.shown.columns) {
    if (std::find(taken.begin(), taken.end(), &c) == taken.end()) out.hidden.push_back(c);
  }
  for (const std::string& part : below.sharding.key) {
    const auto at = std::find_if(taken.begin(), taken.end(), [&](const column* c) { return c->name == part; });
    if (at == taken.end()) return false;
    out.sharding.key.push_back(view.columns[static_cast<std::size_t>(at - taken.begin())].name);
  }
  return true;
}

std::optional<written_view> look_through(const relation& view, const plan_context& context, int depth);

std::optional<written_view> look_below(const resolved_table& below, const plan_context& context, int depth) {
  if (below.described == nullptr) return std::nullopt;
  if (below.where == placement::spread_view) return look_through(*below.described, context, depth);
  if (below.where != placement::sharded) return std::nullopt;
  written_view out{*below.described, *below.sharding, below.full_name, {}};
  const topology& map = *context.map;
  if (map.accept_unenforced.contains(below.full_name)) out.shown.unenforced.clear();
  if (map.shard_local.contains(below.full_name) || map.shard_local.contains(below.name)) out.shown.user_code.clear();
  return out;
}

std::optional<written_view> look_through(const relation& view, const plan_context& context, int depth) {
  // Of rules and triggers of a view nobody knows here what they do.
  if (depth > max_depth || view.kind != 'v' || view.writes_spread || !view.view_read_safe) return std::nullopt;
  // It is on one shard only.
  if (context.map->schemas.contains(view.schema)) return std::nullopt;
  if (!alike_everywhere(view.definition, *context.schema)) return std::nullopt;
  const sql::parse_result parsed = sql::parse(view.definition);
  const auto* statements = std::get_if<std::vector<sql::statement>>(&parsed);
  if (statements == nullptr || statements->size() != 1) return std::nullopt;
  const sql::statement& s = statements->front();
  if (s.kind != sql::statement_kind::select || s.select == nullptr || s.unparsable_parts || !is_plain(*s.select))
    return std::nullopt;
  const resolved_table below = name_resolver{context}.resolve(s.select->from.front().name);
  const auto table = look_below(below, context, depth + 1);
  if (!table || !reads_alone(view, below)) return std::nullopt;
  written_view out{view, {{}, table->sharding.function}, table->table, {}};
  out.shown.columns.clear();
  out.shown.unenforced = table->shown.unenforced;
  out.shown.claimed = table->shown.claimed;
  out.shown.row_security = table->shown.row_security;
  out.shown.row_code = table->shown.row_code;
  out.shown.timed_code = table->shown.timed_code;
  const std::vector<std::string>& code = table->shown.user_code;
  // What is said of the view is not said of what runs behind the table.
  const auto& local = context.map->shard_local;
  if (!code.empty() && (local.contains(view.name) || local.contains(view.schema + '.' + view.name))) return std::nullopt;
  out.shown.user_code.insert(out.shown.user_code.end(), code.begin(), code.end());
  if (table->shown.types_differ) out.shown.types_differ_detail = table->shown.types_differ_detail;
  out.shown.types_differ = view.types_differ || table->shown.types_differ;
  out.shown.types_renumbered = view.types_renumbered || table->shown.types_renumbered;
  // A row that is moved would lose what the view does not show.
  out.shown.writes_spread = true;
  if (!take_columns(view, *s.select, *table, out)) return std::nullopt;
  return out;
}

}  // namespace

resolved_table through_view(resolved_table view, const plan_context& context) {
  if (view.where != placement::spread_view || view.described == nullptr) return view;
  auto seen = look_through(*view.described, context, 0);
  if (!seen) return view;
  view.through = std::make_shared<const written_view>(std::move(*seen));
  view.described = &view.through->shown;
  view.sharding = &view.through->sharding;
  view.where = placement::sharded;
  return view;
}

}  // namespace pgbraid::router
