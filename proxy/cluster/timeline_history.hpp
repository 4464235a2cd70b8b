// Where a server's timeline comes from: which timelines came before and how far each was followed. Pure.
// Source: the manual's chapter "Streaming Replication Protocol", TIMELINE_HISTORY; readTimeLineHistory() (timeline.c).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

/// The ancestors of one timeline.
struct timeline_history {
  struct ancestor {
    std::uint32_t timeline = 0;
    std::uint64_t end = 0;  ///< WAL position up to which it was followed
    friend bool operator==(const ancestor&, const ancestor&) = default;
  };
  std::vector<ancestor> ancestors;

  /// How far `timeline` was followed; nothing if it is no ancestor.
  [[nodiscard]] std::optional<std::uint64_t> end_of(std::uint32_t timeline) const noexcept;
  friend bool operator==(const timeline_history&, const timeline_history&) = default;
};

/// Reads a history file's text; nothing if a line of it is none.
[[nodiscard]] std::optional<timeline_history> parse_timeline_history(std::string_view text);

}  // namespace pgbraid::proxy
