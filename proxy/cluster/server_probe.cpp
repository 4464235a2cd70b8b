#include "proxy/cluster/server_probe.hpp"

#include "proxy/cluster/spawn.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

namespace pgbraid::proxy {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr auto first_retry = 200ms, last_retry = 5000ms, closest_turns = 50ms, closest_looks = 2ms,
               most_replica_delay = 25ms;

// The timeline of an insert position is in the name of its WAL file. pg_control_checkpoint() may still name the old
// timeline after a promotion, so a replica is believed by its WAL receiver and by the control file only without one.
constexpr const char* probe_sql = R"(
SELECT r,
       CASE WHEN r THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END,
       CASE WHEN r THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_flush_lsn() END,
       CASE WHEN r THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver),
                                 (SELECT greatest(c.timeline_id, m.min_recovery_end_timeline)
                                    FROM pg_control_checkpoint() c, pg_control_recovery() m))::text
            ELSE pg_walfile_name(pg_current_wal_insert_lsn()) END
  FROM (SELECT pg_is_in_recovery() AS r OFFSET 0) s)";

constexpr const char* facts_sql = R"(
SELECT (SELECT system_identifier FROM pg_control_system()), current_setting('server_version_num'),
       current_setting('server_encoding'),
       (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'), current_setting('wal_block_size'),
       current_setting('max_prepared_transactions'))";

template <typename Number>
Number number(const std::optional<std::string>& text, Number otherwise = 0, int base = 10) {
  Number value = otherwise;
  if (text) std::from_chars(text->data(), text->data() + text->size(), value, base);
  return value;
}

}  // namespace

std::string to_string(const server_address& address) {
  return address.host + ":" + std::to_string(address.port);
}

server_probe::server_probe(asio::io_context& context, server_address address, config::monitor_options options,
                           probe_budget& budget)
    : context_(context),
      address_(std::move(address)),
      options_(std::move(options)),
      budget_(budget),
      connection_(context),
      pause_(context) {}

void server_probe::add_dbname(const std::string& name) {
  if (std::find(dbnames_.begin(), dbnames_.end(), name) == dbnames_.end()) dbnames_.push_back(name);
}

void server_probe::change_options(config::monitor_options options) {
  options_ = std::move(options);
}

void server_probe::listen(const void* owner, listener heard) {
  listeners_[owner] = std::move(heard);
}

void server_probe::forget(const void* owner) {
  listeners_.erase(owner);
}

void server_probe::start() {
  spawn(context_, run(shared_from_this()));
}

void server_probe::stop() {
  stopped_ = true;
  listeners_.clear();
  pause_.cancel();
  connection_.interrupt();
}

void server_probe::hurry() {
  hurried_ = true;
  pause_.cancel();
}

void server_probe::look() {
  looked_at_ = true;
  pause_.cancel();
}

asio::awaitable<void> server_probe::run([[maybe_unused]] std::shared_ptr<server_probe> self) {
  while (!stopped_) {
    hurried_ = looked_at_ = false;
    const server_sample sample = co_await ask();
    if (stopped_) break;
    latest_ = sample;
    // A listener may forget itself or others while it is told.
    const auto told = listeners_;
    for (const auto& [owner, heard] : told) {
      if (listeners_.contains(owner)) heard(sample);
    }
    const steady_time turn = next_turn(sample), now = std::chrono::steady_clock::now();
    boost::system::error_code cancelled;
    if (!hurried_ && !looked_at_ && !stopped_) {
      pause_.expires_at(turn);
      co_await pause_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }
    if ((hurried_ || looked_at_) && !stopped_) {
      pause_.expires_at(now + (looked_at_ && sample.answered ? closest_looks : closest_turns));
      co_await pause_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }
  }
  connection_.close();
}

steady_time server_probe::next_turn(const server_sample& sample) {
  const steady_time now = std::chrono::steady_clock::now();
  if (!sample.answered) {
    retry_ = std::clamp<std::chrono::milliseconds>(retry_ * 2, first_retry, last_retry);
    return now + retry_;
  }
  retry_ = 0ms;
  const auto delay =
      sample.in_recovery ? std::min<std::chrono::milliseconds>(most_replica_delay, options_.interval / 8) : 0ms;
  const auto since = (now - delay).time_since_epoch();
  return steady_time{since - since % options_.interval} + options_.interval + delay;
}

