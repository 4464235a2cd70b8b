// Transactions of clients that wait for each other on several servers, which no server by itself can see.
// Source: the manual's page "Explicit Locking", "Deadlocks", and pg_blocking_pids().
#pragma once

#include "router/topology.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace pgbraid::proxy {

/// One cycle of one session: with the next cycle it has moved on.
struct transaction_key {
  unsigned worker = 0;
  std::uint64_t session = 0;
  std::uint32_t cycle = 0;
  friend bool operator==(const transaction_key&, const transaction_key&) = default;
};

/// A client's transaction that is open on several shards and waits for a server's answer.
struct waiting_transaction {
  struct part {
    router::shard_index shard = 0;
    std::int32_t pid = 0;  ///< of the server's process
  };
  transaction_key key;
  std::vector<part> parts;
};

/// On `shard`, process `waits` stands still because of what `holds` has locked; 0: it is in a transaction and waits for
/// nobody.
struct lock_wait {
  router::shard_index shard = 0;
  std::int32_t waits = 0, holds = 0;
  double since = 0;  ///< when its transaction began there, seconds of the server's clock
};

struct deadlock {
  std::vector<transaction_key> members;  ///< the transactions of clients in the circle, in its order
  transaction_key victim;                ///< the one that began last
};

/// A circle of waits that goes over several shards; no members if there is none. Others' processes may be links of it.
/// runs on: any thread.
[[nodiscard]] deadlock find_deadlock(std::span<const waiting_transaction> transactions,
                                     std::span<const lock_wait> waits);

}  // namespace pgbraid::proxy
