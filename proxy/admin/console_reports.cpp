#include "proxy/admin/console_reports.hpp"

#include "proxy/admin/everywhere.hpp"
#include "proxy/worker/served_database.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <functional>
#include <utility>

namespace pgbraid::proxy {

namespace asio = boost::asio;
namespace p = protocol;

namespace {

using rows = std::vector<std::vector<std::string>>;
/// Database and shard.
using shard_name = std::pair<std::string, std::string>;

constexpr auto look_again = std::chrono::milliseconds{20};

// Parts of commits over several shards whose sessions are gone, and which could not be finished yet.
void add_doubtful(worker& here, console_report& report) {
  for (const database_state_ptr& state : here.shared().databases()) {
    for (std::size_t i = 0; i < state->shards.size() && i < state->map->shards.size(); ++i) {
      for (const doubtful_transaction& each : state->shards[i].doubtful) {
        report.rows.push_back({"", each.owner, state->name, "", fmt::format("in doubt since {} UTC", each.since),
                               state->map->shards[i], "t", each.id});
      }
    }
  }
}

asio::awaitable<console_report> clients(worker& here, bool transactions) {
  console_report report{{"pid", "user", "database", "worker", "state", "servers", "wrote", "kept_because"}, {}};
  const auto ask = [transactions](worker& each) {
    rows found;
    each.for_each_session([&](const session& s) {
      session_description d = s.describe();
      if (transactions && !d.in_transaction) return;
      found.push_back({std::to_string(d.pid), std::move(d.user), std::move(d.database), std::to_string(each.number()),
                       std::move(d.state), std::move(d.servers), d.wrote ? "t" : "f", std::move(d.kept_because)});
    });
    return found;
  };
  std::vector<rows> all = co_await ask_everywhere<rows>(here, ask);
  for (rows& of_one : all) std::move(of_one.begin(), of_one.end(), std::back_inserter(report.rows));
  if (transactions) add_doubtful(here, report);
  co_return report;
}

std::string_view name_of(server_role role) {
  switch (role) {
    case server_role::primary:
      return "primary";
    case server_role::replica:
      return "replica";
    case server_role::unknown:
      break;
  }
  return "unknown";
}

console_report servers(worker& here) {
  console_report report{{"database", "shard", "server", "role", "usable", "paused", "timeline", "lag_bytes", "reason"},
                        {}};
  for (const database_state_ptr& state : here.shared().databases()) {
    for (std::size_t i = 0; state->config && i < state->shards.size() && i < state->config->shards.size(); ++i) {
      const config::shard& listed = state->config->shards[i];
      const shard_state& shard = state->shards[i];
      for (std::size_t k = 0; k < shard.servers.size() && k < listed.servers.size(); ++k) {
        const server_state& server = shard.servers[k];
        const bool paused =
            static_cast<int>(k) == shard.primary && here.shared().paused.is_paused(state->name, listed.name);
        report.rows.push_back({state->name, listed.name,
                               fmt::format("{}:{}", listed.servers[k].host, listed.servers[k].port),
                               std::string{name_of(server.role)}, server.usable ? "t" : "f", paused ? "t" : "f",
                               std::to_string(shard.timeline), std::to_string(server.lag_bytes), server.reason});
      }
    }
  }
  return report;
}

console_report databases(worker& here) {
  console_report report{{"database", "served", "shards", "reason"}, {}};
  for (const database_state_ptr& state : here.shared().databases()) {
    report.rows.push_back(
        {state->name, state->served ? "t" : "f", std::to_string(state->shards.size()), state->reason});
  }
  return report;
}

// The shards that the command names, or why there are none.
std::optional<p::error_report> find_shards(worker& here, const console_command& command,
                                           std::vector<shard_name>& found) {
  bool database = command.database.empty();
  for (const database_state_ptr& state : here.shared().databases()) {
    if (!state->config || (!command.database.empty() && state->name != command.database)) continue;
    database = true;
    for (const config::shard& shard : state->config->shards) {
      if (command.shard.empty() || shard.name == command.shard) found.emplace_back(state->name, shard.name);
    }
  }
  if (!database) return p::make_error(p::error_id::console_object, "database", command.database);
  if (found.empty() && !command.shard.empty())
    return p::make_error(p::error_id::console_object, "shard", command.shard);
  return std::nullopt;
}

asio::awaitable<void> set_paused(worker& here, const std::vector<shard_name>& shards, bool paused) {
  for (const auto& [database, shard] : shards) here.shared().paused.set(database, shard, paused);
  const auto take = [](worker& each) {
    each.take_pauses();
    return true;
  };
  (void)co_await ask_everywhere<bool>(here, take);
}

asio::awaitable<unsigned> in_use(worker& here, std::vector<shard_name> shards) {
  const auto ask = [shards](worker& each) {
    unsigned sum = 0;
    for (const auto& [database, shard] : shards) {
      if (served_database* const known = each.find_database(database)) sum += known->primary_in_use(shard);
    }
    return sum;
  };
  unsigned sum = 0;
  for (const unsigned of_one : co_await ask_everywhere<unsigned>(here, ask)) sum += of_one;
  co_return sum;
}

std::string words_of(const std::vector<shard_name>& shards) {
  std::string words;
  for (const auto& [database, shard] : shards)
    words += fmt::format("{}{}/{}", words.empty() ? "" : ", ", database, shard);
  return words;
}

}  // namespace

asio::awaitable<console_report> report_of(worker& here, console_command::kind what) {
  using kind = console_command::kind;
  if (what == kind::show_servers) co_return servers(here);
  if (what == kind::show_databases) co_return databases(here);
  co_return co_await clients(here, what == kind::show_transactions);
}

asio::awaitable<std::optional<p::error_report>> pause_or_resume(worker& here, console_command command) {
  std::vector<shard_name> shards;
  if (auto error = find_shards(here, command, shards)) co_return error;
  const bool pause = command.what == console_command::kind::pause;
  co_await set_paused(here, shards, pause);
  spdlog::info("{}: {}", pause ? "paused" : "resumed", words_of(shards));
  if (!pause) co_return std::nullopt;
  const auto latest = std::chrono::steady_clock::now() + here.options().failover.hold;
  asio::steady_timer timer{here.context()};
  unsigned left = 0;
  while ((left = co_await in_use(here, shards)) > 0 && std::chrono::steady_clock::now() < latest) {
    timer.expires_after(look_again);
    co_await timer.async_wait(asio::use_awaitable);
  }
  if (left == 0) co_return std::nullopt;
  co_await set_paused(here, shards, false);
  spdlog::warn("not paused: {}: {} connections to their primaries are still in use", words_of(shards), left);
  co_return p::make_error(p::error_id::console_busy, left);
}

}  // namespace pgbraid::proxy
