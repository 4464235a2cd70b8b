// How PostgreSQL's scanner (scan.l, version 15) sorts bytes into classes, and the blanks that join the pieces of one
// string. Internal to router/sql.
#pragma once

#include <array>
#include <cstdint>

namespace pgbraid::router::sql {

enum class byte_class : std::uint8_t {
  stray,  ///< starts no token
  blank,
  word,  ///< letters, underscore, bytes above 0x7f
  digit,
  quote,
  double_quote,
  dollar,
  dot,
  semicolon,
  operator_,  ///< may stand in an operator of several characters
  single      ///< a token of its own: ( ) [ ] , :
};

constexpr std::array<byte_class, 256> make_byte_classes() {
  std::array<byte_class, 256> classes{};
  for (const char c : {' ', '\t', '\n', '\r', '\f'}) classes[static_cast<unsigned char>(c)] = byte_class::blank;
  for (int c = 'a'; c <= 'z'; ++c) classes[c] = classes[c - 'a' + 'A'] = byte_class::word;
  for (int c = 0x80; c <= 0xff; ++c) classes[c] = byte_class::word;
  for (int c = '0'; c <= '9'; ++c) classes[c] = byte_class::digit;
  for (const char c : {'~', '!', '@', '#', '^', '&', '|', '`', '?', '+', '-', '*', '/', '%', '<', '>', '='})
    classes[static_cast<unsigned char>(c)] = byte_class::operator_;
  for (const char c : {'(', ')', '[', ']', ',', ':'}) classes[static_cast<unsigned char>(c)] = byte_class::single;
  classes['_'] = byte_class::word;
  classes['\''] = byte_class::quote;
  classes['"'] = byte_class::double_quote;
  classes['$'] = byte_class::dollar;
  classes['.'] = byte_class::dot;
  classes[';'] = byte_class::semicolon;
  return classes;
}

inline constexpr std::array<byte_class, 256> byte_classes = make_byte_classes();

constexpr byte_class class_of(char c) {
  return byte_classes[static_cast<unsigned char>(c)];
}

/// The lower-case form of each byte that may go on in an unquoted identifier, 0 for all others. Only ASCII folds.
constexpr std::array<char, 256> make_folded() {
  std::array<char, 256> folded{};
  for (int c = 0; c < 256; ++c) {
    const byte_class kind = byte_classes[c];
    if (kind == byte_class::word || kind == byte_class::digit || kind == byte_class::dollar)
      folded[c] = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  return folded;
}

inline constexpr std::array<char, 256> folded_word_bytes = make_folded();

/// Behind a closing quote: where the next piece of the same constant begins (its quote), or nullptr when the constant
/// ends here. Pieces are joined by blanks and "--" comments with at least one line end among them.
constexpr const char* next_piece(const char* at, const char* end) {
  bool line_end = false;
  while (at != end) {
    if (class_of(*at) == byte_class::blank) {
      line_end = line_end || *at == '\n' || *at == '\r';
      ++at;
    } else if (*at == '-' && end - at > 1 && at[1] == '-') {
      while (at != end && *at != '\n' && *at != '\r') ++at;
    } else {
      return line_end && *at == '\'' ? at : nullptr;
    }
  }
  return nullptr;
}

}  // namespace pgbraid::router::sql
