// Looks for deadlocks over several shards of one database, for as long as transactions of clients wait that could be
// part of one. Other instances' transactions are links of a circle as any process is, but each instance knows only its
// own clients' as spanning shards.
#pragma once

#include "proxy/cluster/deadlock.hpp"
#include "proxy/cluster/pg_connection.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pgbraid::proxy {

/// runs on: the monitor's thread.
class lock_watch : public std::enable_shared_from_this<lock_watch> {
 public:
  using login_of = std::function<std::optional<pg_login>(router::shard_index)>;  ///< to the shard's primary, if there is one
  using on_deadlock = std::function<void(const transaction_key& victim)>;

  lock_watch(boost::asio::io_context& context, std::string database, login_of login, on_deadlock found,
             std::chrono::milliseconds timeout);

  /// All transactions of one worker's sessions that wait now; replaces what it said before.
  void take(unsigned worker, std::vector<waiting_transaction> waiting);
  void stop();

 private:
  [[nodiscard]] boost::asio::awaitable<void> look(std::shared_ptr<lock_watch> self);
  [[nodiscard]] boost::asio::awaitable<std::vector<lock_wait>> ask(router::shard_index shard);
  [[nodiscard]] std::vector<waiting_transaction> all() const;

  boost::asio::io_context& context_;
  std::string database_;
  login_of login_;
  on_deadlock found_;
  std::chrono::milliseconds timeout_;
  boost::asio::steady_timer pause_;
  std::map<unsigned, std::vector<waiting_transaction>> waiting_;
  std::map<router::shard_index, std::unique_ptr<pg_connection>> connections_;  ///< open while somebody waits
  bool looking_ = false, stopped_ = false;
};

}  // namespace pgbraid::proxy
