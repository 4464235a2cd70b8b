#include "proxy/cluster/database_watch.hpp"

#include "proxy/cluster/claimed_columns.hpp"
#include "proxy/cluster/shard_watch.hpp"
#include "proxy/cluster/spawn.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace pgbraid::proxy {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr auto gather_positions = 10ms;  // replicas' answers of one interval become one publication
constexpr unsigned most_look_rounds = 5;  // how often a look asks replicas that have not caught up yet

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
  return a.primary == b.primary && a.doubtful == b.doubtful && a.identity == b.identity &&
         a.system_identifier == b.system_identifier && a.timeline == b.timeline && a.history == b.history &&
         std::equal(a.servers.begin(), a.servers.end(), b.servers.begin(), b.servers.end(),
                    [](const server_state& x, const server_state& y) {
                      return x.role == y.role && x.usable == y.usable && x.reason == y.reason && x.weight == y.weight &&
                             x.safe_until == y.safe_until && x.lag_bytes == y.lag_bytes && x.answers == y.answers &&
                             x.drained == y.drained && x.restarts == y.restarts && x.replayed == y.replayed;
                    });
}

// Somebody may wait for what it does not know yet.
bool is_behind(const database_state& state) {
  return state.definitions && state.schema_as_of <= state.definitions->latest();
}

bool same_state(const database_state& a, const database_state& b) {
  if (is_behind(a) && !is_behind(b)) return false;
  return a.served == b.served && a.reason == b.reason && a.map == b.map && a.schema == b.schema &&
         a.config == b.config &&
         std::equal(a.shards.begin(), a.shards.end(), b.shards.begin(), b.shards.end(), same_servers);
}

}  // namespace

database_watch::database_watch(watch_services services, config::database database, std::string name, topology_view view,
                               placement_depth depth)
    : services_(std::move(services)),
      database_(std::make_shared<const config::database>(std::move(database))),
      name_(std::move(name)),
      depth_(depth),
      schema_(std::make_shared<const router::catalog>()),
      publish_soon_(*services_.context) {
  view.map.buckets.version = services_.next_version();
  listed_ = map_ = std::make_shared<const router::topology>(std::move(view.map));
  if (gated()) definitions_ = std::make_shared<recent_definitions>();
  for (const config::shard& shard : database_->shards) {
    auto& watch =
        shards_.emplace_back(std::make_unique<shard_watch>(*services_.context, options_of(*database_, name_, shard)));
    watch->roles.change_max_loss(services_.max_loss);
    watch->index = static_cast<router::shard_index>(shards_.size() - 1);
    for (const config::server& server : shard.servers) {
      watch->dbnames.push_back(server.dbname.empty() ? name_ : server.dbname);
      watch->probes.push_back(services_.probe({server.host, server.port, server.tls}, watch->dbnames.back()));
    }
    if (shard.discovery) watch->leader = services_.leader(*shard.discovery);
    watch->rows_checked = !checks_rows() || listed_->tables.empty();
  }
}

database_watch::~database_watch() {
  stop();
}

void database_watch::start() {
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    shard_watch& shard = *shards_[i];
    if (shard.leader) follow_leader(i);
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
    if (shard->leader) shard->leader->forget(shard.get());
    shard->pause.cancel();
    shard->look_later.cancel();
    shard->connection.interrupt();
  }
}

