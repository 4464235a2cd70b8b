// PostgreSQL's partition hash: the bucket of a key, equal to the remainder that PARTITION BY HASH with a modulus of
// `buckets` would use. Source: compute_partition_hash_value (partbounds.c), hash_combine64, the types' extended hash
// functions (hashfunc.c, varchar.c, uuid.c, date.c, timestamp.c, numeric.c), hash_bytes_extended (hashfn.c).
#pragma once

#include "router/catalog.hpp"
#include "router/topology.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pgbraid::router {

/// True if `type` can be a sharding key.
[[nodiscard]] bool hashable_key_type(oid type) noexcept;

/// Partition hash of a value (of one key column; combined_hash() makes those of several into one) given as text in the type's input syntax, or in the type's binary wire
/// form. nullopt: the text or bytes are no valid value of the type, or cannot be read exactly here (e.g. a date that
/// depends on DateStyle). `from` is the type the value was written as (0: unknown literal or the key's own type); a
/// pair of types whose `=` is not in the key type's hash operator family gives nullopt: the caller must not take it for
/// a tie. `modifier` is the column's atttypmod for a value that is stored (it is rounded or cut as the column does it),
/// and -1 for one that is compared. `time_zone` is the session's, for timestamptz without an offset. Characters are
/// hashed byte by byte: they must be in the servers' encoding. Servers are taken to be little-endian. runs on: any
/// thread; allocates for numeric of more than 15 digits only.
[[nodiscard]] std::optional<std::uint64_t> partition_hash_text(oid key_type, std::int32_t modifier, oid from,
                                                               std::string_view text, std::string_view time_zone);
[[nodiscard]] std::optional<std::uint64_t> partition_hash_binary(oid key_type, std::int32_t modifier, oid from,
                                                                 std::string_view bytes);

/// The hash of a key of several columns: of those before (0 for none) and of the next one. Source: hash_combine64.
[[nodiscard]] constexpr std::uint64_t combined_hash(std::uint64_t before, std::uint64_t column) noexcept {
  return before ^ (column + (before << 54) + (before >> 7));
}

/// Whether `key = value_of_type(from)` resolves to an operator of key_type's hash operator family (0: unknown literal,
/// yes).
[[nodiscard]] bool ties_key(oid key_type, oid from) noexcept;

/// Remainder as PARTITION BY HASH takes it.
[[nodiscard]] inline bucket_number bucket_of(std::uint64_t hash, std::uint32_t buckets) noexcept {
  return static_cast<bucket_number>(hash % buckets);
}

}  // namespace pgbraid::router