asio::awaitable<std::string> server_probe::log_in() {
  std::vector<std::string> names = dbnames_;
  if (!options_.dbname.empty()) names.insert(names.begin(), options_.dbname);
  for (const char* known : {"postgres", "template1"}) names.emplace_back(known);
  dbname_ = names[next_dbname_ % names.size()];
  pg_login login{address_.host, address_.port, dbname_, options_.user, options_.password, address_.tls, false};
  std::string failure = co_await connection_.connect(std::move(login), options_.timeout);
  if (!failure.empty()) {
    // The database may be missing while the server is well; asking for another costs nothing when it is down.
    ++next_dbname_;
    co_return failure;
  }
  pg_answer said = co_await connection_.query(facts_sql, {}, options_.timeout);
  if (said.ok() && said.rows.size() == 1) {
    const pg_row& row = said.rows.front();
    facts_ = {number<std::uint64_t>(row[0]),
              number<std::uint32_t>(row[1]),
              row[2].value_or(""),
              number<std::uint64_t>(row[3], 16u << 20),
              number<std::uint64_t>(row[4], 8192),
              number<unsigned>(row[5])};
    timeline_ = 0;
    said = co_await connection_.prepare("probe", probe_sql, options_.timeout);
  }
  if (!said.ok()) connection_.close();
  co_return said.error;
}

asio::awaitable<server_sample> server_probe::ask() {
  server_sample sample;
  for (int attempt = 0; attempt < 2 && !stopped_; ++attempt) {
    const bool fresh = !connection_.is_open();
    if (fresh) {
      sample.failure = co_await log_in();
      if (!sample.failure.empty()) co_return sample;
    }
    const steady_time begin = std::chrono::steady_clock::now();
    budget_.spend(begin);
    const pg_answer said = co_await connection_.run_prepared("probe", options_.timeout);
    if (said.ok() && said.rows.size() == 1) {
      sample = read(said.rows.front(), begin);
      sample.took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
      if (!sample.in_recovery && sample.timeline != history_of_) co_await learn_history(sample.timeline);
      if (!sample.in_recovery) sample.history = history_;
      co_return sample;
    }
    sample.failure = said.ok() ? "it answered without a row" : said.error;
    // Once more when the kept connection had been cut (which says little of the server), or when recovery ended between
    // two functions of the probe; not when the server was silent.
    if (said.sqlstate.empty() && (fresh || said.error == "timed out")) break;
  }
  co_return sample;
}

// What the timeline that the server is primary on took over from those before. Without the right to replicate nobody
// knows.
asio::awaitable<void> server_probe::learn_history(std::uint32_t timeline) {
  history_.reset();
  if (timeline < 2) {
    history_of_ = timeline;
    history_ = std::make_shared<const timeline_history>();
    co_return;
  }
  const steady_time now = std::chrono::steady_clock::now();
  if (now < history_again_) co_return;
  history_again_ = now + last_retry;
  pg_connection asking(context_);
  pg_login login{address_.host, address_.port, dbname_, options_.user, options_.password, address_.tls, true};
  const std::string failure = co_await asking.connect(std::move(login), options_.timeout);
  if (!failure.empty() || stopped_) co_return;
  const pg_answer said = co_await asking.query("TIMELINE_HISTORY " + std::to_string(timeline), {}, options_.timeout);
  if (!said.ok() || said.rows.size() != 1 || said.rows.front().size() < 2) co_return;
  if (auto known = parse_timeline_history(said.rows.front()[1].value_or(""))) {
    history_of_ = timeline;
    history_ = std::make_shared<const timeline_history>(std::move(*known));
  }
}

server_sample server_probe::read(const pg_row& row, steady_time begin) {
  server_sample sample;
  sample.answered = true;
  sample.begin = begin;
  sample.in_recovery = row[0] == "t";
  sample.system_identifier = facts_.system_identifier;
  sample.segment_bytes = facts_.segment_bytes;
  sample.block_bytes = facts_.block_bytes;
  const std::uint64_t position = parse_lsn(row[1].value_or("")).value_or(0);
  sample.position = sample.in_recovery ? position : replayable(position, facts_.segment_bytes, facts_.block_bytes);
  sample.flushed = replayable(parse_lsn(row[2].value_or("")).value_or(0), facts_.segment_bytes, facts_.block_bytes);
  const std::string name = row[3].value_or("");
  if (sample.in_recovery) {
    // A receiver that is reconnecting shows nothing, and the control file lags: a timeline never goes back.
    timeline_ = std::max(timeline_, number<std::uint32_t>(row[3]));
    sample.timeline = timeline_;
  } else {
    sample.timeline = name.size() < 8 ? 0 : number<std::uint32_t>(name.substr(0, 8), 0, 16);
    timeline_ = sample.timeline;
  }
  return sample;
}

}  // namespace pgbraid::proxy
