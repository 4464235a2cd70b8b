#include "proxy/cluster/leader_watch.hpp"

#include "proxy/cluster/spawn.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

namespace pgbraid::proxy {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::milliseconds calm_interval = 1000ms, closest_rounds = 50ms, head_start = 100ms,
                                    bell_retry = 1000ms;
constexpr const char *cluster_target = "/cluster", *range_target = "/v3/kv/range", *watch_target = "/v3/watch";

std::string spelled(const config::host_port& place) {
  return fmt::format("{}:{}", place.host, place.port);
}

std::string spelled(const leader_record& record) {
  if (record.name.empty()) return "nobody";
  if (record.host.empty()) return harmless(record.name);
  return fmt::format("{} ({}:{})", harmless(record.name), harmless(record.host), record.port);
}

std::string label_of(const config::discovery& where) {
  std::string places;
  for (const auto* list : {&where.etcd, &where.patroni}) {
    for (const config::host_port& place : *list) places += (places.empty() ? "" : ", ") + spelled(place);
  }
  return fmt::format("discovery by Patroni{}{} ({})", where.scope.empty() ? "" : ", scope ", where.scope, places);
}

}  // namespace

/// One round of questions, shared with those that are still under way when it has ended.
struct leader_watch::round {
  explicit round(asio::io_context& context) : something(context) {}
  asio::steady_timer something;  // cancelled when a question has ended
  steady_time begin = std::chrono::steady_clock::now();
  std::optional<leader_record> record;
  std::size_t by = 0;
  unsigned running = 0;
  std::string failures;
};

leader_watch_options leader_options(const config::topology& topology) {
  // Whoever waits for a switchover that does not come has the other half of the time left for the primary that stays.
  return {topology.monitor.interval, topology.monitor.timeout, topology.failover.hold / 2};
}

leader_watch::leader_watch(asio::io_context& context, const config::discovery& where, leader_watch_options options)
    : context_(context),
      options_(options),
      folder_(record_folder(where.name_space, where.scope)),
      label_(label_of(where)),
      pause_(context),
      bell_pause_(context) {
  for (const config::host_port& place : where.etcd) sources_.push_back(std::make_unique<source>(context, place, true));
  best_patroni_ = sources_.size();
  for (const config::host_port& place : where.patroni)
    sources_.push_back(std::make_unique<source>(context, place, false));
}

leader_watch::~leader_watch() = default;

void leader_watch::start() {
  spawn(context_, run(shared_from_this()));
  if (!sources_.empty() && sources_.front()->etcd) spawn(context_, hear_changes(shared_from_this()));
}

void leader_watch::stop() {
  stopped_ = true;
  listeners_.clear();
  pause_.cancel();
  bell_pause_.cancel();
  for (const auto& one : sources_) one->exchange.interrupt();
  if (bell_) bell_->interrupt();
}

void leader_watch::hurry() {
  if (!std::exchange(doubted_, true)) pause_.cancel();
}

void leader_watch::change_options(leader_watch_options options) {
  options_ = options;
}

void leader_watch::listen(const void* owner, listener heard) {
  listeners_[owner] = std::move(heard);
}

void leader_watch::forget(const void* owner) {
  listeners_.erase(owner);
}

