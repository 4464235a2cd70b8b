// Text -> our syntax tree, by PostgreSQL's own grammar (libpg_query's raw parser, PostgreSQL 15).
#pragma once

#include "router/sql/ast.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace pgbraid::router::sql {

/// What PostgreSQL's own parser said against a text.
struct parse_failure {
  std::string message;
  std::int32_t position = 0;  ///< 1-based character position as PostgreSQL counts it, 0 for none
  bool too_complex = false;   ///< deeper than our walkers go (or than the parser's stack allows)

  friend bool operator==(const parse_failure&, const parse_failure&) = default;
};

using parse_result = std::variant<std::vector<statement>, parse_failure>;

/// Parses all statements of `text` (which must not contain NUL). Never throws on bad input, never overflows the stack:
/// trees deeper than 4,000 levels (chains such as 1+1+1 included) or nested more than some hundred deep give
/// `too_complex`, so that what walks the tree may recurse. Memory of the parser is freed before it returns. Cost: about
/// 20 times that of scan(); 3 million terms take over a second and hundreds of MB, so bound the text's size. runs on:
/// any thread (the parser's state is thread-local).
[[nodiscard]] parse_result parse(std::string_view text);

/// What the parser keeps for a thread (some kilobytes) goes when the thread ends; this is the place for anything more
/// than that, and may be called any number of times, also between two parses.
void release_parser_of_this_thread() noexcept;

}  // namespace pgbraid::router::sql
