// Words of a statement's text; see words.hpp.
#include "router/plan/words.hpp"

#include <charconv>

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

void add_names(std::string_view text, named_words& out) {
  char before = ' ';
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == '"') {
      std::string name;
      for (++i; i < text.size() && (text[i] != '"' || text.substr(i, 2) == "\"\""); ++i) {
        name.push_back(text[i]);
        if (text[i] == '"') ++i;
      }
      ++i;
      // U&"..." is decoded by the server only.
      out.all = out.all || before == '&';
      out.names.insert(std::move(name));
      before = '"';
      continue;
    }
    if (const std::size_t past = skip_quoted(text, i); past != i) {
      i = past;
      continue;
    }
    if (is_word_start(text[i])) {
      const std::size_t end = end_of_word(text, i);
      std::string word = lower_word(text.substr(i, end - i));
      out.all = out.all || word == "natural" || word == "table";
      out.names.insert(std::move(word));
      before = 'a';
      i = end;
      continue;
    }
    // count(*) names no column; any other star may.
    if (text[i] == '*' && before != '(') out.all = true;
    if (!is_blank(text[i])) before = text[i];
    ++i;
  }
}

std::vector<std::string> names_of_types(std::string_view text, bool bare) {
  std::vector<std::string> out;
  bool behind_cast = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t past = skip_quoted(text, at);
    const bool quoted = past != at && text[at] == '"';
    if (!quoted && past != at) {
      at = past;
    } else if (quoted || is_word_start(text[at])) {
      const std::size_t end = quoted ? past : end_of_word(text, at);
      std::string word =
          quoted ? std::string{text.substr(at + 1, end - at - 2)} : lower_word(text.substr(at, end - at));
      const std::size_t next = skip_blanks(text, end);
      const bool constant = next < text.size() && text[next] == '\'';
      const bool qualifies = next < text.size() && text[next] == '.';
      const bool as = !quoted && word == "as";
      const bool with_schema = qualifies || (at > 0 && text[at - 1] == '.');
      if ((behind_cast || constant) && !(bare && with_schema)) out.push_back(std::move(word));
      behind_cast = (behind_cast && qualifies) || as;
      at = end;
    } else {
      if (text.substr(at, 2) == "::") {
        behind_cast = true;
        ++at;
      } else if (!is_blank(text[at]) && text[at] != '.') {
        behind_cast = false;
      }
      ++at;
    }
  }
  return out;
}

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

std::vector<std::size_t> parameters_in(std::string_view text) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t past = skip_quoted(text, i); past != i) {
      i = past;
    } else if (is_word_start(text[i])) {
      i = end_of_word(text, i);
    } else if (std::size_t number = 0; text[i] == '$') {
      const auto read = std::from_chars(text.data() + i + 1, text.data() + text.size(), number);
      if (read.ec == std::errc{} && number > 0) out.push_back(number);
      i = static_cast<std::size_t>(read.ptr - text.data());
    } else {
      ++i;
    }
  }
  return out;
}

bool has_word(std::string_view text, std::string_view word) {
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t past = skip_quoted(text, i); past != i) {
      i = past;
    } else if (is_word_start(text[i])) {
      const std::size_t end = end_of_word(text, i);
      if (lower_word(text.substr(i, end - i)) == word) return true;
      i = end;
    } else {
      ++i;
    }
  }
  return false;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    if (const std::size_t past = skip_quoted(text, at); past != at) {
      at = past;
    } else if (is_word_start(text[at])) {
      const std::size_t end = end_of_word(text, at);
      out.push_back(lower_word(text.substr(at, end - at)));
      at = end;
    } else {
      ++at;
    }
  }
  return out;
}

void append_literal(std::string& out, std::string_view text) {
  if (text.find('\\') != std::string_view::npos) out.push_back('E');
  out.push_back('\'');
  for (const char c : text) out.append(c == '\'' || c == '\\' ? 2 : 1, c);
  out.push_back('\'');
}

std::string string_literal(std::string_view text) {
  std::string out;
  append_literal(out, text);
  return out;
}

std::size_t with_position(std::string_view text, bool in_parentheses) {
  std::size_t at = skip_blanks(text, 0);
  while (in_parentheses && at < text.size() && text[at] == '(') at = skip_blanks(text, at + 1);
  std::size_t end = end_of_word(text, at);
  if (lower_word(text.substr(at, end - at)) != "with") return at;
  const std::size_t next = skip_blanks(text, end);
  const std::size_t next_end = end_of_word(text, next);
  if (lower_word(text.substr(next, next_end - next)) == "recursive") end = next_end;
  return end;
}

std::vector<std::string> names_in(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t at = skip_blanks(text, 0);;) {
    if (at >= text.size()) return {};
    if (text[at] == '"') {
      std::string name;
      for (++at;; ++at) {
        if (at >= text.size()) return {};
        if (text[at] == '"' && (at + 1 >= text.size() || text[at + 1] != '"')) break;
        if (text[at] == '"') ++at;
        name += text[at];
      }
      ++at;
      if (name.empty()) return {};
      out.push_back(std::move(name));
    } else if (is_word_start(text[at])) {
      const std::size_t end = end_of_word(text, at);
      out.push_back(lower_word(text.substr(at, end - at)));
      at = end;
    } else {
      return {};
    }
    at = skip_blanks(text, at);
    if (at >= text.size()) return out;
    if (text[at] != '.') return {};
    at = skip_blanks(text, at + 1);
  }
}

}  // namespace pgbraid::router
