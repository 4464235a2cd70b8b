// What is known of a client's password when it logs in: the topology's word, else auth.query's.
#pragma once

#include "config/config.hpp"
#include "protocol/password.hpp"
#include "proxy/worker/channel.hpp"

#include <boost/asio/awaitable.hpp>

#include <optional>
#include <string>

namespace pgbraid::proxy {

class served_database;
class worker;

/// The secret that auth.query gives for `user`, kept for a while; nothing set if there is none. Nothing at all if it
/// could not be asked for: the log says why. The query runs on the control plane's thread.
/// runs on: the worker's thread.
boost::asio::awaitable<std::optional<protocol::stored_password>> look_up_password(worker& owner,
                                                                                  served_database& database,
                                                                                  std::string user);

/// Where the client at the other end of `socket` comes from.
[[nodiscard]] config::client_address address_of_client(const stream_socket& socket);

}  // namespace pgbraid::proxy
