// pgbench's accounts over two shards, and a ten-column table, as the router sees them.
#pragma once

#include "router/plan/planner.hpp"

#include <string>
#include <vector>

namespace pgbraid::router::bench {

/// Topology, catalog and context, held together. Not copied: the context points into it.
struct world {
  /// pgbench_accounts (key aid) and measurements (key id), 4096 buckets split evenly.
  explicit world(shard_index shards);
  world(const world&) = delete;
  world& operator=(const world&) = delete;

  topology map;
  catalog schema;
  plan_context context;
};

/// What pgbench -S -M simple sends, with `count` different accounts.
[[nodiscard]] std::vector<std::string> point_selects(unsigned count);

/// What pgbench -S -M extended and prepared parse.
[[nodiscard]] std::string point_select_with_parameter();

/// One row of ten columns, `count` different ones.
[[nodiscard]] std::vector<std::string> inserts(unsigned count);

}  // namespace pgbraid::router::bench
