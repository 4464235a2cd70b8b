// Asks one server, over and over, who it is and how far its WAL has come. One probe serves every database on that
// server.
#pragma once

#include "config/config.hpp"
#include "proxy/cluster/pg_connection.hpp"
#include "proxy/cluster/probe_budget.hpp"
#include "proxy/cluster/roles.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pgbraid::proxy {

/// What a server says of itself once for each connection.
struct server_facts {
  std::uint64_t system_identifier = 0;
  std::uint32_t version = 0;                ///< server_version_num: 150004
  std::string encoding;                     ///< server_encoding of the database that the probe is in
  std::uint64_t segment_bytes = 16u << 20;  ///< wal_segment_size
  std::uint64_t block_bytes = 8192;         ///< wal_block_size
  unsigned max_prepared_transactions = 0;
};

/// The name of the process-wide probe of a server.
struct server_address {
  std::string host;
  std::uint16_t port = 5432;
  config::server_tls tls;
  friend auto operator<=>(const server_address&, const server_address&) = default;
};
[[nodiscard]] std::string to_string(const server_address& address);

/// One probe: a connection kept open, asked every `interval`; after a failure again after 200 ms, 400 ms, ... 5 s.
/// Primaries are asked first in each interval and replicas a moment later, so that a replica that keeps up is seen to
/// have replayed this interval's sample and not only the one before. runs on: the monitor's thread.
class server_probe : public std::enable_shared_from_this<server_probe> {
 public:
  using listener = std::function<void(const server_sample&)>;

  /// `budget` must outlive it: each question is counted there.
  server_probe(boost::asio::io_context& context, server_address address, config::monitor_options options,
               probe_budget& budget);

  /// A database to log in to; the first that works is kept. Call before start(); later calls are heeded at next login.
  void add_dbname(const std::string& name);
  void start();
  /// Ends the loop; no listener is called after this.
  void stop();
  /// Asks at once instead of at the next turn, though not oftener than every 50 ms.
  void hurry();
  /// As hurry(), for whom its position alone is of interest: as often as every 2 ms while it answers.
  void look();
  /// Other interval, time-out or login from the next turn on.
  void change_options(config::monitor_options options);

  /// `owner` distinguishes listeners; a second listen() of the same owner replaces the first.
  void listen(const void* owner, listener heard);
  void forget(const void* owner);
  [[nodiscard]] bool has_listeners() const noexcept { return !listeners_.empty(); }

  [[nodiscard]] const std::optional<server_sample>& latest() const noexcept { return latest_; }
  [[nodiscard]] const server_facts& facts() const noexcept { return facts_; }
  [[nodiscard]] const server_address& address() const noexcept { return address_; }

 private:
  [[nodiscard]] boost::asio::awaitable<void> run(std::shared_ptr<server_probe> self);
  [[nodiscard]] boost::asio::awaitable<std::string> log_in();
  [[nodiscard]] boost::asio::awaitable<server_sample> ask();
  [[nodiscard]] server_sample read(const pg_row& row, steady_time begin);
  [[nodiscard]] boost::asio::awaitable<void> learn_history(std::uint32_t timeline);
  [[nodiscard]] steady_time next_turn(const server_sample& sample);

  boost::asio::io_context& context_;
  server_address address_;
  config::monitor_options options_;
  probe_budget& budget_;
  pg_connection connection_;
  boost::asio::steady_timer pause_;
  std::vector<std::string> dbnames_;
  std::string dbname_;  ///< of the connection
  std::size_t next_dbname_ = 0;
  std::map<const void*, listener> listeners_;
  server_facts facts_;
  std::optional<server_sample> latest_;
  std::uint32_t timeline_ = 0;
  std::uint32_t history_of_ = 0;  ///< the timeline that history_ is of
  steady_time history_again_ = steady_time::min();
  std::shared_ptr<const timeline_history> history_;
  std::chrono::milliseconds retry_{0};
  bool stopped_ = false;
  bool hurried_ = false;
  bool looked_at_ = false;
};

}  // namespace pgbraid::proxy
