// How a column writes a value that it stores: equal values of these types are written alike, so that texts can stand
// for them. Source: int8in, uuid_in, varchar_input and their output functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "router/catalog.hpp"

namespace pgbraid::router {

/// `type`: a column's, an integer, text, varchar or uuid; `modifier`: its atttypmod. nullopt: the value is none of the
/// type, or is written in a form that only newer servers take.
[[nodiscard]] std::optional<std::string> stored_text(oid type, std::int32_t modifier, std::string_view value);

/// The same of a value in the binary form of the type `from`; 0: the column's own.
[[nodiscard]] std::optional<std::string> stored_text_of_binary(oid type, std::int32_t modifier, oid from,
                                                               std::string_view bytes);

}  // namespace pgbraid::router
