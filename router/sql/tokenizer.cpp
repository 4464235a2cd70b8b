// scan(): the hot path's one pass. What ends a token, a constant or a comment is decided as PostgreSQL 15's scan.l
// does.
//
// The normalised text is the text itself with three changes: each run of blanks and comments is one blank (none at
// either end), unquoted words are in lower case, and each constant is one control byte that tells its kind. No such
// byte can stand outside quotes in a valid text, so equal normalised texts are equal token sequences but for the
// constants' values. What comments say to pgbraid is put behind all this, each behind a control byte of its own.
#include "router/sql/tokenizer.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>

#include "router/sql/characters.hpp"

namespace pgbraid::router::sql {
namespace {

/// What stands for a constant. A kind is what the grammar could tell apart, so that 1 and 3000000000 are two: one is an
/// integer, the other comes to the grammar as a decimal.
enum placeholder : char {
  int4_mark = 0x01,
  int8_mark = 0x02,
  long_integer_mark = 0x03,
  decimal_mark = 0x04,
  string_mark = 0x05,
  escape_string_mark = 0x06,
  binary_mark = 0x07,
  hexadecimal_mark = 0x08,
  dollar_string_mark = 0x0e,
  unicode_string_mark = 0x0f,
  national_string_mark = 0x10,
  hint_mark = 0x11
};

/// What a comment for pgbraid begins with, blanks before it aside.
constexpr std::string_view hint_word = "pgbraid:";

constexpr std::uint64_t every_byte(std::uint64_t byte) {
  return byte * 0x0101010101010101ULL;
}
constexpr std::uint64_t zero_bytes(std::uint64_t word) {
  return (word - every_byte(0x01)) & ~word & every_byte(0x80);
}

struct byte_survey {
  bool ascii = true;
  bool backslash = false;
  bool nul = false;
};

/// Looks at all bytes, eight at a time: the scanner proper skips over the inside of strings.
byte_survey survey(std::string_view text) {
  std::uint64_t high = 0, backslash = 0, nul = 0;
  const auto look = [&](std::uint64_t word) {
    high |= word;
    backslash |= zero_bytes(word ^ every_byte('\\'));
    nul |= zero_bytes(word);
  };
  const char* at = text.data();
  std::size_t left = text.size();
  std::uint64_t word;
  for (; left >= 8; at += 8, left -= 8) {
    std::memcpy(&word, at, 8);
    look(word);
  }
  if (left != 0) {
    word = every_byte(' ');
    std::memcpy(&word, at, left);
    look(word);
  }
  return {(high & every_byte(0x80)) == 0, backslash != 0, nul != 0};
}

/// One scan. Reads at at_, writes at write_; the normalised text never grows longer than the text.
class scanner {
 public:
  scanner(std::string_view text, token_scan& out, char* buffer)
      : begin_(text.data()), end_(text.data() + text.size()), at_(begin_), out_(out), first_(buffer), write_(buffer) {}

  /// False when the text cannot be cut into tokens.
  bool run();
  [[nodiscard]] std::size_t written() const { return static_cast<std::size_t>(write_ - first_); }

 private:
  bool word();
  bool number();
  bool dot();
  bool dollar();
  bool operator_run();
  bool quoted_identifier();
  bool string(const char* start, token_constant kind, placeholder mark);
  bool escape_string(const char* start);
  bool block_comment();
  void line_comment();
  void note_hint(const char* begin, const char* end);
  void append_hints();

  [[nodiscard]] bool next_is(char c) const { return end_ - at_ > 1 && at_[1] == c; }
  /// A word that begins right behind a number or parameter is an error since version 15.
  [[nodiscard]] bool no_junk() const { return at_ == end_ || class_of(*at_) != byte_class::word; }
  void separate() {
    if (blank_ && write_ != first_) *write_++ = ' ';
    blank_ = false;
    if (semicolon_) out_.many_statements = true;
  }
  void constant(const char* start, token_constant kind, placeholder mark) {
    out_.constants.push_back(
        {static_cast<std::uint32_t>(start - begin_), static_cast<std::uint32_t>(at_ - start), kind});
    *write_++ = mark;
  }
  void copy(const char* from) {
    std::memcpy(write_, from, static_cast<std::size_t>(at_ - from));
    write_ += at_ - from;
  }

