// Sortable bytes; see sort_bytes.hpp.
#include "router/shard/sort_bytes.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>

#include "router/shard/datetime_values.hpp"
#include "router/shard/key_values.hpp"
#include "router/shard/numeric_values.hpp"

namespace pgbraid::router {
namespace {

template <typename unsigned_type>
void append_big_endian(std::string& out, unsigned_type value) {
  for (int shift = static_cast<int>(sizeof value) * 8 - 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>((value >> shift) & 0xff));
  }
}

template <typename unsigned_type>
std::optional<unsigned_type> receive_big_endian(std::string_view bytes) {
  if (bytes.size() != sizeof(unsigned_type)) return std::nullopt;
  unsigned_type value = 0;
  for (const char c : bytes) value = static_cast<unsigned_type>(value << 8) | static_cast<unsigned char>(c);
  return value;
}

/// The sign's bit turned round, so that negative numbers come first.
bool append_signed(std::string& out, std::optional<std::int64_t> value) {
  if (!value) return false;
  append_big_endian(out, static_cast<std::uint64_t>(*value) ^ (std::uint64_t{1} << 63));
  return true;
}

/// -0 is 0, and NaN is greater than everything.
bool append_float(std::string& out, double value) {
  if (value == 0) value = 0;
  if (std::isnan(value)) {
    append_big_endian(out, ~std::uint64_t{0});
    return true;
  }
  const auto bits = std::bit_cast<std::uint64_t>(value);
  constexpr std::uint64_t sign = std::uint64_t{1} << 63;
  append_big_endian(out, (bits & sign) != 0 ? ~bits : bits | sign);
  return true;
}

std::optional<double> read_float(oid type, bool binary, std::string_view value) {
  if (binary && type == type_oid::float4) {
    const auto bits = receive_big_endian<std::uint32_t>(value);
    return bits ? std::optional<double>{std::bit_cast<float>(*bits)} : std::nullopt;
  }
  if (binary) {
    const auto bits = receive_big_endian<std::uint64_t>(value);
    return bits ? std::optional{std::bit_cast<double>(*bits)} : std::nullopt;
  }
  double number = 0;
  const auto read = std::from_chars(value.data(), value.data() + value.size(), number);
  if (read.ptr != value.data() + value.size() || value.empty()) return std::nullopt;
  return read.ec == std::errc{} ? std::optional{number} : std::nullopt;
}

/// In front of a numeric's digits: what it is as a whole.
enum class numeric_class : char { minus_infinity, negative, zero, positive, infinity, nan };

/// Of what has no digits, or the sign of what has.
std::optional<numeric_class> class_of_numeric(bool binary, std::string_view value) {
  if (binary) {
    constexpr std::size_t sign_at = 4;
    if (value.size() < sign_at + 2) return std::nullopt;
    switch (*receive_big_endian<std::uint16_t>(value.substr(sign_at, 2))) {
      case 0x0000:
        return numeric_class::positive;
      case 0x4000:
        return numeric_class::negative;
      case 0xc000:
        return numeric_class::nan;
      case 0xd000:
        return numeric_class::infinity;
      case 0xf000:
        return numeric_class::minus_infinity;
      default:
        return std::nullopt;
    }
  }
  if (value == "NaN") return numeric_class::nan;
  if (value == "Infinity") return numeric_class::infinity;
  if (value == "-Infinity") return numeric_class::minus_infinity;
  return value.starts_with('-') ? numeric_class::negative : numeric_class::positive;
}

bool append_numeric(std::string& out, bool binary, std::string_view value) {
  auto kind = class_of_numeric(binary, value);
  if (!kind) return false;
  const bool finite = *kind == numeric_class::negative || *kind == numeric_class::positive;
  const auto number = !finite ? std::nullopt : binary ? receive_numeric(value, -1) : parse_numeric(value, -1);
  if (finite && (!number || !number->finite)) return false;
  if (finite && number->digits.empty()) kind = numeric_class::zero;
  out.push_back(static_cast<char>(*kind));
  if (!finite || *kind == numeric_class::zero) return true;
  const std::size_t from = out.size();
  append_big_endian(out, static_cast<std::uint32_t>(number->weight) ^ (std::uint32_t{1} << 31));
  // Digits count from 1, so that 0 is the end.
  for (std::size_t i = 0; i + 1 < number->digits.size(); i += 2) {
    const unsigned digit = static_cast<unsigned char>(number->digits[i]) | static_cast<unsigned>(static_cast<unsigned char>(number->digits[i + 1])) << 8;
    append_big_endian(out, static_cast<std::uint16_t>(digit + 1));
  }
  append_big_endian(out, std::uint16_t{0});
  if (*kind == numeric_class::negative) std::transform(out.begin() + static_cast<std::ptrdiff_t>(from), out.end(), out.begin() + static_cast<std::ptrdiff_t>(from), [](char c) { return static_cast<char>(~c); });
  return true;
}

bool append_uuid(std::string& out, bool binary, std::string_view value) {
  if (binary) {
    out.append(value);
    return value.size() == 16;
  }
  const auto bytes = parse_uuid(value);
  if (bytes) out.append(bytes->data(), bytes->size());
  return bytes.has_value();
}

bool append_text(std::string& out, std::string_view value) {
  out.append(value).push_back('\0');
  return value.find('\0') == std::string_view::npos;
}

}  // namespace

bool has_sort_bytes(oid type) noexcept {
  switch (type) {
    case type_oid::boolean:
    case type_oid::int2:
    case type_oid::int4:
    case type_oid::int8:
    case type_oid::float4:
    case type_oid::float8:
    case type_oid::numeric:
    case type_oid::date:
    case type_oid::timestamp:
    case type_oid::timestamptz:
    case type_oid::uuid:
    case type_oid::text:
    case type_oid::varchar:
      return true;
    default:
      return false;
  }
}

bool append_sort_bytes(std::string& out, oid type, bool binary, std::string_view value) {
  switch (type) {
    case type_oid::boolean: {
      const bool known = value.size() == 1;
      const bool truth = known && (binary ? value[0] != '\0' : value[0] == 't');
      out.push_back(truth ? '\1' : '\0');
      return known;
    }
    case type_oid::int2:
    case type_oid::int4:
    case type_oid::int8:
      return append_signed(out, binary ? receive_integer(type, value) : parse_integer(type, value));
    case type_oid::float4:
    case type_oid::float8: {
      const auto number = read_float(type, binary, value);
      return number && append_float(out, *number);
    }
    case type_oid::numeric:
      return append_numeric(out, binary, value);
    case type_oid::date: {
      const auto days = binary ? receive_date(value) : parse_date(value);
      return append_signed(out, days ? std::optional<std::int64_t>{*days} : std::nullopt);
    }
    case type_oid::timestamp:
      return append_signed(out, binary ? receive_timestamp(value, -1) : parse_timestamp(value, -1));
    case type_oid::timestamptz:
      // Its text always says how far from UTC it is.
      return append_signed(out, binary ? receive_timestamp(value, -1) : parse_timestamptz(value, -1, "UTC"));
    case type_oid::uuid:
      return append_uuid(out, binary, value);
    case type_oid::text:
    case type_oid::varchar:
      return append_text(out, value);
    default:
      return false;
  }
}

}  // namespace pgbraid::router
