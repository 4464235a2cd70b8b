// The names of commit records. See proxy/session/commit.hpp.
#pragma once

#include <fmt/format.h>
#include <openssl/rand.h>

#include <array>
#include <stdexcept>
#include <string>

namespace pgbraid::proxy {

/// A uuid of 32 digits. Records stand in a table that everybody may add to: a guessed one could keep a commit from
/// succeeding.
[[nodiscard]] inline std::string random_record() {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) throw std::runtime_error{"no random numbers"};
  std::string out;
  for (const unsigned char byte : bytes) out += fmt::format("{:02x}", byte);
  return out;
}

}  // namespace pgbraid::proxy
