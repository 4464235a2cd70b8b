#include "proxy/cluster/roles.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pgbraid::proxy {

namespace {

bool same_but_positions(const shard_state& a, const shard_state& b) {
  return a.primary == b.primary && std::equal(a.servers.begin(), a.servers.end(), b.servers.begin(), b.servers.end(),
                                              [](const server_state& x, const server_state& y) {
                                                return x.role == y.role && x.usable == y.usable &&
                                                       x.reason == y.reason && x.weight == y.weight &&
                                                       x.answers == y.answers;
                                              });
}

// A mean that the last answer is a quarter of, so that one slow answer alone changes little.
void note_answer_time(server_state& server, std::chrono::microseconds took) {
  constexpr std::int64_t longest = 60'000'000;
  const std::int64_t mean = (3 * std::int64_t{server.answer_time} + std::min<std::int64_t>(took.count(), longest)) / 4;
  server.answer_time = std::max(shortest_answer_time, static_cast<std::uint32_t>(mean));
}

constexpr const char* waiting = "waiting for the first answers of the shard's other servers";
constexpr const char* waiting_for_patroni = "waiting for Patroni's first answer";

void put_out(server_state& server, server_role role, std::string reason) {
  server.role = role;
  server.usable = false;
  server.reason = std::move(reason);
}

}  // namespace

shard_roles::shard_roles(shard_options options) : options_(std::move(options)) {
  observed_.resize(options_.servers.size());
  for (const shard_options::server& s : options_.servers) {
    server_state& state = state_.servers.emplace_back();
    state.weight = s.weight;
    state.reason = "not asked yet";
  }
}

void shard_roles::inherit(const shard_roles& before) {
  const shard_options own = options_;
  const shard_state fresh = state_;
  const leader_word word = leader_;
  if (before.observed_.size() != observed_.size()) return;
  *this = before;
  options_ = own;
  leader_ = word;
  events_.clear();
  for (std::size_t i = 0; i < state_.servers.size(); ++i) state_.servers[i].weight = fresh.servers[i].weight;
}

bool shard_roles::settled() const noexcept {
  return leader_.said != leader_word::kind::awaited &&
         std::all_of(observed_.begin(), observed_.end(), [](const observed& o) { return o.latest.has_value(); });
}

std::vector<shard_event> shard_roles::take_events() {
  return std::exchange(events_, {});
}

void shard_roles::log(shard_event::level level, std::string text) {
  events_.push_back({level, fmt::format("shard {}: {}", options_.name, text)});
}

bool shard_roles::claims_primary(std::size_t server) const noexcept {
  const auto& latest = observed_[server].latest;
  return latest && latest->answered && !latest->in_recovery;
}

bool shard_roles::take(std::size_t server, const server_sample& sample) {
  const shard_state before = state_;
  observed_[server].latest = sample;
  state_.servers[server].answers = sample.answered;
  if (sample.answered) note_answer_time(state_.servers[server], sample.took);
  judge();
  log_changes(before);
  return !same_but_positions(before, state_);
}

bool shard_roles::take_leader(leader_word word) {
  const shard_state before = state_;
  leader_ = std::move(word);
  const bool named = leader_.said == leader_word::kind::named;
  for (std::size_t i = 0; i < observed_.size(); ++i) {
    observed& seen = observed_[i];
    if (named && static_cast<int>(i) == leader_.server) {
      seen.unnamed_on = 0;
    } else if ((named || leader_.said == leader_word::kind::vacant) && claims_primary(i) &&
               seen.latest->begin + seen.latest->took <= leader_.as_of) {
      // Only what was so before Patroni was asked: a server that has just been promoted may be named in its next answer.
      seen.unnamed_on = seen.latest->timeline;
    }
  }
  judge();
  log_changes(before);
  return !same_but_positions(before, state_);
}

