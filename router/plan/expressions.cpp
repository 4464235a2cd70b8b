// Expressions: what their functions, operators, columns, constants and subqueries mean; see analyzer.hpp.
#include <algorithm>
#include <array>

#include "router/plan/analyzer.hpp"
#include "router/plan/refusals.hpp"

namespace pgbraid::router {
namespace {

constexpr std::array<std::string_view, 6> system_columns{"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"};

/// Take any row and give nothing of its type.
constexpr std::array<std::string_view, 9> row_readers{"count",    "row_to_json",       "to_json",           "to_jsonb",       "json_agg",
                                                      "jsonb_agg", "json_build_object", "jsonb_build_object", "json_object_agg"};

/// The parts of a row count, not its type: row_to_json(t), t IS NULL, t::text, ROW(t.*).
bool reads_row(const sql::expr& e) {
  switch (e.kind) {
    case sql::expr_kind::call:
      return !e.name.empty() && !e.over && std::find(row_readers.begin(), row_readers.end(), e.name.back()) != row_readers.end();
    case sql::expr_kind::null_test:
      return true;
    case sql::expr_kind::indirection:
      return !e.star && !e.name.empty();
    case sql::expr_kind::cast:
      return !e.type.array && !e.type.name.empty() && e.type.name.back() == "text";
    case sql::expr_kind::row:
      return std::all_of(e.children.begin(), e.children.end(), [](const sql::expr_ptr& c) {
        return c == nullptr || c->kind != sql::expr_kind::column || c->star || c->name.size() > 1;
      });
    default:
      return false;
  }
}

/// Aggregates that come to the same in whatever order rows are met; sums of floating point numbers do not.
constexpr std::array<std::string_view, 9> exact_aggregates{"count", "min",     "max",    "bool_and", "bool_or",
                                                           "every", "bit_and", "bit_or", "bit_xor"};

bool in_any_order(const analysis& a, std::size_t level, const sql::expr& call) {
  if (call.name.empty() || call.within_group || call.children.size() > 1) return false;
  if (std::find(exact_aggregates.begin(), exact_aggregates.end(), call.name.back()) != exact_aggregates.end())
    return true;
  if ((call.name.back() != "sum" && call.name.back() != "avg") || call.children.size() != 1 ||
      call.children[0] == nullptr)
    return false;
  const sql::expr& value = *call.children[0];
  const std::size_t use =
      value.kind == sql::expr_kind::column && !value.star ? use_of_column(a, {level, nullptr}, value) : nowhere;
  if (use == nowhere || a.uses[use].table.described == nullptr || !a.uses[use].column_aliases.empty()) return false;
  const std::vector<column>& columns = a.uses[use].table.described->columns;
  const auto c =
      std::find_if(columns.begin(), columns.end(), [&](const column& each) { return each.name == value.name.back(); });
  if (c == columns.end()) return false;
  return c->type == type_oid::int2 || c->type == type_oid::int4 || c->type == type_oid::int8 ||
         c->type == type_oid::numeric;
}

/// xmax = 0: whether nothing has changed or locked the row, which is so on whatever shard it is; in RETURNING of INSERT
/// ... ON CONFLICT, whether it is a new one.
bool asks_for_deleter(const sql::expr& e) {
  if (e.kind != sql::expr_kind::op || e.children.size() != 2 || e.name.empty() || !e.children[0] || !e.children[1])
    return false;
  const sql::expr& column = *e.children[0];
  const sql::expr& none = *e.children[1];
  return (e.name.back() == "=" || e.name.back() == "<>") && column.kind == sql::expr_kind::column && !column.star &&
         !column.name.empty() && column.name.back() == "xmax" && none.kind == sql::expr_kind::constant &&
         none.constant == sql::constant_kind::integer && none.text == "0";
}

}  // namespace

bool analyzer::inserts_at(std::size_t level) const {
  const std::size_t target = out_.levels[level].target;
  return target != nowhere && out_.uses[target].role == table_role::insert;
}

void analyzer::read_children(const sql::expr& e, std::size_t level, literal constants) {
  const bool reads = reads_row(e);
  for (const sql::expr_ptr& child : e.children) {
    row_is_read_ = reads && child != nullptr && child->kind == sql::expr_kind::column;
    read_expr(child, level, constants);
    row_is_read_ = false;
  }
  read_expr(e.filter, level, constants);
  for (const sql::sort_key& key : e.order) read_expr(key.value, level, literal::pinned);
  for (const sql::expr_ptr& child : e.window) read_expr(child, level, literal::pinned);
}

void analyzer::read_expr(const sql::expr& e, std::size_t level, literal constants) {
  using kind = sql::expr_kind;
  switch (e.kind) {
    case kind::constant:
      return read_constant(e, constants);
    case kind::parameter:
      if (e.number >= 1 && e.number <= 65535) {
        const auto index = static_cast<std::size_t>(e.number - 1);
        if (out_.parameter_uses.size() <= index) out_.parameter_uses.resize(index + 1);
        ++out_.parameter_uses[index];
      }
      return;
    case kind::column:
      return read_column(e, level);
    case kind::call:
      return read_call(e, level);
    case kind::op:
    case kind::op_any:
    case kind::op_all:
    case kind::in_list:
    case kind::like: {
      functions_.note_operator(e.name);
      std::string other_column = out_.levels[level].system_column;
      read_children(e, level, literal::free);
      if (inserts_at(level) && asks_for_deleter(e)) out_.levels[level].system_column = std::move(other_column);
      return;
    }
    case kind::between:
      functions_.note_operator({"<="});
      functions_.note_operator({">="});
      return read_children(e, level, literal::free);
    case kind::nullif:
    case kind::distinct_from:
    case kind::greatest_least:
      functions_.note_operator({"="});
      functions_.note_operator({"<"});
      return read_children(e, level, literal::free);
    case kind::and_:
    case kind::or_:
    case kind::not_:
    case kind::null_test:
    case kind::boolean_test:
    case kind::coalesce:
    case kind::row:
    case kind::array:
    case kind::case_:
      return read_children(e, level, literal::free);
    case kind::cast:
      functions_.note_cast(e.type);
      // Nothing of a plan depends on a value that is merely cast; a modifier makes the careful case.
      return read_children(e, level, e.type.modifiers.empty() ? constants : literal::pinned);
    case kind::collate:
      return read_children(e, level, constants);
    case kind::subquery:
      functions_.note_operator(e.name);
      read_children(e, level, literal::free);
      if (e.query != nullptr) {
        const std::size_t first = out_.levels.size();
        read_select(*e.query, level, false);
        for (std::size_t i = first; i < out_.levels.size(); ++i) {
          query_level& below = out_.levels[i];
          below.array = e.sublink == sql::sublink_kind::array && below.parent == level;
        }
      }
      return;
    case kind::sql_value:
      if (!e.name.empty() && functions_.note_sql_value(e.name.back()) == varies::by_moment) out_.moments.push_back(&e);
      return;
    case kind::indirection:
      if (e.star) out_.levels[level].whole_row = true;
      return read_children(e, level, literal::pinned);
    case kind::grouping:
      out_.levels[level].grouped = true;
      return read_children(e, level, literal::pinned);
    case kind::default_:
      return;
    case kind::current_of:
      if (several()) {
        out_.refuse(
            protocol::with_hint(refuse_session("WHERE CURRENT OF", "a cursor's rows may come from several shards"),
                                "Change the row by its key."));
      }
      break;
    case kind::other:
      break;
  }
  out_.not_understood = true;
  read_children(e, level, literal::pinned);
}

void analyzer::read_constant(const sql::expr& e, literal constants) {
  if (constants == literal::pinned) return;
  if (e.constant == sql::constant_kind::null || e.constant == sql::constant_kind::boolean) return;
  if (const auto token = marks_.find(e)) marks_.mark_free(*token);
}

void analyzer::read_call(const sql::expr& e, std::size_t level) {
  const varies when = functions_.note_call(e);
  const function_traits* traits = functions_.traits_of(e.name);
  query_level& here = out_.levels[level];
  if (is_sequence_function(e.name)) out_.draws.push_back(&e);
  if (when == varies::by_moment) out_.moments.push_back(&e);
  if (when == varies::by_row && here.by_row.empty()) here.by_row = e.name.back();
  if (e.over || (traits != nullptr && traits->any_window && !traits->any_aggregate)) {
    if (here.window.empty()) here.window = e.name.empty() ? "window" : e.name.back();
  } else if ((traits != nullptr && traits->any_aggregate) || e.star || e.distinct || e.within_group ||
             e.filter != nullptr || !e.order.empty()) {
    const bool count = e.star && e.filter == nullptr && !e.name.empty() && e.name.back() == "count";
    here.plain_count = count && (here.aggregate.empty() || here.plain_count);
    if (here.aggregate.empty()) here.aggregate = e.name.empty() ? "aggregate" : e.name.back();
    here.exact = here.exact && in_any_order(out_, level, e);
  }
  read_children(e, level, arguments_may_vary(e.name) ? literal::free : literal::pinned);
}

void analyzer::read_column(const sql::expr& e, std::size_t level) {
  query_level& here = out_.levels[level];
  if (e.star) {
    here.whole_row = true;
    if (!row_is_read_ && !e.name.empty()) here.row_value = here.row_value || use_of_row(out_, level, e.name.back()) != nowhere;
    return;
  }
  if (e.name.empty()) return;
  out_.bare_names = out_.bare_names || e.name.size() == 1;
  if (here.system_column.empty() &&
      std::find(system_columns.begin(), system_columns.end(), e.name.back()) != system_columns.end()) {
    here.system_column = e.name.back();
  }
  if (several() && !may_resolve(out_, level, e)) out_.unresolved = true;
  if (several()) note_written_row(out_, level, e);
  if (e.name.size() > 2) {
    if (const std::size_t use = use_of_column(out_, {level, nullptr}, e); use != nowhere) out_.schema_columns.emplace_back(&e, use);
  }
  if (e.name.size() != 1 || !several() || (here.whole_row && here.row_value) || !names_whole_row(out_, level, e.name[0])) return;
  here.whole_row = true;
  if (!row_is_read_) here.row_value = here.row_value || use_of_row(out_, level, e.name[0]) != nowhere;
}

}  // namespace pgbraid::router
