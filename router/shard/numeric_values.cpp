#include "router/shard/numeric_values.hpp"

#include "router/shard/hash_bytes.hpp"
#include "router/shard/key_values.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace pgbraid::router {
namespace {

// What a stored numeric can hold.
constexpr std::int64_t most_weight = 0x7FFF;
constexpr std::int64_t most_scale = 0x3FFF;

/// A number without its sign: 0.digits times ten to the power of `point`.
struct decimal {
  std::string digits;      ///< '0' to '9', no zero at either end; empty: zero
  std::int64_t point = 0;  ///< how many digits stand before the decimal point; negative: zeros after it

  void strip_zeros() {
    const std::size_t first = digits.find_first_not_of('0');
    if (first == std::string::npos) {
      digits.clear();
      point = 0;
      return;
    }
    digits.erase(digits.find_last_not_of('0') + 1);
    digits.erase(0, first);
    point -= static_cast<std::int64_t>(first);
  }

  void truncate(std::int64_t scale) {
    const std::int64_t kept = point + scale;
    if (kept >= static_cast<std::int64_t>(digits.size())) return;
    digits.resize(static_cast<std::size_t>(std::max<std::int64_t>(kept, 0)));
    strip_zeros();
  }

  /// Halves away from zero; a negative scale rounds before the point.
  void round(std::int64_t scale) {
    const std::int64_t kept = point + scale;
    if (kept >= static_cast<std::int64_t>(digits.size())) return;
    const bool up = kept >= 0 && digits[static_cast<std::size_t>(kept)] >= '5';
    digits.resize(static_cast<std::size_t>(std::max<std::int64_t>(kept, 0)));
    if (up) {
      while (!digits.empty() && digits.back() == '9') digits.pop_back();
      if (digits.empty()) {
        digits = "1";
        ++point;
      } else {
        ++digits.back();
      }
    }
    strip_zeros();
  }
};

/// Precision and scale out of a modifier, as numeric(p,s) stores them.
struct numeric_type {
  std::int64_t precision, scale;
  explicit numeric_type(std::int32_t modifier) noexcept
      : precision(((modifier - 4) >> 16) & 0xFFFF), scale((((modifier - 4) & 0x7FF) ^ 1024) - 1024) {}
};

bool has_type(std::int32_t modifier) noexcept {
  return modifier >= 4;
}

numeric_value not_finite() {
  numeric_value value;
  value.finite = false;
  return value;
}

/// Rounds to the modifier and groups the decimal digits by four, counted from the point.
std::optional<numeric_value> finish(decimal number, std::int32_t modifier) {
  if (has_type(modifier)) {
    const numeric_type type(modifier);
    number.round(type.scale);
    if (!number.digits.empty() && number.point > type.precision - type.scale) return std::nullopt;
  }
  numeric_value value;
  if (number.digits.empty()) return value;
  const std::int64_t before = number.point - 1;
  const std::int64_t weight = before >= 0 ? before / 4 : -((3 - before) / 4);
  if (weight > most_weight || weight < -most_weight) return std::nullopt;
  value.weight = static_cast<std::int32_t>(weight);
  std::size_t group_end = static_cast<std::size_t>(number.point - 4 * weight);
  for (std::size_t at = 0; at < number.digits.size(); group_end += 4) {
    std::uint32_t group = 0;
    for (; at < group_end; ++at)
      group = group * 10 + (at < number.digits.size() ? static_cast<std::uint32_t>(number.digits[at] - '0') : 0);
    value.digits.push_back(static_cast<char>(group & 0xFF));
    value.digits.push_back(static_cast<char>(group >> 8));
  }
  return value;
}

std::uint32_t big_endian_16(std::string_view bytes, std::size_t at) noexcept {
  return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at])) << 8 |
         static_cast<unsigned char>(bytes[at + 1]);
}

}  // namespace

std::optional<numeric_value> parse_numeric(std::string_view text, std::int32_t modifier) {
  text = trim_blanks(text);
  if (equals_ignoring_case(text, "nan")) return not_finite();
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) text.remove_prefix(1);
  if (equals_ignoring_case(text, "infinity") || equals_ignoring_case(text, "inf")) {
    // Only a numeric without precision holds an infinity.
    if (has_type(modifier)) return std::nullopt;
    return not_finite();
  }
  decimal number;
  bool after_point = false;
  std::int64_t scale = 0;
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    if (is_digit(text[at])) {
      number.digits.push_back(text[at]);
      scale += after_point ? 1 : 0;
    } else if (text[at] == '.' && !after_point) {
      after_point = true;
    } else {
      break;
    }
  }
  if (number.digits.empty()) return std::nullopt;
  number.point = static_cast<std::int64_t>(number.digits.size()) - scale;
  if (at < text.size()) {
    if (text[at] != 'e' && text[at] != 'E') return std::nullopt;
    text.remove_prefix(at + 1);
    if (!text.empty() && text.front() == '+') {
      text.remove_prefix(1);
      if (!text.empty() && text.front() == '-') return std::nullopt;
    }
    std::int32_t exponent = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), exponent);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
    number.point += exponent;
    scale -= exponent;
  }
  if (scale > most_scale) return std::nullopt;
  number.strip_zeros();
  return finish(std::move(number), modifier);
}

std::optional<numeric_value> receive_numeric(std::string_view bytes, std::int32_t modifier) {
  constexpr std::size_t header = 8;
  if (bytes.size() < header) return std::nullopt;
  const std::size_t count = big_endian_16(bytes, 0);
  const auto weight = static_cast<std::int16_t>(big_endian_16(bytes, 2));
  const std::uint32_t sign = big_endian_16(bytes, 4);
  const std::uint32_t scale = big_endian_16(bytes, 6);
  if (bytes.size() != header + 2 * count || scale > most_scale) return std::nullopt;
  decimal number;
  number.digits.reserve(4 * count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t group = big_endian_16(bytes, header + 2 * i);
    if (group >= 10000) return std::nullopt;
    for (std::uint32_t unit = 1000; unit != 0; unit /= 10)
      number.digits.push_back(static_cast<char>('0' + group / unit % 10));
  }
  constexpr std::uint32_t positive = 0x0000, negative = 0x4000, nan = 0xC000, infinite = 0xD000,
                          minus_infinite = 0xF000;
  if (sign == nan) return not_finite();
  if (sign == infinite || sign == minus_infinite) {
    if (has_type(modifier)) return std::nullopt;
    return not_finite();
  }
  if (sign != positive && sign != negative) return std::nullopt;
  number.point = 4 * (static_cast<std::int64_t>(weight) + 1);
  number.strip_zeros();
  number.truncate(scale);
  return finish(std::move(number), modifier);
}

std::optional<numeric_value> numeric_of(std::int64_t integer, std::int32_t modifier) {
  const auto bits = static_cast<std::uint64_t>(integer);
  std::array<char, 20> text{};
  const auto written = std::to_chars(text.data(), text.data() + text.size(), integer < 0 ? 0 - bits : bits);
  decimal number;
  number.digits.assign(text.data(), written.ptr);
  number.point = static_cast<std::int64_t>(number.digits.size());
  number.strip_zeros();
  return finish(std::move(number), modifier);
}

std::uint64_t hash_numeric_extended(const numeric_value& value, std::uint64_t seed) noexcept {
  if (!value.finite) return seed;
  if (value.digits.empty()) return seed - 1;
  return hash_bytes_extended(value.digits, seed) ^ static_cast<std::uint64_t>(static_cast<std::int64_t>(value.weight));
}

}  // namespace pgbraid::router
