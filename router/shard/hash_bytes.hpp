// Hash of bytes and of 32-bit integers, equal to PostgreSQL's hash_bytes_extended and hash_bytes_uint32_extended
// (hashfn.c) on a little-endian server. The algorithm is Bob Jenkins' lookup3 with PostgreSQL's start value, its word
// layout (the lowest byte of the third word is left free in the last block) and a 64-bit seed mixed in first.
#pragma once

#include <cstdint>
#include <string_view>

namespace pgbraid::router {

/// 64-bit hash of a byte string under a seed. runs on: any thread; no allocation.
[[nodiscard]] std::uint64_t hash_bytes_extended(std::string_view bytes, std::uint64_t seed) noexcept;

/// 64-bit hash of one 32-bit integer under a seed. runs on: any thread; no allocation.
[[nodiscard]] std::uint64_t hash_bytes_uint32_extended(std::uint32_t value, std::uint64_t seed) noexcept;

}  // namespace pgbraid::router
