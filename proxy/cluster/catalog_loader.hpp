// Reads one shard's catalog over a connection: first a token that moves with every change, the whole only when it
// moved.
#pragma once

#include "proxy/cluster/catalog_rows.hpp"
#include "proxy/cluster/pg_connection.hpp"
#include "router/topology.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <memory>
#include <string>

namespace pgbraid::proxy {

struct catalog_reading {
  std::shared_ptr<const shard_catalog> shard;  ///< null: nothing has changed since `token`, or there is an error
  std::string token;
  std::string error;
  bool locked_out = false;  ///< the error: somebody has locked a table that is read
};

/// Reads in one REPEATABLE READ READ ONLY transaction, on a primary or a replica. `known_token` is what the last
/// reading gave, "" to read in any case. Each question has `timeout` for itself; but for the first reading, whoever has
/// locked a table is waited for shorter than it takes a client that waits for the reading in its turn to be told of a
/// deadlock. runs on: the monitor's thread.
[[nodiscard]] boost::asio::awaitable<catalog_reading> read_catalog(pg_connection& connection,
                                                                   const router::topology& map, std::string known_token,
                                                                   std::chrono::milliseconds timeout);

}  // namespace pgbraid::proxy
