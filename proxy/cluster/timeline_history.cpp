#include "proxy/cluster/timeline_history.hpp"

#include "proxy/cluster/epochs.hpp"

#include <charconv>

namespace pgbraid::proxy {

namespace {

std::string_view next_word(std::string_view& line) {
  const auto begin = line.find_first_not_of(" \t\r");
  if (begin == line.npos) return {};
  line.remove_prefix(begin);
  const std::string_view word = line.substr(0, line.find_first_of(" \t\r"));
  line.remove_prefix(word.size());
  return word;
}

}  // namespace

std::optional<std::uint64_t> timeline_history::end_of(std::uint32_t timeline) const noexcept {
  for (const ancestor& each : ancestors) {
    if (each.timeline == timeline) return each.end;
  }
  return std::nullopt;
}

// Grammar: timeline, blanks, position, blanks, a reason to the end of the line; "#" begins a comment.
std::optional<timeline_history> parse_timeline_history(std::string_view text) {
  timeline_history history;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
    const std::string_view number = next_word(line);
    if (number.empty() || number.front() == '#') continue;
    timeline_history::ancestor found;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), found.timeline);
    const std::optional<std::uint64_t> position = parse_lsn(next_word(line));
    if (error != std::errc{} || end != number.data() + number.size() || !position) return std::nullopt;
    found.end = *position;
    history.ancestors.push_back(found);
  }
  return history;
}

}  // namespace pgbraid::proxy
