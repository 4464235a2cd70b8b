#include "proxy/cluster/lock_watch.hpp"

#include "proxy/cluster/spawn.hpp"

#include <spdlog/spdlog.h>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <charconv>
#include <cstdlib>
#include <set>
#include <utility>

namespace pgbraid::proxy {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr auto look_interval = 300ms;

std::int32_t pid_of(const std::optional<std::string>& text) {
  std::int32_t pid = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), pid);
  return pid;
}

}  // namespace

lock_watch::lock_watch(asio::io_context& context, std::string database, login_of login, on_deadlock found,
                       std::chrono::milliseconds timeout)
    : context_{context},
      database_{std::move(database)},
      login_{std::move(login)},
      found_{std::move(found)},
      timeout_{timeout},
      pause_{context} {}

void lock_watch::take(unsigned worker, std::vector<waiting_transaction> waiting) {
  if (stopped_) return;
  waiting_[worker] = std::move(waiting);
  // It takes two of them to go from one shard to another and back.
  if (looking_ || all().size() < 2) return;
  looking_ = true;
  spawn(context_, look(shared_from_this()));
}

void lock_watch::stop() {
  stopped_ = true;
  pause_.cancel();
  for (const auto& [shard, connection] : connections_) connection->interrupt();
}

std::vector<waiting_transaction> lock_watch::all() const {
  std::vector<waiting_transaction> out;
  for (const auto& [worker, list] : waiting_) out.insert(out.end(), list.begin(), list.end());
  return out;
}

// The shards are asked one after the other, so a circle may be put together from waits that never stood at one time.
// Therefore it must be found twice, its members not having moved on since before the first time.
asio::awaitable<void> lock_watch::look([[maybe_unused]] std::shared_ptr<lock_watch> self) {
  deadlock before;
  while (!stopped_) {
    const std::vector<waiting_transaction> waiting = all();
    if (waiting.size() < 2) break;
    std::set<router::shard_index> shards;
    for (const waiting_transaction& t : waiting) {
      for (const auto& part : t.parts) shards.insert(part.shard);
    }
    std::vector<lock_wait> waits;
    for (const router::shard_index shard : shards) {
      const std::vector<lock_wait> there = co_await ask(shard);
      waits.insert(waits.end(), there.begin(), there.end());
      if (stopped_) co_return;
    }
    deadlock now = find_deadlock(waiting, waits);
    if (!now.members.empty() && now.members == before.members && now.victim == before.victim) {
      spdlog::info("database {}: deadlock of {} transactions over several shards; the youngest is ended", database_,
                   now.members.size());
      found_(now.victim);
      now = {};
    }
    before = std::move(now);
    boost::system::error_code cancelled;
    pause_.expires_after(look_interval);
    co_await pause_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }
  connections_.clear();
  looking_ = false;
}

asio::awaitable<std::vector<lock_wait>> lock_watch::ask(router::shard_index shard) {
  std::vector<lock_wait> out;
  std::unique_ptr<pg_connection>& connection = connections_[shard];
  if (!connection) connection = std::make_unique<pg_connection>(context_);
  if (!connection->is_open()) {
    std::optional<pg_login> login = login_(shard);
    if (!login) co_return out;
    const std::string failure = co_await connection->connect(std::move(*login), timeout_);
    if (!failure.empty()) co_return out;
  }
  const pg_answer answer = co_await connection->query(
      "SELECT a.pid, b.pid, extract(epoch FROM a.xact_start) FROM pg_stat_activity a LEFT JOIN "
      "LATERAL unnest(CASE WHEN a.wait_event_type = 'Lock' THEN pg_blocking_pids(a.pid) END) b (pid) ON true "
      "WHERE a.xact_start IS NOT NULL",
      {}, timeout_);
  for (const pg_row& row : answer.rows) {
    out.push_back({shard, pid_of(row[0]), pid_of(row[1]), row[2] ? std::strtod(row[2]->c_str(), nullptr) : 0});
  }
  co_return out;
}

}  // namespace pgbraid::proxy
