// Which server's sequences a statement means by nextval(), setval(), currval() and lastval(): the designated shard's,
// but those that columns of an unsharded table draw from count where that table is.
#pragma once

#include <optional>

#include "router/plan/analysis.hpp"

namespace pgbraid::router {

/// The shard whose sequences the calls in analysis::draws mean; nothing where that is not to be told, or is several, or
/// where currval() is asked of another shard than the designated one.
[[nodiscard]] std::optional<shard_index> home_of_sequences(const analysis& a, const plan_context& context);

/// Whether columns of unsharded tables on other shards than the designated one draw from sequences.
[[nodiscard]] bool sequences_elsewhere(const plan_context& context);

/// Whether the statement may draw numbers on another shard than the designated one: by name, or for columns of an
/// unsharded table that have such defaults.
[[nodiscard]] bool draws_elsewhere(const analysis& a, const plan_context& context);

}  // namespace pgbraid::router
