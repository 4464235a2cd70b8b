// The part of a database_watch's rounds that sees to the numbers which ids of the shards carry: each shard's is read,
// and when all can be reached and one lacks a number of its own, they are given.
#include "proxy/cluster/shard_watch.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

namespace pgbraid::proxy {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr auto number_timeout = 10'000ms;

}  // namespace

// One shard needs no schema of pgbraid's, and gets nothing but where its owner has made it.
asio::awaitable<void> database_watch::see_to_number(shard_watch& shard) {
  const int primary = shard.roles.state().primary;
  if (primary < 0 || shard.connected_to != primary || !shard.connection.is_open()) co_return;
  number_reading reading = co_await read_number(shard.connection, number_timeout);
  if (stopped_ || !shard.connection.is_open() || (reading.error.empty() && !reading.shard.primary)) co_return;
  if (!reading.error.empty() && gated() && numbers_trouble_ != reading.error) {
    spdlog::warn("database {}: pgbraid.id() cannot be looked at on shard {}: {}", name_, map_->shards[shard.index],
                 reading.error);
    numbers_trouble_ = reading.error;
  }
  if (reading.error.empty()) shard.number = std::move(reading.shard);
  const bool first = !std::exchange(shard.number_asked, true);
  note_clash(shard);
  if (first) changed(true);
  if (!gated() && shard.number && !shard.number->schema) co_return;
  co_await give_numbers_now();
}

/// Every shard has a primary, and it has been asked.
bool database_watch::numbers_known() const {
  return std::all_of(shards_.begin(), shards_.end(), [](const auto& shard) {
    return shard->number_asked && shard->number && shard->roles.state().primary >= 0;
  });
}

// The shard that has just been read is the one that is held back: the other may be in use.
void database_watch::note_clash(shard_watch& read) {
  const auto in_use = [](const shard_watch& shard) {
    return shard.number && shard.number->found && shard.number->found->identity == shard.number->identity;
  };
  const auto same_as = [&](const shard_watch& shard) {
    return std::find_if(shards_.begin(), shards_.end(), [&](const auto& other) {
      return other.get() != &shard && !other->number_clashes && in_use(*other) && in_use(shard) &&
             other->number->found->number == shard.number->found->number;
    });
  };
  const auto other = same_as(read);
  bool moved = false;
  if (other != shards_.end() && !read.number_clashes) {
    read.number_clashes = moved = true;
    spdlog::error(
        "database {}: shards {} and {} give ids with the same number: one is a copy of the other, or they had theirs "
        "from different topologies. The second has no primary until it has a number of its own",
        name_, map_->shards[(*other)->index], map_->shards[read.index]);
  }
  for (const auto& shard : shards_) {
    if (!shard->number_clashes || same_as(*shard) != shards_.end()) continue;
    shard->number_clashes = false;
    moved = true;
  }
  if (moved) changed(true);
}

asio::awaitable<void> database_watch::give_numbers_now() {
  if (giving_numbers_ || !numbers_known() || std::chrono::steady_clock::now() < numbers_again_) co_return;
  std::vector<numbered_shard> seen;
  for (const auto& shard : shards_) seen.push_back(*shard->number);
  const auto wanted = give_numbers(seen);
  bool needed = false;
  for (std::size_t i = 0; i < seen.size(); ++i) needed = needed || !wanted[i] || needs_number(seen[i], wanted[i]);
  if (needed) {
    giving_numbers_ = true;
    std::vector<std::unique_ptr<pg_connection>> locked;
    const std::string trouble = co_await give_numbers_over(locked);
    for (const auto& connection : locked) connection->close();
    giving_numbers_ = false;
    if (stopped_) co_return;
    if (!trouble.empty() && trouble != numbers_trouble_)
      spdlog::warn("database {}: not every shard has a number for pgbraid.id(): {}", name_, trouble);
    numbers_trouble_ = trouble;
    if (!trouble.empty()) numbers_again_ = std::chrono::steady_clock::now() + services_.options.catalog_interval;
    for (const auto& shard : shards_) note_clash(*shard);
  }
  numbers_settled_ = true;
}

