// The functions `range` and `list`: which shard owns a value, as the topology's bounds or values say (and `lookup`,
// which leaves that to a table: key_directory.hpp). Values are compared as bytes that sort as the values do
// (sort_bytes.hpp); characters therefore as in the C collation.
#pragma once

#include "router/catalog.hpp"
#include "router/topology.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::router {

/// A value of a key of `key_type` as bytes that sort as values do. `from`, `modifier` and `time_zone` as in
/// partition_hash_text(). False: no valid value, or none that can be read exactly here; `out` then means nothing.
/// runs on: any thread.
[[nodiscard]] bool key_bytes(std::string& out, oid key_type, std::int32_t modifier, oid from, bool binary,
                             std::string_view value, std::string_view time_zone);

/// One end of an interval; no bytes: it is open.
struct value_bound {
  std::optional<std::string> bytes;
  bool inclusive = true;
};

/// A rule for keys of one type. Immutable; any thread.
class value_map {
 public:
  /// Null, with the reason in `problem`, for a type or a value that cannot be understood, and for ranges that overlap.
  /// `modifier` is that of the key's column.
  [[nodiscard]] static std::shared_ptr<const value_map> make(const value_rule& rule, oid key_type,
                                                             std::int32_t modifier, std::string& problem);

  /// Of keys that are looked up: `others` owns those that are listed nowhere. Null as above.
  [[nodiscard]] static std::shared_ptr<const value_map> looked_up(std::optional<shard_index> others, oid key_type,
                                                                  std::int32_t modifier, std::string& problem);

  /// The owner; nothing if no shard owns the value.
  [[nodiscard]] std::optional<shard_index> shard_of(std::string_view bytes) const noexcept;
  /// The owners of values between the two, in ascending order; those of no listed value included.
  [[nodiscard]] std::vector<shard_index> shards_between(const value_bound& low, const value_bound& high) const;
  /// Whether intervals say anything about the shard.
  [[nodiscard]] bool ranges() const noexcept { return ranges_; }
  /// Whether a key_directory must be asked, and who owns what that does not list.
  [[nodiscard]] bool looks_up() const noexcept { return looks_up_; }
  [[nodiscard]] std::optional<shard_index> others() const noexcept { return others_; }

 private:
  struct entry {
    std::string from, to;               ///< a list's value is `from`
    bool below = false, above = false;  ///< open at that end
    shard_index shard = 0;
  };
  std::vector<entry> entries_;  ///< sorted
  std::optional<shard_index> others_;
  bool ranges_ = false, looks_up_ = false;
};

/// What a table's keys go by; null for buckets, and with the reason in `problem` where it cannot be.
[[nodiscard]] std::shared_ptr<const value_map> values_of(const topology& map, const sharded_table& table,
                                                         const column& key, std::string& problem);

}  // namespace pgbraid::router
