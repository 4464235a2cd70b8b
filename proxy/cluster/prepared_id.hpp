// The ids under which parts of transactions over several shards are prepared. They name the shard that decides, and the
// record there that tells how. See proxy/session/commit.hpp.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pgbraid::proxy {

inline constexpr std::string_view prepared_prefix = "pgbraid_";

/// Names one database on one server, whatever the topology calls the shard. Needs no quoting.
[[nodiscard]] inline std::string shard_identity(std::uint64_t system_identifier, std::string_view database) {
  std::string out = fmt::format("{:x}_", system_identifier);
  for (const char c : database) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

/// `record`: a uuid of 32 digits; `deciding`: a shard's identity. At most 200 bytes, as the server demands.
[[nodiscard]] inline std::string prepared_id(std::string_view record, std::string_view deciding) {
  return fmt::format("{}{}_{}", prepared_prefix, record, deciding);
}

/// A transaction of ours that stands prepared on a server.
struct doubtful_part {
  std::string id;        ///< as in pg_prepared_xacts
  std::string record;    ///< the uuid of its record
  std::string deciding;  ///< identity of the shard that decides
  friend bool operator==(const doubtful_part&, const doubtful_part&) = default;
};

/// Nothing if the id is none of ours.
[[nodiscard]] inline std::optional<doubtful_part> parse_prepared_id(std::string_view id) {
  constexpr std::size_t record_digits = 32;
  if (!id.starts_with(prepared_prefix)) return std::nullopt;
  const std::string_view rest = id.substr(prepared_prefix.size());
  if (rest.size() < record_digits + 2 || rest[record_digits] != '_') return std::nullopt;
  const auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  const auto plain = [&](char c) { return hex(c) || c == '_'; };
  if (!std::all_of(rest.begin(), rest.begin() + record_digits, hex)) return std::nullopt;
  if (!std::all_of(rest.begin() + record_digits, rest.end(), plain)) return std::nullopt;
  return doubtful_part{std::string{id}, std::string{rest.substr(0, record_digits)},
                       std::string{rest.substr(record_digits + 1)}};
}

}  // namespace pgbraid::proxy
