#include "proxy/look.hpp"

#include "proxy/cluster/monitor.hpp"

#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace pgbraid::proxy {
namespace {

constexpr std::chrono::seconds tell_every{5};

}  // namespace

std::map<std::string, database_state_ptr> look_at_servers(const std::shared_ptr<const config::topology>& topology,
                                                          const std::string& further) {
  std::mutex mutex;
  std::condition_variable changed;
  bool settled = false;
  std::map<std::string, database_state_ptr> states;
  monitor watching{[&](database_state_ptr state) {
    const std::lock_guard lock{mutex};
    states[state->name] = std::move(state);
  }};
  watching.start(topology, [&] {
    const std::lock_guard lock{mutex};
    settled = true;
    changed.notify_all();
  });
  if (!further.empty()) watching.ensure_database(further);
  {
    std::unique_lock lock{mutex};
    while (!changed.wait_for(lock, tell_every, [&] { return settled; })) {
      fmt::print(stderr, "pgbraid: still looking at the servers, their catalogs and rows\n");
    }
  }
  watching.stop();
  return states;
}

}  // namespace pgbraid::proxy
