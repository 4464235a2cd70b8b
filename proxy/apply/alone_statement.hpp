// A statement that no transaction may hold, shard by shard, such that it can be run again: what is there already is
// left as it is.
#pragma once

#include "proxy/apply/destinations.hpp"
#include "proxy/apply/script.hpp"
#include "proxy/apply/shard_sessions.hpp"
#include "proxy/cluster/snapshot.hpp"

#include <optional>
#include <vector>

namespace pgbraid::proxy::apply {

/// Runs it on one shard after the other, telling on standard error how far it is. Why it failed on the first shard
/// where it did, or nothing. CREATE INDEX CONCURRENTLY passes over shards where the same index stands, and rebuilds one
/// that was left invalid; DROP INDEX CONCURRENTLY passes over shards where it is gone, unless it is nowhere.
[[nodiscard]] std::optional<line_report> run_alone(shard_sessions& sessions, const database_state& state,
                                                   const script_statement& s, const destination& where);

}  // namespace pgbraid::proxy::apply
