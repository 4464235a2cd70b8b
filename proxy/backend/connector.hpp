// Opens a connection to a server and logs in: the only place where a session's data plane pays for that. Coroutines.
#pragma once

#include "protocol/backend_login.hpp"
#include "protocol/errors.hpp"
#include "protocol/startup.hpp"
#include "proxy/worker/channel.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace pgbraid::proxy {

class server_pool;
class worker;
struct server_endpoint;

/// Opens a backend for the pool's waiting request; ends in server_pool::connected or ::connect_failed.
/// runs on: the pool's worker. SCRAM keys are derived on the process's own thread for that.
void open_backend(server_pool& pool, std::uint64_t request);

/// A connection that belongs to no pool.
struct dedicated_connection {
  channel io;  ///< past its login; closed if that failed
  protocol::backend_login::done welcome;
  std::optional<protocol::error_report> failure;
  std::string server_error;  ///< the ErrorResponse frame that was the reason; "" if there was none
};

/// Connects and logs in with further startup parameters, within timeouts.connect. Does not throw.
/// runs on: the owner's thread.
boost::asio::awaitable<dedicated_connection> open_dedicated(worker& owner, server_endpoint endpoint,
                                                            protocol::parameter_list parameters);

}  // namespace pgbraid::proxy
