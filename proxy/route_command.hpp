// `pgbraid route`: where a statement would go and why, without running it.
#pragma once

#include "config/config.hpp"

#include <memory>
#include <string>

namespace pgbraid::proxy {

struct route_question {
  std::string database;   ///< "": the topology's first
  std::string user;       ///< "": the topology's first named user, else the monitor's
  std::string sql;
};

/// Looks at the servers' catalogs (and at nothing else), prints the answer. Returns the process's exit code: 0 routed,
/// 1 refused, 2 no answer.
int route_command(std::shared_ptr<const config::topology> topology, const route_question& question);

}  // namespace pgbraid::proxy
