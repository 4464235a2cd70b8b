// SELECT ... FOR UPDATE over several shards whose rows no one but a server can put in order (ORDER BY a text): each
// shard locks and gives its own, of a LIMIT no more than that, and one server answers over them. Where rows that others
// have locked are passed over (SKIP LOCKED) or in the way (NOWAIT), no more may be locked than are given: the rows that
// come first are found, then those are locked, and what others had locked is made up for by the ones behind it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "router/plan/clauses.hpp"
#include "router/plan/staged.hpp"

namespace pgbraid::router {

/// Whether it is a SELECT of one table that locks and does nothing else.
[[nodiscard]] bool locks_rows_alone(const sql::statement& s, const analysis& found);

/// A query without its locking clause, which stands behind all else or in front of LIMIT.
struct locking_query {
  std::string read;    ///< the query without the clause
  std::string clause;  ///< FOR UPDATE ...
  std::string named;   ///< behind OF: one table's alias, as it is written; ""
};

/// Nothing for what has no such clause, several, or one that names several tables.
[[nodiscard]] std::optional<locking_query> without_locking(std::string_view text);

/// Null where a shard cannot tell the rows that are meant (WHERE with subqueries), or the clause cannot be found.
/// `picked`: it names the rows by their keys, so that a LIMIT need not be said to each shard.
[[nodiscard]] std::shared_ptr<const staged_write> make_locked_rows(std::string_view text, const plan_context& context,
                                                                   bool picked);

/// Where what follows the SELECT list begins; nothing for what is no plain query.
[[nodiscard]] std::optional<std::size_t> place_behind_targets(std::string_view text);

/// How the rows of a LIMIT are found before they are locked.
struct picked_rows {
  std::string candidates;  ///< gives the keys of as many rows as are to be locked, and of `passed_over` more
  std::string locking;     ///< the query for those rows, with a mark where the list of their keys belongs
  std::string nothing;     ///< that list where there are none
  row_limit limit;
};

/// Nothing where the table has no primary key, or the query does more than to choose rows of one table.
[[nodiscard]] std::optional<picked_rows> pick_rows(std::string_view text, const plan_context& context,
                                                   std::uint64_t passed_over);

}  // namespace pgbraid::router
