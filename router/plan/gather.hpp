// The last step of a read over several shards: the rows of its sharded tables are fetched from all of them, and one
// PostgreSQL answers the statement over what was fetched. The tables are hidden by WITH entries of their own names, so
// that the statement itself stays as it was written.
#pragma once

#include "router/plan/route.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::router {

struct analysis;

/// One sharded table whose rows are fetched. They travel as one JSON array of objects, a string or null for each column:
/// json_populate_recordset() hands strings to the column type's own input function, so that every type comes out as it
/// went in, its modifier and collation included. It would take a string for a JSON value where the type is JSON: such
/// columns travel under names of their own and are cast.
struct gather_fragment {
  std::string table;                  ///< "schema.name", for messages
  std::vector<std::string> json_keys;  ///< of each column: the escaped name as JSON, a colon behind it
};

/// What is sent where.
struct gather_plan {
  /// Asked of every shard, as one statement so that it sees one snapshot there. Its first column is the fragment's number
  /// in text; the columns of all fragments follow in their order, NULL where the row is of another fragment.
  std::string fragment_sql;
  std::vector<gather_fragment> fragments;
  /// The statement with the WITH entries put in; fragment i is parameter $(parameters + 1 + i) of type json.
  std::string combine_sql;
  std::uint32_t parameters = 0;     ///< of the statement itself
  std::optional<shard_index> combiner;  ///< the shard that must combine, where the statement reads an unsharded table too
};

/// The plan for one SELECT, or nothing where the rows of its tables cannot stand for the tables: a whole row as a value,
/// system columns, functions of one's own, row locks, names with a schema.
[[nodiscard]] std::shared_ptr<const gather_plan> make_gather(const sql::statement& statement, const analysis& found,
                                                             std::string_view text);

}  // namespace pgbraid::router
