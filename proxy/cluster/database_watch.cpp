#include "proxy/cluster/database_watch.hpp"

#include "proxy/cluster/catalog_loader.hpp"
#include "proxy/cluster/catalog_merge.hpp"
#include "proxy/cluster/spawn.hpp"

#include <spdlog/spdlog.h>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

namespace pgbraid::proxy {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr auto gather_positions = 10ms;  // replicas' answers of one interval become one publication
constexpr auto recheck_placement = 10s;  // while rows are misplaced or could not be read
constexpr auto placement_timeout = 60'000ms;
constexpr auto catalog_timeout = 10'000ms;
constexpr auto closest_looks = 100ms;
constexpr auto forget_records_every = 1h;

spdlog::level::level_enum level_of(shard_event::level severity) {
  switch (severity) {
    case shard_event::level::error:
      return spdlog::level::err;
    case shard_event::level::warning:
      return spdlog::level::warn;
    case shard_event::level::info:
      break;
  }
  return spdlog::level::info;
}

bool same_servers(const shard_state& a, const shard_state& b) {
  return a.primary == b.primary && a.identity == b.identity && a.system_identifier == b.system_identifier &&
         a.timeline == b.timeline && a.history == b.history &&
         std::equal(a.servers.begin(), a.servers.end(), b.servers.begin(), b.servers.end(),
                                              [](const server_state& x, const server_state& y) {
                                                return x.role == y.role && x.usable == y.usable &&
                                                       x.reason == y.reason && x.weight == y.weight &&
                                                       x.safe_until == y.safe_until && x.lag_bytes == y.lag_bytes &&
                                                       x.answers == y.answers && x.drained == y.drained &&
                                                       x.restarts == y.restarts && x.replayed == y.replayed;
                                              });
}

bool same_state(const database_state& a, const database_state& b) {
  return a.served == b.served && a.reason == b.reason && a.map == b.map && a.schema == b.schema &&
         a.config == b.config &&
         std::equal(a.shards.begin(), a.shards.end(), b.shards.begin(), b.shards.end(), same_servers);
}

}  // namespace

/// One shard: its judge, its probes, and the connection by which its catalog and rows are read.
struct database_watch::shard_watch {
  shard_watch(asio::io_context& context, shard_options options)
      : roles(std::move(options)), connection(context), pause(context) {}

  shard_roles roles;
  router::shard_index index = 0;
  std::vector<std::shared_ptr<server_probe>> probes;
  std::vector<std::string> dbnames;
  pg_connection connection;
  int connected_to = -1;
  bool reached_before = false;  // the connection has served a reading already
  asio::steady_timer pause;
  bool hurried = false;
  std::string token;
  std::shared_ptr<const shard_catalog> catalog;
  steady_time catalog_as_of = steady_time::min();  // a moment before it was last seen to be what it is
  bool rows_checked = false;
  std::vector<std::string> misplaced;
  std::string rows_error;  // why rows could not be checked
  steady_time check_again = steady_time::min();
  std::string trouble;  // the last reason why the catalog could not be read
  steady_time looked_at = steady_time::min();
  std::string no_commits = "it has not been asked yet";  // why it can have no part in a commit over several shards
  bool doubtful = true;                                  // parts of ours stand prepared there, as far as is known
  std::string complaint;                                 // the last about one of them
  steady_time records_forgotten = steady_time::min();
};

database_watch::database_watch(watch_services services, config::database database, std::string name, topology_view view,
                               placement_depth depth)
    : services_(std::move(services)),
      database_(std::make_shared<const config::database>(std::move(database))),
      name_(std::move(name)),
      depth_(depth),
      schema_(std::make_shared<const router::catalog>()),
      publish_soon_(*services_.context) {
  view.map.buckets.version = services_.next_version();
  map_ = std::make_shared<const router::topology>(std::move(view.map));
  for (const config::shard& shard : database_->shards) {
    auto& watch =
        shards_.emplace_back(std::make_unique<shard_watch>(*services_.context, options_of(*database_, name_, shard)));
    watch->roles.change_max_loss(services_.max_loss);
    watch->index = static_cast<router::shard_index>(shards_.size() - 1);
    for (const config::server& server : shard.servers) {
      watch->dbnames.push_back(server.dbname.empty() ? name_ : server.dbname);
      watch->probes.push_back(services_.probe({server.host, server.port, server.tls}, watch->dbnames.back()));
    }
    const bool check = !database_->sharding || database_->sharding->check_placement;
    watch->rows_checked = map_->one_shard() || map_->tables.empty() || !check;
  }
}

