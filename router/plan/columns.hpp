// Which table a column reference means, by PostgreSQL's rules for range variables. Source: the manual's "Table
// Expressions", parse_relation.c (colNameToVar, refnameNamespaceItem).
#pragma once

#include "router/plan/analysis.hpp"

namespace pgbraid::router {

/// Where a name is looked up: the FROM items under `root` (a join, for its ON condition) or all of the level's, then
/// the levels outside.
struct name_scope {
  std::size_t level = 0;
  const sql::from_item* root = nullptr;
};

/// Whether each column of the result is one of a table, as it is stored, or has nothing to do with a type that users
/// made: never an array or a row of such values. True without a result.
[[nodiscard]] bool gives_columns_alone(const sql::statement& s, const analysis& a, const catalog& schema);

/// The table use whose column `reference` is, or nowhere: not a column of a known table beyond doubt.
[[nodiscard]] std::size_t use_of_column(const analysis& a, const name_scope& scope, const sql::expr& reference);

/// The same for a bare column name within one FROM item (for USING).
/// A bare name may mean a column that USING or NATURAL makes of columns of different types, and has none of these then.
[[nodiscard]] bool merges_types(const analysis& a, std::size_t level, const std::string& column);
[[nodiscard]] std::size_t use_of_bare_column(const analysis& a, const sql::from_item& item, const std::string& column);

/// True if a column reference finds something here or outside that has it, or may have it.
[[nodiscard]] bool may_resolve(const analysis& a, std::size_t level, const sql::expr& reference);

/// Whether a join gives its columns other names, by their order.
[[nodiscard]] bool renames_joined(const analysis& a);

/// Notes the levels from `level` outwards that a reference makes depend on the row that is written, if it does.
void note_written_row(analysis& a, std::size_t level, const sql::expr& reference);

/// True if the use shows a column of this name.
[[nodiscard]] bool has_column(const table_use& use, const std::string& name);

/// The table use that `name` is the alias of where it stands for a whole row, or nowhere: not a table's row beyond doubt.
[[nodiscard]] std::size_t use_of_row(const analysis& a, std::size_t level, const std::string& name);

/// True if `name` alone is the alias of some FROM item that the level (or one outside) shows, and no column of theirs.
[[nodiscard]] bool names_whole_row(const analysis& a, std::size_t level, const std::string& name);

}  // namespace pgbraid::router