void database_watch::inherit(const database_watch& before) {
  if (definitions_ && before.definitions_) definitions_ = before.definitions_;
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

void database_watch::look_at_positions(std::size_t index) {
  if (index >= shards_.size()) return;
  shard_watch& shard = *shards_[index];
  const int primary = shard.roles.state().primary;
  shard.look_again = shard.looking != shard_watch::look::none;
  if (stopped_ || primary < 0 || shard.look_again || shard.look_waits) return;
  const steady_time ready = services_.budget->ready_at();
  if (ready == steady_time::max()) return;
  if (ready > std::chrono::steady_clock::now()) return look_later(shard, ready);
  shard.looking = shard_watch::look::primary;
  shard.probes[static_cast<std::size_t>(primary)]->look();
}

void database_watch::look_later(shard_watch& shard, steady_time when) {
  shard.look_waits = true;
  shard.look_later.expires_at(when);
  shard.look_later.async_wait([weak = weak_from_this(), index = shard.index](boost::system::error_code cancelled) {
    const auto self = weak.lock();
    if (!self) return;
    self->shards_[index]->look_waits = false;
    if (!cancelled) self->look_at_positions(index);
  });
}

void database_watch::look_at_replicas(shard_watch& shard) {
  const shard_state& state = shard.roles.state();
  shard.looks_left = 0;
  for (std::size_t i = 0; i < shard.probes.size(); ++i) {
    if (static_cast<int>(i) == state.primary || !state.servers[i].usable) continue;
    shard.probes[i]->look();
    ++shard.looks_left;
  }
  shard.looking = shard.looks_left == 0 ? shard_watch::look::none : shard_watch::look::replicas;
}

// True: what was looked for is here, or will not be soon.
bool database_watch::go_on_looking(shard_watch& shard, std::size_t server, const server_sample& sample) {
  const shard_state& state = shard.roles.state();
  const bool primary = state.primary == static_cast<int>(server);
  if (shard.looking == shard_watch::look::primary && primary) {
    shard.looked_for = sample.position;
    shard.look_rounds = most_look_rounds;
    if (sample.answered) look_at_replicas(shard);
    return false;
  }
  if (shard.looking != shard_watch::look::replicas || primary || --shard.looks_left > 0) return false;
  const auto caught_up = [&](const server_state& s) { return s.usable && s.replayed >= shard.looked_for; };
  if (--shard.look_rounds > 0 && std::none_of(state.servers.begin(), state.servers.end(), caught_up)) {
    look_at_replicas(shard);
    return false;
  }
  shard.looking = shard_watch::look::none;
  if (std::exchange(shard.look_again, false)) look_at_positions(shard.index);
  return true;
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
    locks_ = std::make_shared<lock_watch>(*services_.context, name_, shards_.size(), login, services_.end_deadlock,
                                          services_.options.timeout);
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
  if (other_roles || !sample.answered) shard.looking = shard_watch::look::none;
  const bool looked = go_on_looking(shard, server, sample);
  roles_taken(shard, other_roles);
  if (looked) changed(true);
  if (shard.leader && shard.roles.leader_in_doubt()) shard.leader->hurry();
}

// What a judgement of the shard's servers brings with it.
void database_watch::roles_taken(shard_watch& shard, bool other_roles) {
  const std::vector<shard_event> events = shard.roles.take_events();
  for (const shard_event& event : events) {
    if (announced_) spdlog::log(level_of(event.severity), "{}", event.text);
  }
  const bool commits_known = !gated() || asked(shard);
  if (other_roles && (!shard.catalog || !shard.rows_checked || !commits_known)) {
    shard.hurried = true;
    shard.pause.cancel();
  }
  changed(other_roles);
}

bool database_watch::checks_rows() const noexcept {
  return gated() && (!database_->sharding || database_->sharding->check_placement);
}

/// What is made on primaries alone has been looked at there.
bool database_watch::asked(const shard_watch& shard) const {
  return shard.commits_asked && shard.number_asked && (shard.claims_asked || !lists_unique(*listed_));
}

bool database_watch::gated() const noexcept {
  return !map_->one_shard();
}

bool database_watch::settled() const {
  // Tables may be made at once that name pgbraid.id().
  if (gated() && numbers_known() && !numbers_settled_) return false;
  return std::all_of(shards_.begin(), shards_.end(), [this](const auto& shard) {
    if (!shard->roles.settled()) return false;
    if (gated() && shard->roles.state().primary >= 0 && !asked(*shard) && shard->trouble.empty()) return false;
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
    // A reload must not take tables out of use; at the start those that do not fit are the only ones that are not
    // served.
    for (const auto& [name, looked] : shard->births) {
      if (!announced_ && !looked.problem.empty()) all.push_back(looked.problem);
    }
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
  state->definitions = definitions_;
  state->own = own_;
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
    copy.doubtful = shard->left_in_doubt;
    take_out_drained(database_->shards[shard->index], copy);
    if (shard->switching) take_out_switching(copy);
    // Its ids might be another shard's.
    if (gated() && (!shard->number_asked || shard->number_clashes)) copy.primary = -1;
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
