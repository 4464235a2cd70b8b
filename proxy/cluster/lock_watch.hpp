// Looks for deadlocks over several shards of one database, for as long as transactions of clients wait that could be
// part of one. What other instances' clients wait for it learns on the shards: see waiting_table.hpp. All instances
// come to the same victim, and the one whose client it is ends it.
#pragma once

#include "proxy/cluster/deadlock.hpp"
#include "proxy/cluster/pg_connection.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pgbraid::proxy {

/// runs on: the monitor's thread.
class lock_watch : public std::enable_shared_from_this<lock_watch> {
 public:
  using login_of = std::function<std::optional<pg_login>(router::shard_index)>;  ///< to the shard's primary, if there is one
  using on_deadlock = std::function<void(const transaction_key& victim)>;

  lock_watch(boost::asio::io_context& context, std::string database, std::size_t shards, login_of login,
             on_deadlock found, std::chrono::milliseconds timeout);

  /// All transactions of one worker's sessions that wait now; replaces what it said before.
  void take(unsigned worker, std::vector<waiting_transaction> waiting);
  void stop();

 private:
  struct link {
    explicit link(boost::asio::io_context& context) : connection{context} {}
    pg_connection connection;
    pg_login to;
  };
  using shard_set = std::set<router::shard_index>;

  [[nodiscard]] boost::asio::awaitable<void> look(std::shared_ptr<lock_watch> self);
  [[nodiscard]] boost::asio::awaitable<void> pause(std::chrono::milliseconds time);
  [[nodiscard]] boost::asio::awaitable<std::vector<blocked_transaction>> blocked(
      const std::vector<waiting_transaction>& waiting);
  [[nodiscard]] boost::asio::awaitable<deadlock> circle(const std::vector<blocked_transaction>& ours);
  [[nodiscard]] boost::asio::awaitable<void> exchange(shard_set shards, const std::vector<blocked_transaction>& ours,
                                                      std::vector<blocked_transaction>& others);
  [[nodiscard]] boost::asio::awaitable<void> ask(shard_set shards, std::vector<lock_wait>& waits);
  [[nodiscard]] boost::asio::awaitable<pg_connection*> reach(router::shard_index shard);
  [[nodiscard]] bool end(const deadlock& found, const std::vector<waiting_transaction>& waiting);
  [[nodiscard]] std::vector<waiting_transaction> all() const;

  boost::asio::io_context& context_;
  std::string database_;
  std::size_t shards_;
  login_of login_;
  on_deadlock found_;
  std::chrono::milliseconds timeout_;
  std::string instance_;  ///< random: what other instances call this one's transactions by
  boost::asio::steady_timer pause_;
  std::map<unsigned, std::vector<waiting_transaction>> waiting_;
  std::map<router::shard_index, std::unique_ptr<link>> links_;  ///< open while somebody waits, and a moment longer
  shard_set told_;                                              ///< where other instances are told of ours
  bool looking_ = false, resting_ = false, complained_ = false, stopped_ = false;
};

}  // namespace pgbraid::proxy
