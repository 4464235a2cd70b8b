#include "proxy/worker/worker.hpp"

#include "protocol/startup.hpp"
#include "proxy/backend/dial_server.hpp"
#include "proxy/worker/cancel_address.hpp"
#include "proxy/worker/dial.hpp"
#include "router/sql/parser.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <openssl/rand.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace pgbraid::proxy {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::milliseconds tick_interval{100};
constexpr unsigned look_for_ends_every = 5;   ///< ticks
constexpr unsigned look_for_waits_every = 4;  ///< ticks

/// Reads away what comes, up to the end of the connection.
asio::awaitable<void> end_of(channel& io) {
  char ignored[64];
  try {
    while (true) (void)co_await receive_some(io, ignored, sizeof ignored);
  } catch (const boost::system::system_error&) {
  }
}

}  // namespace

worker::worker(shared_state& shared, unsigned number)
    : shared_{shared},
      number_{number},
      guard_{io_.get_executor()},
      tick_{io_.get_executor()},
      topology_{shared.topology()},
      statements_{number, shared.statements} {}

worker::~worker() {
  sessions_.clear_and_dispose([](session* s) { intrusive_ptr_release(s); });
  cancelling_.clear();
  lending_.clear();
}

void worker::run() {
  tick();
  io_.run();
  end_sessions(true);
  router::sql::release_parser_of_this_thread();
}

void worker::stop() {
  guard_.reset();
  io_.stop();
}

void worker::tick() {
  coarse_now_ = std::chrono::steady_clock::now();
  for (auto& [key, pool] : pools_) {
    pool->expire(coarse_now_);
  }
  for (auto& [name, database] : databases_) database->tick(coarse_now_);
  ++ticks_;
  if (ticks_ % look_for_ends_every == 0) look_for_ends();
  if (ticks_ % look_for_waits_every == 0) look_for_waits();
  watch_sessions();
  tick_.expires_after(tick_interval);
  tick_.async_wait([this](const boost::system::error_code& error) {
    if (!error) tick();
  });
}

// See backend::look_for_end().
void worker::look_for_ends() {
  for (auto& [key, pool] : pools_) pool->look_for_ends();
  visit_sessions([](session& s) { s.look_for_ends(); });
}

void worker::look_at_catalog() {
  visit_sessions([](session& s) { s.look_at_catalog(); });
}

// Tells the control plane of transactions over several shards that have waited since the last look: see lock_watch.
void worker::look_for_waits() {
  const bool sharded = std::any_of(databases_.begin(), databases_.end(),
                                   [](const auto& d) { return d.second->state().shards.size() > 1; });
  if (!sharded) return;
  std::vector<transaction_key> waiting;
  std::map<std::string, std::vector<waiting_transaction>, std::less<>> told;
  for (const session& s : sessions_) {
    std::optional<waiting_transaction> t = s.waiting();
    if (!t) continue;
    waiting.push_back(t->key);
    if (std::find(waited_.begin(), waited_.end(), t->key) != waited_.end()) told[s.database_name()].push_back(std::move(*t));
  }
  waited_ = std::move(waiting);
  for (const std::string& database : waits_told_) told.try_emplace(database);
  waits_told_.clear();
  for (auto& [database, list] : told) {
    if (!list.empty()) waits_told_.insert(database);
    shared_.control_plane->transactions_wait(database, number_, std::move(list));
  }
}

void worker::end_deadlock(const transaction_key& victim) {
  asio::post(io_, [this, victim] {
    const auto found = std::find_if(sessions_.begin(), sessions_.end(), [&](const session& s) { return s.id() == victim.session; });
    if (found != sessions_.end()) found->end_deadlock(victim.cycle);
  });
}

// What is done to one session may end others: those that get the connection that has become free.
template <class Visit>
void worker::visit_sessions(Visit visit) {
  std::vector<session_ptr> all;
  all.reserve(load_.load(std::memory_order_relaxed));
  for (session& s : sessions_) all.emplace_back(&s);
  for (const session_ptr& s : all) {
    if (s->is_linked()) visit(*s);
  }
}

