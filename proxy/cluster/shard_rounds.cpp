// The rounds that a database_watch makes over each of its shards: its catalog is read, its rows are held against the map,
// and what commits over several shards have left there is finished.
#include "proxy/cluster/claim_function.hpp"
#include "proxy/cluster/claimed_columns.hpp"
#include "proxy/cluster/own_schema.hpp"
#include "proxy/cluster/shard_watch.hpp"
#include "proxy/cluster/waiting_table.hpp"

#include <spdlog/spdlog.h>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

namespace pgbraid::proxy {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr auto recheck_placement = 10s;  // while rows are misplaced or could not be read
constexpr auto placement_timeout = 60'000ms;
constexpr auto catalog_timeout = 10'000ms;
constexpr auto closest_looks = 100ms;
constexpr auto while_locked_out = 500ms;
constexpr auto forget_records_every = 1h;
constexpr const char* short_waits = "SET lock_timeout = '2s'";

}  // namespace

asio::awaitable<void> database_watch::keep_shard([[maybe_unused]] std::shared_ptr<database_watch> self,
                                                 std::size_t index) {
  shard_watch& shard = *shards_[index];
  while (!stopped_) {
    shard.hurried = false;
    shard.in_round = true;
    shard.doubtful = true;  // until the shard has been asked: what cannot be reached may hold anything
    shard.looked_at = std::chrono::steady_clock::now();
    if (co_await reach(shard)) {
      co_await read_shard_catalog(shard);
      if (!stopped_ && gated()) co_await see_to_commits(shard);
      if (!stopped_ && lists_unique(*listed_)) co_await see_to_claims(shard);
      if (!stopped_) co_await see_to_number(shard);
      if (!stopped_ && shard.catalog) co_await look_at_rows(shard);
    }
    if (stopped_) break;
    shard.in_round = false;
    tell_of_patterns();
    boost::system::error_code cancelled;
    if (!shard.hurried) {
      const std::chrono::milliseconds usual = services_.options.catalog_interval;
      shard.pause.expires_after(shard.locked_out ? std::min<std::chrono::milliseconds>(while_locked_out, usual)
                                                 : usual);
      co_await shard.pause.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }
    if (shard.hurried && !stopped_) {
      shard.pause.expires_at(shard.looked_at + closest_looks);
      co_await shard.pause.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }
  }
  shard.connection.close();
}

asio::awaitable<bool> database_watch::reach(shard_watch& shard) {
  const shard_state& state = shard.roles.state();
  int chosen = state.primary;
  for (std::size_t i = 0; chosen < 0 && i < state.servers.size(); ++i) {
    if (state.servers[i].usable) chosen = static_cast<int>(i);
  }
  if (chosen < 0) co_return false;
  if (shard.connection.is_open() && shard.connected_to == chosen) co_return true;
  const auto place = static_cast<std::size_t>(chosen);
  const server_address& address = shard.probes[place]->address();
  pg_login login{address.host, address.port, shard.dbnames[place], services_.options.user, services_.options.password,
                 address.tls, false};
  const std::string failure = co_await shard.connection.connect(std::move(login), services_.options.timeout);
  shard.connected_to = chosen;
  shard.reached_before = false;
  if (failure.empty()) co_return true;
  if (failure != shard.trouble) {
    spdlog::warn("database {}: the catalog of shard {} cannot be read from {}: {}", name_, map_->shards[shard.index],
                 to_string(address), failure);
    shard.trouble = failure;
  }
  co_return false;
}

asio::awaitable<void> database_watch::read_shard_catalog(shard_watch& shard) {
  const bool kept = shard.reached_before;
  shard.reached_before = true;
  const steady_time begin = std::chrono::steady_clock::now();
  catalog_reading reading = co_await read_catalog(shard.connection, *listed_, shard.token, catalog_timeout);
  if (stopped_) co_return;
  shard.locked_out = reading.locked_out;
  if (shard.locked_out && shard.catalog) co_return;
  if (!reading.error.empty()) {
    // A connection that was kept may have been cut long ago; a new one is worth a try before anything is said.
    if (kept && !shard.connection.is_open()) {
      shard.hurried = true;
      co_return;
    }
    if (reading.error != shard.trouble) {
      spdlog::warn("database {}: reading the catalog of shard {} failed: {}", name_, map_->shards[shard.index],
                   reading.error);
    }
    shard.trouble = reading.error;
    co_return;
  }
  shard.trouble.clear();
  const std::shared_ptr<const shard_catalog> now = reading.shard ? reading.shard : shard.catalog;
  bool looked = false;
  if (now) looked = co_await look_at_births(shard, *now);
  if (stopped_) co_return;
  // A replica's is as old as the replica.
  if (shard.connected_to == shard.roles.state().primary) shard.catalog_as_of = begin;
  if (!reading.shard && !looked) {
    changed(true);
    co_return;
  }
  if (reading.shard) shard.token = std::move(reading.token);
  shard.catalog = now;
  merge();
}

