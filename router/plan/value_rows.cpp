// Rows of VALUES; see value_rows.hpp. Source: transformInsertStmt() and transformValuesClause() in analyze.c.
#include "router/plan/value_rows.hpp"

#include <algorithm>
#include <string_view>

#include "router/plan/staged_source.hpp"

namespace pgbraid::router {
namespace {

using kind = sql::expr_kind;

bool is_null(const sql::expr& e) {
  return e.kind == kind::constant && e.constant == sql::constant_kind::null;
}

// Integers and numerics, which become one type without a change of what they say.
bool is_exact_number(const sql::expr& e) {
  constexpr std::string_view exact = "+-*/%";
  if (e.kind == kind::constant)
    return e.constant == sql::constant_kind::integer || e.constant == sql::constant_kind::decimal;
  if (e.kind != kind::op || e.name.empty() || e.name.back().size() != 1) return false;
  if (exact.find(e.name.back().front()) == std::string_view::npos) return false;
  return std::all_of(e.children.begin(), e.children.end(),
                     [](const sql::expr_ptr& child) { return child != nullptr && is_exact_number(*child); });
}

// Of one type, whatever it is. As arguments, an integer and a numeric may mean different functions.
bool same_type(const sql::expr& a, const sql::expr& b) {
  if (a.kind != b.kind || a.name != b.name || a.variadic != b.variadic) return false;
  switch (a.kind) {
    case kind::constant:
      return a.constant == b.constant;
    case kind::cast:
      return a.type == b.type;
    case kind::sql_value:
      return true;
    case kind::call:
      return std::equal(a.children.begin(), a.children.end(), b.children.begin(), b.children.end(),
                        [](const sql::expr_ptr& x, const sql::expr_ptr& y) {
                          return x != nullptr && y != nullptr && same_type(*x, *y);
                        });
    default:
      return false;
  }
}

bool alike(const sql::expr& a, const sql::expr& b) {
  return (is_exact_number(a) && is_exact_number(b)) || same_type(a, b);
}

}  // namespace

value_column look_at_column(const std::vector<std::vector<sql::expr_ptr>>& rows, std::size_t column) {
  const sql::expr* first = nullptr;
  for (const std::vector<sql::expr_ptr>& row : rows) {
    if (column >= row.size() || row[column] == nullptr) return value_column::mixed;
    const sql::expr& value = *row[column];
    if (value.kind == kind::default_) return value_column::mixed;
    if (is_null(value)) continue;
    if (first == nullptr) first = &value;
    const bool untyped = takes_column_type(*first);
    if (untyped ? value.kind != first->kind || !takes_column_type(value) : !alike(*first, value))
      return value_column::mixed;
  }
  return first == nullptr || takes_column_type(*first) ? value_column::untyped : value_column::typed;
}

}  // namespace pgbraid::router
