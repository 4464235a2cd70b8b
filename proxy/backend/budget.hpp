// How many connections one server, database and user may have over all workers, and who waits for one.
// A worker with an idle backend of its own takes it without coming here, unless somebody waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

namespace pgbraid::proxy {

class worker;

/// One session's wish for a backend. Made and withdrawn by its worker; granted by any.
struct lease_request {
  unsigned worker_number = 0;
  std::uint64_t id = 0;
  std::atomic<bool> withdrawn{false};
};
using lease_request_ptr = std::shared_ptr<lease_request>;

/// runs on: any thread.
class server_budget {
 public:
  server_budget(unsigned limit, unsigned workers);

  /// What a worker without an idle backend gets.
  enum class outcome : std::uint8_t { connect, wait };
  struct answer {
    outcome what;
    int lender = -1;  ///< wait: a worker that has an idle backend to spare, to be asked for it
  };
  /// A connection may be opened (and is counted), or the request stands in the queue.
  [[nodiscard]] answer ask(const lease_request_ptr& request);

  /// Somebody waits: the hot path's only question. Ordered with idle(), so that a waiter and an idle backend cannot miss
  /// each other.
  [[nodiscard]] bool contended() const noexcept { return waiting_.load() > 0; }
  /// The first in the queue that still wants a backend, taken out of it; null if there is none.
  [[nodiscard]] lease_request_ptr next();
  /// A connection was closed, or could not be opened. The request that may now open one in its place, if any: it is
  /// taken out of the queue and counted.
  [[nodiscard]] lease_request_ptr closed();

  /// Worker `number` has `count` idle backends: a hint for lending.
  void idle(unsigned number, unsigned count) noexcept { idle_[number].store(count); }
  void change_limit(unsigned limit);
  [[nodiscard]] unsigned open() const;

 private:
  [[nodiscard]] lease_request_ptr pop();

  mutable std::mutex mutex_;
  unsigned limit_;
  unsigned open_ = 0;
  std::deque<lease_request_ptr> queue_;
  std::atomic<unsigned> waiting_{0};
  std::vector<std::atomic<unsigned>> idle_;
};

}  // namespace pgbraid::proxy
