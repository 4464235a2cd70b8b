// What the control plane sees of a topology's servers, looked at once: for commands that serve nobody.
#pragma once

#include "config/config.hpp"
#include "proxy/cluster/pg_connection.hpp"
#include "proxy/cluster/snapshot.hpp"

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pgbraid::proxy {

/// The states of all databases, by name, when every server has been asked and the catalogs and rows within reach have
/// been looked at, or five minutes later; what takes long is told on standard error every five seconds. `further`: a
/// database that only "*" stands for; "": none. Blocks.
[[nodiscard]] std::map<std::string, database_state_ptr> look_at_servers(
    const std::shared_ptr<const config::topology>& topology, const std::string& further = {});

/// The one of them that is called `name` ("": the topology's first), if it is served; else null, and `problem` says
/// why.
[[nodiscard]] database_state_ptr look_at_database(const std::shared_ptr<const config::topology>& topology,
                                                  const std::string& name, std::string& problem);

/// Who a command is that no user was named to: the topology's first one, or else the monitor.
[[nodiscard]] std::string usual_user(const config::topology& topology);

/// How to log in to a shard's primary, which must be known, as `user`.
[[nodiscard]] pg_login primary_login(const database_state& state, std::size_t shard, std::string user,
                                     std::optional<std::string> password);

struct drift_report {
  std::vector<std::string> differences;  ///< see differences()
  std::string error;                     ///< why they could not be compared
};
/// Compares the definitions on all shards' primaries, as monitor.user. Blocks; tells of long waits as the above does.
[[nodiscard]] drift_report compare_definitions(const config::topology& topology, const database_state& state);

/// Of every column whose values are kept apart over the shards: one text about those that several shards have, or about
/// why they could not be looked for, as monitor.user. Blocks; tells of long waits as the above does.
[[nodiscard]] std::vector<std::string> find_doubled_values(const config::topology& topology,
                                                           const database_state& state);

}  // namespace pgbraid::proxy
