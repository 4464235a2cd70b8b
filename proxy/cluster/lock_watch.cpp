#include "proxy/cluster/lock_watch.hpp"

#include "proxy/cluster/pg_number.hpp"
#include "proxy/cluster/random_record.hpp"
#include "proxy/cluster/spawn.hpp"
#include "proxy/cluster/waiting_table.hpp"

#include <spdlog/spdlog.h>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

namespace pgbraid::proxy {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr auto look_interval = 300ms;
constexpr auto rest = 10s;  // with connections open, since who has waited will often wait again

// Nobody's locks on the table of those who wait may hold the looks up, nor need its rows be safe. What the login has
// been given as defaults for its transactions must not keep it from writing them.
constexpr const char* set_up =
    "SET lock_timeout = '500ms'; SET synchronous_commit = off; "
    "SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off";

constexpr const char* processes_sql =
    "SELECT pid, (extract(epoch FROM xact_start) * 1000000)::int8, "
    "(extract(epoch FROM clock_timestamp() - xact_start) * 1000000)::int8, coalesce(wait_event_type = 'Lock', false) "
    "FROM pg_stat_activity WHERE xact_start IS NOT NULL AND pid = ANY ($1::int4[])";

constexpr const char* waits_sql =
    "SELECT a.pid, b.pid, (extract(epoch FROM a.xact_start) * 1000000)::int8 FROM pg_stat_activity a LEFT JOIN "
    "LATERAL unnest(CASE WHEN a.wait_event_type = 'Lock' THEN pg_blocking_pids(a.pid) END) b (pid) ON true "
    "WHERE a.xact_start IS NOT NULL";

}  // namespace

lock_watch::lock_watch(asio::io_context& context, std::string database, std::size_t shards, login_of login,
                       on_deadlock found, std::chrono::milliseconds timeout)
    : context_{context},
      database_{std::move(database)},
      shards_{shards},
      login_{std::move(login)},
      found_{std::move(found)},
      timeout_{timeout},
      instance_{random_record()},
      pause_{context} {}

void lock_watch::take(unsigned worker, std::vector<waiting_transaction> waiting) {
  if (stopped_) return;
  waiting_[worker] = std::move(waiting);
  if (all().empty()) return;
  if (resting_) pause_.cancel();
  if (looking_) return;
  looking_ = true;
  spawn(context_, look(shared_from_this()));
}

void lock_watch::stop() {
  stopped_ = true;
  pause_.cancel();
  for (const auto& [shard, link] : links_) link->connection.interrupt();
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
    if (waiting.empty() && told_.empty()) {
      resting_ = true;
      co_await pause(rest);
      resting_ = false;
      if (all().empty()) break;
      continue;
    }
    const std::vector<blocked_transaction> ours = co_await blocked(waiting);
    if (stopped_) co_return;
    deadlock now = co_await circle(ours);
    if (stopped_) co_return;
    if (!now.members.empty() && now == before && end(now, waiting)) now = {};
    before = std::move(now);
    co_await pause(look_interval);
  }
  links_.clear();
  looking_ = false;
}

asio::awaitable<void> lock_watch::pause(std::chrono::milliseconds time) {
  boost::system::error_code cancelled;
  pause_.expires_after(time);
  co_await pause_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
}

/// False: the victim is another instance's, which will come to the same.
bool lock_watch::end(const deadlock& found, const std::vector<waiting_transaction>& waiting) {
  const auto victim = std::find_if(waiting.begin(), waiting.end(),
                                   [&](const auto& t) { return name_of(instance_, t.key) == found.victim; });
  if (victim == waiting.end()) return false;
  spdlog::info("database {}: deadlock of {} transactions over several shards; the youngest is ended", database_,
               found.members.size());
  found_(victim->key);
  return true;
}

// Most who wait wait for a server to be done with its work: only those whose processes stand still are looked at
// further.
asio::awaitable<std::vector<blocked_transaction>> lock_watch::blocked(const std::vector<waiting_transaction>& waiting) {
  std::map<router::shard_index, std::string> pids;
  for (const waiting_transaction& t : waiting) {
    for (const auto& part : t.parts) {
      std::string& list = pids[part.shard];
      list += (list.empty() ? "{" : ",") + std::to_string(part.pid);
    }
  }
  std::vector<process_sample> samples;
  for (const auto& [shard, list] : pids) {
    pg_connection* connection = co_await reach(shard);
    if (stopped_) break;
    if (connection == nullptr) continue;
    const std::vector<std::string> about(1, list + "}");
    const pg_answer answer = co_await connection->query(processes_sql, about, timeout_);
    if (stopped_) break;
    const auto now = std::chrono::steady_clock::now();
    for (const pg_row& row : answer.rows) {
      samples.push_back({shard, pg_number<std::int32_t>(row[0]), pg_number<std::int64_t>(row[1]),
                         std::chrono::microseconds{pg_number<std::int64_t>(row[2])}, row[3] == "t", now});
    }
  }
  co_return blocked_of(waiting, samples, instance_);
}

