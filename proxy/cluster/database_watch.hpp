// Everything the control plane knows of one database, kept up to date: its shards' roles, its catalog, and whether rows
// stand where the map says. Publishes an immutable database_state whenever something of it changes.
#pragma once

#include "config/config.hpp"
#include "proxy/cluster/lock_watch.hpp"
#include "proxy/cluster/placement.hpp"
#include "proxy/cluster/recovery.hpp"
#include "proxy/cluster/server_probe.hpp"
#include "proxy/cluster/snapshot.hpp"
#include "proxy/cluster/topology_view.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace pgbraid::proxy {

struct shard_catalog;
struct leader_report;
class leader_watch;
class pg_connection;

/// What a watch needs of the monitor that owns it.
struct watch_services {
  boost::asio::io_context* context = nullptr;
  config::monitor_options options;
  std::optional<std::uint64_t> max_loss;  ///< failover.max_loss
  const probe_budget* budget = nullptr;   ///< of all the process's probes
  /// The process's one probe of a server, started; `dbname` is where it may log in.
  std::function<std::shared_ptr<server_probe>(const server_address&, const std::string& dbname)> probe;
  /// The process's one watch of what Patroni says there, started.
  std::function<std::shared_ptr<leader_watch>(const config::discovery&)> leader;
  std::function<void(database_state_ptr)> publish;
  lock_watch::on_deadlock end_deadlock;
  std::function<std::uint64_t()> next_version;  ///< grows over the process's life: for catalogs and bucket maps
};

/// runs on: the monitor's thread.
class database_watch : public std::enable_shared_from_this<database_watch> {
 public:
  /// `view.errors` must be empty. `name` is the client's name of the database. `depth`: how placement is checked.
  database_watch(watch_services services, config::database database, std::string name, topology_view view,
                 placement_depth depth);
  ~database_watch();

  /// Begins to watch. Nothing is published before announce().
  void start();
  /// Publishes the state as it is, and every change from now on.
  void announce();
  /// Ends it: nothing is published any more.
  void stop();

  void hurry_server(std::size_t shard, std::size_t server);
  /// Somebody would read from a replica of this shard if it were known to show more: the primary's position is asked
  /// for, then the usable replicas', and published at once; later if the budget of probes is used up.
  void look_at_positions(std::size_t shard);
  void refresh_catalog();
  /// See lock_watch::take().
  void transactions_wait(unsigned worker, std::vector<waiting_transaction> waiting);
  void change_options(config::monitor_options options, std::optional<std::uint64_t> max_loss);

  /// Publishes the same servers, map and catalog under other options of no concern here (pool sizes and the like).
  void change_database(config::database database);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const router::topology& map() const noexcept { return *map_; }
  [[nodiscard]] const config::database& database() const noexcept { return *database_; }

  /// Every server has been asked once, and every shard with a server to ask has been looked at.
  [[nodiscard]] bool settled() const;
  /// Why this topology does not fit the data as far as it has been looked at.
  [[nodiscard]] std::vector<std::string> objections() const;
  /// Shards that could not be looked at, each with the reason.
  [[nodiscard]] std::vector<std::string> unseen() const;
  /// The database itself has been missing on the servers since it was first asked for.
  [[nodiscard]] bool missing() const noexcept;

  /// Takes over who was primary from the watch that this one replaces, for shards whose servers are the same.
  void inherit(const database_watch& before);

 private:
  struct shard_watch;

  [[nodiscard]] boost::asio::awaitable<void> keep_shard(std::shared_ptr<database_watch> self, std::size_t shard);
  [[nodiscard]] boost::asio::awaitable<bool> reach(shard_watch& shard);
  [[nodiscard]] boost::asio::awaitable<void> read_shard_catalog(shard_watch& shard);
  [[nodiscard]] boost::asio::awaitable<void> look_at_rows(shard_watch& shard);
  [[nodiscard]] boost::asio::awaitable<bool> look_at_births(shard_watch& shard, const shard_catalog& catalog);
  void tell_of_patterns();
  [[nodiscard]] bool checks_rows() const noexcept;
  [[nodiscard]] boost::asio::awaitable<void> see_to_commits(shard_watch& shard);
  [[nodiscard]] boost::asio::awaitable<void> see_to_waiting(shard_watch& shard);
  [[nodiscard]] boost::asio::awaitable<void> see_to_claims(shard_watch& shard);
  [[nodiscard]] boost::asio::awaitable<void> recover(shard_watch& shard, doubtful_part part);
  [[nodiscard]] boost::asio::awaitable<void> see_to_number(shard_watch& shard);
  [[nodiscard]] boost::asio::awaitable<void> give_numbers_now();
  [[nodiscard]] boost::asio::awaitable<std::string> give_numbers_over(
      std::vector<std::unique_ptr<pg_connection>>& locked);
  [[nodiscard]] bool numbers_known() const;
  void note_clash(shard_watch& read);
  [[nodiscard]] std::string single_writer() const;
  [[nodiscard]] std::string no_claims() const;
  [[nodiscard]] bool asked(const shard_watch& shard) const;
  [[nodiscard]] std::optional<pg_login> primary_login(router::shard_index shard) const;
  [[nodiscard]] bool gated() const noexcept;
  void heard(std::size_t shard, std::size_t server, const server_sample& sample);
  void heard_leader(std::size_t shard, const leader_report& report);
  void look_later(shard_watch& shard, steady_time when);
  void look_at_replicas(shard_watch& shard);
  [[nodiscard]] bool go_on_looking(shard_watch& shard, std::size_t server, const server_sample& sample);
  void roles_taken(shard_watch& shard, bool other_roles);
  void follow_leader(std::size_t shard);
  void merge();
  void complain(const std::string& text) const;
  void changed(bool urgent);
  void publish();
  [[nodiscard]] std::shared_ptr<database_state> build() const;

  watch_services services_;
  std::shared_ptr<const config::database> database_;
  std::string name_;
  placement_depth depth_;
  std::shared_ptr<const router::topology> listed_;  ///< what the file says
  std::shared_ptr<const router::topology> map_;     ///< and the tables that its patterns mean
  std::shared_ptr<recent_definitions> definitions_;
  std::shared_ptr<const own_definitions> own_;
  std::map<std::string, std::string, std::less<>> told_unfit_;
  std::shared_ptr<const router::catalog> schema_;
  std::vector<std::unique_ptr<shard_watch>> shards_;
  std::vector<std::string> contradictions_, warnings_;
  database_state_ptr published_;
  boost::asio::steady_timer publish_soon_;
  std::shared_ptr<lock_watch> locks_;  ///< from the first transactions that wait on
  std::string numbers_trouble_;        ///< why the shards have no numbers for their ids, as it was last told
  bool numbers_settled_ = false;       ///< they have them, or it has been tried
  bool giving_numbers_ = false;
  std::chrono::steady_clock::time_point numbers_again_{};  ///< not tried before
  bool publish_waits_ = false;
  bool announced_ = false;
  bool stopped_ = false;
};

}  // namespace pgbraid::proxy
