// The few things that are read from a statement's text rather than from its tree, which knows where an expression is but
// not where it ends. Lexical rules: the manual's chapter "Lexical Structure".
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "router/shard/key_values.hpp"

namespace pgbraid::router {

/// May begin a word: a letter, an underscore, any byte of a character beyond ASCII.
[[nodiscard]] constexpr bool is_word_start(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
[[nodiscard]] constexpr bool is_word_part(char c) noexcept { return is_word_start(c) || (c >= '0' && c <= '9') || c == '$'; }

/// Where the word that begins at `at` ends.
[[nodiscard]] std::size_t end_of_word(std::string_view text, std::size_t at);
/// ASCII letters in lower case, as unquoted names are folded.
[[nodiscard]] std::string lower_word(std::string_view word);
/// Past a comment that begins at `at`; `at` itself if none does.
[[nodiscard]] std::size_t skip_comment(std::string_view text, std::size_t at);
/// Past a comment, a quoted name or a string constant that begins at `at`; `at` itself if none does. A string that
/// begins with E'...' begins at its quote: backslashes are looked after by what stands before.
[[nodiscard]] std::size_t skip_quoted(std::string_view text, std::size_t at);

/// The numbers n of all $n in a text, in their order.
[[nodiscard]] std::vector<std::size_t> parameters_in(std::string_view text);

/// The words of a text outside of quotes and comments, in lower case.
[[nodiscard]] std::vector<std::string> words_of(std::string_view text);

/// Whether `word`, in lower case, stands in a text outside of quotes and comments.
[[nodiscard]] bool has_word(std::string_view text, std::string_view word);

/// The parts of a name as regclass reads it ("Orders", public . orders), folded; empty where it is no such name.
[[nodiscard]] std::vector<std::string> names_in(std::string_view text);

/// Every name that a column could be called by in a text, and whether some column may go unnamed (*, NATURAL).
struct named_words {
  std::set<std::string, std::less<>> names;
  bool all = false;
};
void add_names(std::string_view text, named_words& out);

/// The names at which a type is named: behind "::" or AS, or in front of a constant; other words that stand there too.
/// `bare`: not those with a schema.
[[nodiscard]] std::vector<std::string> names_of_types(std::string_view text, bool bare = false);

/// Past blanks and comments that begin at `at`.
[[nodiscard]] std::size_t skip_blanks(std::string_view text, std::size_t at);

/// Appends a text as a string constant, whatever standard_conforming_strings is.
void append_literal(std::string& out, std::string_view text);
[[nodiscard]] std::string string_literal(std::string_view text);

/// Where WITH entries may be put into a query's text: behind its WITH [RECURSIVE], or before its first word. Its WITH
/// may stand `in_parentheses` with it.
[[nodiscard]] std::size_t with_position(std::string_view text, bool in_parentheses = false);

}  // namespace pgbraid::router
