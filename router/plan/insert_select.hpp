// INSERT ... SELECT into a sharded table: when each shard may insert what it selects itself, and, where it may not, how
// the statement is taken apart so that the selected rows can be given to their shards. Source: the manual's "INSERT";
// transformInsertStmt (analyze.c) for the types of constants.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "router/plan/analysis.hpp"
#include "router/plan/scatter.hpp"

namespace pgbraid::router {

/// Notes what the SELECT of an INSERT gives the key of the written use: a constant ties it, a source table's key joins
/// it to that table.
void tie_to_source(const sql::insert_query& q, std::size_t use, const plan_context& context, constant_marks& marks,
                   analysis& out);

/// True if a value of the one column is stored as it is by the other, and has the same hash there.
[[nodiscard]] bool stored_alike(const column& from, const column& to);

/// How many columns a query with stars gives; 0 where that cannot be seen.
[[nodiscard]] std::size_t columns_behind_stars(const sql::select_query& q, const analysis& a);

/// Why the shards cannot each carry out the whole statement by themselves; nothing: they can.
[[nodiscard]] std::optional<scatter_problem> judge_insert_select(const analysis& a, const plan_context& context);

/// A column of the rows to insert.
struct source_column {
  std::string name;      ///< of the table
  oid type = 0;          ///< of the table's column
  bool untyped = false;  ///< the statement has a constant there that takes the column's own type
  bool of_rows = false;  ///< untyped: each row has its own
  std::int32_t modifier = -1;  ///< of a query's column, where it is no column of a table
  std::string collation{};     ///< of such a column, where it is not the database's own: a name as it stands in a text
};

/// The columns of a unique key in rows that are moved: as they will be and as they were, by their place in the row.
struct unique_columns {
  std::vector<std::size_t> after, before;
};

/// A column of the key in them.
struct source_key {
  std::string name;
  std::size_t at = 0;  ///< among the query's columns
  oid type = 0;
  std::int32_t modifier = -1;
};

struct merge_source;  // merge_source.hpp

/// An INSERT whose rows are selected first, or taken out elsewhere: what stands around them. Or a MERGE.
struct staged_source {
  std::string before, after;  ///< of the statement, without the query
  std::vector<source_column> columns;
  std::string
      more_columns;        ///< values of columns that are left to a default of the moment, as SQL, each behind a comma
  std::string relation;    ///< the table, as SQL
  std::string table;       ///< for messages
  std::vector<source_key> keys;
  std::shared_ptr<const value_map> values;  ///< see table_use
  bool in_order = false;  ///< every row gives one of RETURNING
  std::vector<unique_columns> unique;  ///< staged_write::moves: in the rows, behind the columns
  std::shared_ptr<const merge_source> merge;  ///< the rows are the source of a MERGE; null: they are inserted
};

/// Behind the last name of an INSERT's list of columns; nothing where more than a name stands there.
[[nodiscard]] std::optional<std::size_t> end_of_columns(const sql::insert_query& q, std::string_view text);

/// Where INSERT, its query and what is behind that begin in a text.
struct insert_text {
  std::size_t insert = 0, source = 0, end = 0;
};
[[nodiscard]] std::optional<insert_text> parts_of_text(std::string_view text);

}  // namespace pgbraid::router
