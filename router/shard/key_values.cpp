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

/// Value of a hexadecimal digit by its character, -1 for all others.
constexpr std::array<std::int8_t, 256> hex_values = [] {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (int i = 0; i < 10; ++i) values[static_cast<std::size_t>('0' + i)] = static_cast<std::int8_t>(i);
  for (int i = 0; i < 6; ++i) {
    values[static_cast<std::size_t>('a' + i)] = static_cast<std::int8_t>(10 + i);
    values[static_cast<std::size_t>('A' + i)] = static_cast<std::int8_t>(10 + i);
  }
  return values;
}();

int hex_digit(char c) noexcept {
  return hex_values[static_cast<unsigned char>(c)];
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
  // Most texts are digits alone; blanks are looked for only where something else stands.
  if (!text.empty() && (!is_digit(text.front()) || !is_digit(text.back()))) text = trim_blanks(text);
  const char* at = text.data();
  const char* const end = at + text.size();
  bool negative = false;
  if (at != end && (*at == '-' || *at == '+')) negative = *at++ == '-';
  if (at == end) return std::nullopt;
  while (end - at > 1 && *at == '0') ++at;
  // Nineteen digits always fit into 64 bits unsigned and twenty are past every type, so that one check at the end does.
  constexpr std::ptrdiff_t most_digits = 19;
  if (end - at > most_digits) return std::nullopt;
  std::uint64_t magnitude = 0;
  for (; at != end; ++at) {
    const auto digit = static_cast<unsigned>(static_cast<unsigned char>(*at)) - '0';
    if (digit > 9) return std::nullopt;
    magnitude = magnitude * 10 + digit;
  }
  if (magnitude > largest(type) + (negative ? 1 : 0)) return std::nullopt;
  return static_cast<std::int64_t>(negative ? 0 - magnitude : magnitude);
}

std::optional<std::int64_t> receive_integer(oid type, std::string_view bytes) noexcept {
  const std::size_t width = type == type_oid::int2 ? 2 : type == type_oid::int4 ? 4 : 8;
  if (bytes.size() != width) return std::nullopt;
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i) value = (value << 8) | static_cast<unsigned char>(bytes[i]);
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
  std::size_t at = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (text.size() < at + 2) return std::nullopt;
    const int high = hex_digit(text[at]), low = hex_digit(text[at + 1]);
    if ((high | low) < 0) return std::nullopt;
    bytes[i] = static_cast<char>(high * 16 + low);
    at += 2;
    if (i % 2 == 1 && i + 1 < bytes.size() && at < text.size() && text[at] == '-') ++at;
  }
  if (at != text.size()) return std::nullopt;
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
