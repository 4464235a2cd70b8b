// Do rows stand where the bucket map says? Samples of each sharded table, held against the map, so that a topology that
// does not fit the data is refused instead of hiding rows.
#pragma once

#include "proxy/cluster/pg_connection.hpp"
#include "router/catalog.hpp"
#include "router/shard/value_map.hpp"
#include "router/topology.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

enum class placement_depth : std::uint8_t {
  sample,  ///< about 10,000 rows of each table
  whole    ///< every row: for maps that move buckets, where a sample could miss the few rows that matter
};

struct placement_report {
  std::vector<std::string> misplaced;  ///< one sentence for each table with rows of other shards
  std::vector<std::string> warnings;   ///< tables that do not exist here
  std::string error;                   ///< why it could not be found out; "" when it was
  [[nodiscard]] bool fits() const noexcept { return error.empty() && misplaced.empty(); }
};

/// How large a part of a table to sample, in percent of its pages; 100: read it whole. `rows` is an estimate.
[[nodiscard]] double sample_percentage(double rows) noexcept;

/// A column of a table's key as one shard has it.
struct placed_column {
  std::string name, quoted_name;
  router::oid type = 0;
  std::int32_t modifier = -1;
};

/// The sentence about one key found on `shard`; "" if it belongs there. `found` has a value for each column of `key`;
/// `values`: of a table that goes by ranges or a list, null for one by buckets.
[[nodiscard]] std::string judge_key(const router::topology& map, router::shard_index shard, std::string_view table,
                                    std::span<const placed_column> key, std::span<const std::string> found,
                                    const router::value_map* values = nullptr);

/// Reads every sharded table of `map` on one shard. Each question has `timeout` for itself.
/// runs on: the monitor's thread.
[[nodiscard]] boost::asio::awaitable<placement_report> check_placement(pg_connection& connection,
                                                                       const router::topology& map,
                                                                       router::shard_index shard, placement_depth depth,
                                                                       std::chrono::milliseconds timeout);

}  // namespace pgbraid::proxy
