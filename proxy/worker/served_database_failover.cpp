// What a database does on its worker when servers change their roles: connections to a server that is primary no more,
// or does not answer any more, are given up; those to a drained one are closed when they are free.
#include "proxy/worker/served_database.hpp"
#include "proxy/worker/worker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pgbraid::proxy {

namespace p = protocol;

// `before` had the same servers. A server whose place another has taken may come to itself again with transactions of
// ours still open: they must not end well there.
void served_database::fence(const database_state& before) {
  const database_state& now = *environment_.state;
  for (std::size_t i = 0; i < now.shards.size() && i < before.shards.size(); ++i) {
    const shard_state &was = before.shards[i], &is = now.shards[i];
    const bool other_primary = is.primary >= 0 && is.primary != was.primary;
    for (std::size_t k = 0; k < is.servers.size() && k < was.servers.size(); ++k) {
      const server_state &server = is.servers[k], &earlier = was.servers[k];
      const auto shard = static_cast<router::shard_index>(i);
      const bool primary = server.role == server_role::primary;
      if (primary && earlier.role != server_role::primary) note_promoted(shard, k);
      if (earlier.role == server_role::primary && !primary && server.answers) {
        cut(shard, k, "it is the primary no more");
      } else if (other_primary && static_cast<int>(k) != is.primary && server.role == server_role::unknown) {
        cut(shard, k, fmt::format("another server is the primary now, and this one: {}", server.reason));
      } else if (earlier.role == server_role::replica && earlier.answers && !server.answers) {
        cut(shard, k, server.reason);
      }
    }
  }
}

void served_database::cut(router::shard_index shard, std::size_t server, std::string_view why) {
  // Whoever loses something may go on at once and ask for pools of its own.
  std::vector<server_pool*> all;
  for (const auto& [user, shards] : pools_) {
    if (shard < shards.size() && server < shards[shard].size() && shards[shard][server] != nullptr)
      all.push_back(shards[shard][server]);
  }
  for (server_pool* pool : all) owner_.cut(*pool, std::string{why});
}

void served_database::note_promoted(router::shard_index shard, std::size_t server) {
  for (const auto& [user, shards] : pools_) {
    if (shard < shards.size() && server < shards[shard].size() && shards[shard][server] != nullptr)
      owner_.note_promoted(*shards[shard][server]);
  }
}

// Under a new topology: pools of servers that stand where they are listed now, for whoever has had some.
void served_database::take_over_pools(const std::vector<std::string>& users) {
  const auto& config = environment_.state->config;
  for (std::size_t i = 0; config && i < config->shards.size(); ++i) {
    for (std::size_t k = 0; k < config->shards[i].servers.size(); ++k) {
      for (const std::string& user : users) (void)pool_of(static_cast<router::shard_index>(i), k, user);
    }
  }
}

bool served_database::same_servers(const database_state& a, const database_state& b) {
  if (a.config == b.config) return true;
  const auto same_server = [](const config::server& x, const config::server& y) {
    return x.host == y.host && x.port == y.port && x.dbname == y.dbname;
  };
  const auto same_shard = [&](const config::shard& x, const config::shard& y) {
    return std::equal(x.servers.begin(), x.servers.end(), y.servers.begin(), y.servers.end(), same_server);
  };
  return a.config && b.config &&
         std::equal(a.config->shards.begin(), a.config->shards.end(), b.config->shards.begin(), b.config->shards.end(),
                    same_shard);
}

void served_database::take_pauses() {
  const auto& config = environment_.state->config;
  const std::vector<bool> before = std::exchange(paused_, {});
  for (std::size_t i = 0; config && i < config->shards.size(); ++i) {
    if (!owner_.shared().paused.is_paused(environment_.state->name, config->shards[i].name)) continue;
    paused_.resize(config->shards.size());
    paused_[i] = true;
  }
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] && (paused_.empty() || (i < paused_.size() && !paused_[i]))) waiting_.let_go(static_cast<router::shard_index>(i));
  }
}

unsigned served_database::primary_in_use(const std::string& shard) const {
  const database_state& state = *environment_.state;
  unsigned sum = 0;
  for (std::size_t i = 0; state.config && i < state.shards.size() && i < state.config->shards.size(); ++i) {
    const int primary = state.shards[i].primary;
    if (state.config->shards[i].name != shard || primary < 0) continue;
    for (const auto& [user, shards] : pools_) {
      if (i >= shards.size() || static_cast<std::size_t>(primary) >= shards[i].size()) continue;
      const server_pool* const pool = shards[i][static_cast<std::size_t>(primary)];
      if (pool != nullptr) sum += pool->in_use();
    }
  }
  return sum;
}

void served_database::tick(steady_time now) {
  waiting_.tick(now, *environment_.state);
  listeners_.tick(now);
  look_at_catalog();
  const database_state& state = *environment_.state;
  for (std::size_t i = 0; i < state.shards.size(); ++i) {
    for (std::size_t k = 0; k < state.shards[i].servers.size(); ++k) {
      const bool paused = i < paused_.size() && paused_[i] && static_cast<int>(k) == state.shards[i].primary;
      if (!state.shards[i].servers[k].drained && !paused) continue;
      for (const auto& [user, shards] : pools_) {
        if (i < shards.size() && k < shards[i].size() && shards[i][k] != nullptr) shards[i][k]->close_idle();
      }
    }
  }
}

}  // namespace pgbraid::proxy
