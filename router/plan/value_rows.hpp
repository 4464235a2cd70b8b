// The rows of INSERT ... VALUES where they are evaluated first, as a query of its own: there the values of a column get
// one type, while INSERT stores each by itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "router/sql/ast.hpp"

namespace pgbraid::router {

enum class value_column : std::uint8_t {
  typed,    ///< of one type anyway, or of types that are told apart by nobody
  untyped,  ///< constants and parameters that take the type of the column in which they are stored
  mixed     ///< the query might make other values of them
};

/// What stands in a column of the rows.
[[nodiscard]] value_column look_at_column(const std::vector<std::vector<sql::expr_ptr>>& rows, std::size_t column);

}  // namespace pgbraid::router