// Sessions that stand still for longer than they may. Nothing is noted while they work: what has moved on since the last
// look shows.
void worker::watch_sessions() {
  const config::timeouts& t = topology_->timeouts;
  std::chrono::milliseconds shortest = std::chrono::milliseconds::max();
  for (const auto each : {t.query, t.transaction, t.idle_in_transaction, t.idle_client}) {
    if (each.count() > 0) shortest = std::min(shortest, each);
  }
  const bool before = std::exchange(watching_, shortest != std::chrono::milliseconds::max());
  if (!watching_ || coarse_now_ < next_watch_) return;
  next_watch_ = coarse_now_ + std::clamp<std::chrono::milliseconds>(shortest / 10, tick_interval / 2, std::chrono::seconds{1});
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(coarse_now_ - started_) / session::time_step;
  visit_sessions([&](session& s) { s.watch(static_cast<std::uint32_t>(now), !before); });
}

void worker::add_client(int descriptor, bool tcp) {
  load_.fetch_add(1, std::memory_order_relaxed);
  shared_.clients.fetch_add(1);
  asio::post(io_, [this, descriptor, tcp] {
    channel io{io_};
    boost::system::error_code error;
    io.socket().assign(asio::generic::stream_protocol{tcp ? AF_INET : AF_UNIX, tcp ? IPPROTO_TCP : 0}, descriptor, error);
    if (!error && tcp) io.socket().set_option(asio::ip::tcp::no_delay{true}, error);
    if (!error && tcp) io.socket().set_option(asio::socket_base::keep_alive{true}, error);
    if (error || leaving_) {
      load_.fetch_sub(1, std::memory_order_relaxed);
      shared_.clients.fetch_sub(1);
      return;
    }
    auto* made = new session{*this, std::move(io), next_session_++};
    intrusive_ptr_add_ref(made);
    sessions_.push_back(*made);
    made->start();
  });
}

void worker::session_ended(session& s) {
  load_.fetch_sub(1, std::memory_order_relaxed);
  shared_.clients.fetch_sub(1);
  // Whoever ends a session may still be in the middle of it.
  // The worker's own reference goes when its caller has returned, or with the io_context when that has stopped before.
  asio::post(io_, [last = session_ptr{&s, false}] {});
}

void worker::take_state(database_state_ptr state) {
  asio::post(io_, [this, state = std::move(state)]() mutable {
    const std::string name = state->name;
    if (const auto found = databases_.find(name); found != databases_.end()) return found->second->update(std::move(state));
    databases_[name] = std::make_unique<served_database>(*this, std::move(state));
  });
}

void worker::take_topology(std::shared_ptr<const config::topology> topology) {
  asio::post(io_, [this, topology = std::move(topology)]() mutable {
    topology_ = std::move(topology);
    for (auto& [name, database] : databases_) database->take_limits(topology_->limits);
  });
}

served_database* worker::find_database(const std::string& name) {
  const auto found = databases_.find(name);
  if (found == databases_.end()) return nullptr;
  // A database that has left the topology is as good as none.
  return found->second->state().config ? found->second.get() : nullptr;
}

bool worker::any_database() const noexcept {
  return std::any_of(topology_->databases.begin(), topology_->databases.end(), [](const config::database& d) { return d.name == "*"; });
}

server_pool& worker::pool(const server_endpoint& endpoint, const budget_limits* limits) {
  auto& found = pools_[endpoint.key()];
  if (!found) {
    found = std::make_unique<server_pool>(*this, endpoint, shared_.budget(endpoint, limits));
  } else if (limits != nullptr) {
    (void)shared_.budget(endpoint, limits);
  }
  return *found;
}

void worker::cut(server_pool& pool, const std::string& why) {
  pool.close_idle();
  visit_sessions([&](session& s) { s.lose_backends_of(pool, why); });
  pool.refuse_all(protocol::make_error(protocol::error_id::server_unreachable, fmt::format("{}: {}", pool.endpoint().label, why)));
}

// Others hear of it before anybody can log in who knows of it: their queues keep the order.
void worker::renew_everywhere() {
  shared_.generation.fetch_add(1, std::memory_order_relaxed);
  for (worker* each : shared_.workers) {
    if (each != this) asio::post(each->io_, [each] { each->renew(); });
  }
  renew();
}

