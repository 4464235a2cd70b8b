// DDL over several shards: done on all of them alike, in one transaction.
#pragma once

#include "router/plan/planner.hpp"

#include <optional>
#include <string_view>
#include <vector>

namespace pgbraid::router {

/// Where a command that defines something goes: to every shard, or to the one where all the unsharded tables that it
/// names stand. Nothing if it cannot be done so: it cannot run in a transaction, it concerns the server as a whole, it
/// may come out differently on each shard, or transactions may write to one shard only.
[[nodiscard]] std::optional<fixed_target> ddl_target(const sql::statement& s, std::string_view text,
                                                     const plan_context& context);

/// To every shard, or to the one where all of `relations` stand, if they are unsharded; nothing if they stand apart.
[[nodiscard]] std::optional<fixed_target> home_of(const std::vector<sql::qualified_name>& relations,
                                                  const plan_context& context);

/// Why what is to be unique from now on cannot be: each shard sees its own rows only, and rows of several may have the
/// same values. Nothing, if the sharding key is among the columns.
[[nodiscard]] std::optional<protocol::error_report> unique_over_shards(const sql::statement& s,
                                                                       const plan_context& context);

/// What a command defines: plan::defines, remakes, alters and alters_all.
void note_defined(const sql::statement& s, std::string_view text, const plan_context& context, plan& out);

}  // namespace pgbraid::router