bool shard_roles::leader_in_doubt() const noexcept {
  const bool named = leader_.said == leader_word::kind::named;
  if (!named && leader_.said != leader_word::kind::vacant) return false;
  for (std::size_t i = 0; i < observed_.size(); ++i) {
    if (claims_primary(i) != (named && static_cast<int>(i) == leader_.server)) return true;
  }
  return false;
}

void shard_roles::judge() {
  choose_primary();
  if (state_.primary >= 0) sample_primary();
  for (std::size_t i = 0; i < observed_.size(); ++i) {
    if (static_cast<int>(i) != state_.primary && observed_[i].latest && !claims_primary(i)) judge_replica(i);
  }
}

std::string shard_roles::refuse_primary(const server_sample& sample) const {
  if (known_.server < 0) return {};
  if (sample.system_identifier != known_.system_identifier) {
    return fmt::format("it is a primary of another cluster: its system identifier is {}, the last primary's was {}",
                       sample.system_identifier, known_.system_identifier);
  }
  if (sample.timeline < known_.timeline) {
    return fmt::format("it claims to be primary on timeline {}, older than timeline {} of the last primary {}",
                       sample.timeline, known_.timeline,
                       options_.servers[static_cast<std::size_t>(known_.server)].name);
  }
  if (sample.timeline == known_.timeline || !options_.max_loss) return {};
  const std::optional<std::uint64_t> lost = loss_with(sample);
  if (!lost) {
    return fmt::format(
        "what it lacks of the last primary's WAL is not known, and failover.max_loss is {} bytes: its "
        "timeline's history cannot be read, or does not have timeline {}",
        *options_.max_loss, known_.timeline);
  }
  if (*lost <= *options_.max_loss) return {};
  return fmt::format("it lacks {} bytes of the last primary's WAL, and failover.max_loss is {}", *lost,
                     *options_.max_loss);
}

// A server that goes on as primary behind Patroni's back is fenced by this alone: its own answers do not give it away.
std::string shard_roles::refuse_unnamed(std::size_t server) const {
  const observed& seen = observed_[server];
  switch (leader_.said) {
    case leader_word::kind::nobodys:
      return {};
    case leader_word::kind::awaited:
      return waiting_for_patroni;
    case leader_word::kind::unreachable:
      if (seen.unnamed_on == 0 || seen.unnamed_on != seen.latest->timeline) return {};
      return "it answers as primary, was not the leader when Patroni was last heard, and Patroni cannot be reached";
    case leader_word::kind::vacant:
      return "it answers as primary, and by Patroni nobody is the leader";
    case leader_word::kind::named:
      break;
  }
  if (static_cast<int>(server) == leader_.server) return {};
  return fmt::format("it answers as primary, and by Patroni the leader is {}", leader_.name);
}

// Bytes that the last primary had flushed when it was last asked and that a server on a newer timeline has not taken
// over.
std::optional<std::uint64_t> shard_roles::loss_with(const server_sample& sample) const {
  const auto taken = sample.history ? sample.history->end_of(known_.timeline) : std::nullopt;
  if (!taken) return std::nullopt;
  return flushed_.newest() > *taken ? flushed_.newest() - *taken : 0;
}

// Two primaries that have written one history each under the same name: neither's positions mean anything to the other.
bool shard_roles::shares_timeline(const std::vector<std::size_t>& claims) const {
  for (std::size_t i = 0; i < claims.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      const server_sample &a = *observed_[claims[i]].latest, &b = *observed_[claims[k]].latest;
      if (a.system_identifier == b.system_identifier && a.timeline == b.timeline) return true;
    }
  }
  return false;
}

// Those that answer as primary and may be it; the others are put out.
std::vector<std::size_t> shard_roles::admit_claims() {
  std::vector<std::size_t> claims, admitted;
  for (std::size_t i = 0; i < observed_.size(); ++i) {
    if (!claims_primary(i)) continue;
    const std::string refused = refuse_primary(*observed_[i].latest);
    if (refused.empty()) {
      claims.push_back(i);
    } else {
      put_out(state_.servers[i], server_role::unknown, refused);
    }
  }
  if (shares_timeline(claims)) return claims;
  for (const std::size_t i : claims) {
    const std::string refused = refuse_unnamed(i);
    if (refused.empty()) {
      admitted.push_back(i);
    } else {
      put_out(state_.servers[i], server_role::unknown, refused);
    }
  }
  return admitted;
}

