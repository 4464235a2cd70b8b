// The console: what the database name `pgbraid` leads to, for those listed under admin.users. It speaks the simple
// query protocol, so that psql can talk to it, and tells of pgbraid itself.
#pragma once

#include "proxy/worker/channel.hpp"

#include <boost/asio/awaitable.hpp>

#include <string>
#include <string_view>

namespace pgbraid::proxy {

class worker;

/// The database's name.
inline constexpr std::string_view console_database = "pgbraid";

/// Takes a client's place behind its login, whose answer it gives, until the client goes. `unread`: what the client has
/// sent behind its login. Throws system_error when the connection ends. runs on: the client's worker.
boost::asio::awaitable<void> run_console(worker& here, channel& io, std::string user, std::string unread);

}  // namespace pgbraid::proxy
