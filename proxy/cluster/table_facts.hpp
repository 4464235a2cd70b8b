// What of a table holds on one shard only, and what code runs behind it: judged against the topology. Pure.
#pragma once

#include "proxy/cluster/catalog_rows.hpp"
#include "router/topology.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

/// Sentences or names by "schema.name" of the table; without repetitions, sorted.
using findings_by_table = std::map<std::string, std::vector<std::string>, std::less<>>;

/// Constraints that each shard enforces among its own rows alone, and numbers that each shard draws from a sequence of
/// its own; and columns that are listed as unique and cannot be kept so. A unique constraint holds everywhere if it
/// contains the key, or is over one such column that can; a foreign key if what it refers to stands on the same shard
/// for sure.
[[nodiscard]] findings_by_table unenforced(const shard_catalog& shard, const router::topology& map);

/// "schema.name" of functions, `rule "x"` and `policy "x"` behind a table that may depend on rows of other shards. What
/// is the server's own or written in C does not, nor what is proved to read no table, nor what the topology lists as
/// shard_local; nor does a policy that reads what stands whole wherever its table stands, reference tables say.
[[nodiscard]] findings_by_table user_code(const shard_catalog& shard, const router::topology& map);

/// Those of them that are, or are called by, policies: what decides which rows are read.
[[nodiscard]] findings_by_table policy_code(const shard_catalog& shard, const router::topology& map);

/// "schema.name" of the functions of triggers that are known to look at nothing but the row.
[[nodiscard]] findings_by_table row_code(const shard_catalog& shard);

/// "schema.name" of the functions of triggers of sharded tables that write down the time, or a setting, and would do so
/// on each shard by its own clock; but for what the topology lists as shard_local.
[[nodiscard]] findings_by_table timed_code(const shard_catalog& shard, const router::topology& map);

/// `function` ("schema.name") is listed under shard_local, with or without its schema.
[[nodiscard]] bool listed_shard_local(const router::topology& map, std::string_view function);

}  // namespace pgbraid::proxy
