#include "router/shard/key_values.hpp"

#include <algorithm>
#include <limits>

namespace pgbraid::router {
namespace {

/// atttypmod of character types counts a four-byte header.
constexpr std::int32_t varlena_header = 4;

bool is_ascii(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

int hex_digit(char c) noexcept {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::uint64_t largest(oid type) noexcept {
  if (type == type_oid::int2) return std::numeric_limits<std::int16_t>::max();
  if (type == type_oid::int4) return std::numeric_limits<std::int32_t>::max();
  return std::numeric_limits<std::int64_t>::max();
}

std::string_view without_trailing_spaces(std::string_view text) noexcept {
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

std::string_view trim_blanks(std::string_view text) noexcept {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

bool equals_ignoring_case(std::string_view text, std::string_view lower) noexcept {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(), [](char written, char wanted) {
    return (written >= 'A' && written <= 'Z' ? static_cast<char>(written + ('a' - 'A')) : written) == wanted;
  });
}

std::optional<std::int64_t> parse_integer(oid type, std::string_view text) noexcept {
  text = trim_blanks(text);
  bool negative = false;
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  if (text.empty()) return std::nullopt;
  const std::uint64_t limit = largest(type) + (negative ? 1 : 0);
  std::uint64_t magnitude = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    // magnitude is at most 2^63 here, so ten times it may wrap: ask before multiplying.
    if (magnitude > limit / 10) return std::nullopt;
    magnitude = magnitude * 10 + static_cast<std::uint64_t>(c - '0');
    if (magnitude > limit) return std::nullopt;
  }
  return static_cast<std::int64_t>(negative ? 0 - magnitude : magnitude);
}

std::optional<std::int64_t> receive_integer(oid type, std::string_view bytes) noexcept {
  const std::size_t width = type == type_oid::int2 ? 2 : type == type_oid::int4 ? 4 : 8;
  if (bytes.size() != width) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : bytes) value = (value << 8) | static_cast<unsigned char>(c);
  const int unused_bits = static_cast<int>(64 - 8 * width);
  return static_cast<std::int64_t>(value << unused_bits) >> unused_bits;
}

std::optional<bool> parse_boolean(std::string_view text) noexcept {
  text = trim_blanks(text);
  if (text.empty()) return std::nullopt;
  const auto begins = [text](std::string_view word, std::size_t at_least) {
    return text.size() >= at_least && text.size() <= word.size() &&
           equals_ignoring_case(text, word.substr(0, text.size()));
  };
  if (begins("true", 1) || begins("yes", 1) || begins("on", 2) || text == "1") return true;
  if (begins("false", 1) || begins("no", 1) || begins("off", 2) || text == "0") return false;
  return std::nullopt;
}

std::optional<std::array<char, 16>> parse_uuid(std::string_view text) noexcept {
  if (!text.empty() && text.front() == '{') {
    if (text.back() != '}' || text.size() < 2) return std::nullopt;
    text = text.substr(1, text.size() - 2);
  }
  std::array<char, 16> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (text.size() < 2) return std::nullopt;
    const int high = hex_digit(text[0]), low = hex_digit(text[1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes[i] = static_cast<char>(high * 16 + low);
    text.remove_prefix(2);
    if (i % 2 == 1 && i + 1 < bytes.size() && !text.empty() && text.front() == '-') text.remove_prefix(1);
  }
  if (!text.empty()) return std::nullopt;
  return bytes;
}

std::optional<std::string_view> fit_varchar(std::string_view text, std::int32_t modifier) noexcept {
  if (modifier < varlena_header) return text;
  const auto most = static_cast<std::size_t>(modifier - varlena_header);
  if (text.size() <= most) return text;
  // Without blanks at the end a text is stored whole or refused, in whatever encoding its characters are counted.
  if (!is_ascii(text)) return text.back() == ' ' ? std::nullopt : std::optional(text);
  if (without_trailing_spaces(text).size() > most) return std::nullopt;
  return text.substr(0, most);
}

std::optional<std::string_view> fit_bpchar(std::string_view text, std::int32_t modifier) noexcept {
  text = without_trailing_spaces(text);
  if (modifier < varlena_header || text.size() <= static_cast<std::size_t>(modifier - varlena_header)) return text;
  if (is_ascii(text)) return std::nullopt;
  return text;
}

}  // namespace pgbraid::router
