// How many connections one server, database and user may have over all workers, and who waits for one.
// A worker with an idle backend of its own takes it without coming here, unless somebody waits.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace pgbraid::proxy {

class server_budget;
struct server_endpoint;

/// One session's wish for a backend. Made and withdrawn by its worker; granted by any.
struct lease_request {
  unsigned worker_number = 0;
  std::uint64_t id = 0;
  const server_endpoint* endpoint = nullptr;        ///< of the worker's pool, which outlives it
  std::chrono::steady_clock::time_point asked;
  std::atomic<bool> withdrawn{false};
};
using lease_request_ptr = std::shared_ptr<lease_request>;

/// What the topology allows for one server, database and user. 0: no limit (size excepted).
struct budget_limits {
  unsigned size = 20;
  unsigned reserve = 0;      ///< beyond size, for who has waited long
  unsigned of_database = 0;  ///< to the server for the database, over all users
  unsigned of_user = 0;      ///< to the server for the user, over all databases
};

/// Connections that count together beside their budgets: all users of a database, or all databases of a user, on one
/// server. runs on: any thread.
class connection_group {
 public:
  /// Counts one more, unless the limit is reached.
  [[nodiscard]] bool enter();
  void leave();
  void change_limit(unsigned limit);
  [[nodiscard]] bool limited() const noexcept { return limit_.load(std::memory_order_relaxed) != 0; }
  void add(std::weak_ptr<server_budget> member);
  [[nodiscard]] std::vector<std::shared_ptr<server_budget>> members() const;

 private:
  mutable std::mutex mutex_;
  std::atomic<unsigned> limit_{0};
  unsigned open_ = 0;
  std::vector<std::weak_ptr<server_budget>> members_;
};
using connection_groups = std::array<std::shared_ptr<connection_group>, 2>;

/// runs on: any thread.
class server_budget {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  server_budget(const budget_limits& limits, unsigned workers);

  /// Its groups, once, before anybody else has it. A budget without any counts for itself.
  void join(const connection_groups& groups, const std::shared_ptr<server_budget>& self);
  void change(const budget_limits& limits);

  /// What a worker without an idle backend gets.
  enum class outcome : std::uint8_t { connect, wait };
  struct answer {
    outcome what;
    int lender = -1;                            ///< wait: a worker that has an idle backend to spare, to be asked for it
    const server_endpoint* of_other = nullptr;  ///< the lender's backend is another budget's, to be closed for room
  };
  /// A connection may be opened (and is counted), or the request stands in the queue.
  [[nodiscard]] answer ask(const lease_request_ptr& request);

  /// Somebody waits: the hot path's only question. Ordered with idle(), so that a waiter and an idle backend cannot miss
  /// each other.
  [[nodiscard]] bool contended() const noexcept { return waiting_.load() > 0; }
  /// An idle backend should be closed: somebody waits for room in a group, longer than anybody waits here.
  [[nodiscard]] bool yields();
  [[nodiscard]] bool limited() const noexcept { return groups_[0] && (groups_[0]->limited() || groups_[1]->limited()); }
  /// The first in the queue that still wants a backend, taken out of it; null if there is none.
  [[nodiscard]] lease_request_ptr next();
  /// A connection was closed, or could not be opened. The request that may now open one in its place, if any, perhaps of
  /// another budget: it is taken out of its queue and counted.
  [[nodiscard]] lease_request_ptr closed();
  /// As closed(), for room that came otherwise: larger limits, or the reserve for who has waited since before `long_ago`.
  [[nodiscard]] lease_request_ptr open_more(time_point long_ago);

  /// Worker `number`, whose pool's endpoint this is, has `count` idle backends: a hint for lending.
  void idle(unsigned number, unsigned count, const server_endpoint* endpoint) noexcept;
  /// More are open than the size says: idle ones may go.
  [[nodiscard]] bool surplus() const;
  [[nodiscard]] unsigned open() const;

 private:
  [[nodiscard]] lease_request_ptr pop();
  [[nodiscard]] lease_request_ptr try_open(unsigned limit);
  [[nodiscard]] lease_request_ptr open_in_groups();
  [[nodiscard]] bool enter_groups();
  void leave_groups();
  void note_waiting() noexcept;
  void drop_withdrawn();
  /// Since when somebody waits here; without a value nobody does, or not for want of room in a group.
  [[nodiscard]] std::optional<time_point> waits_since(bool for_group);
  void review(std::size_t group);
  [[nodiscard]] int idle_worker() const noexcept;

  mutable std::mutex mutex_;
  budget_limits limits_;
  unsigned open_ = 0;
  std::deque<lease_request_ptr> queue_;
  std::array<std::optional<time_point>, 2> pressed_;  ///< by group: since when another member waits for room in it
  std::atomic<unsigned> waiting_{0};
  std::vector<std::atomic<unsigned>> idle_;
  std::atomic<const server_endpoint*> endpoint_{nullptr};
  connection_groups groups_;
};

}  // namespace pgbraid::proxy
