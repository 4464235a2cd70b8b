// libpq without blocking: one control-plane connection as coroutines. Source: the manual's chapter "libpq",
// "Asynchronous Command Processing".
#pragma once

#include "config/config.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct pg_conn;

namespace pgbraid::proxy {

/// Where and as whom to log in.
struct pg_login {
  std::string host;  ///< name, address, or a Unix-socket directory starting with '/'
  std::uint16_t port = 5432;
  std::string dbname, user;
  std::optional<std::string> password;
  config::server_tls tls;
  bool replication = false;  ///< a connection that takes replication commands too
  std::string application{};  ///< application_name; "": pgbraid_monitor
  friend bool operator==(const pg_login&, const pg_login&) = default;
};

using pg_row = std::vector<std::optional<std::string>>;

/// What one command gave: rows of text (the last command's, if the text held several), or why it failed.
struct pg_answer {
  std::vector<pg_row> rows;
  std::string error;     ///< "" when it succeeded
  std::string sqlstate;  ///< of a server's error; "" for a lost connection or a time-out
  std::string detail{}, hint{};
  std::size_t position = 0;  ///< of a server's error: the character of the text that it is about, from 1; 0: none
  [[nodiscard]] bool ok() const noexcept { return error.empty(); }
};

/// One connection. Every operation ends within its time-out; a time-out or an I/O error closes the connection.
/// One operation at a time. runs on: the monitor's thread; never blocks it (host names are looked up elsewhere).
class pg_connection {
 public:
  explicit pg_connection(boost::asio::io_context& context);
  ~pg_connection();
  pg_connection(const pg_connection&) = delete;
  pg_connection& operator=(const pg_connection&) = delete;

  /// Logs in; "" or the reason why not. client_encoding is UTF8; without a password libpq looks for one itself.
  [[nodiscard]] boost::asio::awaitable<std::string> connect(pg_login login, std::chrono::milliseconds timeout);

  /// Runs `sql`; with parameters (text) by the extended protocol, without them by the simple one.
  [[nodiscard]] boost::asio::awaitable<pg_answer> query(std::string sql, std::vector<std::string> parameters,
                                                        std::chrono::milliseconds timeout);

  /// Prepares `sql` without parameters as `name`, and runs what was prepared so.
  [[nodiscard]] boost::asio::awaitable<pg_answer> prepare(std::string name, std::string sql,
                                                          std::chrono::milliseconds timeout);
  [[nodiscard]] boost::asio::awaitable<pg_answer> run_prepared(std::string name, std::chrono::milliseconds timeout);

  /// The server has said of a command that it no longer waits for its synchronous replicas, as an operator may tell it
  /// to.
  [[nodiscard]] bool is_unreplicated() const noexcept { return unreplicated_; }
  [[nodiscard]] bool is_open() const noexcept { return connection_ != nullptr; }
  void close() noexcept;
  /// Ends the operation under way, which then reports a lost connection. For stopping.
  void interrupt() noexcept;

 private:
  struct channel;
  struct finish {
    void operator()(pg_conn* c) const noexcept;
  };

  [[nodiscard]] boost::asio::awaitable<bool> wait(bool writable);
  [[nodiscard]] boost::asio::awaitable<std::string> poll_login();
  [[nodiscard]] boost::asio::awaitable<pg_answer> collect(std::chrono::milliseconds timeout);
  void watch_socket();
  void arm(std::chrono::milliseconds timeout);
  void disarm() noexcept;
  [[nodiscard]] std::string trouble() const;

  boost::asio::io_context& context_;
  std::unique_ptr<pg_conn, finish> connection_;
  std::shared_ptr<channel> channel_;
  bool unreplicated_ = false;
};

}  // namespace pgbraid::proxy
