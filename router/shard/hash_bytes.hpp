// Hash of bytes and of 32-bit integers, equal to PostgreSQL's hash_bytes_extended and hash_bytes_uint32_extended
// (hashfn.c) on a little-endian server. The algorithm is Bob Jenkins' lookup3 with PostgreSQL's start value, its word
// layout (the lowest byte of the third word is left free in the last block) and a 64-bit seed mixed in first.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>

namespace pgbraid::router {

/// The three words that lookup3 stirs.
struct lookup3_state {
  std::uint32_t a, b, c;

  /// Start value for `length` bytes; a seed of zero is the same as none.
  constexpr lookup3_state(std::uint32_t length, std::uint64_t seed) noexcept
      : a(0x9e3779b9U + length + 3923095U), b(a), c(a) {
    if (seed != 0) {
      a += static_cast<std::uint32_t>(seed >> 32);
      b += static_cast<std::uint32_t>(seed);
      mix();
    }
  }

  /// Stirs between two blocks; reversible, so that no input bit is lost.
  constexpr void mix() noexcept {
    stir(a, c, b, 4);
    stir(b, a, c, 6);
    stir(c, b, a, 8);
    stir(a, c, b, 16);
    stir(b, a, c, 19);
    stir(c, b, a, 4);
  }

  /// Stirs after the last block and gives the two words that depend on every input bit.
  [[nodiscard]] constexpr std::uint64_t finish() noexcept {
    settle(c, b, 14);
    settle(a, c, 11);
    settle(b, a, 25);
    settle(c, b, 16);
    settle(a, c, 4);
    settle(b, a, 14);
    settle(c, b, 24);
    return (static_cast<std::uint64_t>(b) << 32) | c;
  }

 private:
  static constexpr void stir(std::uint32_t& x, std::uint32_t& y, std::uint32_t z, int bits) noexcept {
    x -= y;
    x ^= std::rotl(y, bits);
    y += z;
  }
  static constexpr void settle(std::uint32_t& x, std::uint32_t y, int bits) noexcept {
    x ^= y;
    x -= std::rotl(y, bits);
  }
};

/// 64-bit hash of a byte string under a seed. runs on: any thread; no allocation.
[[nodiscard]] std::uint64_t hash_bytes_extended(std::string_view bytes, std::uint64_t seed) noexcept;

/// 64-bit hash of one 32-bit integer under a seed. runs on: any thread; no allocation.
[[nodiscard]] constexpr std::uint64_t hash_bytes_uint32_extended(std::uint32_t value, std::uint64_t seed) noexcept {
  // Inline, so that all that a constant seed decides is worked out by the compiler.
  lookup3_state state(sizeof value, seed);
  state.a += value;
  return state.finish();
}

}  // namespace pgbraid::router
