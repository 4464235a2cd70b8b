// Writes to reference tables that read reference tables. Each copy is written by the same statement, one after the other,
// and each must find the same rows: what others commit meanwhile must be seen by all copies or by none. So the tables that
// are read stay as they are, on every shard, until the transaction ends.
// Source: the manual's section "Table-Level Locks".
#pragma once

#include <string>

#include "router/plan/analysis.hpp"

namespace pgbraid::router {

/// The LOCK statements that come before the write, on every shard; "" where it reads nothing but the rows that it
/// writes: one copy may find more of these than another, but then their command tags differ. What policies read is not
/// followed.
[[nodiscard]] std::string locks_of_copies(const analysis& a, const plan_context& context);

}  // namespace pgbraid::router
