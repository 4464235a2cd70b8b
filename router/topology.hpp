// The router's view of one database of the topology: which tables are sharded how, and which shard owns a bucket.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::router {

using shard_index = std::uint16_t;
using bucket_number = std::uint32_t;

/// bucket -> shard; always a power-of-two number of buckets.
struct bucket_map {
  std::uint64_t version = 0;
  std::vector<shard_index> owner;

  [[nodiscard]] shard_index shard_of(bucket_number bucket) const noexcept { return owner[bucket & (owner.size() - 1)]; }
  friend bool operator==(const bucket_map&, const bucket_map&) = default;
};

struct sharded_table {
  std::string key;   ///< the key's column
  friend bool operator==(const sharded_table&, const sharded_table&) = default;
};

/// How replicas are used for reads that are proved to be reads.
enum class replica_use : std::uint8_t { prefer, require, off };

struct topology {
  std::string database;
  std::vector<std::string> shards;                               ///< names, by shard_index
  bucket_map buckets;
  // Tables are named "schema.name"; a name without a schema in the YAML file means schema public.
  std::map<std::string, sharded_table, std::less<>> tables;
  std::set<std::string, std::less<>> reference_tables;
  std::map<std::string, shard_index, std::less<>> unsharded;
  std::set<std::string, std::less<>> accept_unenforced;          ///< tables
  std::set<std::string, std::less<>> shard_local;                ///< functions and views: bare or qualified names
  std::set<std::string, std::less<>> treat_as_read, treat_as_write;  ///< bare function names: override volatility
  replica_use replicas = replica_use::prefer;

  [[nodiscard]] bool one_shard() const noexcept { return shards.size() == 1; }
  friend bool operator==(const topology&, const topology&) = default;
};

}  // namespace pgbraid::router
