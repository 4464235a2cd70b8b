// Transactions of clients that wait for each other on several servers, which no server by itself can see.
// Source: the manual's page "Explicit Locking", "Deadlocks", and pg_blocking_pids().
#pragma once

#include "router/topology.hpp"

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
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
  std::chrono::steady_clock::time_point seen{};  ///< when that was so
};

/// Its name for all instances of pgbraid; `instance` is a random one.
[[nodiscard]] std::string name_of(std::string_view instance, const transaction_key& key);

/// What a server says of a process that is in a transaction.
struct process_sample {
  router::shard_index shard = 0;
  std::int32_t pid = 0;
  std::int64_t xact_start = 0;      ///< microseconds since 1970 by the server's clock
  std::chrono::microseconds age{};  ///< of its transaction when the server was asked
  bool blocked = false;             ///< it waits for a lock
  std::chrono::steady_clock::time_point answered{};
};

/// A transaction of a client of whichever instance that stands still because of a lock.
struct blocked_transaction {
  struct part {
    router::shard_index shard = 0;
    std::int32_t pid = 0;
    std::int64_t xact_start = 0;  ///< with another one it is another's process by now
    friend bool operator==(const part&, const part&) = default;
  };
  std::string name;
  std::int64_t began = 0;  ///< xact_start of its first part, as its own instance says, so that all agree who is younger
  std::vector<part> parts;  ///< as far as they are known
};

/// Those of `waiting` that are blocked somewhere and known whole: not those of which a part has not been told of, or whose
/// process may have begun another transaction since it was seen. runs on: any thread.
[[nodiscard]] std::vector<blocked_transaction> blocked_of(std::span<const waiting_transaction> waiting,
                                                          std::span<const process_sample> samples,
                                                          std::string_view instance);

/// `ours` first, then each of `others`, of which every shard tells its part only.
[[nodiscard]] std::vector<blocked_transaction> with_joined(std::vector<blocked_transaction> ours,
                                                           std::span<const blocked_transaction> others);

/// On `shard`, process `waits` stands still because of what `holds` has locked; 0: it is in a transaction and waits for
/// nobody.
struct lock_wait {
  router::shard_index shard = 0;
  std::int32_t waits = 0, holds = 0;
  std::int64_t xact_start = 0;  ///< of `waits`; microseconds since 1970 by the server's clock
};

struct deadlock {
  std::vector<std::string> members;  ///< the names of the clients' transactions in it, in order
  std::string victim;                ///< the one that began last
  friend bool operator==(const deadlock&, const deadlock&) = default;
};

/// Transactions that wait for each other in circles over several shards; no members if there are none. Others'
/// processes may be links. Who is given the same transactions and waits comes to the same answer, whatever their order
/// and whatever numbers it has for the shards. runs on: any thread.
[[nodiscard]] deadlock find_deadlock(std::span<const blocked_transaction> transactions,
                                     std::span<const lock_wait> waits);

/// One of the first `ours` transactions waits for one of the others, be it through further processes.
[[nodiscard]] bool waits_for_others(std::span<const blocked_transaction> transactions, std::size_t ours,
                                    std::span<const lock_wait> waits);

}  // namespace pgbraid::proxy
