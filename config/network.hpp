// Addresses of clients, and the networks that access rules name them by. Source: the manual's chapter "The pg_hba.conf
// File", whose CIDR notation is taken.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pgbraid::config {

/// Where a client comes from.
struct client_address {
  enum class family : std::uint8_t { unix_socket, ipv4, ipv6 } kind = family::unix_socket;
  std::array<std::uint8_t, 16> bytes{};  ///< in network order; the first four of an IPv4 address
};

/// A network, or with the longest prefix one address, or all of Unix sockets.
struct network {
  client_address base;
  unsigned prefix = 0;
  [[nodiscard]] bool contains(const client_address& address) const noexcept;
  friend bool operator==(const network& a, const network& b) noexcept {
    return a.base.kind == b.base.kind && a.base.bytes == b.base.bytes && a.prefix == b.prefix;
  }
};

/// "10.0.0.0/8", "192.168.1.7", "fd00::/8", "::1", or "local" for Unix sockets. Nothing when it is none of them; then
/// `why` says what is wrong.
[[nodiscard]] std::optional<network> parse_network(std::string_view text, std::string& why);

/// As parse_network reads it, with its prefix.
[[nodiscard]] std::string to_string(const network& n);

/// "10.1.2.3"; "local" for a Unix socket.
[[nodiscard]] std::string to_string(const client_address& address);

}  // namespace pgbraid::config
