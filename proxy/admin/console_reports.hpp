// What SHOW tells at the console, as rows of text; and who is paused.
#pragma once

#include "protocol/errors.hpp"
#include "proxy/admin/console_command.hpp"

#include <boost/asio/awaitable.hpp>

#include <optional>
#include <string>
#include <vector>

namespace pgbraid::proxy {

class worker;

struct console_report {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
};

/// The answer to a SHOW. runs on: `here`.
boost::asio::awaitable<console_report> report_of(worker& here, console_command::kind what);

/// PAUSE: nobody is given the primaries any more, statements that need one wait as during a failover, and the call
/// returns when no transaction is open there. If that does not come to pass within failover.hold they are given out
/// again, and the error says so. RESUME undoes it. runs on: `here`.
boost::asio::awaitable<std::optional<protocol::error_report>> pause_or_resume(worker& here, console_command command);

}  // namespace pgbraid::proxy
