// What a client is told of the server at login (ParameterStatus): asked of a real server once for each user and set of
// startup settings, then remembered.
#pragma once

#include "protocol/errors.hpp"
#include "proxy/session/settings.hpp"
#include "proxy/worker/served_database.hpp"

#include <boost/asio/awaitable.hpp>

#include <string>
#include <variant>

namespace pgbraid::proxy {

class worker;

/// The parameters; or the server's own ErrorResponse frame against the startup settings, made FATAL; or an error of ours.
using welcome_result = std::variant<welcome_parameters, std::string, protocol::error_report>;

/// runs on: its worker.
boost::asio::awaitable<welcome_result> welcome_of(worker& owner, served_database& database, std::string user, settings_ptr startup);

}  // namespace pgbraid::proxy
