// When two expressions of one query level are the same, and what PostgreSQL calls a column of a result.
#pragma once

#include <optional>
#include <string>

#include "router/plan/analysis.hpp"

namespace pgbraid::router {

/// A column of the FROM list of `level`, beyond doubt.
struct column_reference {
  std::size_t use = nowhere;
  const column* described = nullptr;
};
[[nodiscard]] std::optional<column_reference> column_of(const analysis& a, std::size_t level, const sql::expr& e);

/// True if both are the same expression, as GROUP BY compares them: other spellings of one column are the same. False
/// for what holds queries, windows or anything that is not understood.
[[nodiscard]] bool same_expression(const analysis& a, std::size_t level, const sql::expr& left, const sql::expr& right);

/// The name of a result column without AS: equal to FigureColname() of parse_target.c. Nothing where it is not certain.
[[nodiscard]] std::optional<std::string> result_name(const sql::expr& e);

/// Whether an item of ORDER BY is, or may be, the name of a SELECT item that is something else than the column of that
/// name.
[[nodiscard]] bool names_result(const sql::expr& item, const sql::select_query& q, const analysis& a);

}  // namespace pgbraid::router
