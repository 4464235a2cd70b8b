// Follows Patroni's record of who leads one cluster: asks etcd and Patroni's REST API over and over, and at once when
// etcd's watch says that something has changed. One watch serves every database on that cluster.
#pragma once

#include "config/config.hpp"
#include "proxy/cluster/http_exchange.hpp"
#include "proxy/cluster/leader_record.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pgbraid::proxy {

/// Intervals and bounds of the questions.
struct leader_watch_options {
  std::chrono::milliseconds interval{200};          ///< between two rounds while servers and record disagree
  std::chrono::milliseconds timeout{2000};          ///< of one question
  std::chrono::milliseconds longest_switch{5'000};  ///< for which a switchover that does not come is believed in
};
[[nodiscard]] leader_watch_options leader_options(const config::topology& topology);

/// runs on: the monitor's thread. Those asked are etcd's addresses, then Patroni's; the one that answered last comes
/// first among its like, each next one is asked when the one before has failed or been silent for a tenth of a second,
/// and the first answer that can be read counts.
class leader_watch : public std::enable_shared_from_this<leader_watch> {
 public:
  using listener = std::function<void(const leader_report&)>;

  leader_watch(boost::asio::io_context& context, const config::discovery& where, leader_watch_options options);
  ~leader_watch();

  void start();
  /// Ends it; no listener is called after this.
  void stop();
  /// Asks sooner, unless that was less than an interval ago: servers and record disagree.
  void hurry();
  void change_options(leader_watch_options options);

  /// `owner` distinguishes listeners, who are told after every round.
  void listen(const void* owner, listener heard);
  void forget(const void* owner);
  [[nodiscard]] bool has_listeners() const noexcept { return !listeners_.empty(); }

  /// Null before the first round has ended.
  [[nodiscard]] const std::optional<leader_report>& latest() const noexcept { return latest_; }

 private:
  struct source {
    http_exchange exchange;
    bool etcd = false;
    source(boost::asio::io_context& context, const config::host_port& place, bool is_etcd)
        : exchange(context, place), etcd(is_etcd) {}
  };
  struct round;

  [[nodiscard]] boost::asio::awaitable<void> run(std::shared_ptr<leader_watch> self);
  [[nodiscard]] boost::asio::awaitable<void> hear_changes(std::shared_ptr<leader_watch> self);
  [[nodiscard]] boost::asio::awaitable<void> ask_all(std::shared_ptr<round> asked);
  [[nodiscard]] boost::asio::awaitable<void> ask_one(std::shared_ptr<leader_watch> self, std::shared_ptr<round> asked,
                                                     std::size_t which);
  [[nodiscard]] std::vector<std::size_t> order() const;
  void take(const round& asked);
  void log_change(const leader_report& now, const std::string& failure);

  boost::asio::io_context& context_;
  leader_watch_options options_;
  std::string folder_;  ///< of the record in etcd
  std::string label_;   ///< for log lines
  std::vector<std::unique_ptr<source>> sources_;
  std::size_t best_etcd_ = 0, best_patroni_ = 0;  ///< among the sources: who answered last
  std::unique_ptr<http_exchange> bell_;           ///< etcd's stream of changes; null: none is open
  boost::asio::steady_timer pause_, bell_pause_;
  std::map<const void*, listener> listeners_;
  std::optional<leader_report> latest_;
  std::string switchover_;  ///< the one that is believed in
  steady_time switchover_seen_{};
  bool rung_ = false;     ///< etcd's stream has said something since the last round began
  bool doubted_ = false;  ///< servers and record have disagreed since then
  bool stopped_ = false;
};

}  // namespace pgbraid::proxy
