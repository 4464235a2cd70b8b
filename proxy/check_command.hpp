// `pgbraid check --servers`: what the topology's servers say to it.
#pragma once

#include "config/config.hpp"

#include <memory>

namespace pgbraid::proxy {

/// Prints every database with its shards, servers and roles, in what the shards' definitions differ, and which roles
/// cannot log in everywhere by one SCRAM secret, with the statement that makes it so. Returns the process's exit code:
/// 0 all databases would be served by all their servers, 1 something is wrong.
int check_servers(std::shared_ptr<const config::topology> topology);

}  // namespace pgbraid::proxy
