// Tables that the shards of a write do not have: their rows are fetched, and stand in FROM instead. See
// staged_source.hpp.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "router/plan/analysis.hpp"
#include "router/plan/gather.hpp"

namespace pgbraid::router {

struct fetched_table {
  std::string query;            ///< its rows, with the columns that the statement may name
  std::string columns;          ///< a SELECT list of the same names
  std::vector<std::size_t> at;  ///< where its rows belong in `text`, as "(...) AS alias": in each place the same
  std::string text;             ///< the statement without its name, parentheses in its place
  bool collated = false;        ///< a column has a collation of its own
};

/// The first table that is read and may not stay where it stands, with all its occurrences. Nothing without one, and
/// where rows cannot stand for it: its rows as values, columns that are named with a schema, a primary key by which is
/// grouped.
[[nodiscard]] std::optional<fetched_table> fetch_table(std::string_view text, const analysis& found,
                                                       const std::function<bool(const table_use&)>& stays);

/// The statement with `rows` (a SELECT, or a mark) in the table's places.
[[nodiscard]] std::string with_rows(const fetched_table& table, std::string_view rows);

}  // namespace pgbraid::router