database_watch::~database_watch() {
  stop();
}

void database_watch::start() {
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    shard_watch& shard = *shards_[i];
    for (std::size_t s = 0; s < shard.probes.size(); ++s) {
      // The key is an object of this watch's own for each server: one server may stand in several places.
      const auto tell = [this, i, s](const server_sample& sample) { heard(i, s, sample); };
      shard.probes[s]->listen(&shard.dbnames[s], tell);
      if (shard.probes[s]->latest()) heard(i, s, *shard.probes[s]->latest());
    }
    spawn(*services_.context, keep_shard(shared_from_this(), i));
  }
}

void database_watch::stop() {
  if (stopped_) return;
  stopped_ = true;
  publish_soon_.cancel();
  if (locks_) locks_->stop();
  for (const auto& shard : shards_) {
    for (std::size_t s = 0; s < shard->probes.size(); ++s) shard->probes[s]->forget(&shard->dbnames[s]);
    shard->pause.cancel();
    shard->connection.interrupt();
  }
}

void database_watch::inherit(const database_watch& before) {
  for (const auto& shard : shards_) {
    for (const auto& old : before.shards_) {
      const bool same = std::equal(shard->probes.begin(), shard->probes.end(), old->probes.begin(), old->probes.end());
      if (same) shard->roles.inherit(old->roles);
    }
  }
}

void database_watch::change_options(config::monitor_options options, std::optional<std::uint64_t> max_loss) {
  services_.options = std::move(options);
  services_.max_loss = max_loss;
  for (const auto& shard : shards_) shard->roles.change_max_loss(max_loss);
}

void database_watch::change_database(config::database database) {
  database_ = std::make_shared<const config::database>(std::move(database));
  changed(true);
}

void database_watch::announce() {
  announced_ = true;
  published_.reset();
  publish();
}

void database_watch::hurry_server(std::size_t shard, std::size_t server) {
  if (shard >= shards_.size() || server >= shards_[shard]->probes.size()) return;
  // Another server may have taken a primary's place already.
  const bool primary = shards_[shard]->roles.state().primary == static_cast<int>(server);
  for (std::size_t i = 0; i < shards_[shard]->probes.size(); ++i) {
    if (i == server || primary) shards_[shard]->probes[i]->hurry();
  }
}

void database_watch::refresh_catalog() {
  for (const auto& shard : shards_) {
    shard->hurried = true;
    shard->pause.cancel();
  }
}

void database_watch::transactions_wait(unsigned worker, std::vector<waiting_transaction> waiting) {
  if (stopped_) return;
  if (!locks_) {
    const auto login = [weak = weak_from_this()](router::shard_index shard) -> std::optional<pg_login> {
      const auto self = weak.lock();
      return self ? self->primary_login(shard) : std::nullopt;
    };
    locks_ = std::make_shared<lock_watch>(*services_.context, name_, login, services_.end_deadlock, services_.options.timeout);
  }
  locks_->take(worker, std::move(waiting));
}

std::optional<pg_login> database_watch::primary_login(router::shard_index index) const {
  if (index >= shards_.size()) return std::nullopt;
  const shard_watch& shard = *shards_[index];
  const int primary = shard.roles.state().primary;
  if (primary < 0) return std::nullopt;
  const auto place = static_cast<std::size_t>(primary);
  const server_address& address = shard.probes[place]->address();
  return pg_login{address.host,           address.port,
                  shard.dbnames[place],   services_.options.user,
                  services_.options.password, address.tls};
}

void database_watch::heard(std::size_t index, std::size_t server, const server_sample& sample) {
  if (stopped_) return;
  shard_watch& shard = *shards_[index];
  const bool other_roles = shard.roles.take(server, sample);
  const std::vector<shard_event> events = shard.roles.take_events();
  for (const shard_event& event : events) {
    if (announced_) spdlog::log(level_of(event.severity), "{}", event.text);
  }
  if (other_roles && (!shard.catalog || !shard.rows_checked)) {
    shard.hurried = true;
    shard.pause.cancel();
  }
  changed(other_roles);
}

bool database_watch::gated() const noexcept {
  return !map_->one_shard();
}

