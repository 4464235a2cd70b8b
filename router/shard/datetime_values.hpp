// Dates and timestamps as PostgreSQL's input and receive functions read them, for those texts that mean the same under
// every DateStyle. Source: date_in and date_recv (date.c), timestamp_in, timestamptz_in, timestamp_recv and
// AdjustTimestampForTypmod (timestamp.c), DecodeDateTime (datetime.c).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace pgbraid::router {

// Text forms that are read; blanks around are allowed, letters in any case:
//   date         infinity | -infinity | YYYY-MM-DD [BC|AD]
//   timestamp    infinity | -infinity | YYYY-MM-DD [(T|blanks) HH:MM[:SS[.fraction]] [blanks] [offset]] [BC|AD]
//   offset       Z | (+|-)HH | (+|-)HHMM | (+|-)HH:MM | (+|-)HH:MM:SS
// A year has four digits or more. Everything else gives nullopt: words such as `now`, names of time zones, other
// orders.

/// Days since 2000-01-01; INT32_MAX and INT32_MIN for the infinities. A time of day is not accepted.
[[nodiscard]] std::optional<std::int32_t> parse_date(std::string_view text) noexcept;

/// The wire form of a date: a big-endian int32, days since 2000-01-01.
[[nodiscard]] std::optional<std::int32_t> receive_date(std::string_view bytes) noexcept;

/// Microseconds since 2000-01-01 00:00, rounded to the modifier's digits; INT64_MAX and INT64_MIN for the infinities.
/// An offset is read over, as a server does for a timestamp without time zone.
[[nodiscard]] std::optional<std::int64_t> parse_timestamp(std::string_view text, std::int32_t modifier) noexcept;

/// Microseconds since 2000-01-01 00:00 UTC. Without an offset in the text, `time_zone` (the session's, as SHOW TimeZone
/// names it) must be UTC, Etc/UTC or GMT; under any other zone the result is nullopt.
[[nodiscard]] std::optional<std::int64_t> parse_timestamptz(std::string_view text, std::int32_t modifier,
                                                            std::string_view time_zone) noexcept;

/// The wire form of both timestamp types: a big-endian int64, microseconds since 2000-01-01 00:00.
[[nodiscard]] std::optional<std::int64_t> receive_timestamp(std::string_view bytes, std::int32_t modifier) noexcept;

}  // namespace pgbraid::router
