// One server connection that does nothing but listen, for all sessions of a worker that share it. It is none of the
// pool's: nothing else runs there. Source: the manual's pages on LISTEN, and "Asynchronous Operations" of the protocol.
#pragma once

#include "protocol/backend.hpp"
#include "proxy/backend/pool.hpp"
#include "proxy/worker/channel.hpp"
#include "router/topology.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

namespace pgbraid::proxy {

class served_database;
class worker;

/// Who is told what a listening backend hears.
class listening_owner {
 public:
  virtual void heard(router::shard_index shard, const protocol::notification_view& told) = 0;
  /// All that was notified before `mark` was asked for has been told.
  virtual void marked(std::uint64_t mark) = 0;
  /// The connection is gone, or there was none to be had. Called once, and nothing after it.
  virtual void gone(std::string_view why) = 0;

 protected:
  ~listening_owner() = default;
};

/// Connects by itself, tries again while failover.hold allows; what it is asked for until then waits.
/// runs on: its worker. Memory: what the server sends is told as it comes; nothing is kept.
class listening_backend : public std::enable_shared_from_this<listening_backend> {
 public:
  listening_backend(worker& at, served_database& database, listening_owner& owner, router::shard_index shard,
                    std::string user, std::string encoding);

  void start();
  void listen(std::string_view channel);
  void unlisten(std::string_view channel);
  void mark(std::uint64_t mark);
  /// Closes it; the owner hears nothing more.
  void abandon();
  /// It is connected, but to another server than the shard's primary of now.
  [[nodiscard]] bool is_elsewhere() const;

 private:
  boost::asio::awaitable<void> run();
  boost::asio::awaitable<bool> connect();
  void read(std::string& unread);
  void send(std::string_view bytes);
  void write_rest();
  void lose(std::string_view why);

  worker& worker_;
  served_database& database_;
  listening_owner* owner_;  ///< null: nobody wants to hear any more
  router::shard_index shard_;
  std::string user_, encoding_;
  channel io_;
  std::string connected_to_;  ///< key of the server's endpoint
  bool ready_ = false, writing_ = false;
  std::string outbox_;
  static constexpr std::uint64_t no_mark = 0;
  std::deque<std::uint64_t> due_;  ///< for each ReadyForQuery that comes, the mark that it means
};

}  // namespace pgbraid::proxy