bool database_watch::settled() const {
  return std::all_of(shards_.begin(), shards_.end(), [](const auto& shard) {
    if (!shard->roles.settled()) return false;
    const auto& servers = shard->roles.state().servers;
    const bool reachable = std::any_of(servers.begin(), servers.end(), [](const server_state& s) { return s.usable; });
    return !reachable || (shard->catalog && shard->rows_checked) || !shard->misplaced.empty() ||
           !shard->rows_error.empty() || !shard->trouble.empty();
  });
}

std::vector<std::string> database_watch::objections() const {
  std::vector<std::string> all = contradictions_;
  for (const auto& shard : shards_) {
    all.insert(all.end(), shard->misplaced.begin(), shard->misplaced.end());
    if (!shard->rows_error.empty()) all.push_back(shard->rows_error);
  }
  return all;
}

std::vector<std::string> database_watch::unseen() const {
  std::vector<std::string> all;
  for (const auto& shard : shards_) {
    if (shard->catalog && (shard->rows_checked || !shard->misplaced.empty() || !shard->rows_error.empty())) continue;
    all.push_back(fmt::format("shard {} could not be looked at: {}", map_->shards[shard->index],
                              shard->trouble.empty() ? "none of its servers answers" : shard->trouble));
  }
  return all;
}

bool database_watch::missing() const noexcept {
  return std::any_of(shards_.begin(), shards_.end(), [](const auto& shard) {
    return !shard->catalog && shard->trouble.find("does not exist") != std::string::npos;
  });
}

