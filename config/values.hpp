// Scalars of the topology as values: each reader takes a node that may be missing or of the wrong kind and gives
// nothing then. That the file says so is reported once, by the check of shapes.
#pragma once

#include "config/config.hpp"
#include "config/yaml_tree.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::config {

[[nodiscard]] std::optional<std::int64_t> parse_integer(std::string_view text);
[[nodiscard]] std::optional<bool> parse_boolean(std::string_view text);

/// Ranges of "0-2047", "0-1023,3000-4095", "7". Nothing when it is none; then `why` says what is wrong.
[[nodiscard]] std::optional<std::vector<bucket_range>> parse_buckets(std::string_view text, std::string& why);

/// Address of "host:port", "host", "[::1]:5432", "/var/run/postgresql", "/var/run/postgresql:5433". The port is
/// `default_port` when none is written. Nothing when it is none; then `why` says what is wrong.
[[nodiscard]] std::optional<host_port> parse_address(std::string_view text, std::uint16_t default_port,
                                                     std::string& why);

/// What is wrong with a host that stands alone, without a port; empty when nothing is.
[[nodiscard]] std::string wrong_host(std::string_view host);

/// max_lag's value. Nothing when it is none; then `why` says what is wrong.
[[nodiscard]] std::optional<lag_limit> parse_lag(std::string_view text, std::string& why);

}  // namespace pgbraid::config
