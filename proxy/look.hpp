// What the control plane sees of a topology's servers, looked at once: for commands that serve nobody.
#pragma once

#include "config/config.hpp"
#include "proxy/cluster/snapshot.hpp"

#include <map>
#include <memory>
#include <string>

namespace pgbraid::proxy {

/// The states of all databases, by name, when every server has been asked and the catalogs and rows within reach have
/// been looked at, or five minutes later; what takes long is told on standard error every five seconds. `further`: a
/// database that only "*" stands for; "": none. Blocks.
[[nodiscard]] std::map<std::string, database_state_ptr> look_at_servers(
    const std::shared_ptr<const config::topology>& topology, const std::string& further = {});

}  // namespace pgbraid::proxy
