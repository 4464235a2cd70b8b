// INSERT ... VALUES with rows of several shards: the statement that each shard gets.
#pragma once

#include "router/topology.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::router {

/// Where a row of VALUES stands in a text, its parentheses included.
struct row_extent {
  std::size_t begin = 0, end = 0;
};

/// The rows behind the VALUES that stands outside parentheses.
[[nodiscard]] std::vector<row_extent> rows_of(std::string_view text);
/// Where that VALUES stands; npos without one.
[[nodiscard]] std::size_t values_keyword(std::string_view text);

/// One shard's part of an INSERT.
struct insert_part {
  std::string sql;                        ///< with the shard's rows only, its parameters numbered anew from $1
  std::vector<std::uint16_t> parameters;  ///< of each of them: n-1 of the $n that the whole statement had
};

/// `text` with its parameters numbered anew by where they first stand.
[[nodiscard]] insert_part renumbered(std::string_view text);

/// `text` with the rows of VALUES that belong to `shard` alone, its parameters as they are; "" if none does, or as
/// part_of_insert() says.
[[nodiscard]] std::string own_rows(std::string_view text, std::span<const shard_index> rows, shard_index shard);

/// Where a byte of own_rows() stands in `text`; nothing for what stands there in another place.
[[nodiscard]] std::optional<std::size_t> place_of_own_row(std::string_view text, std::span<const shard_index> rows,
                                                          shard_index shard, std::size_t at);

/// The part of `text` for `shard`, `rows` being the shard of each row of VALUES, in order. An empty `sql` if the text
/// has not that many rows, which cannot be for a text that the route was resolved from. runs on: any thread.
[[nodiscard]] insert_part part_of_insert(std::string_view text, std::span<const shard_index> rows, shard_index shard);

}  // namespace pgbraid::router
