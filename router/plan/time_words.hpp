// 'now', 'today' and their like: as timestamps they mean another moment on each shard. Source: the manual's chapter
// "Date/Time Types", "Special Values".
#pragma once

#include <string_view>

#include "router/copy/copy_format.hpp"

namespace pgbraid::router {

/// A value that is a moment of its own wherever it is read as a time.
[[nodiscard]] bool is_word_of_time(std::string_view value);

/// Whether a statement may make times of texts: `$1::date`, `CAST($1 AS due)`, `timestamptz($1)`.
[[nodiscard]] bool casts_to_times(std::string_view text);

/// Whether rows of COPY may hold such a value: in text and csv, whose values are told apart by delimiters and ends of
/// lines alone, so that a quoted value may be taken for several.
[[nodiscard]] bool rows_tell_moments(std::string_view rows, const copy_format& format);

}  // namespace pgbraid::router
