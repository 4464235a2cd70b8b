// HTTP for the control plane's questions to Patroni and etcd: one address, one question at a time, on a connection of
// its own. Whatever stands there harms nobody: every answer is bounded in time and size.
#pragma once

#include "config/config.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace pgbraid::proxy {

/// What was asked for, or why it is not there.
struct http_answer {
  std::string body;
  std::string error;  ///< "" when the body counts
};

/// Outlives what is under way. runs on: the monitor's thread; never blocks it. A look-up of the host's name cannot be
/// interrupted: it is left behind when time is up, and until it ends every further question fails at once.
class http_exchange {
 public:
  http_exchange(boost::asio::io_context& context, config::host_port place);
  ~http_exchange();
  http_exchange(const http_exchange&) = delete;
  http_exchange& operator=(const http_exchange&) = delete;

  /// The body of an answer with status 200, of at most 1 MB, within `timeout` for all of it. GET, or POST with a
  /// `question` in JSON.
  [[nodiscard]] boost::asio::awaitable<http_answer> ask(std::string target, std::string question,
                                                        std::chrono::milliseconds timeout);

  /// Calls `heard` whenever bytes of an answer without an end have come, a hundred times a second at most, and drops
  /// them unread. Comes back when the answer ends, with why; `timeout` is for its beginning.
  [[nodiscard]] boost::asio::awaitable<std::string> listen(std::string target, std::string question,
                                                           std::chrono::milliseconds timeout,
                                                           std::function<void()> heard);

  /// Ends what is under way, which then reports a failure.
  void interrupt() noexcept;

  [[nodiscard]] bool busy() const noexcept { return busy_; }
  [[nodiscard]] const config::host_port& place() const noexcept { return place_; }

 private:
  struct channel;

  [[nodiscard]] boost::asio::awaitable<std::string> open(std::chrono::milliseconds timeout);
  [[nodiscard]] boost::asio::awaitable<std::string> send(const std::string& target, const std::string& question);

  boost::asio::io_context& context_;
  config::host_port place_;
  std::shared_ptr<channel> channel_;
  bool busy_ = false;
};

}  // namespace pgbraid::proxy
