// Key values as PostgreSQL's input and receive functions read them: integers, boolean, uuid and the character types.
// Source: pg_strtoint32 and pg_strtoint64 (numutils.c), boolin (bool.c), uuid_in (uuid.c), varchar_input, bpchar_input
// and bpchartruelen (varchar.c). Dates and numeric have files of their own.
#pragma once

#include "router/catalog.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace pgbraid::router {

/// What isspace() takes for a blank in the C locale.
[[nodiscard]] constexpr bool is_blank(char c) noexcept {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/// ASCII digit, whatever the locale.
[[nodiscard]] constexpr bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

/// The text without blanks on both sides.
[[nodiscard]] std::string_view trim_blanks(std::string_view text) noexcept;

/// Whether two words are equal but for the case of ASCII letters; `lower` is in lower case.
[[nodiscard]] bool equals_ignoring_case(std::string_view text, std::string_view lower) noexcept;

/// True for int2, int4 and int8.
[[nodiscard]] constexpr bool is_integer_type(oid type) noexcept {
  return type == type_oid::int2 || type == type_oid::int4 || type == type_oid::int8;
}

/// An integer in decimal, blanks and a sign allowed, in the range of `type` (int2, int4 or int8). nullopt for
/// everything else, also for the hexadecimal and underscore forms that only newer servers take.
[[nodiscard]] std::optional<std::int64_t> parse_integer(oid type, std::string_view text) noexcept;

/// The big-endian wire form of an int2, int4 or int8, of exactly that type's width.
[[nodiscard]] std::optional<std::int64_t> receive_integer(oid type, std::string_view bytes) noexcept;

/// A boolean word or an unambiguous beginning of it, or 1 or 0; blanks and any case allowed.
[[nodiscard]] std::optional<bool> parse_boolean(std::string_view text) noexcept;

/// 32 hexadecimal digits, a hyphen allowed after each group of four, braces around allowed, no blanks.
[[nodiscard]] std::optional<std::array<char, 16>> parse_uuid(std::string_view text) noexcept;

/// What a varchar of this modifier stores: too long a text loses blanks at its end. nullopt: the server would refuse
/// it, or how many characters it has cannot be said without knowing the encoding. A view into `text`.
[[nodiscard]] std::optional<std::string_view> fit_varchar(std::string_view text, std::int32_t modifier) noexcept;

/// What a bpchar compares by: the text without spaces at its end. nullopt: too long for the modifier. A view into
/// `text`.
[[nodiscard]] std::optional<std::string_view> fit_bpchar(std::string_view text, std::int32_t modifier) noexcept;

}  // namespace pgbraid::router
