#include "router/shard/hash_bytes.hpp"

#include <bit>
#include <cstring>

namespace pgbraid::router {
namespace {

/// The three words that lookup3 stirs.
struct lookup3_state {
  std::uint32_t a, b, c;

  /// Start value for `length` bytes; a seed of zero is the same as none.
  lookup3_state(std::uint32_t length, std::uint64_t seed) noexcept {
    a = b = c = 0x9e3779b9U + length + 3923095U;
    if (seed != 0) {
      a += static_cast<std::uint32_t>(seed >> 32);
      b += static_cast<std::uint32_t>(seed);
      mix();
    }
  }

  /// Stirs between two blocks; reversible, so that no input bit is lost.
  void mix() noexcept {
    stir(a, c, b, 4);
    stir(b, a, c, 6);
    stir(c, b, a, 8);
    stir(a, c, b, 16);
    stir(b, a, c, 19);
    stir(c, b, a, 4);
  }

  /// Stirs after the last block and gives the two words that depend on every input bit.
  [[nodiscard]] std::uint64_t finish() noexcept {
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
  static void stir(std::uint32_t& x, std::uint32_t& y, std::uint32_t z, int bits) noexcept {
    x -= y;
    x ^= std::rotl(y, bits);
    y += z;
  }
  static void settle(std::uint32_t& x, std::uint32_t y, int bits) noexcept {
    x ^= y;
    x -= std::rotl(y, bits);
  }
};

/// The first `count` (0 to 4) bytes as a little-endian word.
std::uint32_t little_endian_word(const char* bytes, std::size_t count) noexcept {
  if constexpr (std::endian::native == std::endian::little) {
    if (count == 4) {
      std::uint32_t word;
      std::memcpy(&word, bytes, 4);
      return word;
    }
  }
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < count; ++i)
    word |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  return word;
}

}  // namespace

std::uint64_t hash_bytes_extended(std::string_view bytes, std::uint64_t seed) noexcept {
  lookup3_state state(static_cast<std::uint32_t>(bytes.size()), seed);
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 12; at += 12, left -= 12) {
    state.a += little_endian_word(at, 4);
    state.b += little_endian_word(at + 4, 4);
    state.c += little_endian_word(at + 8, 4);
    state.mix();
  }
  if (left >= 4) {
    state.a += little_endian_word(at, 4);
    if (left >= 8) {
      state.b += little_endian_word(at + 4, 4);
      state.c += little_endian_word(at + 8, left - 8) << 8;
    } else {
      state.b += little_endian_word(at + 4, left - 4);
    }
  } else {
    state.a += little_endian_word(at, left);
  }
  return state.finish();
}

std::uint64_t hash_bytes_uint32_extended(std::uint32_t value, std::uint64_t seed) noexcept {
  lookup3_state state(sizeof value, seed);
  state.a += value;
  return state.finish();
}

}  // namespace pgbraid::router
