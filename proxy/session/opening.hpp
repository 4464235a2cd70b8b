// What a client says before it logs in: requests for encryption, for a cancel, and the startup packet. Source: the manual's
// sections "Start-up", "SSL Session Encryption" and "Canceling Requests in Progress" of "Message Flow".
#pragma once

#include "protocol/errors.hpp"
#include "protocol/startup.hpp"
#include "proxy/worker/channel.hpp"

#include <boost/asio/awaitable.hpp>

#include <optional>
#include <string>

namespace pgbraid::proxy {

class worker;

/// Thrown: the login ends here with this word to the client.
struct refused {
  protocol::error_report error;
};

/// Reads up to the startup packet and answers what comes before it; TLS stands when it returns, if the client wants it.
/// `unread` is what has come and is not dealt with. Nothing: it was a cancel request, which is on its way. Throws refused,
/// and system_error when the client is gone.
/// runs on: the client's worker.
boost::asio::awaitable<std::optional<protocol::startup_message>> open_connection(worker& owner, channel& io,
                                                                                std::string& unread);

}  // namespace pgbraid::proxy