std::vector<std::size_t> leader_watch::order() const {
  std::vector<std::size_t> all(sources_.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  const auto rank = [this](std::size_t i) {
    return std::pair(!sources_[i]->etcd, i != (sources_[i]->etcd ? best_etcd_ : best_patroni_));
  };
  std::stable_sort(all.begin(), all.end(), [&](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
  return all;
}

asio::awaitable<void> leader_watch::run([[maybe_unused]] std::shared_ptr<leader_watch> self) {
  while (!stopped_) {
    rung_ = doubted_ = false;
    const auto asked = std::make_shared<round>(context_);
    co_await ask_all(asked);
    if (stopped_) break;
    take(*asked);
    const steady_time ended = std::chrono::steady_clock::now();
    while (!stopped_) {
      const std::chrono::milliseconds calm = calm_interval, doubtful = std::min(options_.interval, calm);
      const steady_time next = ended + (rung_ ? closest_rounds : doubted_ ? doubtful : calm);
      if (std::chrono::steady_clock::now() >= next) break;
      boost::system::error_code cancelled;
      pause_.expires_at(next);
      co_await pause_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }
  }
}

asio::awaitable<void> leader_watch::ask_all(std::shared_ptr<round> asked) {
  boost::system::error_code cancelled;
  for (const std::size_t which : order()) {
    ++asked->running;
    spawn(context_, ask_one(shared_from_this(), asked, which));
    const steady_time next = std::chrono::steady_clock::now() + head_start;
    while (!stopped_ && !asked->record && asked->running > 0 && std::chrono::steady_clock::now() < next) {
      asked->something.expires_at(next);
      co_await asked->something.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }
    if (stopped_ || asked->record) break;
  }
  while (!stopped_ && !asked->record && asked->running > 0) {
    asked->something.expires_after(options_.timeout);
    co_await asked->something.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }
  for (const auto& one : sources_) {
    if (one->exchange.busy()) one->exchange.interrupt();
  }
}

asio::awaitable<void> leader_watch::ask_one([[maybe_unused]] std::shared_ptr<leader_watch> self,
                                            std::shared_ptr<round> asked, std::size_t which) {
  source& from = *sources_[which];
  std::string target = from.etcd ? range_target : cluster_target, question;
  if (from.etcd) question = range_question(folder_);
  const http_answer said = co_await from.exchange.ask(std::move(target), std::move(question), options_.timeout);
  record_reading reading;
  reading.error = said.error;
  if (said.error.empty()) reading = from.etcd ? read_range_answer(said.body, folder_) : read_cluster_answer(said.body);
  if (!reading.error.empty()) {
    asked->failures +=
        fmt::format("{}{}: {}", asked->failures.empty() ? "" : "; ", spelled(from.exchange.place()), reading.error);
  } else if (!asked->record) {
    asked->record = std::move(reading.record);
    asked->by = which;
  }
  --asked->running;
  asked->something.cancel();
}

void leader_watch::take(const round& asked) {
  leader_report now;
  now.as_of = asked.begin;
  now.reached = asked.record.has_value();
  if (now.reached) {
    std::size_t& best = sources_[asked.by]->etcd ? best_etcd_ : best_patroni_;
    if (best != asked.by && sources_[asked.by]->etcd && bell_) bell_->interrupt();
    best = asked.by;
    now.record = *asked.record;
    if (now.record.switchover != switchover_) {
      switchover_ = now.record.switchover;
      switchover_seen_ = asked.begin;
    }
    now.switching = !switchover_.empty() && asked.begin - switchover_seen_ < options_.longest_switch;
  }
  log_change(now, asked.failures);
  latest_ = now;
  // A listener may forget itself or others while it is told.
  const auto told = listeners_;
  for (const auto& [owner, heard] : told) {
    if (listeners_.contains(owner)) heard(now);
  }
}

void leader_watch::log_change(const leader_report& now, const std::string& failure) {
  const bool was_reached = latest_ && latest_->reached;
  if (!now.reached) {
    if (was_reached || !latest_) spdlog::warn("{}: no answer, so the servers' own answers decide: {}", label_, failure);
    return;
  }
  if (!was_reached)
    spdlog::info("{}: it answers; {} is the leader", label_, spelled(now.record));
  else if (latest_->record.name != now.record.name)
    spdlog::info("{}: {} is the leader now, {} was", label_, spelled(now.record), spelled(latest_->record));
  if (now.switching && !(latest_ && latest_->switching))
    spdlog::info("{}: a switchover away from {} begins", label_, spelled(now.record));
}

asio::awaitable<void> leader_watch::hear_changes([[maybe_unused]] std::shared_ptr<leader_watch> self) {
  boost::system::error_code cancelled;
  const auto heard = [this] {
    if (!std::exchange(rung_, true)) pause_.cancel();
  };
  while (!stopped_) {
    bell_ = std::make_unique<http_exchange>(context_, sources_[best_etcd_]->exchange.place());
    const std::string ended = co_await bell_->listen(watch_target, watch_question(folder_), options_.timeout, heard);
    if (stopped_) break;
    spdlog::debug("{}: etcd's stream of changes has ended: {}", label_, ended);
    bell_pause_.expires_after(bell_retry);
    co_await bell_pause_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }
}

}  // namespace pgbraid::proxy
