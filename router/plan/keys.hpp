// Which conditions tie a sharded table to values of its key, and what that means for the statement as a whole.
//
// Only filters count: top-level AND conjuncts of WHERE and of ON, at the level where the table stands. ON of an outer
// join confines the nullable side alone. A tie of one table reaches another through key = key (key_edge), from an outer
// query into a subquery but never back.
#pragma once

#include <optional>
#include <vector>

#include "router/plan/analysis.hpp"
#include "router/plan/columns.hpp"

namespace pgbraid::router {

/// Which of the tables in scope a condition filters.
enum class confines : std::uint8_t {
  all,     ///< WHERE, ON of an inner join
  left,    ///< ON of a right join: its left side
  right,   ///< ON of a left join: its right side
  target,  ///< ON of a MERGE that inserts: the table that is written
  none     ///< ON of a full join
};

/// The column of the catalog that a place stands for.
[[nodiscard]] const column& column_at(const analysis& a, key_place place);

/// Adds the ties and edges of one condition. `join` is the join whose ON this is; nullptr for WHERE.
void add_condition(const sql::expr& condition, std::size_t level, const sql::from_item* join, confines which,
                   const plan_context& context, constant_marks& marks, analysis& out);

/// Adds the edges of USING and NATURAL.
void add_merged_columns(const sql::from_item& join, confines which, const plan_context& context, analysis& out);

/// The groups whose values, taken together, confine every sharded table use of the statement; nothing when some use
/// stays free. `free_use` then names one.
[[nodiscard]] std::optional<std::vector<key_group>> tie_all(const analysis& a, std::size_t& free_use);

/// True if it is a parameter that stands elsewhere too, or is compared with keys of several types.
[[nodiscard]] bool stands_elsewhere(const analysis& a, const key_source& source);

/// True if a value means the same as the key's wherever it stands: a parameter may get another type elsewhere.
[[nodiscard]] bool reads_one_way(const analysis& a, const key_source& source, oid key_type);

/// True if one use confines all others: they are joined key = key.
[[nodiscard]] bool joined_by_key(const analysis& a);
/// True if `root` confines all other sharded uses, those of subqueries included.
[[nodiscard]] bool joined_by_key(const analysis& a, std::size_t root);

}  // namespace pgbraid::router
