#include "proxy/cluster/monitor.hpp"

#include "proxy/cluster/database_watch.hpp"
#include "proxy/cluster/leader_watch.hpp"
#include "proxy/cluster/reload.hpp"
#include "proxy/cluster/spawn.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <deque>
#include <future>
#include <map>
#include <thread>
#include <utility>

namespace pgbraid::proxy {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t most_unnamed_databases = 500;
constexpr auto settle_step = 20ms;
constexpr auto sweep_interval = 10s;
constexpr auto longest_end = 1s;
constexpr auto missing_kept = 60s;  // how long a database that no server has is asked for

std::shared_ptr<const database_state> refused(const std::string& name, std::string reason) {
  auto state = std::make_shared<database_state>();
  state->name = name;
  state->reason = std::move(reason);
  state->map = std::make_shared<const router::topology>();
  state->schema = std::make_shared<const router::catalog>();
  return state;
}

}  // namespace

struct monitor::state {
  explicit state(on_change changed) : publish(std::move(changed)), sweep_timer(context), passwords(context) {}

  struct pending_reload {
    std::shared_ptr<const config::topology> topology;
    on_reloaded done;
  };
  struct unnamed {
    steady_time since;
  };

  on_change publish;
  lock_watch::on_deadlock end_deadlock = [](const transaction_key&) {};
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(context);
  asio::steady_timer sweep_timer;
  password_lookup passwords;
  std::thread thread;
  std::promise<void> ended;
  std::shared_ptr<const config::topology> topology;
  probe_budget budget{0};
  std::map<server_address, std::shared_ptr<server_probe>> probes;
  std::map<config::discovery, std::shared_ptr<leader_watch>> leaders;
  std::map<std::string, std::shared_ptr<database_watch>, std::less<>> watches;
  std::map<std::string, std::shared_ptr<database_watch>> candidates;  // of the reload under way
  std::map<std::string, unnamed, std::less<>> unnamed_databases;      // those of "*" among the watches
  std::deque<pending_reload> reloads;
  bool reloading = false;
  bool stopping = false;
  std::uint64_t version = 0;

  [[nodiscard]] watch_services services(const config::topology& of);
  [[nodiscard]] std::shared_ptr<server_probe> probe(const server_address& address, const std::string& dbname);
  [[nodiscard]] std::shared_ptr<leader_watch> leader(const config::discovery& where);
  [[nodiscard]] std::shared_ptr<database_watch> make_watch(const config::topology& of, const config::database& database,
                                                           const std::string& name, placement_depth depth);
  void begin(std::shared_ptr<const config::topology> first);
  void end();
  void ensure(const std::string& name);
  void drop(const std::string& name, std::string reason);
  void drop_unused_probes();
  [[nodiscard]] bool settled() const;
  [[nodiscard]] asio::awaitable<void> tell_settled(std::function<void()> told, std::chrono::milliseconds at_most);
  [[nodiscard]] asio::awaitable<void> sweep();
  [[nodiscard]] asio::awaitable<void> reload_all();
  [[nodiscard]] asio::awaitable<std::vector<std::string>> reload_one(std::shared_ptr<const config::topology> next);
};

watch_services monitor::state::services(const config::topology& of) {
  watch_services given;
  given.context = &context;
  given.options = of.monitor;
  given.max_loss = of.failover.max_loss;
  given.budget = &budget;
  given.probe = [this](const server_address& address, const std::string& dbname) { return probe(address, dbname); };
  given.leader = [this](const config::discovery& where) { return leader(where); };
  given.publish = [this](database_state_ptr now) { publish(std::move(now)); };
  given.end_deadlock = end_deadlock;
  given.next_version = [this] { return ++version; };
  return given;
}

