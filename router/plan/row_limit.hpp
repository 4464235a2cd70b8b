// LIMIT, as far as it is a number that the statement or the client tells.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "router/sql/ast.hpp"

namespace pgbraid::router {

struct row_limit {
  std::uint64_t rows = std::numeric_limits<std::uint64_t>::max();  ///< without a LIMIT as many as there are
  std::int32_t parameter = 0;                                      ///< n of LIMIT $n: as many as its value; 0: none

  friend bool operator==(const row_limit&, const row_limit&) = default;
};

/// Nothing where it is another expression.
[[nodiscard]] std::optional<row_limit> limit_of(const sql::expr_ptr& limit);

}  // namespace pgbraid::router
