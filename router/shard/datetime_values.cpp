#include "router/shard/datetime_values.hpp"

#include "router/shard/key_values.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

namespace pgbraid::router {
namespace {

constexpr std::int64_t second = 1'000'000;  // microseconds
constexpr std::int64_t minute = 60 * second;
constexpr std::int64_t hour = 60 * minute;
constexpr std::int64_t day = 24 * hour;

// Ends of the types, in days or microseconds since 2000-01-01: 4714-11-24 BC, 5874898-01-01 and 294277-01-01.
constexpr std::int64_t first_day = -2'451'545;
constexpr std::int64_t end_of_dates = 2'145'031'949;
constexpr std::int64_t first_timestamp = first_day * day;
constexpr std::int64_t end_of_timestamps = 9'223'371'331'200'000'000;

/// Past this many digits a fraction of a second may not fit into the server's own buffer.
constexpr std::size_t most_fraction_digits = 30;

/// Whether a text stands for one of the two infinities, and for which.
enum class infinity : std::uint8_t { none, future, past };

infinity infinity_of(std::string_view text) noexcept {
  if (equals_ignoring_case(text, "infinity")) return infinity::future;
  if (equals_ignoring_case(text, "-infinity")) return infinity::past;
  return infinity::none;
}

template <typename Integer>
std::optional<Integer> infinite_value(infinity which) noexcept {
  if (which == infinity::future) return std::numeric_limits<Integer>::max();
  if (which == infinity::past) return std::numeric_limits<Integer>::min();
  return std::nullopt;
}

/// Days since 2000-01-01 in the Gregorian calendar carried back before its time; year 0 is 1 BC.
std::int64_t days_of(std::int64_t year, int month, int day_of_month) noexcept {
  // Years counted from March put the leap day at the end, so that months have fixed places.
  const std::int64_t from_march = month <= 2 ? year - 1 : year;
  const std::int64_t era = (from_march >= 0 ? from_march : from_march - 399) / 400;
  const std::int64_t year_of_era = from_march - era * 400;
  const std::int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day_of_month - 1;
  constexpr std::int64_t days_in_era = 146'097, epoch_from_march_of_year_0 = 730'425;
  return era * days_in_era + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
         epoch_from_march_of_year_0;
}

int days_in_month(std::int64_t year, int month) noexcept {
  constexpr std::array<int, 12> lengths{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month == 2 && leap ? 29 : lengths[static_cast<std::size_t>(month - 1)];
}

/// A date and perhaps a time, as written.
struct moment {
  std::int64_t days = 0;  ///< since 2000-01-01
  bool has_time = false;
  std::int64_t time = 0;               ///< microseconds since midnight, up to a whole day
  std::optional<std::int64_t> offset;  ///< microseconds east of UTC
};

/// Reads the grammar above from left to right; each part gives false when the text does not fit.
class moment_reader {
 public:
  explicit moment_reader(std::string_view text) noexcept : rest_(trim_blanks(text)) {}

  std::optional<moment> read() noexcept {
    int year, month, day_of_month;
    if (!number(4, 7, year) || !accept('-') || !number(2, 2, month) || !accept('-') || !number(2, 2, day_of_month))
      return std::nullopt;
    if (!read_time_and_offset()) return std::nullopt;
    bool before_christ = false;
    if (!read_era(before_christ) || !rest_.empty()) return std::nullopt;
    if (year < 1 || month < 1 || month > 12) return std::nullopt;
    const std::int64_t counted_year = before_christ ? 1 - year : year;
    if (day_of_month < 1 || day_of_month > days_in_month(counted_year, month)) return std::nullopt;
    moment_.days = days_of(counted_year, month, day_of_month);
    return moment_;
  }

 private:
  bool read_time_and_offset() noexcept {
    const std::string_view before = rest_;
    if (!accept('T') && !accept('t') && !skip_blanks()) return rest_.empty();
    if (rest_.empty() || !is_digit(rest_.front())) {
      rest_ = before;  // no time: what follows can only be the era
      return true;
    }
    int hours, minutes, seconds = 0;
    std::int64_t fraction = 0;
    if (!number(1, 2, hours) || !accept(':') || !number(2, 2, minutes)) return false;
    if (accept(':')) {
      if (!number(2, 2, seconds)) return false;
      if (accept('.') && !read_fraction(fraction)) return false;
    }
    // A server takes second 60 and hour 24, as long as the day is not passed.
    if (minutes > 59 || seconds > 60) return false;
    moment_.has_time = true;
    moment_.time = hours * hour + minutes * minute + seconds * second + fraction;
    return moment_.time <= day && read_offset();
  }

  /// Rounds as a server does: over a double, halves to even.
  bool read_fraction(std::int64_t& microseconds) noexcept {
    std::size_t digits = 0;
    while (digits < rest_.size() && is_digit(rest_[digits])) ++digits;
    if (digits == 0 || digits > most_fraction_digits) return false;
    std::array<char, most_fraction_digits + 2> decimal{'0', '.'};
    rest_.copy(decimal.data() + 2, digits);
    double fraction = 0;
    const auto parsed =
        std::from_chars(decimal.data(), decimal.data() + 2 + digits, fraction, std::chars_format::fixed);
    // A fraction too small for a double is zero for strtod, an error here.
    if (parsed.ec != std::errc()) return false;
    microseconds = static_cast<std::int64_t>(std::rint(fraction * 1'000'000));
    rest_.remove_prefix(digits);
    return true;
  }

  bool read_offset() noexcept {
    const std::string_view before = rest_;
    skip_blanks();
    if (accept('Z') || accept('z')) {
      moment_.offset = 0;
      return true;
    }
    const bool west = accept('-');
    if (!west && !accept('+')) {
      rest_ = before;
      return true;
    }
    int hours, minutes = 0, seconds = 0;
    const std::size_t unread = rest_.size();
    if (!number(2, 4, hours)) return false;
    const std::size_t digits = unread - rest_.size();
    if (digits == 3) return false;
    if (digits == 4) {
      minutes = hours % 100;
      hours /= 100;
    } else if (accept(':')) {
      if (!number(2, 2, minutes) || (accept(':') && !number(2, 2, seconds))) return false;
    }
    if (hours > 15 || minutes > 59 || seconds > 59) return false;
    const std::int64_t east = hours * hour + minutes * minute + seconds * second;
    moment_.offset = west ? -east : east;
    return true;
  }

  bool read_era(bool& before_christ) noexcept {
    if (rest_.empty()) return true;
    if (!skip_blanks()) return false;
    before_christ = equals_ignoring_case(rest_, "bc");
    if (!before_christ && !equals_ignoring_case(rest_, "ad")) return false;
    rest_ = {};
    return true;
  }

  bool accept(char wanted) noexcept {
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool skip_blanks() noexcept {
    const std::size_t before = rest_.size();
    while (!rest_.empty() && is_blank(rest_.front())) rest_.remove_prefix(1);
    return rest_.size() != before;
  }

  /// All digits that stand here, if there are neither fewer than `least` nor more than `most`.
  bool number(std::size_t least, std::size_t most, int& value) noexcept {
    std::size_t digits = 0;
    value = 0;
    for (; digits < rest_.size() && is_digit(rest_[digits]); ++digits) {
      if (digits == most) return false;
      value = value * 10 + (rest_[digits] - '0');
    }
    rest_.remove_prefix(digits);
    return digits >= least;
  }

  std::string_view rest_;
  moment moment_;
};

/// timestamp(p): halves away from 2000-01-01.
std::optional<std::int64_t> fit_timestamp(std::int64_t value, std::int32_t modifier) noexcept {
  if (value < first_timestamp || value >= end_of_timestamps) return std::nullopt;
  if (modifier < 0 || modifier >= 6) return value;
  std::int64_t unit = 1;
  for (std::int32_t digits = modifier; digits < 6; ++digits) unit *= 10;
  const std::int64_t rounded = (value >= 0 ? value + unit / 2 : value - unit / 2) / unit * unit;
  if (rounded < first_timestamp || rounded >= end_of_timestamps) return std::nullopt;
  return rounded;
}

/// The moment as microseconds, moved to UTC by `offset`.
std::optional<std::int64_t> timestamp_of(const moment& read, std::int64_t offset, std::int32_t modifier) noexcept {
  // One day of slack for the time and the offset; within these bounds nothing overflows.
  if (read.days < first_day - 1 || read.days > end_of_timestamps / day + 1) return std::nullopt;
  return fit_timestamp(read.days * day + read.time - offset, modifier);
}

bool is_utc(std::string_view time_zone) noexcept {
  return equals_ignoring_case(time_zone, "utc") || equals_ignoring_case(time_zone, "etc/utc") ||
         equals_ignoring_case(time_zone, "gmt");
}

template <typename Integer>
std::optional<Integer> receive(std::string_view bytes) noexcept {
  if (bytes.size() != sizeof(Integer)) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : bytes) value = (value << 8) | static_cast<unsigned char>(c);
  return static_cast<Integer>(value);
}

template <typename Integer>
bool is_infinite(Integer value) noexcept {
  return value == std::numeric_limits<Integer>::max() || value == std::numeric_limits<Integer>::min();
}

}  // namespace

std::optional<std::int32_t> parse_date(std::string_view text) noexcept {
  if (const auto value = infinite_value<std::int32_t>(infinity_of(trim_blanks(text)))) return value;
  const auto read = moment_reader(text).read();
  if (!read || read->has_time || read->days < first_day || read->days >= end_of_dates) return std::nullopt;
  return static_cast<std::int32_t>(read->days);
}

std::optional<std::int32_t> receive_date(std::string_view bytes) noexcept {
  const auto days = receive<std::int32_t>(bytes);
  if (!days || is_infinite(*days)) return days;
  if (*days < first_day || *days >= end_of_dates) return std::nullopt;
  return days;
}

std::optional<std::int64_t> parse_timestamp(std::string_view text, std::int32_t modifier) noexcept {
  if (const auto value = infinite_value<std::int64_t>(infinity_of(trim_blanks(text)))) return value;
  const auto read = moment_reader(text).read();
  if (!read) return std::nullopt;
  return timestamp_of(*read, 0, modifier);
}

std::optional<std::int64_t> parse_timestamptz(std::string_view text, std::int32_t modifier,
                                              std::string_view time_zone) noexcept {
  if (const auto value = infinite_value<std::int64_t>(infinity_of(trim_blanks(text)))) return value;
  const auto read = moment_reader(text).read();
  if (!read || (!read->offset && !is_utc(time_zone))) return std::nullopt;
  return timestamp_of(*read, read->offset.value_or(0), modifier);
}

std::optional<std::int64_t> receive_timestamp(std::string_view bytes, std::int32_t modifier) noexcept {
  const auto value = receive<std::int64_t>(bytes);
  if (!value || is_infinite(*value)) return value;
  return fit_timestamp(*value, modifier);
}

}  // namespace pgbraid::router