// Holds the rows of tables that patterns mean against the map, before anybody knows the tables: those that are new or
// have been redefined, and now and then those that did not fit. True: something has been looked at.
asio::awaitable<bool> database_watch::look_at_births(shard_watch& shard, const shard_catalog& catalog) {
  if (!checks_rows()) co_return false;
  const auto meant = tables_of_patterns(*listed_, catalog);
  std::erase_if(shard.births, [&](const auto& entry) { return !meant.contains(entry.first); });
  const steady_time now = std::chrono::steady_clock::now();
  const bool again = shard.births_again <= now;
  bool any = false;
  for (const auto& [name, sharding] : meant) {
    const router::relation& relation = catalog.content.relations.find(name)->second;
    const auto known = shard.births.find(name);
    const bool same = known != shard.births.end() && known->second.as == relation && known->second.by == sharding;
    if (same && (known->second.problem.empty() || !again)) continue;
    // Not to be sharded at all: the rows do not matter.
    if (sharding.key.empty() || !problems_of_table(*listed_, catalog.content, name, sharding).empty()) continue;
    any = true;
    looked_table looked{relation, sharding, {}};
    router::topology alone = *listed_;
    alone.tables = {{name, sharding}};
    // Whoever has locked it must not keep the catalog from being read.
    (void)co_await shard.connection.query(short_waits, {}, catalog_timeout);
    const placement_depth depth = announced_ ? placement_depth::sample : depth_;
    const placement_report report =
        co_await check_placement(shard.connection, alone, shard.index, depth, placement_timeout);
    (void)co_await shard.connection.query("RESET lock_timeout", {}, catalog_timeout);
    if (stopped_) co_return false;
    if (!report.misplaced.empty()) looked.problem = report.misplaced.front();
    if (!report.error.empty()) looked.problem = report.error;
    if (!looked.problem.empty()) shard.births_again = now + recheck_placement;
    shard.births[name] = std::move(looked);
  }
  co_return any;
}

asio::awaitable<void> database_watch::look_at_rows(shard_watch& shard) {
  if (shard.rows_checked || shard.check_again > std::chrono::steady_clock::now()) co_return;
  if (!shard.connection.is_open()) co_return;
  const placement_report report =
      co_await check_placement(shard.connection, *listed_, shard.index, depth_, placement_timeout);
  if (stopped_) co_return;
  for (const std::string& text : report.warnings) spdlog::warn("database {}: {}", name_, text);
  if (report.misplaced != shard.misplaced) {
    for (const std::string& text : report.misplaced) complain(text);
  }
  if (report.error != shard.rows_error && !report.error.empty()) {
    complain(report.error);
  }
  const bool was_out = !shard.misplaced.empty() || !shard.rows_error.empty();
  shard.misplaced = report.misplaced;
  shard.rows_error = report.error;
  shard.rows_checked = report.fits();
  if (shard.rows_checked && was_out)
    spdlog::info("database {}: the rows of shard {} fit the map", name_, map_->shards[shard.index]);
  shard.check_again = std::chrono::steady_clock::now() + recheck_placement;
  changed(true);
}

