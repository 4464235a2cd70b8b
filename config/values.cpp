#include "config/values.hpp"

#include "config/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace pgbraid::config {
namespace {

// A socket's name is directory, "/.s.PGSQL." and the port, in 107 bytes (unix(7)).
constexpr std::size_t max_socket_directory = 107 - 15;

std::optional<std::uint16_t> parse_port(std::string_view text) {
  const auto value = parse_integer(text);
  if (!value || *value < 1 || *value > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(*value);
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<bool> parse_boolean(std::string_view text) {
  if (text == "true" || text == "yes" || text == "on") return true;
  if (text == "false" || text == "no" || text == "off") return false;
  return std::nullopt;
}

std::optional<std::vector<bucket_range>> parse_buckets(std::string_view text, std::string& why) {
  std::vector<bucket_range> out;
  const auto number = [](std::string_view part) -> std::optional<std::uint32_t> {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc{} || end != part.data() + part.size()) return std::nullopt;
    return value;
  };
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t comma = std::min(text.find(',', start), text.size());
    const std::string_view part = trimmed(text.substr(start, comma - start));
    start = comma + 1;
    const std::size_t dash = part.find('-');
    const auto first = number(trimmed(part.substr(0, dash)));
    const auto last = dash == part.npos ? first : number(trimmed(part.substr(dash + 1)));
    if (!first || !last) {
      why = fmt::format("expected bucket ranges as 0-2047, found \"{}\"", part);
      return std::nullopt;
    }
    if (*last < *first) {
      why = fmt::format("the range {} ends before it starts", part);
      return std::nullopt;
    }
    out.push_back({*first, *last});
  }
  return out;
}

std::string wrong_host(std::string_view host) {
  if (host.empty()) return "the host is empty";
  if (host.front() == '/') {
    if (host.size() > max_socket_directory)
      return fmt::format("the socket directory is longer than {} bytes", max_socket_directory);
    return {};
  }
  if (host.find_first_of(" \t,@") != host.npos) return fmt::format("\"{}\" is no host name", host);
  if (host.find('/') != host.npos) return fmt::format("\"{}\" is no host name; a socket directory starts with /", host);
  if (std::count(host.begin(), host.end(), ':') == 1)
    return fmt::format("\"{}\" names a port too; give it under port", host);
  return {};
}

std::optional<host_port> parse_address(std::string_view text, std::uint16_t default_port, std::string& why) {
  host_port out{std::string(text), default_port};
  std::optional<std::string_view> port;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == text.npos || (close + 1 < text.size() && text[close + 1] != ':')) {
      why = fmt::format("expected an address as [::1]:5432, found \"{}\"", text);
      return std::nullopt;
    }
    out.host = text.substr(1, close - 1);
    if (close + 1 < text.size()) port = text.substr(close + 2);
  } else if (const std::size_t colon = text.rfind(':'); colon != text.npos) {
    if (!text.starts_with('/') && text.find(':') != colon) {
      why = fmt::format("\"{}\" is ambiguous: write an IPv6 address in brackets, as [::1]:5432", text);
      return std::nullopt;
    }
    out.host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  if (port) {
    const auto number = parse_port(*port);
    if (!number) {
      why = fmt::format("expected a port from 1 to 65535, found \"{}\"", *port);
      return std::nullopt;
    }
    out.port = *number;
  }
  why = wrong_host(out.host);
  if (!why.empty()) return std::nullopt;
  return out;
}

std::optional<lag_limit> parse_lag(std::string_view text, std::string& why) {
  lag_limit out;
  if (text == "none") return out;
  if (has_time_unit(text)) {
    out.time = parse_duration(text, why);
    return out.time ? std::optional(out) : std::nullopt;
  }
  out.bytes = parse_size(text, why);
  if (out.bytes) return out;
  why = fmt::format("expected none, a size as 16MB, or a time as 5s, found \"{}\"", text);
  return std::nullopt;
}

}  // namespace pgbraid::config
