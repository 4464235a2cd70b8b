// How instances of pgbraid tell each other of their clients' transactions that wait: pgbraid.waiting, a small unlogged
// table on every primary, which says what processes of that server belong to which transaction. Nothing depends on it
// for long: a row counts while the connection that has written it is there and in use, and is removed by whoever sees
// it afterwards.
#pragma once

#include "proxy/cluster/deadlock.hpp"
#include "proxy/cluster/pg_connection.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <string>
#include <vector>

namespace pgbraid::proxy {

/// Sees that the table is there; nobody but its owner has rights to it. "" or why not.
[[nodiscard]] boost::asio::awaitable<std::string> make_waiting_table(pg_connection& connection,
                                                                     std::chrono::milliseconds timeout);

struct waiting_listing {
  std::vector<blocked_transaction> others;  ///< what other connections have written, parts on `shard` alone
  std::string error;
};

/// Over a connection to the primary of `shard`: from now on the parts there of `ours` are what it has written, no
/// others; nothing is written where that is so already. To be repeated within a few seconds, or others take it for
/// lost.
[[nodiscard]] boost::asio::awaitable<waiting_listing> exchange_waiting(pg_connection& connection,
                                                                       router::shard_index shard,
                                                                       const std::vector<blocked_transaction>& ours,
                                                                       std::chrono::milliseconds timeout);

}  // namespace pgbraid::proxy
