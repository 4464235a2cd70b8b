// The router's view of one database of the topology: which tables are sharded how, and which shard owns a bucket.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
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

/// How a key's value finds its shard.
enum class shard_function : std::uint8_t {
  hash,   ///< by its bucket: postgres_hash and consistent_hash, whose maps differ
  range,  ///< by bounds that are listed
  list,   ///< by values that are listed
  lookup  ///< by the rows of a table
};

/// One range of a shard's, `from` included and `to` not, none for no bound; or one value of a list: `from`.
struct value_part {
  shard_index shard = 0;
  std::optional<std::string> from, to;
  friend bool operator==(const value_part&, const value_part&) = default;
};

struct value_rule {
  bool ranges = false;
  std::vector<value_part> parts;
  std::optional<shard_index> others;  ///< the owner of all other values
  friend bool operator==(const value_rule&, const value_rule&) = default;
};

/// The table that says where keys live.
struct lookup_rule {
  std::string schema, table;          ///< a reference table
  std::string key, shard;             ///< its columns: a key, and the name of its shard
  std::optional<shard_index> others;  ///< the owner of keys that it does not list
  friend bool operator==(const lookup_rule&, const lookup_rule&) = default;
};

struct sharded_table {
  std::vector<std::string> key;  ///< its columns, whose values together say where a row lives; most have one
  shard_function function = shard_function::hash;
  std::vector<std::string> unique{};  ///< columns whose values pgbraid keeps apart over all shards, each by itself
  friend bool operator==(const sharded_table&, const sharded_table&) = default;
};

/// Tables that are sharded as soon as the catalog has them: those of a name that fits and with all columns of the key.
struct table_pattern {
  std::string schema, table;  ///< * is any characters, ? is one
  sharded_table sharding;
  friend bool operator==(const table_pattern&, const table_pattern&) = default;
};

/// How replicas are used for reads that are proved to be reads.
enum class replica_use : std::uint8_t { prefer, require, off };

struct topology {
  std::string database;
  std::vector<std::string> shards;                               ///< names, by shard_index
  bucket_map buckets;
  // Tables are named "schema.name"; a name without a schema in the YAML file means schema public.
  std::map<std::string, sharded_table, std::less<>> tables;
  std::vector<table_pattern> patterns;          ///< in order; those that fit stand in `tables` too
  shard_function usual = shard_function::hash;  ///< of tables whose own comment names their key
  std::map<std::string, std::string, std::less<>>
      unfit;  ///< tables that a pattern or their comment means, and why they are not sharded
  value_rule ranges{true, {}, {}}, lists;                        ///< of tables whose function they are
  std::optional<lookup_rule> directory;                          ///< likewise
  std::map<std::string, shard_index, std::less<>> schemas;       ///< all of whose tables live on one shard
  std::set<std::string, std::less<>> reference_tables;
  std::map<std::string, shard_index, std::less<>> unsharded;
  std::set<std::string, std::less<>> accept_unenforced;          ///< tables
  std::set<std::string, std::less<>> shard_local;                ///< functions and views: bare or qualified names
  std::set<std::string, std::less<>> treat_as_read, treat_as_write;  ///< bare function names: override volatility
  replica_use replicas = replica_use::prefer;
  bool consistent = false;  ///< statements over several shards see commits over them whole

  /// What a table of this function goes by; null: buckets.
  [[nodiscard]] const value_rule* rule_of(shard_function function) const noexcept {
    return function == shard_function::range ? &ranges : function == shard_function::list ? &lists : nullptr;
  }
  [[nodiscard]] bool one_shard() const noexcept { return shards.size() == 1; }
  friend bool operator==(const topology&, const topology&) = default;
};

}  // namespace pgbraid::router