void shard_roles::choose_primary() {
  const std::vector<std::size_t> claims = admit_claims();
  int chosen = -1;
  std::string conflict;
  if (claims.size() > 1) {
    const auto held = std::find(claims.begin(), claims.end(), static_cast<std::size_t>(std::max(known_.server, 0)));
    const bool one_history = shares_timeline(claims);
    if (known_.server >= 0 && held != claims.end() && !one_history) chosen = known_.server;
    for (const std::size_t i : claims) {
      conflict += (conflict.empty() ? "" : " and ") + options_.servers[i].name;
    }
    conflict += one_history
                    ? " both answer as primary, on one timeline: nobody knows which of them has what, so no writes"
                : chosen >= 0 ? fmt::format(" both answer as primary: {} stays, as it was first",
                                            options_.servers[static_cast<std::size_t>(chosen)].name)
                              : " both answer as primary: no writes";
    for (const std::size_t i : claims) {
      if (static_cast<int>(i) != chosen) put_out(state_.servers[i], server_role::unknown, "two primaries: " + conflict);
    }
  } else if (claims.size() == 1) {
    if (settled()) {
      chosen = static_cast<int>(claims.front());
    } else {
      put_out(state_.servers[claims.front()], server_role::unknown, waiting);
    }
  }
  if (conflict != conflict_) {
    conflict_ = conflict;
    if (!conflict.empty()) log(shard_event::level::error, "two primaries: " + conflict);
  }
  state_.primary = chosen;
  if (chosen < 0) return;
  const server_sample& sample = *observed_[static_cast<std::size_t>(chosen)].latest;
  server_state& primary = state_.servers[static_cast<std::size_t>(chosen)];
  primary.role = server_role::primary;
  primary.usable = true;
  primary.reason.clear();
  primary.safe_until = steady_time::min();
  primary.replayed = 0;
  primary.lag_bytes = 0;
  state_.system_identifier = sample.system_identifier;
  state_.timeline = sample.timeline;
  state_.history = sample.history;
  state_.segment_bytes = sample.segment_bytes;
  state_.block_bytes = sample.block_bytes;
  const identity now{sample.system_identifier, sample.timeline, chosen};
  if (now == known_) return;
  if (known_.server >= 0 && sample.timeline != known_.timeline) {
    const std::string& name = options_.servers[static_cast<std::size_t>(chosen)].name;
    const auto lost = loss_with(sample);
    if (sample.history && !lost) {
      log(shard_event::level::warning,
          fmt::format("{} does not come from the last primary's timeline {}: what was committed there last may be lost",
                      name, known_.timeline));
    } else if (lost && *lost > 0) {
      log(shard_event::level::warning,
          fmt::format("{} lacks {} bytes of the last primary's WAL: what was committed in them is lost", name, *lost));
    }
  }
  known_ = now;
  inserted_.clear();
  flushed_.clear();
  for (server_state& server : state_.servers) {
    server.safe_until = steady_time::min();
    server.replayed = 0;
  }
  for (observed& o : observed_) o.replayed = 0;
}

void shard_roles::sample_primary() {
  const server_sample& sample = *observed_[static_cast<std::size_t>(state_.primary)].latest;
  inserted_.add(sample.begin, sample.position);
  flushed_.add(sample.begin, sample.flushed);
}

