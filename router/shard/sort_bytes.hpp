// Values as bytes whose order, byte by byte, is the order of the values: what rows of several shards are merged by.
// Source: the types' comparison functions (btint8cmp, float8_cmp_internal, cmp_numerics, bttextcmp in the C collation, ...).
#pragma once

#include "router/catalog.hpp"

#include <string>
#include <string_view>

namespace pgbraid::router {

/// True for types that append_sort_bytes() knows; character types stand for themselves in the C collation only.
[[nodiscard]] bool has_sort_bytes(oid type) noexcept;

/// Appends a value of `type`, given in its text form (times in ISO style) or its binary wire form. No value's bytes are the
/// beginning of another's, so that keys of several columns stand one behind the other. False: no value of the type; what was
/// appended then means nothing. runs on: any thread; allocates for numeric.
[[nodiscard]] bool append_sort_bytes(std::string& out, oid type, bool binary, std::string_view value);

}  // namespace pgbraid::router
