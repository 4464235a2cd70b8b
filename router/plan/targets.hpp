// From the analysis of a query to where it goes: the cascade one shard, any shard, several shards, refusal.
#pragma once

#include <string>
#include <variant>

#include "router/plan/analysis.hpp"

namespace pgbraid::router {

/// Where a statement goes, and one line that says why.
struct chosen_target {
  std::variant<fixed_target, keyed_target> where;
  std::string reason;
};

/// Over several shards. `concatenate`: the statement is one whose answers may be put one behind the other (a plain
/// SELECT, not EXPLAIN, COPY or a cursor's); `what` names it for messages otherwise.
[[nodiscard]] chosen_target choose_target(const analysis& a, const plan_context& context, bool concatenate,
                                          const std::string& what);

/// All shards, which are to do the same.
[[nodiscard]] to_many mirror_target(const topology& map);

/// The shards that own buckets, ascending.
[[nodiscard]] std::vector<shard_index> owning_shards(const topology& map);

/// A target that is a refusal.
[[nodiscard]] fixed_target refusal(protocol::error_report error);

/// Adds the tables to a plan's lists.
void list_tables(const analysis& a, plan& out);

/// Fills plan::calls.
void list_calls(const analysis& a, plan& out);

/// A write behind which triggers write down the time may go to one shard alone: each has its own.
void keep_time_of_one_shard(const analysis& a, plan& out);

}  // namespace pgbraid::router
