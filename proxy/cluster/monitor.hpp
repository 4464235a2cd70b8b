// The control plane: watches every server and every database of the topology on a thread of its own and hands each new
// state to the proxy.
#pragma once

#include "config/config.hpp"
#include "proxy/cluster/lock_watch.hpp"
#include "proxy/cluster/password_lookup.hpp"
#include "proxy/cluster/snapshot.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

/// One for the process. All functions may be called from any thread and return at once; callbacks run on the monitor's
/// thread and must not block it.
class monitor {
 public:
  using on_change = std::function<void(database_state_ptr)>;
  using on_reloaded = std::function<void(std::vector<std::string> errors)>;

  /// `changed` is called with every new state of every database: first when a database begins to be watched, before
  /// anything is known of its servers.
  explicit monitor(on_change changed);
  ~monitor();
  monitor(const monitor&) = delete;
  monitor& operator=(const monitor&) = delete;

  /// Starts the thread. Once only. `settled`, if given, is called once: every server has been asked and the catalogs
  /// and rows within reach have been looked at, or `at_most` has passed; servers that are down do not hold it up for
  /// longer than their time-outs. Databases whose part of the topology is contradictory are published as not served.
  void start(std::shared_ptr<const config::topology> topology, std::function<void()> settled = {},
             std::chrono::milliseconds at_most = std::chrono::minutes{5});

  /// Replaces the topology. `done` gets why it was refused (the old one stays in force), or nothing. A topology that
  /// moves buckets or servers is in force only after all rows have been held against its map. States of databases that
  /// are gone from the topology are published as not served. A second reload waits for the first.
  void reload(std::shared_ptr<const config::topology> topology, on_reloaded done);

  /// Ends the thread; no callback runs after this.
  void stop();

  /// Somebody could not talk to this server: ask it now. Indices as in database_state.
  void notice_server_trouble(std::string database, std::size_t shard, std::size_t server);
  /// See database_watch::look_at_positions().
  void look_at_positions(std::string database, std::size_t shard);

  /// What one worker's sessions wait for in `database`; see lock_watch. `end_deadlocks` is called with each transaction
  /// that must give way; it is to be set before start().
  void transactions_wait(std::string database, unsigned worker, std::vector<waiting_transaction> waiting);
  void end_deadlocks(lock_watch::on_deadlock by);

  /// DDL has passed: read the catalog again now.
  void catalog_may_have_changed(std::string database);

  /// Runs `auth.query` for a user who wants to log in to `database`.
  void look_up_password(std::string database, password_question question);

  /// A client asks for a database that the topology does not name: begins to watch it if the topology has a database
  /// "*", and hands out its state either way (again, if it is watched already).
  void ensure_database(std::string name);

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace pgbraid::proxy
