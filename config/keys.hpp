// The one table of everything the topology file can say. Unknown-key checks, wrong-kind checks, the JSON Schema and the
// reference are made from it; a key that is not here does not exist.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::config {

enum class key_kind : std::uint8_t {
  section,  ///< a map with the keys below it
  named,    ///< a map with names of the user's choice; the row `path.*` says what each is
  items,    ///< a list; the row `path[]` says what each is
  text,
  text_list,     ///< a list of texts
  text_or_list,  ///< one text, or a list of them
  integer,       ///< minimum to maximum
  integer_or_auto,
  power_of_two,  ///< an integer from minimum to maximum that is one
  boolean,
  size,              ///< bytes with a unit, minimum to maximum
  duration,          ///< time with a unit, minimum to maximum milliseconds
  size_or_duration,  ///< or "none"
  choice,
  address,  ///< host:port
  buckets,  ///< 0-2047, or several ranges, or a list
  anything  ///< not looked into (keys that are only known by name)
};

/// Whether what a key asks for is built.
enum class stage : std::uint8_t {
  built,
  refused,  ///< not built, and leaving it undone could change answers or security: stops the start
  ignored   ///< not built and harmless to leave out: a warning
};

struct choice_row {
  std::string_view name;
  stage status = stage::built;
};

struct key_row {
  std::string_view path;  ///< "databases.*.shards[].name"
  key_kind what = key_kind::section;
  std::string_view fallback;  ///< the default as the file would write it; "": none
  std::string_view meaning;   ///< one sentence
  stage status = stage::built;
  std::int64_t minimum = 0, maximum = 0;
  std::span<const choice_row> choices = {};
  bool required = false;
  bool short_form = false;  ///< a section that may also be written as one text

  /// The last part of the path: "name", "*", "[]".
  [[nodiscard]] std::string_view name() const noexcept;
};

/// All rows, each section before its keys. any thread.
[[nodiscard]] std::span<const key_row> keys();

/// The row of a path, or null.
[[nodiscard]] const key_row* find_key(std::string_view path);

/// The rows one step below `path` ("" is the file itself), in the table's order.
[[nodiscard]] std::vector<const key_row*> keys_below(std::string_view path);

/// What a value of this row must be, for messages and the reference: "a whole number from 1 to 65535".
[[nodiscard]] std::string expectation(const key_row& row);

}  // namespace pgbraid::config
