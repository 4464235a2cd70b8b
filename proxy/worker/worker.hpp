// One thread, one io_context: its sessions, its backends, its plan caches. Nothing here is touched by another thread but
// through post().
#pragma once

#include "proxy/backend/pool.hpp"
#include "proxy/session/session.hpp"
#include "proxy/session/settings.hpp"
#include "proxy/session/statement.hpp"
#include "proxy/session/step.hpp"
#include "proxy/worker/served_database.hpp"
#include "proxy/worker/shared_state.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/list.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>

namespace pgbraid::proxy {

class worker {
 public:
  worker(shared_state& shared, unsigned number);
  ~worker();

  // any thread
  void run();                              ///< the thread's body: returns after stop()
  void stop();
  void add_client(int descriptor, bool tcp);
  void take_state(database_state_ptr state);
  void take_topology(std::shared_ptr<const config::topology> topology);
  void shut_down(bool now);                ///< sessions end between transactions, or at once
  void cancel_session(std::uint32_t number, std::int32_t key);
  void end_deadlock(const transaction_key& victim);
  [[nodiscard]] unsigned load() const noexcept { return load_.load(std::memory_order_relaxed); }
  [[nodiscard]] unsigned number() const noexcept { return number_; }
  template <typename Function>
  void post_to_pool(unsigned to, const server_endpoint& endpoint, Function&& function) {
    worker& other = *shared_.workers[to];
    boost::asio::post(other.io_, [&other, endpoint, function = std::forward<Function>(function)]() mutable { function(other.pool(endpoint, nullptr)); });
  }

  // its own thread
  [[nodiscard]] boost::asio::io_context& context() noexcept { return io_; }
  [[nodiscard]] shared_state& shared() noexcept { return shared_; }
  [[nodiscard]] const config::topology& options() const noexcept { return *topology_; }
  [[nodiscard]] settings_registry& settings() noexcept { return settings_; }
  [[nodiscard]] statement_registry& statements() noexcept { return statements_; }
  [[nodiscard]] step& scratch() noexcept { return scratch_; }
  /// For whoever asks for what may be refused: made once, not for each question.
  [[nodiscard]] protocol::error_report& refusal() noexcept { return refusal_; }
  /// Without limits: as it is, or the default for one not met before.
  [[nodiscard]] server_pool& pool(const server_endpoint& endpoint, const budget_limits* limits);
  [[nodiscard]] served_database* find_database(const std::string& name);
  [[nodiscard]] bool any_database() const noexcept;
  void ensure_database(const std::string& name) { shared_.control_plane->ensure_database(name); }
  void server_trouble(const std::string& database, std::size_t shard, std::size_t server);
  void look_at_positions(const std::string& database, std::size_t shard);
  void catalog_may_have_changed(const std::string& database) { shared_.control_plane->catalog_may_have_changed(database); }
  [[nodiscard]] bool too_many_clients() const noexcept { return shared_.clients.load() > topology_->limits.max_clients; }
  [[nodiscard]] std::int32_t new_cancel_key();
  [[nodiscard]] std::int32_t cancel_pid(std::uint64_t session) const noexcept;
  /// To the session that is meant, on whichever worker or instance it is.
  void forward_cancel(std::int32_t pid, std::int32_t key);
  void cancel_backend(backend_ptr b);
  /// A cancel request to a server; ends when that has dealt with it. Does not throw.
  boost::asio::awaitable<void> send_cancel(server_endpoint endpoint, bool encrypted, std::int32_t pid,
                                           std::int32_t key);
  void keep_until_cancelled(backend_ptr b) { cancelling_.push_back(std::move(b)); }
  void lending(backend_ptr b) { lending_.push_back(std::move(b)); }
  void lent(const backend_ptr& b) { std::erase(lending_, b); }
  void session_ended(session& s);
  /// The server of this pool is not to be talked to any more: its idle connections are closed, whoever waits for one is
  /// told, and what sessions have under way there is lost.
  void cut(server_pool& pool, const std::string& why);
  /// Connections to this pool's server were made while it was a standby, which it is no more.
  void note_promoted(server_pool& pool);
  /// Shards have been paused, or are no longer.
  void take_pauses();
  template <class Visit>
  void for_each_session(Visit visit) const {
    for (const session& s : sessions_) visit(s);
  }
  /// What new sessions begin with has changed on a server: connections that are open are not given to them.
  void renew_everywhere();
  /// Sessions that wait for a definition to be known look again.
  void look_at_catalog();
  /// Now, to a tenth of a second.
  [[nodiscard]] std::chrono::steady_clock::time_point coarse_now() const noexcept { return coarse_now_; }

 private:
  using session_list = boost::intrusive::list<session, boost::intrusive::constant_time_size<false>>;

  void pass_cancel_on(unsigned instance, std::int32_t pid, std::int32_t key);
  void tick();
  void renew();
  void look_for_ends();
  void look_for_waits();
  template <class Visit>
  void visit_sessions(Visit visit);
  void watch_sessions();
  void end_sessions(bool now);

  shared_state& shared_;
  unsigned number_;
  boost::asio::io_context io_{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};  ///< its sockets and timers are this thread's alone; post() may come from others
  boost::asio::executor_work_guard<io_executor> guard_;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, io_executor> tick_;
  std::shared_ptr<const config::topology> topology_;
  settings_registry settings_;
  statement_registry statements_;
  step scratch_;
  protocol::error_report refusal_;
  std::unordered_map<std::string, std::unique_ptr<server_pool>> pools_;
  std::map<std::string, std::unique_ptr<served_database>> databases_;
  session_list sessions_;
  std::uint64_t next_session_ = 1;
  std::atomic<unsigned> load_{0};
  std::vector<backend_ptr> cancelling_, lending_;
  std::vector<transaction_key> waited_;                      ///< at the last look
  std::set<std::string, std::less<>> waits_told_;            ///< databases of which the control plane has a list
  std::chrono::steady_clock::time_point coarse_now_{std::chrono::steady_clock::now()};
  std::chrono::steady_clock::time_point started_{coarse_now_}, next_watch_{coarse_now_};
  unsigned ticks_ = 0;
  bool watching_ = false;
  bool leaving_ = false;
};

}  // namespace pgbraid::proxy