void shard_roles::judge_replica(std::size_t server) {
  const server_sample& sample = *observed_[server].latest;
  server_state& state = state_.servers[server];
  state.replayed = 0;
  if (!sample.answered) {
    state.safe_until = steady_time::min();
    put_out(state, server_role::unknown, sample.failure);
    return;
  }
  const auto unrelated = [&](std::string reason) {
    state.safe_until = steady_time::min();
    put_out(state, server_role::replica, std::move(reason));
  };
  const bool comparable = known_.server >= 0;
  if (comparable && sample.system_identifier != 0 && sample.system_identifier != known_.system_identifier) {
    return unrelated("it replicates another cluster: its system identifier is not the primary's");
  }
  if (comparable && state_.primary >= 0 && sample.timeline != known_.timeline) {
    return unrelated(sample.timeline == 0 ? "its timeline is not known"
                                          : fmt::format("it follows timeline {}, the primary is on timeline {}",
                                                        sample.timeline, known_.timeline));
  }
  if (comparable && sample.timeline == known_.timeline) {
    // A replica that restarted may show less than before until it has replayed it again.
    observed& seen = observed_[server];
    if (sample.position < seen.replayed) ++state.restarts;
    const steady_time covered = inserted_.covered_until(sample.position);
    state.safe_until = sample.position >= seen.replayed ? std::max(state.safe_until, covered) : covered;
    seen.replayed = state.replayed = sample.position;
  } else {
    state.safe_until = steady_time::min();
  }
  const std::string late = judge_lag(server);
  if (!late.empty()) return put_out(state, server_role::replica, late);
  state.role = server_role::replica;
  state.usable = true;
  state.reason.clear();
}

std::string shard_roles::judge_lag(std::size_t server) {
  observed& seen = observed_[server];
  server_state& state = state_.servers[server];
  if (inserted_.empty()) return {};
  const std::uint64_t newest = inserted_.newest();
  state.lag_bytes = newest > seen.latest->position ? newest - seen.latest->position : 0;
  const auto lag_time = flushed_.behind(seen.latest->position);
  // Once out, a replica comes back when it is at half the limit, so that it does not go in and out around it.
  const unsigned part = seen.lagging ? 2 : 1;
  std::string reason;
  if (options_.max_lag_bytes && state.lag_bytes > *options_.max_lag_bytes / part) {
    reason = fmt::format("it is behind its primary by more than {} bytes", *options_.max_lag_bytes);
  } else if (options_.max_lag_time && lag_time > *options_.max_lag_time / part) {
    reason = fmt::format("it is behind its primary by more than {} ms", options_.max_lag_time->count());
  }
  seen.lagging = !reason.empty();
  return reason;
}

void shard_roles::log_changes(const shard_state& before) {
  if (before.primary != state_.primary) {
    if (state_.primary >= 0) {
      const std::size_t i = static_cast<std::size_t>(state_.primary);
      log(shard_event::level::info,
          fmt::format("{} is primary (timeline {})", options_.servers[i].name, observed_[i].latest->timeline));
    } else {
      const std::size_t i = static_cast<std::size_t>(before.primary);
      log(shard_event::level::error,
          fmt::format("no primary: {} is lost: {}", options_.servers[i].name, state_.servers[i].reason));
    }
  }
  for (std::size_t i = 0; i < state_.servers.size(); ++i) {
    const server_state &was = before.servers[i], &is = state_.servers[i];
    const bool told_above = static_cast<int>(i) == before.primary || static_cast<int>(i) == state_.primary;
    if (told_above && !(is.usable && static_cast<int>(i) == before.primary && state_.primary != before.primary))
      continue;
    if (is.usable && !was.usable) {
      log(shard_event::level::info, fmt::format("{} is a replica, usable", options_.servers[i].name));
    } else if (is.usable && was.role != is.role) {
      log(shard_event::level::info, fmt::format("{} is a replica now", options_.servers[i].name));
    } else if (!is.usable && is.reason != waiting && is.reason != waiting_for_patroni &&
               (was.usable || was.reason != is.reason)) {
      log(shard_event::level::warning, fmt::format("{} is out: {}", options_.servers[i].name, is.reason));
    }
  }
}

}  // namespace pgbraid::proxy
