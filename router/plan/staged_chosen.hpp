// UPDATE of a reference table that each copy might carry out in its own way: with FROM, of whose rows several may be a
// row's partners, with random(), with subqueries that depend on the order of rows. The first shard locks the rows and
// works out what they become, then every copy gets that by primary key. Source: the manual's page "UPDATE", "Notes".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "router/plan/analysis.hpp"

namespace pgbraid::router {

struct chosen_rows {
  std::string read;           ///< the query without its locks: a SELECT to be judged as any other
  std::string query;          ///< the keys of the rows and what they become, one row for each; locks them
  std::string front, behind;  ///< of the UPDATE that every copy gets, its rows between them, as a SELECT
  bool timed = false;         ///< the query asks for the time
};

/// Takes an UPDATE apart; nothing where that cannot be done: the table has no primary key by which all its rows are
/// known, or RETURNING asks for more than columns of the tables in FROM.
[[nodiscard]] std::optional<chosen_rows> choose_rows(const sql::statement& s, std::string_view text, const analysis& a,
                                                     const plan_context& context);

}  // namespace pgbraid::router
