// PostgreSQL's own scanner (pg_query_scan), to hold ours against it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::router::sql::test {

/// One token as PostgreSQL cuts it. `kind` is libpg_query's number (pg_query.proto, enum Token).
struct reference_token {
  std::uint32_t start = 0, end = 0;
  std::uint32_t kind = 0;

  [[nodiscard]] bool is_constant() const;
  [[nodiscard]] bool is_comment() const;
};

/// The tokens of `text`, nothing when the scanner refuses it.
std::optional<std::vector<reference_token>> reference_scan(std::string_view text);

/// What two texts must share when they differ in nothing but constants, case of words, blanks and comments: one line, a
/// constant shown by its kind alone. Nothing when the scanner refuses `text`.
std::optional<std::string> reference_shape(std::string_view text);

/// Holds scan(text) against PostgreSQL's scanner; "" when they agree, else what is wrong. A text that scan() calls
/// invalid agrees always: it is sent on as it is.
std::string disagreement(std::string_view text);

}  // namespace pgbraid::router::sql::test
