// Columns of a sharded table whose values pgbraid keeps apart over all shards (sharding.tables.*.unique), though they
// say nothing of the shard. Each shard's own unique constraint keeps apart what stands on it. Before a statement gives
// rows such values they are claimed: locked on every shard until the transaction ends, so that nobody else gives them
// to a row meanwhile, and looked for on the shards on which the rows will not stand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "router/plan/route.hpp"
#include "router/sql/tokenizer.hpp"

namespace pgbraid::router {

/// What rows get in one such column.
struct claimed_values {
  std::string column;
  std::string constraint;  ///< the one that keeps them apart on each shard
  oid type = 0;            ///< the column's: an integer, text, varchar or uuid
  std::int32_t modifier = -1;
  std::vector<key_source> rows;  ///< by row of VALUES; of UPDATE one
};

/// Of a statement: see plan::claims.
struct claim_plan {
  std::string schema, table;
  std::vector<claimed_values> columns;
  /// What comes of a value that a row of another shard has.
  enum class taken : std::uint8_t {
    by_count,   ///< the statement fails if it has given it to a row, and for no other reason first
    fails,      ///< it has: COPY
    unknowable  ///< ON CONFLICT: which row would be in the way is not known
  } if_taken = taken::by_count;
};

/// A value that one execution claims.
struct claimed_value {
  std::size_t column = 0;  ///< in claim_plan::columns
  std::size_t row = 0;
  std::string text;  ///< as the column's type writes it
  friend bool operator==(const claimed_value&, const claimed_value&) = default;
};

/// The values of one execution but for those that are NULL; `text`, `constants` and `parameters` as for resolve().
/// nullopt: one cannot be read for sure, in `unread`, a column of the plan's.
[[nodiscard]] std::optional<std::vector<claimed_value>> read_claims(const claim_plan& plan, std::string_view text,
                                                                    std::span<const sql::constant_position> constants,
                                                                    std::span<const bound_parameter> parameters,
                                                                    const literal_context& literals,
                                                                    std::size_t& unread);

/// Asks a shard to lock them all, and for those that stand on others; `homes`: the shard of each row, or one for all.
/// Gives a row with a column for each of the plan's: a value that is taken, or NULL.
[[nodiscard]] std::string claim_statement(const claim_plan& plan, std::span<const claimed_value> values,
                                          std::span<const shard_index> homes, shard_index asked);

/// One that rows of two shards get, each shard of which would take it; null for none.
[[nodiscard]] const claimed_value* claimed_twice(std::span<const claimed_value> values,
                                                 std::span<const shard_index> homes);

/// What a server says where a row has the value already.
[[nodiscard]] protocol::error_report value_is_taken(const claim_plan& plan, std::size_t column, std::string_view value);

}  // namespace pgbraid::router
