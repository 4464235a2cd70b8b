#include "router/plan/definition_words.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <vector>

#include "router/catalog.hpp"
#include "router/plan/clauses.hpp"
#include "router/plan/time_words.hpp"
#include "router/plan/words.hpp"

namespace pgbraid::router {

namespace {

/// The word behind the first `on` outside quotes; "" without one.
std::string word_behind_on(std::string_view text) {
  bool next = false;
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t past = skip_quoted(text, i); past != i) {
      i = past;
    } else if (is_word_start(text[i])) {
      const std::size_t end = end_of_word(text, i);
      std::string word = lower_word(text.substr(i, end - i));
      if (next) return word;
      next = word == "on";
      i = end;
    } else {
      ++i;
    }
  }
  return {};
}

/// The words that directly follow one another from `at` on, `count` of them at most; ends at anything else.
std::vector<std::string> words_at(std::string_view text, std::size_t at, std::size_t count) {
  std::vector<std::string> out;
  for (at = skip_blanks(text, at); out.size() < count && at < text.size() && is_word_start(text[at]);) {
    const std::size_t end = end_of_word(text, at);
    out.push_back(lower_word(text.substr(at, end - at)));
    at = skip_blanks(text, end);
  }
  return out;
}

/// ADD of anything but a constraint, or an identity for a column that is there.
bool adds_column(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t past = skip_quoted(text, i); past != i) {
      i = past;
    } else if (is_word_start(text[i])) {
      const std::size_t end = end_of_word(text, i);
      if (lower_word(text.substr(i, end - i)) == "add") {
        const std::vector<std::string> next = words_at(text, end, 4);
        const auto begins = [&](std::initializer_list<std::string_view> with) {
          return next.size() >= with.size() && std::equal(with.begin(), with.end(), next.begin());
        };
        if (!begins({"constraint"}) && !begins({"generated", "always", "as"}) &&
            !begins({"generated", "by", "default", "as"}))
          return true;
      }
      i = end;
    } else {
      ++i;
    }
  }
  return false;
}

/// Whether a word may stand in front of a parenthesis without being called.
bool takes_length(std::string_view word) {
  constexpr std::array<std::string_view, 14> types{"varchar", "varying", "char", "character", "bpchar",
                                                   "numeric", "decimal", "dec",  "timestamp", "timestamptz",
                                                   "time",    "timetz",  "bit",  "interval"};
  return std::find(types.begin(), types.end(), word) != types.end();
}

/// Whether a quoted text is the time, or is written in a way that is not looked into.
bool may_be_time(std::string_view text, std::size_t at, std::size_t past) {
  const bool plain = text[at] == '\'' && (at == 0 || !is_word_start(text[at - 1]));
  return !plain || is_word_of_time(text.substr(at + 1, past - at - 2));
}

/// Whether what stands behind the word DEFAULT, up to the next constraint or column, calls a function or is the time.
bool calls_in_default(std::string_view text, std::size_t at) {
  constexpr std::array<std::string_view, 11> calls{"current_date",    "current_time", "current_timestamp", "localtime",
                                                   "localtimestamp",  "current_user", "session_user",      "user",
                                                   "current_catalog", "current_role", "current_schema"};
  constexpr std::array<std::string_view, 5> ends{"check", "references", "constraint", "unique", "primary"};
  const auto among = [](const auto& words, const std::string& word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  const auto is_length = [](std::string_view list) {
    return list.find_first_not_of("0123456789, ()") == std::string_view::npos;
  };
  std::string before;
  int depth = 0;  // of brackets
  while (at < text.size() && (text[at] != ',' || depth > 0)) {
    if (const std::size_t past = skip_quoted(text, at); past != at) {
      const bool comment = text[at] == '-' || text[at] == '/';
      if (!comment && text[at] != '"' && may_be_time(text, at, past)) return true;
      if (text[at] == '"') before = "\"";
      at = past;
    } else if (is_word_start(text[at])) {
      const std::size_t end = end_of_word(text, at);
      const std::string word = lower_word(text.substr(at, end - at));
      at = end;
      if (among(calls, word)) return true;
      const std::vector<std::string> next = words_at(text, end, 1);
      const bool not_null = word == "not" && before != "is" && !next.empty() && next.front() == "null";
      if (among(ends, word) || not_null) return false;
      before = word;
    } else if (text[at] == '(') {
      const auto past = past_parentheses(text, at, text.size());
      if (!past || !takes_length(before) || !is_length(text.substr(at, *past - at))) return true;
      at = *past;
    } else {
      depth += text[at] == '[' ? 1 : text[at] == ']' ? -1 : 0;
      ++at;
    }
  }
  return false;
}

/// Whether something in a text with a generated column may be another value on each shard: functions are taken for
/// immutable that read tables, and tables have other numbers.
bool generates_differently(std::string_view text, const catalog& schema) {
  if (!has_word(text, "generated")) return false;
  if (has_word(text, "tableoid") || !schema.code_operators.empty()) return true;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t past = skip_quoted(text, i);
    const bool word = past == i && is_word_start(text[i]);
    const std::size_t end = word ? end_of_word(text, i) : past;
    if (end == i) {
      ++i;
      continue;
    }
    const std::size_t next = skip_blanks(text, end);
    const bool called = next < text.size() && text[next] == '(' && (word || text[i] == '"');
    const auto found =
        called && word ? schema.functions.find(lower_word(text.substr(i, end - i))) : schema.functions.end();
    if (called && (!word || (found != schema.functions.end() && found->second.any_user_code))) return true;
    i = end;
  }
  return false;
}

}  // namespace

bool beyond_the_database(const std::string& tag, std::string_view text) {
  if (tag != "COMMENT" && tag != "GRANT" && tag != "REVOKE") return false;
  const std::string about = word_behind_on(text);
  constexpr std::array<std::string_view, 6> shared{"database",  "role",         "tablespace",
                                                   "parameter", "subscription", "large"};
  return std::find(shared.begin(), shared.end(), about) != shared.end();
}

bool computes(std::string_view text, const catalog& schema) {
  if (!has_word(text, "using") && !adds_column(text)) return false;
  constexpr std::array<std::string_view, 8> values{"using",       "identity", "serial",  "bigserial",
                                                   "smallserial", "serial2",  "serial4", "serial8"};
  const auto stands = [&](std::string_view word) { return has_word(text, word); };
  if (std::any_of(values.begin(), values.end(), stands) || generates_differently(text, schema)) return true;
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t past = skip_quoted(text, i); past != i) {
      i = past;
    } else if (is_word_start(text[i])) {
      const std::size_t end = end_of_word(text, i);
      if (lower_word(text.substr(i, end - i)) == "default" && calls_in_default(text, end)) return true;
      i = end;
    } else {
      ++i;
    }
  }
  return false;
}

std::string_view comment_of(std::string_view text) {
  const std::size_t open = text.find('\''), close = text.rfind('\'');
  return open == close ? std::string_view{} : text.substr(open + 1, close - open - 1);
}

}  // namespace pgbraid::router