asio::awaitable<void> database_watch::keep_shard([[maybe_unused]] std::shared_ptr<database_watch> self,
                                                 std::size_t index) {
  shard_watch& shard = *shards_[index];
  while (!stopped_) {
    shard.hurried = false;
    shard.doubtful = true;  // until the shard has been asked: what cannot be reached may hold anything
    shard.looked_at = std::chrono::steady_clock::now();
    if (co_await reach(shard)) {
      co_await read_shard_catalog(shard);
      if (!stopped_ && gated()) co_await see_to_commits(shard);
      if (!stopped_ && shard.catalog) co_await look_at_rows(shard);
    }
    if (stopped_) break;
    boost::system::error_code cancelled;
    if (!shard.hurried) {
      shard.pause.expires_after(services_.options.catalog_interval);
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
  catalog_reading reading = co_await read_catalog(shard.connection, *map_, shard.token, catalog_timeout);
  if (stopped_) co_return;
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
  // A replica's is as old as the replica.
  if (shard.connected_to == shard.roles.state().primary) shard.catalog_as_of = begin;
  if (!reading.shard) co_return;
  shard.token = std::move(reading.token);
  shard.catalog = std::move(reading.shard);
  merge();
}

asio::awaitable<void> database_watch::look_at_rows(shard_watch& shard) {
  if (shard.rows_checked || shard.check_again > std::chrono::steady_clock::now()) co_return;
  if (!shard.connection.is_open()) co_return;
  const placement_report report =
      co_await check_placement(shard.connection, *map_, shard.index, depth_, placement_timeout);
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
  if (shard.probes[static_cast<std::size_t>(primary)]->facts().max_prepared_transactions == 0) {
    shard.no_commits = "max_prepared_transactions is 0";
  } else {
    shard.no_commits = co_await make_commit_record_table(shard.connection, catalog_timeout);
  }
  if (stopped_) co_return;
  if (shard.no_commits != before) {
    if (shard.no_commits.empty()) {
      spdlog::debug("database {}: shard {} can take part in commits over several shards", name_, map_->shards[shard.index]);
    } else {
      spdlog::warn("database {}: transactions may write to one shard only, since shard {} cannot prepare them: {}", name_,
                   map_->shards[shard.index], shard.no_commits);
    }
    merge();
  }
  if (!shard.connection.is_open()) co_return;
  const doubtful_listing listing = co_await list_doubtful(shard.connection, catalog_timeout);
  if (stopped_ || !listing.error.empty()) co_return;
  shard.doubtful = listing.any;
  for (const doubtful_part& part : listing.parts) {
    co_await recover(shard, part);
    if (stopped_ || !shard.connection.is_open()) co_return;
  }
  const steady_time now = std::chrono::steady_clock::now();
  const bool settled = std::none_of(shards_.begin(), shards_.end(), [](const auto& s) { return s->doubtful; });
  if (!settled || !shard.no_commits.empty() || now < shard.records_forgotten + forget_records_every) co_return;
  shard.records_forgotten = now;
  co_await forget_old_records(shard.connection, catalog_timeout);
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
    pg_login login{address.host, address.port, other->dbnames[place], services_.options.user, services_.options.password,
                   address.tls, false};
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

// Why a transaction may write to one shard only; "": it may write to several.
std::string database_watch::single_writer() const {
  for (const auto& shard : shards_) {
    if (!shard->no_commits.empty()) return fmt::format("shard {} cannot prepare transactions: {}", map_->shards[shard->index], shard->no_commits);
  }
  return {};
}

void database_watch::merge() {
  if (!shards_.front()->catalog) return;
  std::vector<std::shared_ptr<const shard_catalog>> read;
  for (const auto& shard : shards_) read.push_back(shard->catalog);
  merged_catalog merged = merge_catalogs(read, *map_);
  for (const std::string& text : merged.warnings) {
    const bool told = std::find(warnings_.begin(), warnings_.end(), text) != warnings_.end();
    if (!told) spdlog::warn("database {}: {}", name_, text);
  }
  warnings_ = std::move(merged.warnings);
  merged.content.single_writer = single_writer();
  merged.content.version = schema_->version;
  if (schema_->version == 0 || !(merged.content == *schema_)) {
    merged.content.version = services_.next_version();
    schema_ = std::make_shared<const router::catalog>(std::move(merged.content));
  }
  std::vector<std::string> found = contradictions(*map_, *schema_);
  if (found != contradictions_) {
    for (const std::string& text : found) complain(text);
    contradictions_ = std::move(found);
  }
  changed(true);
}

// What a reload is refused for is told to whoever asked for it.
void database_watch::complain(const std::string& text) const {
  if (announced_) spdlog::error("database {} is not served: {}", name_, text);
}

void database_watch::changed(bool urgent) {
  if (!announced_ || stopped_) return;
  if (urgent) return publish();
  if (publish_waits_) return;
  publish_waits_ = true;
  publish_soon_.expires_after(gather_positions);
  publish_soon_.async_wait([weak = weak_from_this()](boost::system::error_code cancelled) {
    const auto self = weak.lock();
    if (!self) return;
    self->publish_waits_ = false;
    if (!cancelled && !self->stopped_) self->publish();
  });
}

void database_watch::publish() {
  const auto state = build();
  if (published_ && same_state(*published_, *state)) return;
  if (!published_ || published_->served != state->served) {
    if (state->served) {
      spdlog::info("database {} is served", name_);
    } else {
      const bool beginning = !published_ && schema_->version == 0;
      spdlog::log(beginning ? spdlog::level::info : spdlog::level::warn, "database {} is not served: {}", name_,
                  state->reason);
    }
  }
  published_ = state;
  services_.publish(state);
}

std::shared_ptr<database_state> database_watch::build() const {
  auto state = std::make_shared<database_state>();
  state->name = name_;
  state->config = database_;
  state->map = map_;
  state->schema = schema_;
  state->schema_as_of = steady_time::max();
  for (const auto& shard : shards_) state->schema_as_of = std::min(state->schema_as_of, shard->catalog_as_of);
  const std::vector<std::string> against = objections();
  // One shard needs no catalog to be right: without one every statement is a write.
  if (!against.empty()) {
    state->reason = against.front();
  } else if (gated() && schema_->version == 0) {
    state->reason = fmt::format("its catalog has not been read from shard {} yet", map_->shards.front());
  } else {
    state->served = true;
  }
  for (const auto& shard : shards_) {
    shard_state& copy = state->shards.emplace_back(shard->roles.state());
    if (copy.primary >= 0 && gated()) {
      const auto place = static_cast<std::size_t>(copy.primary);
      copy.identity = shard_identity(shard->probes[place]->facts().system_identifier, shard->dbnames[place]);
    }
    take_out_drained(database_->shards[shard->index], copy);
    if (!gated() || (shard->catalog && shard->rows_checked)) continue;
    copy.primary = -1;
    for (server_state& server : copy.servers) {
      if (!server.usable) continue;
      server.usable = false;
      server.reason = "the catalog and the rows of its shard have not been looked at yet";
    }
  }
  return state;
}

}  // namespace pgbraid::proxy