asio::awaitable<deadlock> lock_watch::circle(const std::vector<blocked_transaction>& ours) {
  shard_set near = told_, far;
  for (const blocked_transaction& t : ours) {
    for (const auto& part : t.parts) near.insert(part.shard);
  }
  std::vector<blocked_transaction> others;
  co_await exchange(near, ours, others);
  // It takes two to go from one shard to another and back.
  if (stopped_ || ours.empty() || ours.size() + others.size() < 2) co_return deadlock{};
  std::vector<lock_wait> waits;
  co_await ask(near, waits);
  if (stopped_) co_return deadlock{};
  std::vector<blocked_transaction> all = with_joined(ours, others);
  if (waits_for_others(all, ours.size(), waits)) {
    // What they wait for may stand on shards where nothing of ours waits.
    for (std::size_t i = 0; i < shards_; ++i) {
      if (!near.contains(static_cast<router::shard_index>(i))) far.insert(static_cast<router::shard_index>(i));
    }
    const std::vector<blocked_transaction> none;
    co_await exchange(far, none, others);
    if (!stopped_) co_await ask(far, waits);
    all = with_joined(ours, others);
  }
  co_return find_deadlock(all, waits);
}

asio::awaitable<void> lock_watch::exchange(shard_set shards, const std::vector<blocked_transaction>& ours,
                                           std::vector<blocked_transaction>& others) {
  for (const router::shard_index shard : shards) {
    pg_connection* connection = co_await reach(shard);
    if (stopped_) co_return;
    if (connection == nullptr) {
      told_.erase(shard);  // what a connection has written does not outlive it
      continue;
    }
    waiting_listing there = co_await exchange_waiting(*connection, shard, ours, timeout_);
    if (stopped_) co_return;
    if (there.error.empty()) {
      const auto is_here = [shard](const auto& part) { return part.shard == shard; };
      const bool told = std::any_of(ours.begin(), ours.end(), [&](const blocked_transaction& t) {
        return std::any_of(t.parts.begin(), t.parts.end(), is_here);
      });
      if (told) {
        told_.insert(shard);
      } else {
        told_.erase(shard);
      }
    } else {
      if (connection->is_open() && !std::exchange(complained_, true)) {
        spdlog::warn(
            "database {}: deadlocks over several shards in which clients of other instances take part may not be "
            "found: "
            "{}",
            database_, there.error);
      }
      // What may stand there of ours ends with the connection that has written it.
      connection->close();
      told_.erase(shard);
    }
    // A connection that was lost may not be known there to be.
    std::erase_if(there.others, [this](const auto& other) { return other.name.starts_with(instance_); });
    std::move(there.others.begin(), there.others.end(), std::back_inserter(others));
  }
}

asio::awaitable<void> lock_watch::ask(shard_set shards, std::vector<lock_wait>& waits) {
  for (const router::shard_index shard : shards) {
    pg_connection* connection = co_await reach(shard);
    if (stopped_) co_return;
    if (connection == nullptr) continue;
    const pg_answer answer = co_await connection->query(waits_sql, {}, timeout_);
    if (stopped_) co_return;
    for (const pg_row& row : answer.rows) {
      waits.push_back(
          {shard, pg_number<std::int32_t>(row[0]), pg_number<std::int32_t>(row[1]), pg_number<std::int64_t>(row[2])});
    }
  }
}

/// Null if its primary cannot be asked now.
asio::awaitable<pg_connection*> lock_watch::reach(router::shard_index shard) {
  const std::optional<pg_login> login = login_(shard);
  std::unique_ptr<link>& to = links_[shard];
  if (!to) to = std::make_unique<link>(context_);
  if (to->connection.is_open() && login == to->to) co_return &to->connection;
  to->connection.close();
  if (!login) co_return nullptr;
  to->to = *login;
  const std::string failure = co_await to->connection.connect(*login, timeout_);
  if (!failure.empty()) co_return nullptr;
  (void)co_await to->connection.query(set_up, {}, timeout_);
  co_return to->connection.is_open() ? &to->connection : nullptr;
}

}  // namespace pgbraid::proxy
