// Statements that wait until their shard has a primary: in the order in which they came, bounded in number and bytes
// over all clients. One for each database of a worker.
#pragma once

#include "protocol/errors.hpp"
#include "proxy/cluster/snapshot.hpp"
#include "proxy/session/session.hpp"
#include "proxy/worker/waiting_counts.hpp"

#include <cstddef>
#include <deque>

namespace pgbraid::proxy {

/// runs on: its worker.
class primary_wait {
 public:
  primary_wait(worker& owner, waiting_counts& counts) : owner_{owner}, counts_{counts} {}
  ~primary_wait();

  /// The session's wish for a connection to the shard's primary joins those that wait, behind all that were `asked`
  /// before. False: it has waited for failover.hold already, or there is no room; `why`, the reason for which there is
  /// no primary, becomes what the client is told.
  [[nodiscard]] bool add(session_ptr who, branch_index branch, router::shard_index shard, steady_time asked,
                         std::size_t bytes, protocol::error_report& why);
  /// It does not wait any more.
  void remove(const session& who, branch_index branch);
  /// All that wait for the shard ask again, in order; let_go() has that happen after what is under way.
  void release(router::shard_index shard);
  void let_go(router::shard_index shard);
  /// What time brings: whoever has waited for too long is told. Where a primary is known that did not let anybody in,
  /// the first asks again; where none is, the control plane is told to look.
  void tick(steady_time now, const database_state& state);
  [[nodiscard]] bool anybody(router::shard_index shard) const noexcept {
    return shard < shards_.size() && !shards_[shard].empty();
  }

 private:
  struct place {
    session_ptr who;
    branch_index branch = 0;
    steady_time asked;
    std::size_t bytes = 0;
    protocol::error_report why;
  };
  using queue = std::deque<place>;

  [[nodiscard]] place take(queue& from, queue::iterator at);
  void expire(queue& waiting, steady_time oldest);

  worker& owner_;
  waiting_counts& counts_;
  std::deque<queue> shards_;  ///< grows under the feet of whoever is being told: a deque's elements stay where they are
};

}  // namespace pgbraid::proxy
