#include "config/network.hpp"

#include "config/values.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

namespace pgbraid::config {
namespace {

using family = client_address::family;

std::optional<client_address> parse_host(const std::string& text) {
  client_address out;
  if (::inet_pton(AF_INET, text.c_str(), out.bytes.data()) == 1) {
    out.kind = family::ipv4;
    return out;
  }
  if (::inet_pton(AF_INET6, text.c_str(), out.bytes.data()) == 1) {
    out.kind = family::ipv6;
    return out;
  }
  return std::nullopt;
}

bool same_bits(const client_address& a, const client_address& b, unsigned count) noexcept {
  const unsigned whole = count / 8, rest = count % 8;
  if (!std::equal(a.bytes.begin(), a.bytes.begin() + whole, b.bytes.begin())) return false;
  return rest == 0 || ((a.bytes[whole] ^ b.bytes[whole]) >> (8 - rest)) == 0;
}

/// Without the bits behind the prefix: equal networks are equal values.
void cut(client_address& a, unsigned prefix) noexcept {
  for (unsigned bit = prefix; bit < 128; ++bit) a.bytes[bit / 8] &= static_cast<std::uint8_t>(~(0x80U >> (bit % 8)));
}

}  // namespace

bool network::contains(const client_address& address) const noexcept {
  return address.kind == base.kind && (base.kind == family::unix_socket || same_bits(address, base, prefix));
}

std::optional<network> parse_network(std::string_view text, std::string& why) {
  network out;
  if (text == "local") return out;
  const std::size_t slash = text.find('/');
  const auto host = parse_host(std::string(text.substr(0, slash)));
  const auto fail = [&] {
    why = fmt::format("expected an address, a network as 10.0.0.0/8, or local, found \"{}\"", text);
    return std::nullopt;
  };
  if (!host) return fail();
  out.base = *host;
  const unsigned most = host->kind == family::ipv4 ? 32 : 128;
  out.prefix = most;
  if (slash != text.npos) {
    const auto prefix = parse_integer(text.substr(slash + 1));
    if (!prefix || *prefix < 0 || *prefix > most) return fail();
    out.prefix = static_cast<unsigned>(*prefix);
  }
  cut(out.base, out.prefix);
  return out;
}

std::string to_string(const client_address& address) {
  if (address.kind == family::unix_socket) return "local";
  char text[INET6_ADDRSTRLEN] = {};
  ::inet_ntop(address.kind == family::ipv4 ? AF_INET : AF_INET6, address.bytes.data(), text, sizeof text);
  return text;
}

std::string to_string(const network& n) {
  if (n.base.kind == family::unix_socket) return "local";
  return fmt::format("{}/{}", to_string(n.base), n.prefix);
}

}  // namespace pgbraid::config
