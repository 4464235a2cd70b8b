// Builds the map from buckets to shards out of what a topology says, and prints a map in the form a topology takes.
// Without any ranges, shard i of n owns the buckets from floor(i * buckets / n) up to the one before
// floor((i + 1) * buckets / n): an even split in the order listed.
#pragma once

#include "router/topology.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pgbraid::router {

/// The most buckets a map may have.
inline constexpr std::uint32_t most_buckets = 65536;

struct bucket_range {
  bucket_number first = 0, last = 0;  ///< inclusive
  friend bool operator==(const bucket_range&, const bucket_range&) = default;
};

/// A shard and the buckets that the topology gives it.
struct shard_buckets {
  std::string name;
  std::vector<bucket_range> ranges;
};

/// Why no map could be built.
struct bucket_problem {
  std::optional<shard_index> shard;  ///< whose ranges are at fault; none: the map as a whole
  std::string message;
  friend bool operator==(const bucket_problem&, const bucket_problem&) = default;
};

struct bucket_map_result {
  bucket_map map;                        ///< version 0; empty if there are problems
  std::vector<bucket_problem> problems;  ///< all that were found
};

/// The map of `buckets` buckets over these shards. Either no shard has ranges (even split), or every bucket must be in
/// exactly one of the ranges; a shard without ranges among others that have some owns no bucket.
[[nodiscard]] bucket_map_result build_bucket_map(std::uint32_t buckets, std::span<const shard_buckets> shards);

/// Points of each shard on the ring of ring_map(): enough for shares that differ by a few percent.
inline constexpr unsigned ring_points = 256;

/// A map laid by a hash ring: each shard stands on it at `ring_points` places that its name gives, each bucket belongs to
/// the next place behind its own. One shard more, or less, moves about the buckets that are its own, whatever the order.
[[nodiscard]] bucket_map_result ring_map(std::uint32_t buckets, std::span<const shard_buckets> shards);

/// What each of `shard_count` shards owns, as the fewest ranges in ascending order.
[[nodiscard]] std::vector<std::vector<bucket_range>> owned_ranges(const bucket_map& map, std::size_t shard_count);

/// "0-1023", or "0-1023, 2048-2048" for several; "" for none.
[[nodiscard]] std::string print_ranges(std::span<const bucket_range> ranges);

}  // namespace pgbraid::router
