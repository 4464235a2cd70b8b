// One pass over a statement's text: a key that is equal for texts that differ only in their constants, and where each
// constant stands. Source: the manual's chapter "Lexical Structure"; PostgreSQL's scan.l.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::router::sql {

enum class token_constant : std::uint8_t {
  integer,
  decimal,
  string,
  escape_string,
  bit_string,
  dollar_string,
  unicode_string
};

/// One constant of a statement, in order of appearance.
struct constant_position {
  std::uint32_t offset = 0;  ///< byte offset of its first byte (quote or E/B/X/U prefix included)
  std::uint32_t length = 0;
  token_constant kind = token_constant::integer;

  friend bool operator==(const constant_position&, const constant_position&) = default;
};

/// 128 bits of XXH3 over the normalised text.
struct statement_key {
  std::uint64_t low = 0, high = 0;
  friend bool operator==(const statement_key&, const statement_key&) = default;
};

/// A part of a text.
struct text_extent {
  std::uint32_t offset = 0, length = 0;
  friend bool operator==(const text_extent&, const text_extent&) = default;
};

/// What one pass found. Reused from statement to statement so that the hot path does not allocate.
struct token_scan {
  statement_key key;
  std::string normalized;  ///< the text with each constant replaced by one control byte that tells its kind,
                           ///< comments dropped, blanks folded, words in lower case; hints stand at its end
  std::vector<constant_position> constants;
  std::vector<text_extent> hints;  ///< what stands behind "pgbraid:" in comments that begin with it
  bool valid = false;  ///< false: unterminated quote or comment, stray byte: no key, let the server say what is wrong
  bool has_backslash = false;    ///< a backslash stands anywhere in the text
  bool ascii = true;             ///< no byte above 0x7f
  bool many_statements = false;  ///< a semicolon with something behind it
};

/// Scans `text` into `out`; when it is not valid, only `has_backslash` and `ascii` mean anything. A minus before a
/// number is not part of the constant. 'a'\n'b' is one constant. The number of rows of VALUES and of elements of IN
/// lists stays in the key. Identifiers are kept as written, but for ASCII case outside quotes. Cost: one pass, no
/// allocation once `out` has grown. runs on: any thread.
void scan(std::string_view text, token_scan& out);

/// The value of a string constant as the server would read it with standard_conforming_strings = on: quotes removed,
/// '' and E'' escapes resolved (for a server whose encoding is UTF-8), continuation lines joined. False if it is no
/// valid string constant, for bit strings, and for U&'' strings. `out` is overwritten.
[[nodiscard]] bool decode_string_constant(std::string_view token, token_constant kind, std::string& out);

}  // namespace pgbraid::router::sql
