// One database on one worker: its newest state, its sessions' common ground, its pools, and the choice of a server.
#pragma once

#include "config/config.hpp"
#include "proxy/backend/pool.hpp"
#include "proxy/cluster/snapshot.hpp"
#include "proxy/session/machine.hpp"
#include "proxy/session/routing_context.hpp"
#include "proxy/worker/primary_wait.hpp"
#include "proxy/worker/replica_wait.hpp"
#include "proxy/worker/shared_listeners.hpp"

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace pgbraid::proxy {

class worker;

/// What a session that reads from a replica must see there at the least.
struct read_floor {
  steady_time written = steady_time::min();  ///< everything committed before its last write there ended
  /// Everything committed before its last read on a replica ended, unless it is that replica again, which has not gone
  /// back since.
  steady_time seen = steady_time::min();
  const server_pool* seen_on = nullptr;
  unsigned restarts = 0;
  // A token's demand; none if `position` is 0.
  std::uint32_t timeline = 0;
  std::uint64_t position = 0;
};

struct chosen_server {
  server_pool* pool = nullptr;   ///< null: none is available
  bool replica = false;
  unsigned restarts = 0;         ///< replica: how often it has gone back so far
  bool no_primary = false;       ///< none is, since the shard has no primary at present
  bool behind = false;           ///< it is no replica, since those that are usable do not show enough yet
  steady_time shows = steady_time::min();  ///< replica: its safe_until
};

/// What a client is told of the server when it logs in, by its startup settings.
using welcome_parameters = std::shared_ptr<const protocol::parameter_list>;

/// runs on: its worker.
class served_database {
 public:
  served_database(worker& owner, database_state_ptr state);

  /// A newer state; sessions see it from their next statement on.
  void update(database_state_ptr state);
  /// What time brings to those that wait for a primary, and to connections of drained servers.
  void tick(steady_time now);
  [[nodiscard]] primary_wait& waiting() noexcept { return waiting_; }
  [[nodiscard]] replica_wait& waiting_for_replicas() noexcept { return waiting_for_replicas_; }
  /// Somebody waits for what the control plane will see next of this shard.
  void look_at_servers(router::shard_index shard);
  /// No replica is known to show what a read must see: they are asked before their turn, so that the next read, or this
  /// one if it waits, may find one.
  void look_at_replicas(router::shard_index shard);
  /// See pauses.
  void take_pauses();
  /// Connections to this shard's primary that are in use here.
  [[nodiscard]] unsigned primary_in_use(const std::string& shard) const;
  [[nodiscard]] shared_listeners& listeners() noexcept { return listeners_; }
  /// limits.* of a new topology.
  void take_limits(const config::limits& limits);
  [[nodiscard]] const database_state& state() const noexcept { return *environment_.state; }
  [[nodiscard]] session_environment& environment() noexcept { return environment_; }

  /// The server for a statement on `shard`: a replica only if it shows what it must.
  [[nodiscard]] chosen_server choose(router::shard_index shard, bool replica, const read_floor& floor, const std::string& user,
                                     protocol::error_report& refusal);
  /// The shard that a pool's server belongs to, -1 if it is no longer in the topology.
  [[nodiscard]] int shard_of(const server_pool& pool) const noexcept;
  /// Somebody could not talk to this server: the control plane is asked to look.
  void server_trouble(const server_pool& pool);

  /// Cached welcome for (user, startup settings); null if nobody with these has logged in yet.
  [[nodiscard]] welcome_parameters find_welcome(const std::string& user, const settings* startup) const;
  void forget_welcomes() noexcept { welcomes_.clear(); }
  void store_welcome(const std::string& user, settings_ptr startup, welcome_parameters parameters);

 private:
  void take_pool_options();
  void take_lookup();
  void forget_blocks(const database_state& before);
  void look_at_catalog();
  void fence(const database_state& before);
  void take_over_pools(const std::vector<std::string>& users);
  [[nodiscard]] static bool same_servers(const database_state& a, const database_state& b);
  void cut(router::shard_index shard, std::size_t server, std::string_view why);
  void note_promoted(router::shard_index shard, std::size_t server);
  [[nodiscard]] server_pool& pool_of(router::shard_index shard, std::size_t server, const std::string& user);
  /// Brings the topology's limits to a pool of `user`'s and to its budget.
  void configure(server_pool& pool, const std::string& user);
  /// -1: none; `behind` says whether there are some that do not show enough.
  [[nodiscard]] int choose_replica(const shard_state& shard, router::shard_index index, const read_floor& floor, const std::string& user, bool& behind);
  [[nodiscard]] std::uint64_t rank(router::shard_index shard, std::size_t index, const server_state& server, std::uint32_t fastest, const std::string& user);

  worker& owner_;
  routing_contexts contexts_;
  session_environment environment_;
  /// by user: [shard][server]
  std::map<std::string, std::vector<std::vector<server_pool*>>> pools_;
  std::string last_user_;                                        ///< of the entry below: most sessions share one user
  std::vector<std::vector<server_pool*>>* last_pools_ = nullptr;
  struct welcome {
    settings_ptr startup;
    welcome_parameters parameters;
  };
  std::map<std::string, std::vector<welcome>> welcomes_;
  std::vector<std::vector<std::int64_t>> credits_;  ///< by shard and server: how far each is behind its share
  std::vector<steady_time> looked_;  ///< by shard: when its servers were asked for; empty: not since the last answer
  std::shared_ptr<const config::database> keys_for_;  ///< what environment_.keys was made for
  std::vector<bool> paused_;                        ///< by shard; empty: none is
  std::vector<std::size_t> candidates_;             ///< of the choice under way
  std::minstd_rand random_{std::random_device{}()};
  primary_wait waiting_;
  replica_wait waiting_for_replicas_;
  shared_listeners listeners_;
};

}  // namespace pgbraid::proxy