// Makes the shard ready for commits over several shards, and finishes what such a commit has left there.
asio::awaitable<void> database_watch::see_to_commits(shard_watch& shard) {
  const int primary = shard.roles.state().primary;
  if (primary < 0 || shard.connected_to != primary || !shard.connection.is_open()) co_return;
  const std::string before = shard.no_commits;
  const std::string anothers = co_await problem_of_own_schema(shard.connection, catalog_timeout);
  if (stopped_) co_return;
  if (!anothers.empty()) {
    shard.no_commits = anothers;
  } else if (shard.probes[static_cast<std::size_t>(primary)]->facts().max_prepared_transactions == 0) {
    shard.no_commits = "max_prepared_transactions is 0";
  } else {
    shard.no_commits = co_await make_commit_record_table(shard.connection, catalog_timeout);
    if (!stopped_ && shard.no_commits.empty()) co_await see_to_waiting(shard);
  }
  if (stopped_) co_return;
  shard.commits_asked = true;
  if (shard.no_commits != before) {
    if (shard.no_commits.empty()) {
      spdlog::debug("database {}: shard {} can take part in commits over several shards", name_, map_->shards[shard.index]);
    } else {
      spdlog::warn("database {}: transactions may write to one shard only, since shard {} cannot prepare them: {}", name_,
                   map_->shards[shard.index], shard.no_commits);
    }
    merge();
  }
  if (!anothers.empty() || !shard.connection.is_open()) co_return;
  const doubtful_listing listing = co_await list_doubtful(shard.connection, catalog_timeout);
  if (stopped_ || !listing.error.empty()) co_return;
  shard.doubtful = listing.any;
  for (const doubtful_part& part : listing.parts) {
    co_await recover(shard, part);
    if (stopped_ || !shard.connection.is_open()) co_return;
  }
  std::vector<doubtful_transaction> left;
  if (!listing.parts.empty()) left = (co_await list_doubtful(shard.connection, catalog_timeout)).told;
  if (stopped_) co_return;
  if (left != shard.left_in_doubt) {
    shard.left_in_doubt = std::move(left);
    changed(true);
  }
  const steady_time now = std::chrono::steady_clock::now();
  const bool settled = std::none_of(shards_.begin(), shards_.end(), [](const auto& s) { return s->doubtful; });
  if (!settled || !shard.no_commits.empty() || now < shard.records_forgotten + forget_records_every) co_return;
  shard.records_forgotten = now;
  co_await forget_old_records(shard.connection, catalog_timeout);
}

// Has instances tell each other there who waits. Without it each still finds the deadlocks of its own clients.
asio::awaitable<void> database_watch::see_to_waiting(shard_watch& shard) {
  std::string unable = co_await make_waiting_table(shard.connection, catalog_timeout);
  if (!stopped_ && !unable.empty() && unable != shard.no_waiting) {
    spdlog::warn(
        "database {}: deadlocks over several shards in which clients of other instances take part may not be found: "
        "shard {}: {}",
        name_, map_->shards[shard.index], unable);
  }
  shard.no_waiting = std::move(unable);
}

// Makes the shard ready for values that are kept apart over all shards.
asio::awaitable<void> database_watch::see_to_claims(shard_watch& shard) {
  const int primary = shard.roles.state().primary;
  if (primary < 0 || shard.connected_to != primary || !shard.connection.is_open()) co_return;
  std::string unable = co_await problem_of_own_schema(shard.connection, catalog_timeout);
  if (!stopped_ && unable.empty()) unable = co_await make_claim_function(shard.connection, *listed_, catalog_timeout);
  if (stopped_) co_return;
  shard.claims_asked = true;
  if (unable == shard.no_claims) co_return;
  if (!unable.empty())
    spdlog::warn("database {}: columns that are listed as unique cannot be written: shard {}: {}", name_,
                 map_->shards[shard.index], unable);
  shard.no_claims = std::move(unable);
  merge();
}

asio::awaitable<void> database_watch::recover(shard_watch& shard, doubtful_part part) {
  const auto complain = [&](const std::string& text) {
    if (text != shard.complaint) spdlog::warn("{}", text);
    shard.complaint = text;
  };
  const std::string what =
      fmt::format("database {}: transaction {} is in doubt on shard {}", name_, part.id, map_->shards[shard.index]);
  for (const auto& other : shards_) {
    const int primary = other->roles.state().primary;
    if (primary < 0) continue;
    const auto place = static_cast<std::size_t>(primary);
    if (shard_identity(other->probes[place]->facts().system_identifier, other->dbnames[place]) != part.deciding) continue;
    pg_connection deciding(*services_.context);
    const server_address& address = other->probes[place]->address();
    pg_login login{
        address.host, address.port, other->dbnames[place], services_.options.user, services_.options.password,
        address.tls,  false,        "pgbraid_recovery"};
    const std::string failure = co_await deciding.connect(std::move(login), services_.options.timeout);
    if (stopped_) co_return;
    if (!failure.empty()) co_return complain(fmt::format("{}: shard {} decides: {}", what, map_->shards[other->index], failure));
    const std::optional<bool> committed = co_await was_committed(deciding, part.record, catalog_timeout);
    if (stopped_ || !shard.connection.is_open()) co_return;
    if (!committed) co_return complain(fmt::format("{}: shard {} has not decided yet", what, map_->shards[other->index]));
    const std::string trouble = co_await finish_part(shard.connection, part.id, *committed, catalog_timeout);
    if (!trouble.empty()) co_return complain(fmt::format("{}: {}", what, trouble));
    spdlog::warn("database {}: transaction {}, which had been interrupted, is {} on shard {}", name_, part.id,
                 *committed ? "committed" : "rolled back", map_->shards[shard.index]);
    co_return;
  }
  complain(what + ": the shard that decides is not in the topology, or has no primary");
}

}  // namespace pgbraid::proxy