// Connections of its own hold a lock on every shard, taken in the same order by everybody, while all numbers are read
// and the missing ones are written. Each shard commits for itself: what one lacks is found lacking again.
asio::awaitable<std::string> database_watch::give_numbers_over(std::vector<std::unique_ptr<pg_connection>>& locked) {
  std::vector<std::size_t> order(shards_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto place = [this](std::size_t i) {
    const shard_watch& shard = *shards_[i];
    const server_address& address = shard.probes[static_cast<std::size_t>(shard.roles.state().primary)]->address();
    return std::tuple(shard.number->identity, address.host, address.port);
  };
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return place(a) < place(b); });
  for (std::size_t i = 0; i < shards_.size(); ++i)
    locked.push_back(std::make_unique<pg_connection>(*services_.context));
  std::vector<numbered_shard> seen(shards_.size());
  for (const std::size_t i : order) {
    auto login = primary_login(static_cast<router::shard_index>(i));
    const auto failed = [&](const std::string& why) { return fmt::format("shard {}: {}", map_->shards[i], why); };
    if (!login) co_return failed("it has no primary");
    login->application = "pgbraid_numbers";
    std::string error = co_await locked[i]->connect(std::move(*login), services_.options.timeout);
    if (error.empty() && !stopped_) error = co_await lock_numbers(*locked[i], number_timeout);
    if (stopped_) co_return "";
    if (!error.empty()) co_return failed(error);
  }
  for (const std::size_t i : order) {
    number_reading reading = co_await read_number(*locked[i], number_timeout);
    if (stopped_) co_return "";
    if (reading.error.empty() && !reading.shard.primary) reading.error = "it has no primary";
    if (!reading.error.empty()) co_return fmt::format("shard {}: {}", map_->shards[i], reading.error);
    seen[i] = std::move(reading.shard);
  }
  const auto wanted = give_numbers(seen);
  std::string trouble;
  for (std::size_t i = 0; i < seen.size() && !stopped_; ++i) {
    shards_[i]->number = seen[i];
    if (!wanted[i]) {
      trouble = fmt::format("shard {}: all {} numbers are taken", map_->shards[i], shard_number_count);
      continue;
    }
    if (!needs_number(seen[i], wanted[i])) continue;
    const std::string error = co_await make_id_function(*locked[i], seen[i], *wanted[i], number_timeout);
    if (stopped_) co_return "";
    if (!error.empty()) co_return fmt::format("shard {}: {}", map_->shards[i], error);
  }
  for (std::size_t i = 0; i < seen.size() && !stopped_; ++i) {
    const pg_answer ended = co_await locked[i]->query("COMMIT", {}, number_timeout);
    if (stopped_) co_return "";
    if (!ended.ok()) {
      trouble = fmt::format("shard {}: {}", map_->shards[i], ended.error);
      continue;
    }
    if (!needs_number(seen[i], wanted[i])) continue;
    const bool same = seen[i].found && seen[i].found->number == wanted[i]->number;
    const bool in_use = seen[i].found && seen[i].found->identity == seen[i].identity;
    if (in_use && !same)
      spdlog::warn(
          "database {}: shard {} had number {} for pgbraid.id() as another shard has, and has {} now: ids that "
          "it has given before may be the other's too",
          name_, map_->shards[i], seen[i].found->number, wanted[i]->number);
    else if (!in_use)
      spdlog::info("database {}: shard {} has been given number {} for pgbraid.id()", name_, map_->shards[i],
                   wanted[i]->number);
    shards_[i]->number->found = wanted[i];
    shards_[i]->number->current = shards_[i]->number->schema = true;
  }
  co_return trouble;
}

}  // namespace pgbraid::proxy
