// A replication connection: a client and a server connection of its own, and bytes both ways as they come. What they
// say to each other is theirs. Source: the manual's chapter "Streaming Replication Protocol".
#pragma once

#include "proxy/backend/connector.hpp"
#include "proxy/backend/pool.hpp"
#include "proxy/session/session.hpp"

#include <boost/asio/awaitable.hpp>

#include <memory>
#include <string>
#include <variant>

namespace pgbraid::proxy {

/// Takes a client's place behind its login until one of the two connections ends, which ends the other.
/// Memory: one buffer for each direction; who does not take what comes stops the reading of it.
/// runs on: the session's worker.
class replication_relay {
 public:
  replication_relay(session_ptr client, server_endpoint endpoint, dedicated_connection server);
  ~replication_relay();

  /// What the client is told of its session: the server's parameters, and ReadyForQuery.
  [[nodiscard]] std::string welcome() const;
  /// `unread`: what the client has sent behind its login. Does not throw. Returns when both connections are closed.
  boost::asio::awaitable<void> run(std::string unread);
  /// A cancel request that named the client.
  void cancel();

 private:
  boost::asio::awaitable<void> copy(channel& from, channel& to);
  void end();

  session_ptr client_;
  server_endpoint endpoint_;
  dedicated_connection server_;
};

/// The relay; the ErrorResponse frame with which the server refused; or why there is no connection.
using replication_result = std::variant<std::shared_ptr<replication_relay>, std::string, protocol::error_report>;

/// Logs in to the database's primary with the client's own startup parameters. Does not throw.
/// runs on: the session's worker.
boost::asio::awaitable<replication_result> open_replication(session_ptr client, served_database& database,
                                                            std::string user, protocol::parameter_list startup);

}  // namespace pgbraid::proxy
