// Arrays of key values in their text and binary forms. Source: array_in and array_recv (arrayfuncs.c), the manual's
// section "Array Input and Output Syntax".
#pragma once

#include "router/catalog.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::router {

/// Elements in order; nothing stands for NULL.
using array_elements = std::vector<std::optional<std::string>>;

/// The type of an array's elements, of those types that keys may be compared with; 0 for all others.
[[nodiscard]] oid element_type(oid array_type) noexcept;

/// `{1, "a,b", NULL}`. Nothing: no array, or one whose bounds are written or that has more than one dimension.
[[nodiscard]] std::optional<array_elements> parse_array(std::string_view text);

/// The wire form: number of dimensions, flags, type of the elements, bounds, elements. `type` becomes the type that it
/// names. Nothing: no array.
[[nodiscard]] std::optional<array_elements> receive_array(std::string_view bytes, oid& type);

}  // namespace pgbraid::router
