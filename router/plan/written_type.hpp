// How a type is written in a statement of ours.
#pragma once

#include "router/catalog.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace pgbraid::router {

/// The name of one of pg_catalog's types with its modifier, such as "pg_catalog.numeric(10,2)"; equal to
/// format_type(type, modifier) but for the schema. Nothing for types whose values do not come out of their text, or out
/// of a JSON string, as they went in, or whose sums are not exact enough to be added up in parts (float4, money), and
/// for what users made.
[[nodiscard]] std::optional<std::string> written_type(oid type, std::int32_t modifier);

/// An expression of such a type as text, which is read as the same value whatever DateStyle is.
[[nodiscard]] std::string as_text(const std::string& expression, oid type);

}  // namespace pgbraid::router
