// Sizes and durations as the topology writes them, both ways. Units are PostgreSQL's (guc.c): multiples of 1024 for
// memory, and ms to d for time; KiB and the like are taken as well.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pgbraid::config {

/// Bytes of "16MB", "1.5 GB", "0". Nothing when it is no size; then `why` says what is wrong.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text, std::string& why);

/// Milliseconds of "200ms", "1.5 s", "0". Nothing when it is no duration; then `why` says what is wrong.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text, std::string& why);

/// True when `text` ends in a unit of time, whatever stands before it.
[[nodiscard]] bool has_time_unit(std::string_view text);

/// The shortest exact spelling in one unit; parse_size and parse_duration read it back to the same value.
[[nodiscard]] std::string format_size(std::uint64_t bytes);
[[nodiscard]] std::string format_duration(std::chrono::milliseconds time);

}  // namespace pgbraid::config
