// Reads that wait for a replica to show what they must see (reads.wait_for_replica), before they go to the primary. One
// for each database of a worker.
#pragma once

#include "proxy/cluster/snapshot.hpp"
#include "proxy/session/session.hpp"
#include "router/topology.hpp"

#include <boost/asio/basic_waitable_timer.hpp>

#include <deque>

namespace pgbraid::proxy {

/// runs on: its worker.
class replica_wait {
 public:
  explicit replica_wait(worker& owner);

  /// The session's wish for a connection waits until `until`, at the latest.
  void add(session_ptr who, branch_index branch, router::shard_index shard, steady_time until);
  /// It does not wait any more.
  void remove(const session& who, branch_index branch);
  /// More is known of the replicas: whoever finds one that shows enough goes on.
  void look();
  [[nodiscard]] bool anybody() const noexcept { return !waiting_.empty(); }
  [[nodiscard]] bool anybody(router::shard_index shard) const noexcept;

 private:
  struct place {
    session_ptr who;
    branch_index branch = 0;
    router::shard_index shard = 0;
    steady_time until;
  };

  void arm();
  void expire();

  std::deque<place> waiting_;  ///< ascending by `until`
  boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
                                    io_executor>
      timer_;
};

}  // namespace pgbraid::proxy
