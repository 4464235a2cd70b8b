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
/// its own. A unique constraint holds everywhere if it contains the key; a foreign key if what it refers to stands on
/// the same shard for sure.
[[nodiscard]] findings_by_table unenforced(const shard_catalog& shard, const router::topology& map);

/// "schema.name" of functions, `rule "x"` and `policy "x"` behind a table that are neither the server's own nor written
/// in C, without the functions that the topology lists as shard_local.
[[nodiscard]] findings_by_table user_code(const shard_catalog& shard, const router::topology& map);

/// `function` ("schema.name") is listed under shard_local, with or without its schema.
[[nodiscard]] bool listed_shard_local(const router::topology& map, std::string_view function);

}  // namespace pgbraid::proxy