std::shared_ptr<server_probe> monitor::state::probe(const server_address& address, const std::string& dbname) {
  std::shared_ptr<server_probe>& known = probes[address];
  const bool fresh = !known;
  if (fresh) known = std::make_shared<server_probe>(context, address, topology->monitor, budget);
  known->add_dbname(dbname);
  if (fresh) known->start();
  return known;
}

std::shared_ptr<leader_watch> monitor::state::leader(const config::discovery& where) {
  std::shared_ptr<leader_watch>& known = leaders[where];
  if (known) return known;
  known = std::make_shared<leader_watch>(context, where, leader_options(*topology));
  known->start();
  return known;
}

std::shared_ptr<database_watch> monitor::state::make_watch(const config::topology& of, const config::database& database,
                                                           const std::string& name, placement_depth depth) {
  topology_view view = view_of(database, name);
  if (view.errors.empty()) {
    return std::make_shared<database_watch>(services(of), database, name, std::move(view), depth);
  }
  for (const std::string& error : view.errors) spdlog::error("database {} is not served: {}", name, error);
  publish(refused(name, view.errors.front()));
  return nullptr;
}

void monitor::state::begin(std::shared_ptr<const config::topology> first) {
  topology = std::move(first);
  budget.change_rate(topology->monitor.probe_rate);
  for (const config::database& database : topology->databases) {
    if (database.name == "*") continue;
    const auto watch = make_watch(*topology, database, database.name, placement_depth::sample);
    if (!watch) continue;
    watches[database.name] = watch;
    watch->start();
    watch->announce();
  }
}

void monitor::state::end() {
  stopping = true;
  sweep_timer.cancel();
  for (const auto& [name, watch] : watches) watch->stop();
  for (const auto& [name, watch] : candidates) watch->stop();
  for (const auto& [address, known] : probes) known->stop();
  for (const auto& [where, known] : leaders) known->stop();
  passwords.stop();
  work.reset();
}

void monitor::state::ensure(const std::string& name) {
  if (const auto known = watches.find(name); known != watches.end()) return known->second->announce();
  const config::database* any = named_database(*topology, "*");
  if (any == nullptr || named_database(*topology, name) != nullptr) {
    return publish(refused(name, fmt::format("database \"{}\" is not in the topology", name)));
  }
  if (unnamed_databases.size() >= most_unnamed_databases) {
    return publish(
        refused(name, fmt::format("more than {} databases that the topology does not name", most_unnamed_databases)));
  }
  const auto watch = make_watch(*topology, *any, name, placement_depth::sample);
  if (!watch) return;
  watches[name] = watch;
  unnamed_databases[name] = {std::chrono::steady_clock::now()};
  watch->start();
  watch->announce();
}

void monitor::state::drop(const std::string& name, std::string reason) {
  const auto found = watches.find(name);
  if (found == watches.end()) return;
  found->second->stop();
  watches.erase(found);
  unnamed_databases.erase(name);
  publish(refused(name, std::move(reason)));
}

void monitor::state::drop_unused_probes() {
  const auto unused = [](const auto& entry) {
    if (entry.second->has_listeners()) return false;
    entry.second->stop();
    return true;
  };
  std::erase_if(probes, unused);
  std::erase_if(leaders, unused);
}

bool monitor::state::settled() const {
  for (const auto& [name, watch] : watches) {
    if (!watch->settled()) return false;
  }
  return true;
}

asio::awaitable<void> monitor::state::tell_settled(std::function<void()> told, std::chrono::milliseconds at_most) {
  asio::steady_timer timer(context);
  const steady_time latest = std::chrono::steady_clock::now() + at_most;
  while (!stopping && !settled() && std::chrono::steady_clock::now() < latest) {
    timer.expires_after(settle_step);
    co_await timer.async_wait(asio::use_awaitable);
  }
  if (!stopping) told();
}