  const char* begin_;
  const char* end_;
  const char* at_;
  token_scan& out_;
  char* first_;
  char* write_;
  bool blank_ = false;
  bool semicolon_ = false;
  bool unicode_ = false;
};

bool scanner::run() {
  while (at_ != end_) {
    const byte_class kind = class_of(*at_);
    if (kind == byte_class::blank) {
      blank_ = true;
      ++at_;
      continue;
    }
    bool good = true;
    switch (kind) {
      case byte_class::word:
        separate();
        good = word();
        break;
      case byte_class::digit:
        separate();
        good = number();
        break;
      case byte_class::operator_:
        good = operator_run();
        break;
      case byte_class::single:
        separate();
        *write_++ = *at_++;
        break;
      case byte_class::dot:
        separate();
        good = dot();
        break;
      case byte_class::quote:
        separate();
        good = string(at_, token_constant::string, string_mark);
        break;
      case byte_class::dollar:
        separate();
        good = dollar();
        break;
      case byte_class::double_quote:
        separate();
        good = quoted_identifier();
        break;
      case byte_class::semicolon:
        // Empty statements make no second one.
        if (blank_ && write_ != first_) *write_++ = ' ';
        blank_ = false;
        semicolon_ = true;
        *write_++ = *at_++;
        break;
      default:
        good = false;
        break;
    }
    if (!good) return false;
    // The usual single blank, without another turn through the switch.
    if (at_ != end_ && *at_ == ' ') {
      blank_ = true;
      ++at_;
    }
  }
  append_hints();
  return true;
}

bool scanner::word() {
  const char* const start = at_;
  char* const word = write_;
  {
    // In locals: a store through char* might otherwise change the members, which would then be read again for each
    // byte.
    const char* at = start;
    const char* const end = end_;
    char* write = word;
    do {
      const char folded = folded_word_bytes[static_cast<unsigned char>(*at)];
      if (folded == 0) break;
      *write++ = folded;
    } while (++at != end);
    at_ = at;
    write_ = write;
  }
  if (at_ != end_ && at_ - start == 1 && (*at_ == '\'' || *at_ == '&')) {
    // A letter right before a quote may be the constant's prefix.
    const char letter = *word;
    if (*at_ == '\'') {
      if (letter != 'e' && letter != 'b' && letter != 'x' && letter != 'n') return true;
      write_ = word;
      if (letter == 'e') return escape_string(start);
      if (letter == 'b') return string(start, token_constant::bit_string, binary_mark);
      if (letter == 'x') return string(start, token_constant::bit_string, hexadecimal_mark);
      // N is a token of its own to the grammar, which sees the constant begin at the quote.
      return string(at_, token_constant::string, national_string_mark);
    }
    if (letter == 'u' && next_is('\'')) {
      write_ = word;
      ++at_;
      unicode_ = true;
      return string(start, token_constant::unicode_string, unicode_string_mark);
    }
    if (letter == 'u' && next_is('"')) {
      *write_++ = *at_++;
      unicode_ = true;
      return quoted_identifier();
    }
    return true;
  }
  // UESCAPE 'x' changes what the identifier or string before it says: its string is no constant.
  return !(unicode_ && at_ - start == 7 && std::memcmp(word, "uescape", 7) == 0);
}

bool scanner::number() {
  const char* start = at_;
  const auto digits = [this] {
    while (at_ != end_ && class_of(*at_) == byte_class::digit) ++at_;
  };
  digits();
  const char* integer_end = at_;
  bool decimal = false;
  // 1..2 is a range in PL/pgSQL: two integers.
  if (at_ != end_ && *at_ == '.' && !(integer_end != start && next_is('.'))) {
    decimal = true;
    ++at_;
    digits();
  }
  if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
    const char* exponent = at_ + 1;
    if (exponent != end_ && (*exponent == '+' || *exponent == '-')) ++exponent;
    if (exponent == end_ || class_of(*exponent) != byte_class::digit) return false;
    decimal = true;
    at_ = exponent;
    digits();
  }
  if (!no_junk()) return false;
  if (decimal) {
    constant(start, token_constant::decimal, decimal_mark);
    return true;
  }
  placeholder mark = int4_mark;
  if (at_ - start > 9) {
    const char* significant = start;
    while (significant != at_ && *significant == '0') ++significant;
    const std::string_view value(significant, static_cast<std::size_t>(at_ - significant));
    const auto fits = [value](std::string_view limit) {
      return value.size() < limit.size() || (value.size() == limit.size() && value <= limit);
    };
    mark = fits("2147483647") ? int4_mark : fits("9223372036854775807") ? int8_mark : long_integer_mark;
  }
  constant(start, token_constant::integer, mark);
  return true;
}

bool scanner::dot() {
  if (end_ - at_ > 1 && class_of(at_[1]) == byte_class::digit) return number();
  *write_++ = *at_++;
  // The second dot of ".." starts no number: "...5" is ".." and .5, "..5" is ".." and 5.
  if (at_ != end_ && *at_ == '.') *write_++ = *at_++;
  return true;
}

bool scanner::dollar() {
  const char* start = at_++;
  if (at_ != end_ && class_of(*at_) == byte_class::digit) {
    while (at_ != end_ && class_of(*at_) == byte_class::digit) ++at_;
    copy(start);
    return no_junk();
  }
  while (at_ != end_ && (class_of(*at_) == byte_class::word || class_of(*at_) == byte_class::digit)) ++at_;
  if (at_ == end_ || *at_ != '$') return false;
  ++at_;
  const std::string_view delimiter(start, static_cast<std::size_t>(at_ - start));
  const std::size_t close = std::string_view(at_, static_cast<std::size_t>(end_ - at_)).find(delimiter);
  if (close == std::string_view::npos) return false;
  at_ += close + delimiter.size();
  constant(start, token_constant::dollar_string, dollar_string_mark);
  return true;
}

bool scanner::operator_run() {
  const char* start = at_;
  while (at_ != end_ && class_of(*at_) == byte_class::operator_) {
    const bool comment = (*at_ == '-' && next_is('-')) || (*at_ == '/' && next_is('*'));
    if (!comment) {
      ++at_;
      continue;
    }
    if (at_ != start) break;
    blank_ = true;
    if (*at_ == '/') return block_comment();
    line_comment();
    return true;
  }
  separate();
  copy(start);
  // The scanner refuses operators longer than a name may be.
  return at_ - start < 64;
}

void scanner::line_comment() {
  const char* start = at_ + 2;
  while (at_ != end_ && *at_ != '\n' && *at_ != '\r') ++at_;
  note_hint(start, at_);
}

/// A comment's inside.
void scanner::note_hint(const char* begin, const char* end) {
  while (begin != end && class_of(*begin) == byte_class::blank) ++begin;
  const std::string_view inside(begin, static_cast<std::size_t>(end - begin));
  if (!inside.starts_with(hint_word)) return;
  const auto offset = static_cast<std::uint32_t>(begin - begin_ + static_cast<std::ptrdiff_t>(hint_word.size()));
  out_.hints.push_back({offset, static_cast<std::uint32_t>(inside.size() - hint_word.size())});
}

/// There is room: nothing of the comments themselves has been written.
void scanner::append_hints() {
  for (const text_extent& hint : out_.hints) {
    *write_++ = hint_mark;
    std::memcpy(write_, begin_ + hint.offset, hint.length);
    write_ += hint.length;
  }
}

bool scanner::block_comment() {
  const char* start = at_ + 2;
  std::size_t depth = 0;
  while (at_ != end_) {
    if (*at_ == '/' && next_is('*')) {
      ++depth;
      at_ += 2;
    } else if (*at_ == '*' && next_is('/')) {
      at_ += 2;
      if (--depth == 0) {
        note_hint(start, at_ - 2);
        return true;
      }
    } else {
      ++at_;
    }
  }
  return false;
}

bool scanner::quoted_identifier() {
  const char* start = at_++;
  for (;;) {
    const void* quote = std::memchr(at_, '"', static_cast<std::size_t>(end_ - at_));
    if (quote == nullptr) return false;
    at_ = static_cast<const char*>(quote) + 1;
    if (at_ == end_ || *at_ != '"') break;
    ++at_;
  }
  copy(start);
  // "" is no identifier.
  return at_ - start > 2;
}

/// at_ stands on the opening quote. B'' and X'' know no doubled quotes, all others do.
bool scanner::string(const char* start, token_constant kind, placeholder mark) {
  const bool doubled = kind != token_constant::bit_string;
  ++at_;
  for (;;) {
    const void* quote = at_ == end_ ? nullptr : std::memchr(at_, '\'', static_cast<std::size_t>(end_ - at_));
    if (quote == nullptr) return false;
    at_ = static_cast<const char*>(quote) + 1;
    if (at_ == end_) break;
    if (doubled && *at_ == '\'') {
      ++at_;
      continue;
    }
    const char* piece = next_piece(at_, end_);
    if (piece == nullptr) break;
    at_ = piece + 1;
  }
  constant(start, kind, mark);
  return true;
}

/// at_ stands on the opening quote of E'': a backslash takes the next byte with it.
bool scanner::escape_string(const char* start) {
  ++at_;
  while (at_ != end_) {
    if (*at_ == '\\') {
      if (++at_ != end_) ++at_;
      continue;
    }
    if (*at_++ != '\'') continue;
    if (at_ != end_ && *at_ == '\'') {
      ++at_;
      continue;
    }
    const char* piece = next_piece(at_, end_);
    if (piece == nullptr) {
      constant(start, token_constant::escape_string, escape_string_mark);
      return true;
    }
    at_ = piece + 1;
  }
  return false;
}

}  // namespace

void scan(std::string_view text, token_scan& out) {
  out.constants.clear();
  out.hints.clear();
  out.key = {};
  const byte_survey found = survey(text);
  out.ascii = found.ascii;
  out.has_backslash = found.backslash;
  out.many_statements = false;
  out.valid = false;
  // Offsets are 32-bit.
  if (found.nul || text.size() > UINT32_MAX) {
    out.normalized.clear();
    return;
  }
  out.normalized.resize(text.size());
  scanner pass(text, out, out.normalized.data());
  if (!pass.run()) {
    out.normalized.clear();
    out.constants.clear();
    out.hints.clear();
    return;
  }
  out.normalized.resize(pass.written());
  out.valid = true;
  const XXH128_hash_t hash = XXH3_128bits(out.normalized.data(), out.normalized.size());
  out.key = {hash.low64, hash.high64};
}

}  // namespace pgbraid::router::sql
