// ORDER BY over several shards without fetching everything first: each shard sends its rows in order, and they are merged as
// they come.
#pragma once

#include "router/plan/analysis.hpp"
#include "router/plan/gather.hpp"
#include "router/plan/row_limit.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace pgbraid::router {

/// One item of ORDER BY: a column of the result.
struct merge_key {
  std::uint16_t column = 0;  ///< its index
  oid type = 0;
  bool descending = false;
  bool nulls_first = false;
  friend bool operator==(const merge_key&, const merge_key&) = default;
};

struct merge_order {
  std::vector<merge_key> keys;
  row_limit limit;             ///< rows of the result; each shard sends no more than that
  bool of_settings = false;    ///< some key's text depends on DateStyle or extra_float_digits
  bool of_characters = false;  ///< some key is compared by its bytes in the servers' encoding

  friend bool operator==(const merge_order&, const merge_order&) = default;
};

/// How the rows of a SELECT are merged; nothing where it is more than a sorted SELECT whose rows could be concatenated,
/// or sorted by what is no column of its result or of a type whose order only a server knows. Rows that are locked may
/// have a LIMIT without an order, but no LIMIT beside SKIP LOCKED or NOWAIT.
[[nodiscard]] std::shared_ptr<const merge_order> make_merge(const sql::statement& statement, const analysis& found, const plan_context& context);

}  // namespace pgbraid::router
