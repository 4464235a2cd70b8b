// A demonstration topology and catalog for the planner's tests, and tables of statements with the routes they must get.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "router/plan/planner.hpp"
#include "router/plan/staged.hpp"

namespace pgbraid::router::test {

/// customers (key id), orders (key customer_id), more sharded tables of other key types, countries as reference table,
/// settings unsharded on s0, over `shards` shards named s0, s1... with an even split of 4096 buckets.
[[nodiscard]] topology demo_topology(std::size_t shards);

/// The catalog that goes with it, hand-made, with the functions of pg_catalog that the tests call.
[[nodiscard]] catalog demo_catalog();

/// The shard of an int8 key, by the hash and the bucket map of `map`.
[[nodiscard]] shard_index shard_of(const topology& map, std::int64_t key);

/// The first `count` positive int8 keys that live on `shard`.
[[nodiscard]] std::vector<std::int64_t> keys_on(const topology& map, shard_index shard, std::size_t count);

/// Topology, catalog and context held together.
struct world {
  explicit world(std::size_t shards);
  world(const world&) = delete;
  world& operator=(const world&) = delete;

  topology map;
  catalog schema;
  plan_context context;

  [[nodiscard]] planned make(std::string_view sql) const;
  [[nodiscard]] route routed(std::string_view sql, const std::vector<bound_parameter>& parameters = {}) const;
  /// to_string of the route.
  [[nodiscard]] std::string told(std::string_view sql, const std::vector<bound_parameter>& parameters = {}) const;
};

/// Four shards that may all be written to by one statement.
struct writing_world : world {
  writing_world() : world{4} { schema.single_writer.clear(); }
  [[nodiscard]] std::shared_ptr<const staged_write> staged(std::string_view text) const {
    return plan_staged(text, context);
  }
};

/// One row of a table test. `expected` is to_string of the route or, ending in "...", its beginning; "{5}" in it stands
/// for the name of the shard that owns int8 key 5.
struct expectation {
  std::string sql;
  std::string expected;
};

/// Expected of a read whose rows are gathered from all shards, whichever those are.
inline const std::string gathered = "gathered";

/// Checks every row, and says which statement failed.
void check(const world& w, const std::vector<expectation>& rows);

/// A text parameter.
[[nodiscard]] bound_parameter text_parameter(std::string_view value, oid type = 0);

}  // namespace pgbraid::router::test
