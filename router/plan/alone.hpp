// Commands that no transaction may hold: for `pgbraid apply`, which runs them shard by shard.
#pragma once

#include "router/plan/planner.hpp"

#include <string_view>

namespace pgbraid::router {

/// The statement runs outside of transactions only, or had better: VACUUM, ANALYZE, CLUSTER, REINDEX, CREATE and DROP
/// INDEX CONCURRENTLY, and what concerns the server as a whole.
[[nodiscard]] bool runs_alone(const sql::statement& s, std::string_view text);

/// Where such a statement goes: to_shard, to_many, or a refusal of what is not the same on each shard.
[[nodiscard]] fixed_target alone_target(const sql::statement& s, const plan_context& context);

}  // namespace pgbraid::router
