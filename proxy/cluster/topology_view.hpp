// From the topology file's words to the router's view of one database, and what in it a real catalog contradicts. Pure.
#pragma once

#include "config/config.hpp"
#include "proxy/cluster/leader_record.hpp"
#include "proxy/cluster/roles.hpp"
#include "router/catalog.hpp"
#include "router/topology.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

/// The router's view, or (errors not empty) why there is none.
struct topology_view {
  router::topology map;
  std::vector<std::string> errors;
};

/// "orders" is public.orders; a name with a dot stays as it is.
[[nodiscard]] std::string qualified(std::string_view table);

/// `name` is the client's name of the database: it differs from `database.name` for "*".
[[nodiscard]] topology_view view_of(const config::database& database, std::string_view name);

/// What the judge of one shard needs to know.
[[nodiscard]] shard_options options_of(const config::database& database, std::string_view name,
                                       const config::shard& shard);

/// What the topology takes out of use (`drain`): as if it were not there, but for what is under way.
void take_out_drained(const config::shard& listed, shard_state& state);

/// A primary that is about to be stopped for a switchover, in the same way.
void take_out_switching(shard_state& state);

/// Patroni's word in terms of the shard's servers: the one whose `member` or, without that, whose address the record names.
[[nodiscard]] leader_word word_of(const config::shard& listed, const leader_report& report);

/// Why a table cannot be sharded in this way; empty for one that does not exist.
[[nodiscard]] std::vector<std::string> problems_of_table(const router::topology& map, const router::catalog& schema,
                                                         const std::string& name, const router::sharded_table& table);

/// Everything for which a database of several shards must not be served: a key that does not exist or cannot be hashed,
/// a sharded relation that is no table. A table that does not exist is no reason: its statements fail by themselves.
[[nodiscard]] std::vector<std::string> contradictions(const router::topology& map, const router::catalog& schema);

}  // namespace pgbraid::proxy
