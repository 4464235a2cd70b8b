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

/// The arguments of EXECUTE, where a server must compute some of them.
struct computed_arguments {
  std::string list;     ///< what stands between the parentheses; "" for none
  std::string before;   ///< what stands in front of that
  bool judged = false;  ///< a query gives what EXECUTE would: there is nothing in them that it may not have
};

/// What PREPARE declares of its parameters, 0 where it says "unknown". Nothing: a type is none of those that are known
/// by name here, or the text is no PREPARE.
[[nodiscard]] std::optional<std::vector<oid>> declared_types(std::string_view prepare);

/// The arguments of EXECUTE, in their order.
[[nodiscard]] std::vector<execute_argument> arguments_of(std::string_view execute);

/// Of EXPLAIN ... EXECUTE: what stands in front of EXECUTE; "" for any other text.
[[nodiscard]] std::string text_before_execute(std::string_view explain);

/// All arguments, in case that as_parameter() cannot tell some of them.
[[nodiscard]] computed_arguments arguments_to_compute(std::string_view execute, const catalog& schema);

/// Whether a value of one type is converted to the other by an assignment, by pg_catalog's own casts.
[[nodiscard]] bool is_assignable(oid from, oid to);

/// "pg_catalog.int8" or "pg_catalog.int8[]"; "" for a type that is not known by name here.
[[nodiscard]] std::string type_in_catalog(oid type);

/// Whether a value's text is the same whatever the settings are, and is read as the same value.
[[nodiscard]] bool has_one_text(oid type);

/// The argument as text that the input function of `type` reads as EXECUTE would convert it: `out`, without a value for
/// NULL. False: it cannot be told without a server.
[[nodiscard]] bool as_parameter(const execute_argument& argument, oid type, std::optional<std::string>& out);

}  // namespace pgbraid::router
