#include "proxy/look.hpp"

#include "proxy/cluster/definition_drift.hpp"
#include "proxy/cluster/doubled_values.hpp"
#include "proxy/cluster/monitor.hpp"

#include <fmt/format.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
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

void run_and_tell(boost::asio::io_context& context) {
  while (!context.stopped()) {
    context.run_for(tell_every);
    if (!context.stopped()) tell_waiting();
  }
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
  run_and_tell(context);
  std::vector<definition_map> found;
  for (std::size_t i = 0; i < readings.size(); ++i) {
    if (!readings[i].error.empty()) return {{}, fmt::format("shard {}: {}", state.map->shards[i], readings[i].error)};
    found.push_back(std::move(readings[i].found));
  }
  return {differences(found, state.map->shards), {}};
}

namespace {

constexpr std::chrono::hours values_timeout{24};  // tables of any size are sorted

/// A value that may hold anything.
std::string on_one_line(std::string value) {
  const auto control = [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; };
  std::replace_if(value.begin(), value.end(), control, '?');
  return value;
}

std::string about_values(const std::string& what, const doubled_report& report,
                         const std::vector<std::string>& shards) {
  if (!report.error.empty())
    return fmt::format("values of {} could not be compared: shard {}: {}", what, shards[report.failed], report.error);
  if (report.found.empty()) return {};
  std::string out = fmt::format("values of {} stand on several shards:", what);
  for (const doubled_value& each : report.found) {
    out += fmt::format("{} '{}' (", &each == &report.found.front() ? "" : ",", on_one_line(each.value));
    for (std::size_t i = 0; i < each.shards.size(); ++i) out += (i == 0 ? "" : ", ") + shards[each.shards[i]];
    out += ')';
  }
  return report.more == 0 ? out : out + fmt::format(", and {} more", report.more);
}

boost::asio::awaitable<void> look_for_doubled(std::vector<std::unique_ptr<pg_connection>>& shards,
                                              std::vector<pg_login> logins, const database_state& state,
                                              std::vector<std::string>& told) {
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string failed = co_await shards[i]->connect(std::move(logins[i]), definitions_timeout);
    if (failed.empty()) continue;
    told.push_back(fmt::format("values could not be compared: shard {}: {}", state.map->shards[i], failed));
    co_return;
  }
  for (const auto& [name, table] : state.schema->relations) {
    for (const router::claimed_column& claimed : table.claimed) {
      const doubled_report report =
          co_await find_doubled_values(shards, table.schema, table.name, claimed.column, values_timeout);
      std::string text =
          about_values(fmt::format("column \"{}\" of {}", claimed.column, name), report, state.map->shards);
      if (!text.empty()) told.push_back(std::move(text));
      if (!report.error.empty()) co_return;
    }
  }
}

}  // namespace

std::vector<std::string> find_doubled_values(const config::topology& topology, const database_state& state) {
  const bool any =
      state.schema != nullptr && std::any_of(state.schema->relations.begin(), state.schema->relations.end(),
                                             [](const auto& each) { return !each.second.claimed.empty(); });
  if (!any) return {};
  boost::asio::io_context context;
  std::vector<std::unique_ptr<pg_connection>> shards;
  std::vector<pg_login> logins;
  for (std::size_t i = 0; i < state.shards.size(); ++i) {
    if (state.shards[i].primary < 0)
      return {fmt::format("values could not be compared: shard {} has no primary", state.map->shards[i])};
    logins.push_back(primary_login(state, i, topology.monitor.user, topology.monitor.password));
    shards.push_back(std::make_unique<pg_connection>(context));
  }
  std::vector<std::string> told;
  boost::asio::co_spawn(context, look_for_doubled(shards, std::move(logins), state, told), boost::asio::detached);
  run_and_tell(context);
  return told;
}

}  // namespace pgbraid::proxy
