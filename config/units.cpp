#include "config/units.hpp"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <limits>
#include <span>

namespace pgbraid::config {
namespace {

struct unit {
  std::string_view name;
  std::uint64_t factor;
};

// The first spelling of each factor is the one written; format() looks from the largest down.
constexpr std::array size_units{unit{"TB", 1ull << 40},
                                unit{"GB", 1ull << 30},
                                unit{"MB", 1ull << 20},
                                unit{"kB", 1ull << 10},
                                unit{"B", 1},
                                unit{"TiB", 1ull << 40},
                                unit{"GiB", 1ull << 30},
                                unit{"MiB", 1ull << 20},
                                unit{"KiB", 1ull << 10},
                                unit{"KB", 1ull << 10}};
constexpr std::array time_units{unit{"d", 86'400'000}, unit{"h", 3'600'000}, unit{"min", 60'000}, unit{"s", 1000},
                                unit{"ms", 1}};
constexpr std::size_t written_size_units = 5;

constexpr std::string_view size_unit_names = "B, kB, MB, GB or TB";
constexpr std::string_view time_unit_names = "ms, s, min, h or d";

bool digit(char c) {
  return c >= '0' && c <= '9';
}

/// Number and unit of `text`; both may be empty.
struct split_text {
  std::string_view whole, fraction, unit;
  bool number = false;
};

split_text split(std::string_view text) {
  split_text out;
  std::size_t i = 0;
  while (i < text.size() && digit(text[i])) ++i;
  out.whole = text.substr(0, i);
  out.number = i > 0;
  if (i < text.size() && text[i] == '.') {
    const std::size_t start = ++i;
    while (i < text.size() && digit(text[i])) ++i;
    out.fraction = text.substr(start, i - start);
    if (out.fraction.empty()) out.number = false;
  }
  while (i < text.size() && text[i] == ' ') ++i;
  out.unit = text.substr(i);
  return out;
}

std::optional<std::uint64_t> parse(std::string_view text, std::span<const unit> units, std::string_view names,
                                   std::string_view smallest, std::string_view example, std::string& why) {
  const split_text parts = split(text);
  if (!parts.number) {
    why = fmt::format("expected a number with a unit, as {}, found \"{}\"", example, text);
    return std::nullopt;
  }
  if (parts.whole.size() + parts.fraction.size() > 18) {
    why = fmt::format("\"{}\" is out of range", text);
    return std::nullopt;
  }
  std::uint64_t mantissa = 0, scale = 1;
  for (const char c : parts.whole) mantissa = mantissa * 10 + static_cast<std::uint64_t>(c - '0');
  for (const char c : parts.fraction) {
    mantissa = mantissa * 10 + static_cast<std::uint64_t>(c - '0');
    scale *= 10;
  }
  if (parts.unit.empty()) {
    if (mantissa == 0) return 0;
    why = fmt::format("\"{}\" needs a unit: {}", text, names);
    return std::nullopt;
  }
  for (const unit& u : units) {
    if (u.name != parts.unit) continue;
    const auto product = static_cast<unsigned __int128>(mantissa) * u.factor;
    if (product % scale != 0) {
      why = fmt::format("\"{}\" is not a whole number of {}", text, smallest);
      return std::nullopt;
    }
    if (product / scale > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      why = fmt::format("\"{}\" is out of range", text);
      return std::nullopt;
    }
    return static_cast<std::uint64_t>(product / scale);
  }
  why = fmt::format("unknown unit \"{}\": use {}", parts.unit, names);
  return std::nullopt;
}

std::string format(std::uint64_t value, std::span<const unit> units) {
  if (value == 0) return "0";
  for (const unit& u : units)
    if (value % u.factor == 0) return fmt::format("{}{}", value / u.factor, u.name);
  return {};
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text, std::string& why) {
  return parse(text, size_units, size_unit_names, "bytes", "16MB", why);
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text, std::string& why) {
  const auto value = parse(text, time_units, time_unit_names, "milliseconds", "200ms", why);
  if (!value) return std::nullopt;
  return std::chrono::milliseconds(static_cast<std::int64_t>(*value));
}

bool has_time_unit(std::string_view text) {
  const std::string_view found = split(text).unit;
  for (const unit& u : time_units)
    if (u.name == found) return true;
  return false;
}

std::string format_size(std::uint64_t bytes) {
  return format(bytes, std::span(size_units).first(written_size_units));
}

std::string format_duration(std::chrono::milliseconds time) {
  return format(static_cast<std::uint64_t>(time.count()), time_units);
}

}  // namespace pgbraid::config
