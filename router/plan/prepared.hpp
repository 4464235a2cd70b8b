// SQL's PREPARE and EXECUTE as messages of the protocol: the types that the one declares, and the arguments of the
// other as values of parameters. Source: PostgreSQL's PrepareQuery() and EvaluateParams() (prepare.c), which convert an
// argument to its parameter's type as an assignment does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "router/catalog.hpp"

namespace pgbraid::router {

/// One argument of EXECUTE.
struct execute_argument {
  enum class written : std::uint8_t { null, boolean, integer, decimal, string, computed } as = written::computed;
  std::string text;  ///< as it was written; a string's content
  oid cast = 0;      ///< a string of this type: DATE '2020-02-03'; 0: of none
};

/// What PREPARE declares of its parameters, 0 where it says "unknown". Nothing: a type is none of those that are known
/// by name here, or the text is no PREPARE.
[[nodiscard]] std::optional<std::vector<oid>> declared_types(std::string_view prepare);

/// The arguments of EXECUTE, in their order.
[[nodiscard]] std::vector<execute_argument> arguments_of(std::string_view execute);

/// The argument as text that the input function of `type` reads as EXECUTE would convert it: `out`, without a value for
/// NULL. False: it cannot be told without a server.
[[nodiscard]] bool as_parameter(const execute_argument& argument, oid type, std::optional<std::string>& out);

}  // namespace pgbraid::router
