#include "router/shard/hash_bytes.hpp"

#include <bit>
#include <cstring>

namespace pgbraid::router {
namespace {

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

}  // namespace pgbraid::router
