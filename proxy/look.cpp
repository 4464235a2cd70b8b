#include "proxy/look.hpp"

#include "proxy/cluster/definition_drift.hpp"
#include "proxy/cluster/monitor.hpp"

#include <fmt/format.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace pgbraid::proxy {
namespace {

constexpr std::chrono::seconds tell_every{5};

void tell_waiting() {
  fmt::print(stderr, "pgbraid: still looking at the servers, their catalogs and rows\n");
}

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
    while (!changed.wait_for(lock, tell_every, [&] { return settled; })) tell_waiting();
  }
  watching.stop();
  return states;
}

database_state_ptr look_at_database(const std::shared_ptr<const config::topology>& topology, const std::string& name,
                                    std::string& problem) {
  const std::string& first = topology->databases.front().name;
  const std::string& wanted = name.empty() ? first : name;
  const auto states = look_at_servers(topology, wanted == first ? std::string{} : wanted);
  const auto found = states.find(wanted);
  if (found == states.end() || !found->second->config) {
    problem = fmt::format("database \"{}\" is not in the topology", wanted);
    return nullptr;
  }
  if (!found->second->served) {
    problem = fmt::format("database \"{}\" is not served: {}", wanted, found->second->reason);
    return nullptr;
  }
  return found->second;
}

std::string usual_user(const config::topology& topology) {
  const bool named = !topology.users.empty() && topology.users.front().name != "*";
  return named ? topology.users.front().name : topology.monitor.user;
}

pg_login primary_login(const database_state& state, std::size_t shard, std::string user,
                       std::optional<std::string> password) {
  const config::server& at = state.config->shards[shard].servers[static_cast<std::size_t>(state.shards[shard].primary)];
  return {at.host, at.port,  at.dbname.empty() ? state.name : at.dbname, std::move(user), std::move(password), at.tls,
          false,   "pgbraid"};
}

namespace {

constexpr std::chrono::seconds definitions_timeout{60};  // nobody waits for anything else by then

boost::asio::awaitable<void> read_one(boost::asio::io_context& context, const router::topology& map, pg_login login,
                                      definition_reading& reading) {
  pg_connection connection{context};
  reading.error = co_await connection.connect(std::move(login), definitions_timeout);
  if (reading.error.empty()) reading = co_await read_definitions(connection, map, definitions_timeout);
}

}  // namespace

drift_report compare_definitions(const config::topology& topology, const database_state& state) {
  boost::asio::io_context context;
  std::vector<definition_reading> readings(state.shards.size());
  for (std::size_t i = 0; i < state.shards.size(); ++i) {
    if (state.shards[i].primary < 0) return {{}, fmt::format("shard {} has no primary", state.map->shards[i])};
    pg_login login = primary_login(state, i, topology.monitor.user, topology.monitor.password);
    boost::asio::co_spawn(context, read_one(context, *state.map, std::move(login), readings[i]), boost::asio::detached);
  }
  while (!context.stopped()) {
    context.run_for(tell_every);
    if (!context.stopped()) tell_waiting();
  }
  std::vector<definition_map> found;
  for (std::size_t i = 0; i < readings.size(); ++i) {
    if (!readings[i].error.empty()) return {{}, fmt::format("shard {}: {}", state.map->shards[i], readings[i].error)};
    found.push_back(std::move(readings[i].found));
  }
  return {differences(found, state.map->shards), {}};
}

}  // namespace pgbraid::proxy
