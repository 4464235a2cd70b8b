// Writes over several shards of which something must be known before any shard gets its part: the time, which must be
// the same on all of them, or rows of other tables that the statement reads. First that is asked for, then every shard
// gets the statement with it as constants.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "router/plan/analysis.hpp"
#include "router/plan/gather.hpp"
#include "router/plan/row_limit.hpp"

namespace pgbraid::router {

struct staged_source;
class moment_list;

/// How many more times a statement may be planned anew with some of its rows in it, to see whether that can be carried
/// out: what stands in the way may do so however many of them are there.
struct replanning {
  std::size_t left = 64;
  bool picked = false;            ///< the text lists the rows that are to be locked: see picked_rows
  bool chosen = false;            ///< the text has what the rows of a reference table become: see chosen_rows
  std::uint64_t passed_over = 0;  ///< how many of these could not be had: as many more are looked for
};

/// Rows of a LIMIT that are locked without waiting for those that others have locked: see staged_locks.hpp.
enum class picking : std::uint8_t {
  none,
  finds,  ///< the query gives the rows' keys, which stand in `text` as a list
  locks   ///< the fragments have locked them: where they are too few, it begins again
};

/// A query that is asked of one server, for its rows.
struct staged_query {
  std::string sql;                  ///< where no rows of several shards are needed; else see staged_write::rows
  std::string shown;                ///< the statement itself, for a server's own errors
  std::optional<shard_index> only;  ///< the shard that it belongs on
  bool collated = false;  ///< texts in its rows may have a collation of their own, which values in a text have not
};

struct staged_write {
  std::string moments_sql;                  ///< asked of one server: a row of texts. "" where no time is asked for
  std::shared_ptr<const gather_plan> rows;  ///< whose rows are fetched from all shards; null for none
  std::string text;                         ///< the statement, with marks where values belong; "" with a source
                                            ///< but for one that is moved: what takes the rows out
  std::shared_ptr<const staged_query>
      query;  ///< asked of one server: what `source` inserts, or else a subquery, for which `text` has a mark
  std::shared_ptr<const staged_source> source;  ///< INSERT whose rows are selected first, then given to their shards
  bool moves = false;  ///< these are rows of an UPDATE: all shards are asked for theirs, by `text`
  bool again = false;  ///< `text`, with the query's rows in the place of its mark, is planned anew
  bool chosen = false;              ///< of that text: replanning::chosen
  std::optional<shard_index> only;  ///< `text` is for this shard alone, which has the table that it writes
  bool answered_once = false;  ///< `text` is for the server that has the rows alone: a SELECT whose WITH writes
  picking pick = picking::none;
  row_limit limit;    ///< how many rows are picked
  std::string shown;  ///< the statement itself, for a server's own errors, where `text` was made of another; else ""
};

/// How the statement is carried out over several shards; null if it cannot be. `text` is all that was parsed.
/// `again`: some of its rows stand in it, and where it goes was settled without them; null at first.
[[nodiscard]] std::shared_ptr<const staged_write> make_staged(const sql::statement& statement, std::string_view text,
                                                              const analysis& found, const plan_context& context,
                                                              replanning* again = nullptr);

/// A query or a write that goes to one shard, with the time in it as a constant: that of a transaction which began
/// elsewhere. Null if that cannot be written.
[[nodiscard]] std::shared_ptr<const staged_write> make_timed(const sql::statement& statement, std::string_view text,
                                                             const analysis& found, const plan_context& context);

/// The same two for a text that a plan of that kind was made from.
[[nodiscard]] std::shared_ptr<const staged_write> plan_timed(std::string_view text, const plan_context& context);
[[nodiscard]] std::shared_ptr<const staged_write> plan_staged(std::string_view text, const plan_context& context,
                                                              replanning* again = nullptr);

/// Adds the columns of analysis::moment_defaults to an INSERT ... VALUES: behind its columns, and behind each row's
/// values. False where that cannot be done.
[[nodiscard]] bool write_defaults(const sql::insert_query& q, std::string_view text, const analysis& found,
                                  const plan_context& context, moment_list& moments, std::vector<text_edit>& edits);

}  // namespace pgbraid::router