asio::awaitable<void> monitor::state::sweep() {
  for (;;) {
    boost::system::error_code cancelled;
    sweep_timer.expires_after(sweep_interval);
    co_await sweep_timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    if (stopping) co_return;
    const steady_time now = std::chrono::steady_clock::now();
    std::vector<std::string> gone;
    for (const auto& [name, entry] : unnamed_databases) {
      const auto watch = watches.find(name);
      if (watch != watches.end() && watch->second->missing() && now - entry.since > missing_kept) gone.push_back(name);
    }
    for (const std::string& name : gone) drop(name, fmt::format("database \"{}\" does not exist", name));
  }
}

asio::awaitable<void> monitor::state::reload_all() {
  reloading = true;
  while (!reloads.empty() && !stopping) {
    pending_reload next = std::move(reloads.front());
    reloads.pop_front();
    std::vector<std::string> errors = co_await reload_one(next.topology);
    candidates.clear();
    if (stopping) break;
    for (const std::string& error : errors) spdlog::error("the new topology is refused: {}", error);
    if (next.done) next.done(std::move(errors));
  }
  reloading = false;
}

asio::awaitable<std::vector<std::string>> monitor::state::reload_one(std::shared_ptr<const config::topology> next) {
  std::vector<std::string> errors;
  // Every database that will be watched: those named, and those of "*" that are in use.
  std::vector<std::pair<std::string, const config::database*>> wanted;
  for (const config::database& database : next->databases) {
    if (database.name != "*") wanted.emplace_back(database.name, &database);
  }
  if (const config::database* any = named_database(*next, "*"); any != nullptr) {
    for (const auto& [name, entry] : unnamed_databases) {
      if (named_database(*next, name) == nullptr) wanted.emplace_back(name, any);
    }
  }
  for (const auto& [name, database] : wanted) {
    for (const std::string& error : view_of(*database, name).errors)
      errors.push_back(fmt::format("database {}: {}", name, error));
  }
  if (!errors.empty()) co_return errors;

  std::map<std::string, reload_care> cares;
  for (const auto& [name, database] : wanted) {
    const auto old = watches.find(name);
    const reload_care care =
        old == watches.end() ? reload_care::none : care_of(old->second->database(), *database, name);
    if (care == reload_care::unchanged) continue;
    const auto depth = care == reload_care::whole ? placement_depth::whole : placement_depth::sample;
    const auto watch = make_watch(*next, *database, name, depth);
    if (!watch) continue;
    if (old != watches.end()) watch->inherit(*old->second);
    watch->start();
    candidates[name] = watch;
    cares[name] = care;
  }
  asio::steady_timer timer(context);
  for (const auto& [name, watch] : candidates) {
    const reload_care care = cares[name];
    if (care == reload_care::none) continue;
    const steady_time latest = std::chrono::steady_clock::now() + patience(care, next->monitor.timeout);
    while (!stopping && !watch->settled() && std::chrono::steady_clock::now() < latest) {
      timer.expires_after(settle_step);
      co_await timer.async_wait(asio::use_awaitable);
    }
    if (stopping) co_return errors;
    if (care == reload_care::gentle) continue;
    for (const std::string& text : watch->objections()) errors.push_back(fmt::format("database {}: {}", name, text));
    for (const std::string& text : watch->unseen()) errors.push_back(fmt::format("database {}: {}", name, text));
  }
  if (!errors.empty()) {
    for (const auto& [name, watch] : candidates) watch->stop();
    drop_unused_probes();
    co_return errors;
  }
  topology = next;
  budget.change_rate(next->monitor.probe_rate);
  for (const auto& [address, known] : probes) known->change_options(next->monitor);
  for (const auto& [where, known] : leaders) known->change_options(leader_options(*next));
  std::vector<std::string> gone;
  for (const auto& [name, watch] : watches) {
    const auto stays = std::find_if(wanted.begin(), wanted.end(), [&n = name](const auto& w) { return w.first == n; });
    watch->change_options(next->monitor, next->failover.max_loss);
    if (stays == wanted.end()) {
      gone.push_back(name);
    } else if (!candidates.contains(name)) {
      watch->change_database(*stays->second);
    }
  }
  for (const std::string& name : gone) drop(name, fmt::format("database \"{}\" is no longer in the topology", name));
  for (const auto& [name, watch] : candidates) {
    if (const auto old = watches.find(name); old != watches.end()) old->second->stop();
    watches[name] = watch;
    if (named_database(*next, name) != nullptr) unnamed_databases.erase(name);
    watch->announce();
  }
  drop_unused_probes();
  co_return errors;
}

