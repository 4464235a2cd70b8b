#include "proxy/worker/served_database.hpp"

#include "proxy/cluster/random_record.hpp"
#include "proxy/worker/worker.hpp"

#include <string>
#include <utility>

namespace pgbraid::proxy {

namespace p = protocol;

namespace {

// How often a shard's servers are asked how far they are, at the most, for sessions that no replica shows enough yet.
constexpr std::chrono::milliseconds look_again_after{200};  // where no answer has come

}  // namespace

served_database::served_database(worker& owner, database_state_ptr state)
    : owner_{owner},
      contexts_{owner.options().limits.max_parse},
      environment_{owner.settings(), owner.statements(), contexts_, std::move(state), owner.options().limits.max_message, owner.options().limits.max_statements,
                   500, owner.options().limits.max_gather},
      waiting_{owner, owner.shared().waiting},
      waiting_for_replicas_{owner},
      listeners_{owner, *this} {
  environment_.max_notifications = owner.options().limits.max_notifications;
  environment_.gathered = &owner.shared().gathered;
  environment_.random_record = &random_record;
  take_pool_options();
  take_pauses();
}

void served_database::take_pool_options() {
  if (!environment_.state->config) return;
  environment_.max_backend_statements = environment_.state->config->pool.prepared_statements;
  environment_.pool_mode = environment_.state->config->pool.mode;
  environment_.answers_decided = environment_.state->config->commits.answer == config::commit_answer::decided;
  const auto& sharding = environment_.state->config->sharding;
  const std::uint32_t block = sharding ? sharding->sequence_blocks : 1;
  if (block != (environment_.blocks ? environment_.blocks->size() : 1))
    environment_.blocks = block > 1 ? std::make_unique<number_blocks>(block) : nullptr;
  const bool global = environment_.state->config->reads.consistency == config::consistency::global;
  take_lookup();
  const bool noted = global || environment_.keys;
  const bool from_now_on = noted && environment_.marks == nullptr;
  environment_.marks = noted ? &owner_.shared().marks : nullptr;
  environment_.global_reads = global;
  environment_.mark_seeds.clear();
  for (const config::shard& shard : environment_.state->config->shards) {
    environment_.mark_seeds.push_back(write_marks::seed_of(environment_.state->name, shard.name));
    // Nobody has noted what was written until now.
    if (from_now_on) environment_.marks->wrote_anything(environment_.mark_seeds.back(), std::chrono::steady_clock::now());
  }
}

// Of a sequence that there is no more, or drawn of a primary whose WAL the one that is now may not have.
void served_database::forget_blocks(const database_state& before) {
  const database_state& now = *environment_.state;
  const auto primary = [](const database_state& state) {
    return state.shards.empty() ? -1 : state.shards.front().primary;
  };
  if (environment_.blocks && (before.schema != now.schema || primary(before) != primary(now)))
    environment_.blocks->forget();
}

void served_database::take_lookup() {
  if (keys_for_ == environment_.state->config) return;
  keys_for_ = environment_.state->config;
  const auto& sharding = keys_for_->sharding;
  environment_.keys = nullptr;
  if (!sharding || !sharding->lookup) return;
  // Others may change what is kept in mind here.
  const std::chrono::milliseconds usual =
      owner_.options().instances.peers.empty() ? std::chrono::seconds{10} : std::chrono::seconds{0};
  environment_.keys = std::make_shared<key_cache>(sharding->lookup->cache, sharding->lookup->max_age.value_or(usual));
}

void served_database::update(database_state_ptr state) {
  std::vector<std::string> users;
  if (state->config != environment_.state->config) {
    for (const auto& [user, pools] : pools_) users.push_back(user);
    // Servers may have come, gone or changed places: pools are looked up anew by what the topology says now.
    pools_.clear();
    last_pools_ = nullptr;
    welcomes_.clear();
  }
  if (state->schema != environment_.state->schema) owner_.statements().schema_changed();
  const auto& schema = environment_.state->schema;
  if (schema && state->schema && schema->defaults != state->schema->defaults) owner_.renew_everywhere();
  const database_state_ptr before = std::exchange(environment_.state, std::move(state));
  take_pool_options();
  forget_blocks(*before);
  take_pauses();
  contexts_.update(environment_.state);
  looked_.clear();
  if (before->config != environment_.state->config) take_over_pools(users);
  if (same_servers(*before, *environment_.state)) fence(*before);
  listeners_.look_at_primaries();
  const database_state_ptr now = environment_.state;
  for (std::size_t i = 0; now->served && i < now->shards.size(); ++i) {
    if (now->shards[i].primary >= 0) waiting_.release(static_cast<router::shard_index>(i));
  }
  look_at_catalog();
  if (!waiting_for_replicas_.anybody()) return;
  waiting_for_replicas_.look();
  for (std::size_t i = 0; i < now->shards.size(); ++i) {
    const auto shard = static_cast<router::shard_index>(i);
    if (waiting_for_replicas_.anybody(shard)) owner_.look_at_positions(now->name, i);
  }
}

// Sessions that wait for a definition to be known go on, or wait again.
void served_database::look_at_catalog() {
  if (environment_.awaiting_catalog > 0) owner_.look_at_catalog();
}

void served_database::look_at_replicas(router::shard_index shard) {
  const steady_time now = std::chrono::steady_clock::now();
  if (looked_.size() <= shard) looked_.resize(shard + std::size_t{1}, steady_time::min());
  if (looked_[shard] != steady_time::min() && now - looked_[shard] < look_again_after) return;
  looked_[shard] = now;
  owner_.look_at_positions(environment_.state->name, shard);
}

void served_database::look_at_servers(router::shard_index shard) {
  const std::vector<server_state>& servers = environment_.state->shards[shard].servers;
  for (std::size_t k = 0; k < servers.size(); ++k) owner_.server_trouble(environment_.state->name, shard, k);
}

void served_database::take_limits(const config::limits& limits) {
  environment_.max_message_bytes = limits.max_message;
  environment_.max_statements = limits.max_statements;
  environment_.max_notifications = limits.max_notifications;
  contexts_.set_max_parse(limits.max_parse);
  if (!environment_.state->config) return;
  for (const auto& [user, shards] : pools_) {
    for (const auto& servers : shards) {
      for (server_pool* pool : servers) {
        if (pool != nullptr) configure(*pool, user);
      }
    }
  }
}

void served_database::configure(server_pool& pool, const std::string& user) {
  const config::pool_options& options = environment_.state->config->pool;
  const config::user* const named = config::find_user(owner_.options(), user);
  const budget_limits limits{options.size, options.reserve, options.max_connections, named == nullptr ? 0 : named->max_server_connections};
  (void)owner_.pool(pool.endpoint(), &limits);
  pool.idle_timeout = options.idle_timeout;
  pool.lifetime = options.lifetime;
  pool.reserve_after = options.reserve_after;
}

server_pool& served_database::pool_of(router::shard_index shard, std::size_t server, const std::string& user) {
  const config::database& config = *environment_.state->config;
  if (last_pools_ == nullptr || last_user_ != user) {
    auto& made = pools_[user];
    made.resize(config.shards.size());
    for (std::size_t i = 0; i < made.size(); ++i) made[i].resize(config.shards[i].servers.size());
    last_user_ = user;
    last_pools_ = &made;
  }
  server_pool*& pool = (*last_pools_)[shard][server];
  if (pool == nullptr) {
    const config::server& at = config.shards[shard].servers[server];
    server_endpoint endpoint;
    endpoint.host = at.host;
    endpoint.port = at.port;
    endpoint.database = at.dbname.empty() ? environment_.state->name : at.dbname;
    endpoint.user = user;
    endpoint.tls = at.tls;
    endpoint.label = fmt::format("shard {}, {}:{}", config.shards[shard].name, at.host, at.port);
    pool = &owner_.pool(endpoint, nullptr);
    configure(*pool, user);
  }
  return *pool;
}

chosen_server served_database::choose(router::shard_index index, bool replica, const read_floor& floor, const std::string& user, p::error_report& refusal) {
  const database_state& now = *environment_.state;
  if (!now.served || !now.config || index >= now.shards.size() || index >= now.config->shards.size()) {
    refusal = p::make_error(p::error_id::no_server, "server", now.name, now.reason.empty() ? "the topology has changed" : now.reason);
    return {};
  }
  const shard_state& shard = now.shards[index];
  bool behind = false;
  // A server that has been promoted since, as whoever gave the token knows: what is known here is out of date.
  if (floor.timeline > shard.timeline) {
    refusal = p::make_error(p::error_id::no_server, "primary", now.map->shards[index], fmt::format("none is known to be on timeline {}, which the session's consistency token is of", floor.timeline));
    look_at_servers(index);
    return {nullptr, false, 0, true};
  }
  if (replica) {
    if (const int found = shard.servers.size() < 2 ? -1 : choose_replica(shard, index, floor, user, behind); found >= 0) {
      const server_state& server = shard.servers[static_cast<std::size_t>(found)];
      return {&pool_of(index, static_cast<std::size_t>(found), user), true, server.restarts, false, false, server.safe_until};
    }
    if (now.map->replicas == router::replica_use::require && floor.written == steady_time::min() && floor.position == 0) {
      refusal = p::make_error(p::error_id::no_server, "replica", now.map->shards[index], "none is usable, and reads.replicas is \"require\"");
      return {};
    }
  }
  if (!paused_.empty() && paused_[index]) {
    refusal = p::make_error(p::error_id::no_server, "primary", now.map->shards[index], "it is paused");
    return {nullptr, false, 0, true};
  }
  if (shard.primary < 0) {
    std::string why = "none of its servers is known to be one";
    for (const server_state& server : shard.servers) {
      if (!server.reason.empty()) why = server.reason;
    }
    refusal = p::make_error(p::error_id::no_server, "primary", now.map->shards[index], why);
    return {nullptr, false, 0, true};
  }
  return {&pool_of(index, static_cast<std::size_t>(shard.primary), user), false, 0, false, behind};
}

int served_database::shard_of(const server_pool& pool) const noexcept {
  for (const auto& [user, shards] : pools_) {
    for (std::size_t i = 0; i < shards.size(); ++i) {
      for (const server_pool* each : shards[i]) {
        if (each == &pool) return static_cast<int>(i);
      }
    }
  }
  return -1;
}

void served_database::server_trouble(const server_pool& pool) {
  for (const auto& [user, shards] : pools_) {
    for (std::size_t i = 0; i < shards.size(); ++i) {
      for (std::size_t k = 0; k < shards[i].size(); ++k) {
        if (shards[i][k] == &pool) return owner_.server_trouble(environment_.state->name, i, k);
      }
    }
  }
}

welcome_parameters served_database::find_welcome(const std::string& user, const settings* startup) const {
  const auto found = welcomes_.find(user);
  if (found == welcomes_.end()) return nullptr;
  for (const welcome& w : found->second) {
    if (w.startup.get() == startup) return w.parameters;
  }
  return nullptr;
}

void served_database::store_welcome(const std::string& user, settings_ptr startup, welcome_parameters parameters) {
  auto& list = welcomes_[user];
  // Startup settings that differ with every login (an application_name with a process id) must not pile up.
  if (list.size() >= 64) list.erase(list.begin());
  list.push_back({std::move(startup), std::move(parameters)});
}

}  // namespace pgbraid::proxy
