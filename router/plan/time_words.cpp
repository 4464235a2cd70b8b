// See time_words.hpp.
#include "router/plan/time_words.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <vector>

#include "router/plan/words.hpp"

namespace pgbraid::router {
namespace {

char small(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_letter(char c) {
  return small(c) >= 'a' && small(c) <= 'z';
}

bool same_word(std::string_view written, std::string_view word) {
  return std::equal(written.begin(), written.end(), word.begin(), word.end(),
                    [](char a, char b) { return small(a) == b; });
}

/// Of letters there are no others than those of these words: 'now()', '[today,)', '{now}'.
bool says_nothing_else(std::string_view value, std::span<const std::string_view> words) {
  bool any = false;
  for (std::size_t at = 0; at < value.size();) {
    if (!is_letter(value[at])) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < value.size() && is_letter(value[end])) ++end;
    any = std::any_of(words.begin(), words.end(),
                      [&](std::string_view word) { return same_word(value.substr(at, end - at), word); });
    if (!any) return false;
    at = end;
  }
  return any;
}

}  // namespace

bool is_word_of_time(std::string_view value) {
  constexpr std::array<std::string_view, 4> words{"now", "today", "tomorrow", "yesterday"};
  const auto blank = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  while (!value.empty() && blank(value.front())) value.remove_prefix(1);
  while (!value.empty() && blank(value.back())) value.remove_suffix(1);
  if (says_nothing_else(value, words)) return true;
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    // The word may have a time behind it: 'today 12:00'.
    if (value.size() < word.size() || (value.size() > word.size() && !blank(value[word.size()]))) return false;
    return same_word(value.substr(0, word.size()), word);
  });
}

bool casts_to_times(std::string_view text) {
  if (text.find("::") != std::string_view::npos) return true;
  const std::vector<std::string> words = words_of(text);
  return std::any_of(words.begin(), words.end(), [](const std::string& word) {
    return word == "cast" || word == "date" || word.starts_with("time");
  });
}

bool rows_tell_moments(std::string_view rows, const copy_format& format) {
  if (format.form == copy_format::kind::binary) return false;
  const std::array<char, 3> ends{format.delimiter, '\n', '\r'};
  while (!rows.empty()) {
    const std::size_t end = std::min(rows.find_first_of({ends.data(), ends.size()}), rows.size());
    std::string_view value = rows.substr(0, end);
    const auto quoted = [&](char c) { return c == format.quote || c == format.escape; };
    while (!value.empty() && quoted(value.front())) value.remove_prefix(1);
    while (!value.empty() && quoted(value.back())) value.remove_suffix(1);
    if (is_word_of_time(value)) return true;
    rows.remove_prefix(std::min(end + 1, rows.size()));
  }
  return false;
}

}  // namespace pgbraid::router