monitor::monitor(on_change changed) : state_(std::make_unique<state>(std::move(changed))) {}

monitor::~monitor() {
  stop();
}

void monitor::start(std::shared_ptr<const config::topology> topology, std::function<void()> settled,
                    std::chrono::milliseconds at_most) {
  state& s = *state_;
  s.thread = std::thread([&s] {
    pthread_setname_np(pthread_self(), "monitor");
    s.context.run();
    s.ended.set_value();
  });
  const auto begin = [&s, topology = std::move(topology), settled = std::move(settled), at_most] {
    s.begin(topology);
    spawn(s.context, s.sweep());
    if (settled) spawn(s.context, s.tell_settled(settled, at_most));
  };
  asio::post(s.context, begin);
}

void monitor::reload(std::shared_ptr<const config::topology> topology, on_reloaded done) {
  state& s = *state_;
  const auto add = [&s, topology = std::move(topology), done = std::move(done)] {
    s.reloads.push_back({topology, done});
    if (!s.reloading) spawn(s.context, s.reload_all());
  };
  asio::post(s.context, add);
}

void monitor::stop() {
  state& s = *state_;
  if (!s.thread.joinable()) return;
  // Everything that waits is told to end, and the thread ends when nothing waits any more; only the look-up of a host
  // name cannot be told.
  asio::post(s.context, [&s] { s.end(); });
  if (s.ended.get_future().wait_for(longest_end) != std::future_status::ready) s.context.stop();
  s.thread.join();
}

void monitor::notice_server_trouble(std::string database, std::size_t shard, std::size_t server) {
  state& s = *state_;
  asio::post(s.context, [&s, database = std::move(database), shard, server] {
    const auto watch = s.watches.find(database);
    if (watch != s.watches.end()) watch->second->hurry_server(shard, server);
  });
}

void monitor::look_at_positions(std::string database, std::size_t shard) {
  state& s = *state_;
  asio::post(s.context, [&s, database = std::move(database), shard] {
    const auto watch = s.watches.find(database);
    if (watch != s.watches.end()) watch->second->look_at_positions(shard);
  });
}

void monitor::transactions_wait(std::string database, unsigned worker, std::vector<waiting_transaction> waiting) {
  state& s = *state_;
  asio::post(s.context, [&s, database = std::move(database), worker, waiting = std::move(waiting)]() mutable {
    const auto watch = s.watches.find(database);
    if (watch != s.watches.end()) watch->second->transactions_wait(worker, std::move(waiting));
  });
}

void monitor::end_deadlocks(lock_watch::on_deadlock by) {
  state_->end_deadlock = std::move(by);
}

void monitor::catalog_may_have_changed(std::string database) {
  state& s = *state_;
  asio::post(s.context, [&s, database = std::move(database)] {
    const auto watch = s.watches.find(database);
    if (watch != s.watches.end()) watch->second->refresh_catalog();
  });
}

void monitor::look_up_password(std::string database, password_question question) {
  state& s = *state_;
  asio::post(s.context, [&s, database = std::move(database), question = std::move(question)] {
    if (!s.stopping) s.passwords.ask(database, question);
  });
}

void monitor::ensure_database(std::string name) {
  state& s = *state_;
  asio::post(s.context, [&s, name = std::move(name)] { s.ensure(name); });
}

}  // namespace pgbraid::proxy
