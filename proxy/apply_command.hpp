// `pgbraid apply FILE`: runs a schema on every shard and compares what came out.
#pragma once

#include "config/config.hpp"

#include <cstddef>
#include <memory>
#include <string>

namespace pgbraid::proxy {

struct apply_request {
  std::string database;       ///< "": the topology's first
  std::string user;           ///< "": the topology's first
  std::string file;           ///< "-": standard input
  std::size_t resume_at = 0;  ///< the line of the first statement that has not run yet; 0: all of them
  bool dry_run = false;
};

/// Nothing runs unless every statement of the file may, and every shard takes the login. Then statements run in groups:
/// those of one group are committed on all shards or on none; what cannot run in a transaction is a group of its own
/// and goes shard by shard. What went wrong is told on standard error by file, line, shard and SQLSTATE. Returns the
/// process's exit code: 0 all is applied and definitions are equal, 1 otherwise.
int apply_command(std::shared_ptr<const config::topology> topology, const apply_request& request);

}  // namespace pgbraid::proxy
