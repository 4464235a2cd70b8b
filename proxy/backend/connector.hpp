// Opens a connection to a server and logs in: the only place where a session's data plane pays for that. A coroutine.
#pragma once

#include <cstdint>

namespace pgbraid::proxy {

class server_pool;

/// Opens a backend for the pool's waiting request; ends in server_pool::connected or ::connect_failed.
/// runs on: the pool's worker. SCRAM keys are derived on the process's own thread for that.
void open_backend(server_pool& pool, std::uint64_t request);

}  // namespace pgbraid::proxy
