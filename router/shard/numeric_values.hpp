// Values of type numeric as far as their hash goes: the digits in base 10000 and where they stand, without sign and
// scale. Source: numeric_in, numeric_recv, apply_typmod, round_var and hash_numeric_extended (numeric.c).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pgbraid::router {

/// What the hash of a numeric depends on. The sign and the display scale are not part of it.
struct numeric_value {
  bool finite = true;       ///< false: NaN or an infinity
  std::int32_t weight = 0;  ///< the power of 10000 that the first digit stands for
  /// Digits in base 10000, no zeros at either end, two bytes each, little-endian. Empty for zero.
  std::string digits;
};

/// Decimal or exponent form, NaN, Infinity or inf; blanks around allowed. Rounded to the modifier's scale if there is
/// one. nullopt: no numeric, more digits than the type or its modifier hold, or a form that only newer servers take.
[[nodiscard]] std::optional<numeric_value> parse_numeric(std::string_view text, std::int32_t modifier);

/// The wire form: int16 count, weight, sign and scale, then the digits.
[[nodiscard]] std::optional<numeric_value> receive_numeric(std::string_view bytes, std::int32_t modifier);

/// An integer cast to numeric.
[[nodiscard]] std::optional<numeric_value> numeric_of(std::int64_t integer, std::int32_t modifier);

/// Equal to hash_numeric_extended. runs on: any thread; no allocation.
[[nodiscard]] std::uint64_t hash_numeric_extended(const numeric_value& value, std::uint64_t seed) noexcept;

}  // namespace pgbraid::router