void worker::renew() {
  for (auto& [key, pool] : pools_) pool->renew();
  for (auto& [name, database] : databases_) database->forget_welcomes();
}

void worker::note_promoted(server_pool& pool) {
  pool.note_promoted();
  for (session& s : sessions_) s.note_promoted(pool);
}

void worker::take_pauses() {
  for (auto& [name, database] : databases_) database->take_pauses();
}

void worker::server_trouble(const std::string& database, std::size_t shard, std::size_t server) {
  shared_.control_plane->notice_server_trouble(database, shard, server);
}

void worker::look_at_positions(const std::string& database, std::size_t shard) {
  shared_.control_plane->look_at_positions(database, shard);
}

std::int32_t worker::new_cancel_key() {
  std::int32_t key = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&key), sizeof key);
  return key;
}

std::int32_t worker::cancel_pid(std::uint64_t session) const noexcept {
  return cancel_address{topology_->instances.own, number_, cancel_address::short_number(session)}.pid();
}

void worker::forward_cancel(std::int32_t pid, std::int32_t key) {
  const cancel_address to = cancel_address::of(pid);
  if (to.instance != topology_->instances.own) return pass_cancel_on(to.instance, pid, key);
  if (to.worker < shared_.workers.size()) shared_.workers[to.worker]->cancel_session(to.session, key);
}

// A balancer gives a cancel request's connection to any instance.
void worker::pass_cancel_on(unsigned instance, std::int32_t pid, std::int32_t key) {
  const auto& peers = topology_->instances.peers;
  const auto named = [&](const config::instance_options::peer& p) { return p.instance == instance; };
  const auto peer = std::find_if(peers.begin(), peers.end(), named);
  if (peer == peers.end()) return;
  server_endpoint endpoint{.host = peer->at.host, .port = peer->at.port, .database = {}, .user = {},
                           .label = fmt::format("instance {}, {}:{}", instance, peer->at.host, peer->at.port), .tls = {}};
  asio::co_spawn(io_, send_cancel(std::move(endpoint), false, pid, key), asio::detached);
}

void worker::cancel_session(std::uint32_t number, std::int32_t key) {
  asio::post(io_, [this, number, key] {
    for (session& s : sessions_) {
      if (cancel_address::short_number(s.id()) == number && s.cancel_key() == key) return s.cancel();
    }
  });
}

asio::awaitable<void> worker::send_cancel(server_endpoint endpoint, bool encrypted, std::int32_t pid,
                                          std::int32_t key) {
  channel io{io_};
  asio::steady_timer timer{io_, std::chrono::seconds{5}};
  auto on_timeout = [&io](const boost::system::error_code& error) {
    if (!error) io.close();
  };
  timer.async_wait(on_timeout);
  try {
    co_await dial_server(*this, io, endpoint, encrypted ? encryption::needed : encryption::none);
    std::string bytes;
    protocol::encode_cancel_request(bytes, {pid, key});
    co_await send_all(io, bytes);
    // The server closes the connection once the signal is on its way.
    co_await end_of(io);
  } catch (const std::exception& error) {
    spdlog::warn("cancel request to {} failed: {}", endpoint.label, error.what());
  }
  timer.cancel();
}

void worker::cancel_backend(backend_ptr b) {
  ++b->cancels_under_way;
  auto task = [this, b]() -> asio::awaitable<void> {
    // Until then the backend belongs to nobody else.
    co_await send_cancel(b->pool().endpoint(), b->encrypted(), b->pid, b->key);
    --b->cancels_under_way;
    if (b->cancels_under_way == 0 && b->given_back_waiting_for_cancel) {
      b->given_back_waiting_for_cancel = false;
      std::erase(cancelling_, b);
      b->pool().give_back(b);
    }
  };
  asio::co_spawn(io_, std::move(task), asio::detached);
}

void worker::shut_down(bool now) {
  asio::post(io_, [this, now] { end_sessions(now); });
}

void worker::end_sessions(bool now) {
  leaving_ = true;
  visit_sessions([now](session& s) { s.shut_down(now); });
}

}  // namespace pgbraid::proxy
