// MERGE: what ties its target to its source, and to values that stand in the statement. Source: the manual's "MERGE",
// transformMergeStmt (parse_merge.c).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "router/plan/analysis.hpp"

namespace pgbraid::router {

/// The use that is written by analysis::merge.
[[nodiscard]] std::size_t merge_target(const analysis& a);

/// What the source's columns are qualified with, "" if nothing names all of them.
[[nodiscard]] std::string source_name(const sql::from_item& source);

/// The column of the source that an expression is, beyond doubt; "" for any other. `alone`: it stands where the
/// target's columns are not seen, in an INSERT.
[[nodiscard]] std::string column_of_source(const analysis& a, const sql::expr& e, bool alone);

/// A column of the target's key and one of the source that ON requires to be equal.
struct merged_key {
  std::size_t part = 0;
  std::string column;
};
[[nodiscard]] std::vector<merged_key> merged_keys(const analysis& a, const plan_context& context);

/// What an INSERT of MERGE writes into a column of the target, or nullptr: a default.
[[nodiscard]] const sql::expr* inserted_value(const sql::insert_query& q, const std::string& column,
                                              const table_use& use);

}  // namespace pgbraid::router
