#include "proxy/check_command.hpp"

#include "proxy/cluster/claimed_columns.hpp"
#include "proxy/cluster/pg_connection.hpp"
#include "proxy/look.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pgbraid::proxy {
namespace {

struct stored_secret {
  std::string role;  ///< as it is written in SQL
  std::string secret;
};
/// By the role's name.
using secrets = std::map<std::string, stored_secret>;

constexpr std::string_view scram_prefix = "SCRAM-SHA-256$";

/// What the server holds of those who may log in; the reason why it cannot be asked goes to `trouble`.
boost::asio::awaitable<secrets> read_secrets(boost::asio::io_context& context, pg_login login,
                                             std::chrono::milliseconds timeout, std::string& trouble) {
  secrets found;
  pg_connection connection{context};
  trouble = co_await connection.connect(std::move(login), timeout);
  if (!trouble.empty()) co_return found;
  pg_answer said = co_await connection.query(
      "SELECT rolname, pg_catalog.quote_ident(rolname), rolpassword FROM pg_catalog.pg_authid WHERE rolcanlogin", {}, timeout);
  trouble = said.error;
  for (pg_row& row : said.rows) {
    if (row.size() == 3 && row[0] && row[1] && row[2]) found[*row[0]] = {std::move(*row[1]), std::move(*row[2])};
  }
  co_return found;
}

void print_server(const config::server& named, const server_state& seen, bool primary) {
  std::string what = primary ? "primary" : seen.role == server_role::replica ? "replica" : "";
  if (!primary && seen.usable) what += fmt::format(", {} bytes behind", seen.lag_bytes);
  if (!primary && !seen.usable) what += fmt::format("{}out: {}", what.empty() ? "" : ", ", seen.reason);
  fmt::print("    {}:{}: {}\n", named.host, named.port, what);
}

/// False: a column that is listed as unique cannot be written.
bool print_listed_columns(const database_state& state) {
  if (!lists_unique(*state.map)) return true;
  const std::string& none = state.schema->no_claims;
  fmt::print("  unique values over several shards: {}\n", none.empty() ? "yes" : "no: " + none);
  bool well = none.empty();
  for (const auto& [name, table] : state.schema->relations) {
    for (const std::string& finding : table.unenforced) {
      if (!is_about_listed_column(finding)) continue;
      fmt::print("  table {}: {}\n", name, finding);
      well = false;
    }
  }
  return well;
}

/// False: something is wrong with it.
bool print_database(const database_state& state) {
  fmt::print("database {}: {}\n", state.name, state.served ? "served" : "not served: " + state.reason);
  bool well = state.served;
  for (std::size_t i = 0; i < state.shards.size(); ++i) {
    fmt::print("  shard {}\n", state.config->shards[i].name);
    const shard_state& shard = state.shards[i];
    for (std::size_t k = 0; k < shard.servers.size(); ++k) {
      const bool primary = shard.primary == static_cast<int>(k);
      well = well && (primary || shard.servers[k].usable || shard.servers[k].drained);
      print_server(state.config->shards[i].servers[k], shard.servers[k], primary);
    }
    well = well && shard.primary >= 0;
  }
  if (state.shards.size() < 2 || state.schema == nullptr) return well;
  for (const auto& [table, why] : state.map->unfit)
    fmt::print("  table {} is meant to be sharded and cannot be: {}\n", table, why);
  well = well && state.map->unfit.empty();
  const std::string& single = state.schema->single_writer;
  fmt::print("  transactions over several shards: {}\n", single.empty() ? "yes" : "no: " + single);
  return print_listed_columns(state) && well && single.empty();
}

/// Roles whose passwords pgbraid does not know: it logs in as they do by what their secrets and their own logins give.
bool passes_through(const config::topology& topology, const std::string& role) {
  const config::user* const user = config::find_user(topology, role);
  return user == nullptr || !user->password || user->password->starts_with(scram_prefix);
}

/// Roles whose secrets differ between shards. False: there are some, or it could not be seen.
bool compare_secrets(const config::topology& topology, const database_state& state) {
  boost::asio::io_context context;
  std::vector<std::string> names;
  std::vector<secrets> all;
  std::vector<std::string> troubles(state.shards.size());
  for (std::size_t i = 0; i < state.shards.size(); ++i) {
    names.push_back(state.config->shards[i].name);
    all.emplace_back();
    if (state.shards[i].primary < 0) continue;
    pg_login login = primary_login(state, i, topology.monitor.user, topology.monitor.password);
    auto task = [&, i, login = std::move(login)]() mutable -> boost::asio::awaitable<void> {
      all[i] = co_await read_secrets(context, std::move(login), topology.monitor.timeout, troubles[i]);
    };
    boost::asio::co_spawn(context, std::move(task), boost::asio::detached);
    context.run();
    context.restart();
  }
  for (std::size_t i = 0; i < troubles.size(); ++i) {
    if (troubles[i].empty()) continue;
    fmt::print("  passwords could not be compared: shard {}: {}\n", names[i], troubles[i]);
    return false;
  }
  bool same = true;
  for (const auto& [role, first] : all.front()) {
    if (!first.secret.starts_with(scram_prefix) || !passes_through(topology, role)) continue;
    for (std::size_t i = 1; i < all.size(); ++i) {
      const auto there = all[i].find(role);
      if (there == all[i].end() || there->second.secret == first.secret) continue;
      same = false;
      fmt::print("  role {}: its secret on shard {} is not the one on shard {}, and its password is not in the topology; on shard {}:\n"
                 "    ALTER ROLE {} PASSWORD '{}';\n",
                 role, names[i], names.front(), names[i], first.role, first.secret);
    }
  }
  return same;
}

/// False: definitions differ between shards, or it could not be seen.
bool compare_shards(const config::topology& topology, const database_state& state) {
  const drift_report drift = compare_definitions(topology, state);
  if (!drift.error.empty()) fmt::print("  definitions could not be compared: {}\n", drift.error);
  for (const std::string& difference : drift.differences) fmt::print("  {}\n", difference);
  return drift.error.empty() && drift.differences.empty();
}

/// False: values that are to be unique stand on several shards, or it could not be seen.
bool compare_values(const config::topology& topology, const database_state& state) {
  const std::vector<std::string> told = find_doubled_values(topology, state);
  for (const std::string& text : told) fmt::print("  {}\n", text);
  return told.empty();
}

}  // namespace

int check_servers(std::shared_ptr<const config::topology> topology) {
  bool well = true;
  for (const auto& [name, state] : look_at_servers(topology)) {
    if (!state->config) continue;
    well = print_database(*state) && well;
    if (state->shards.size() < 2) continue;
    well = compare_shards(*topology, *state) && well;
    well = compare_secrets(*topology, *state) && well;
    well = compare_values(*topology, *state) && well;
  }
  return well ? 0 : 1;
}

}  // namespace pgbraid::proxy
