// The clauses of one SELECT in its text: what the syntax tree says of a query, it does not say where it ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace pgbraid::router {

/// A piece of a text, without blanks around it.
struct text_span {
  std::size_t begin = 0, end = 0;

  [[nodiscard]] bool empty() const noexcept { return begin == end; }
  [[nodiscard]] std::string_view of(std::string_view text) const { return text.substr(begin, end - begin); }
};

/// SELECT [DISTINCT] targets FROM ... WHERE ... GROUP BY ... HAVING ... ORDER BY ... LIMIT ..., each without its words.
/// What is not there is empty.
struct select_clauses {
  std::size_t begin = 0, end = 0;  ///< from SELECT to the end of the query
  text_span distinct;              ///< with its word: DISTINCT, DISTINCT ON (...), ALL
  std::vector<text_span> targets;
  text_span from, where;
  std::vector<text_span> group_by;
  text_span having;
  std::vector<text_span> order_by;
  text_span limit;  ///< LIMIT, OFFSET and FETCH with their words
};

/// The clauses of the query that stands between `begin` and `end`. Nothing for what is no plain SELECT: WITH, VALUES,
/// set operations, parentheses around it, WINDOW, FOR UPDATE, INTO; and for a text with comments to the end of a line,
/// which cannot be put together anew in one line.
[[nodiscard]] std::optional<select_clauses> clauses_of(std::string_view text, std::size_t begin, std::size_t end);

/// [WITH ...] UPDATE target SET ... FROM ... WHERE ... RETURNING ..., each without its words. What is not there is empty.
struct update_clauses {
  std::size_t begin = 0;         ///< of the word UPDATE
  text_span target;              ///< [ONLY] table [[AS] alias]
  std::vector<text_span> values;  ///< what each column is set to, in the order of SET
  text_span from, where, returning;
};

/// The clauses of an UPDATE. Nothing for SET (a, b) = (SELECT ...), and for a text with comments to the end of a line.
[[nodiscard]] std::optional<update_clauses> update_clauses_of(std::string_view text);

/// A SELECT item without its [AS] name, "" if it has none; nothing where the name does not stand at its end.
[[nodiscard]] std::optional<text_span> without_name(std::string_view text, text_span item, std::string_view name);

/// A function call whose name begins at `location`, to its closing parenthesis; `open` is the other one. Nothing for
/// calls that are written in another way, or of another function than `name`.
[[nodiscard]] std::optional<text_span> call_at(std::string_view text, std::int32_t location, std::size_t end,
                                               std::string_view name, std::size_t& open);

/// Past the parenthesis that closes the one at `at`; nothing without one before `end`.
[[nodiscard]] std::optional<std::size_t> past_parentheses(std::string_view text, std::size_t at, std::size_t end);

}  // namespace pgbraid::router
