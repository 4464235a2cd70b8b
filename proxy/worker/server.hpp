// The process: workers and their threads, listener, control plane, signals, reload, and the way down.
#pragma once

#include "config/config.hpp"

#include <memory>

namespace pgbraid::proxy {

/// Serves until told to stop (SIGTERM or SIGINT: sessions may finish their transactions; a second one: at once). SIGHUP and
/// a changed file reload the topology. Returns the process's exit code.
/// runs on: the main thread.
int serve(std::shared_ptr<const config::topology> topology);

}  // namespace pgbraid::proxy
