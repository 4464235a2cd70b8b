// `auth.query`: the stored secret of a user that the topology does not name, asked of a server.
#pragma once

#include "proxy/cluster/pg_connection.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pgbraid::proxy {

struct password_answer {
  std::optional<std::string> secret;  ///< nothing: there is no such user, or it has no password
  std::string error;                  ///< why nothing could be asked; "" otherwise
};

struct password_question {
  std::vector<pg_login> servers;  ///< in order of preference: the first that can be reached is asked
  std::string query, user;        ///< `user` is $1; the answer is one row of name and secret, or none
  std::chrono::milliseconds timeout{2000};
  std::function<void(password_answer)> answered;  ///< runs on the control plane's thread
};

/// What PostgreSQL said to the query, as an answer for `user`.
[[nodiscard]] password_answer read_password_answer(const pg_answer& said, const std::string& user);

/// Questions of one database are asked one after the other over one connection, which is closed when none is left; the
/// same one that waits several times is asked once. runs on: the monitor's thread.
class password_lookup {
 public:
  explicit password_lookup(boost::asio::io_context& context) : context_{context} {}

  void ask(const std::string& database, password_question question);
  /// Ends what is under way; nobody is answered after this.
  void stop();

 private:
  struct asker {
    explicit asker(boost::asio::io_context& context) : connection{context} {}
    pg_connection connection;
    std::deque<password_question> waiting;
    bool running = false, stopped = false;
  };
  static boost::asio::awaitable<void> serve(std::shared_ptr<asker> self);
  static boost::asio::awaitable<password_answer> ask_one(asker& self, const password_question& question);

  boost::asio::io_context& context_;
  std::map<std::string, std::shared_ptr<asker>> askers_;
};

}  // namespace pgbraid::proxy
