#include "router/plan/definition_words.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <optional>
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

/// Functions that are called without parentheses.
constexpr std::array<std::string_view, 11> calls{"current_date",    "current_time", "current_timestamp", "localtime",
                                                 "localtimestamp",  "current_user", "session_user",      "user",
                                                 "current_catalog", "current_role", "current_schema"};

/// Whether what stands behind the word DEFAULT, up to the next constraint or column, calls a function or is the time.
bool calls_in_default(std::string_view text, std::size_t at) {
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

/// Past a name, quoted or not; `at` itself if there is none.
std::size_t past_name(std::string_view text, std::size_t at) {
  if (at >= text.size()) return at;
  if (text[at] == '"') return skip_quoted(text, at);
  return is_word_start(text[at]) ? end_of_word(text, at) : at;
}

/// Past a type to which a cast gives the same on every shard; nothing for any other. Not to times, since 'now' may
/// stand in a row, nor to types of one's own, which may be domains over a time, nor to what a name is looked up for,
/// which has other numbers on each shard.
std::optional<std::size_t> past_plain_type(std::string_view text, std::size_t at) {
  constexpr std::array<std::string_view, 25> plain{
      "text",   "varchar",  "char",    "bpchar",  "int",  "int2",    "int4",   "int8",   "integer",
      "bigint", "smallint", "numeric", "decimal", "bool", "boolean", "float4", "float8", "real",
      "json",   "jsonb",    "uuid",    "bytea",   "inet", "cidr",    "citext"};
  std::string name;
  for (bool qualified = true; qualified;) {
    const std::size_t end = past_name(text, at);
    if (end == at) return std::nullopt;
    name = text[at] == '"' ? std::string{text.substr(at + 1, end - at - 2)} : lower_word(text.substr(at, end - at));
    at = end;
    qualified = at < text.size() && text[at] == '.';
    if (qualified) ++at;
  }
  const std::vector<std::string> next = words_at(text, at, 1);
  if (!next.empty() &&
      ((name == "character" && next.front() == "varying") || (name == "double" && next.front() == "precision"))) {
    at = past_name(text, skip_blanks(text, at));
  } else if (std::find(plain.begin(), plain.end(), name) == plain.end() && name != "character") {
    return std::nullopt;
  }
  if (const std::size_t open = skip_blanks(text, at); open < text.size() && text[open] == '(')
    return past_parentheses(text, open, text.size());
  return at;
}

/// Whether an ALTER TABLE ... USING that ends at `at` gives each row its column's own value, cast: what all shards do
/// alike.
bool casts_column(std::string_view text, std::size_t at) {
  at = skip_blanks(text, at);
  const bool enclosed = at < text.size() && text[at] == '(';
  if (enclosed) at = skip_blanks(text, at + 1);
  const std::size_t name = past_name(text, at);
  const std::string word = lower_word(text.substr(at, name - at));
  if (name == at || std::find(calls.begin(), calls.end(), word) != calls.end()) return false;
  at = skip_blanks(text, name);
  while (text.substr(at).starts_with("::")) {
    const auto type = past_plain_type(text, skip_blanks(text, at + 2));
    if (!type) return false;
    at = skip_blanks(text, *type);
  }
  if (enclosed && (at >= text.size() || text[at] != ')')) return false;
  if (enclosed) at = skip_blanks(text, at + 1);
  return at >= text.size() || text[at] == ',' || text[at] == ';';
}

/// Whether some USING does more than that.
bool converts(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t past = skip_quoted(text, i); past != i) {
      i = past;
    } else if (is_word_start(text[i])) {
      const std::size_t end = end_of_word(text, i);
      if (lower_word(text.substr(i, end - i)) == "using" && !casts_column(text, end)) return true;
      i = end;
    } else {
      ++i;
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
  if (converts(text)) return true;
  if (!adds_column(text)) return false;
  constexpr std::array<std::string_view, 7> values{"identity", "serial",  "bigserial", "smallserial",
                                                   "serial2",  "serial4", "serial8"};
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
