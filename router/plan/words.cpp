// Words of a statement's text; see words.hpp.
#include "router/plan/words.hpp"

#include <algorithm>
#include <array>

namespace pgbraid::router {
namespace {

/// Past 'it''s', and past E'it\'s' when `escapes`.
std::size_t skip_string(std::string_view text, std::size_t at, bool escapes) {
  for (std::size_t i = at + 1; i < text.size(); ++i) {
    if (escapes && text[i] == '\\') {
      ++i;
    } else if (text[i] == '\'') {
      if (text.substr(i, 2) != "''") return i + 1;
      ++i;
    }
  }
  return text.size();
}

/// Past $tag$...$tag$.
std::size_t skip_dollar_string(std::string_view text, std::size_t at) {
  std::size_t end = at + 1;
  while (end < text.size() && is_word_part(text[end]) && text[end] != '$') ++end;
  if (end >= text.size() || text[end] != '$' || (end > at + 1 && !is_word_start(text[at + 1]))) return at;
  const std::string_view tag = text.substr(at, end - at + 1);
  const std::size_t close = text.find(tag, end + 1);
  return close == std::string_view::npos ? text.size() : close + tag.size();
}

}  // namespace

std::size_t skip_blanks(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    if (is_blank(text[at])) {
      ++at;
    } else if (const std::size_t past = skip_comment(text, at); past != at) {
      at = past;
    } else {
      break;
    }
  }
  return at;
}

std::size_t end_of_word(std::string_view text, std::size_t at) {
  while (at < text.size() && is_word_part(text[at])) ++at;
  return at;
}

std::string lower_word(std::string_view word) {
  std::string out{word};
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::size_t skip_comment(std::string_view text, std::size_t at) {
  if (text.substr(at, 2) == "--") {
    const std::size_t end = text.find('\n', at);
    return end == std::string_view::npos ? text.size() : end + 1;
  }
  if (text.substr(at, 2) != "/*") return at;
  int depth = 1;
  std::size_t i = at + 2;
  for (; i < text.size() && depth > 0; ++i) {
    if (text.substr(i, 2) == "/*")
      ++depth, ++i;
    else if (text.substr(i, 2) == "*/")
      --depth, ++i;
  }
  return i;
}

std::size_t skip_quoted(std::string_view text, std::size_t at) {
  if (text[at] == '"') {
    const std::size_t end = text.find('"', at + 1);
    return end == std::string_view::npos ? text.size() : end + 1;
  }
  if (text[at] == '\'') {
    // Only an E that is a word by itself makes backslashes special.
    const bool escapes = at > 0 && (text[at - 1] == 'e' || text[at - 1] == 'E') && (at < 2 || !is_word_part(text[at - 2]));
    return skip_string(text, at, escapes);
  }
  if (text[at] == '$' && (at == 0 || !is_word_part(text[at - 1]))) return skip_dollar_string(text, at);
  return skip_comment(text, at);
}

std::size_t with_position(std::string_view text) {
  const std::size_t at = skip_blanks(text, 0);
  std::size_t end = end_of_word(text, at);
  if (lower_word(text.substr(at, end - at)) != "with") return at;
  const std::size_t next = skip_blanks(text, end);
  const std::size_t next_end = end_of_word(text, next);
  if (lower_word(text.substr(next, next_end - next)) == "recursive") end = next_end;
  return end;
}

std::string_view where_clause(std::string_view text) {
  constexpr std::array<std::string_view, 10> clauses{"group", "having", "window", "union", "intersect",
                                                     "except", "order", "limit", "offset", "fetch"};
  std::size_t begin = std::string_view::npos;
  int depth = 0;
  char before = ' ';
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t past = skip_quoted(text, i); past != i) {
      i = past;
      before = '"';
      continue;
    }
    const char c = text[i];
    if (is_word_start(c)) {
      const std::size_t end = end_of_word(text, i);
      const std::string word = lower_word(text.substr(i, end - i));
      // Behind a dot every word is a name.
      if (depth == 0 && before != '.') {
        if (begin == std::string_view::npos && word == "where") {
          begin = end;
        } else if (begin != std::string_view::npos && std::find(clauses.begin(), clauses.end(), word) != clauses.end()) {
          return text.substr(begin, i - begin);
        }
      }
      before = 'a';
      i = end;
      continue;
    }
    if (c == '(' || c == '[') ++depth;
    if (c == ')' || c == ']') --depth;
    if (c == ';' && depth == 0) return begin == std::string_view::npos ? std::string_view{} : text.substr(begin, i - begin);
    if (!is_blank(c)) before = c;
    ++i;
  }
  return begin == std::string_view::npos ? std::string_view{} : text.substr(begin);
}

}  // namespace pgbraid::router
