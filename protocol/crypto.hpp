// The few cryptographic primitives that logins need, on OpenSSL, and Base64 as RFC 4648 defines it.
//
// Runs on: any thread. Functions that call OpenSSL throw std::runtime_error when the library itself fails (out of
// memory, no entropy, no such algorithm in its configuration), never for any input.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pgbraid::protocol {

/// A SHA-256 digest, or a key of that length.
using digest256 = std::array<unsigned char, 32>;

[[nodiscard]] inline std::string_view view_of(const digest256& digest) noexcept {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

[[nodiscard]] digest256 sha256(std::string_view data);
[[nodiscard]] digest256 hmac_sha256(std::string_view key, std::string_view data);

/// PBKDF2-HMAC-SHA-256, one block: `iterations` times the cost of an HMAC, so milliseconds; not for a worker.
[[nodiscard]] digest256 pbkdf2_sha256(std::string_view password, std::string_view salt, std::uint32_t iterations);

/// MD5 as 32 lower-case hexadecimal digits; nothing where the library forbids MD5.
[[nodiscard]] std::optional<std::string> md5_hex(std::string_view data);

/// `count` unpredictable bytes.
[[nodiscard]] std::string random_bytes(std::size_t count);

/// Whether both hold the same bytes, in time that depends on their lengths only.
[[nodiscard]] bool equal_in_constant_time(std::string_view left, std::string_view right) noexcept;

/// Overwrites `secret` so that it does not linger in memory, and empties it.
void wipe(std::string& secret) noexcept;

[[nodiscard]] std::string base64_encode(std::string_view data);
/// Strict: whole groups of four, padding where it belongs, no white space; nothing otherwise.
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);

}  // namespace pgbraid::protocol
