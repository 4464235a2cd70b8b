// "Did you mean": the known word nearest to one that is not known.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace pgbraid::config {

/// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b` (optimal string alignment),
/// ASCII case ignored.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// The word of `known` nearest to `word`, the first of equals; nothing when none is near enough to be meant.
[[nodiscard]] std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> known);

}  // namespace pgbraid::config
