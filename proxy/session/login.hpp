// A client's way in: startup packet, authentication, what it is told of the server. A coroutine, freed when it is through.
#pragma once

#include "proxy/session/session.hpp"

namespace pgbraid::proxy {

/// Leads the client from its first byte to its session's beginning, or to an error and the end of the connection.
/// runs on: the session's worker.
void log_in_client(session_ptr client);

}  // namespace pgbraid::proxy
