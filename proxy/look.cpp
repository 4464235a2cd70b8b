#include "proxy/look.hpp"

#include "proxy/cluster/monitor.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace pgbraid::proxy {

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
    changed.wait_for(lock, topology->monitor.timeout * 2 + std::chrono::seconds{1}, [&] { return settled; });
  }
  watching.stop();
  return states;
}

}  // namespace pgbraid::proxy
