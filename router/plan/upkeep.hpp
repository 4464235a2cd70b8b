// Upkeep of tables and indexes over several shards: VACUUM, ANALYZE, REINDEX, CLUSTER, indexes that are made or dropped
// CONCURRENTLY, LOCK TABLE. What cannot run in a transaction goes over one shard after the other; what has been cut
// short on its way is run again as a whole, and passes over the shards where it is done.
#pragma once

#include "router/plan/route.hpp"
#include "router/sql/ast.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::router {

struct upkeep_target {
  fixed_target where;
  block_rule blocks = block_rule::any;
};

/// Where such a command goes. Nothing: it is none, or it cannot be told what it would do.
[[nodiscard]] std::optional<upkeep_target> upkeep_of(const sql::statement& s, std::string_view text,
                                                     const plan_context& context);

/// What is to be done on one shard.
enum class stop_task : std::uint8_t {
  run,      ///< the statement
  rebuild,  ///< the same, when what an earlier run has left behind is dropped
  skip      ///< nothing
};

/// An index on one shard, as it has answered upkeep::state_sql.
struct index_state {
  bool exists = false;       ///< something has its name
  bool valid = false;        ///< it is an index of the table that is meant, and usable
  bool leftover = false;     ///< it is such an index, and nobody is building it
  bool same = false;         ///< it is defined as the statement does
  std::string table;         ///< "schema.name"
  std::string schema, name;  ///< the index's own, for SQL: quoted where they must be
};

/// How such a statement goes over one shard after the other.
struct upkeep {
  enum class kind : std::uint8_t {
    repeat,  ///< as often as anybody likes
    create_index,
    drop_index,
    use_index  ///< of an index, whose table says where it is
  } what = kind::repeat;
  bool lenient = false;   ///< IF EXISTS, IF NOT EXISTS
  std::string state_sql;  ///< asks a shard for the index; empty for `repeat`
  // create_index: what its definition is compared by.
  bool unique = false;
  std::string index, table;  ///< the former as it is, the latter for SQL
  std::optional<std::string>
      rest;  ///< the statement behind the table's name; nothing: it cannot be told where that ends
};

/// How the statement of this text goes, which upkeep_of() knows.
[[nodiscard]] upkeep plan_upkeep(std::string_view text);

/// What asks a shard whether the index that it has is defined as the statement does, in one row, and changes nothing.
/// Empty: that cannot be asked.
[[nodiscard]] std::string compare_question(const upkeep& how, const index_state& found);

/// From the first row of the answer to upkeep::state_sql.
[[nodiscard]] index_state read_index_state(const std::vector<std::optional<std::string>>& row);

}  // namespace pgbraid::router
