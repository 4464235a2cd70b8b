#include "proxy/session/welcome.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "proxy/worker/worker.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

namespace pgbraid::proxy {

namespace asio = boost::asio;
namespace p = protocol;

namespace {

constexpr auto next_try = std::chrono::milliseconds{50};

/// Brings the startup settings to a backend and notes what it reports of itself on the way.
class collector final : public backend_holder {
 public:
  explicit collector(asio::io_context& context) : changed_{context, asio::steady_timer::time_point::max()} {}
  ~collector() {
    if (held_ && held_->holder == this) held_->pool().discard(*held_);
  }

  asio::awaitable<void> wait() {
    boost::system::error_code ignored;
    while (!done_) {
      changed_.expires_at(asio::steady_timer::time_point::max());
      co_await changed_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    done_ = false;
  }
  void signal() {
    done_ = true;
    changed_.cancel();
  }

  void backend_readable(backend& b) override {
    while (true) {
      p::frame_view frame;
      if (p::next_frame(b.pending(), std::size_t{1} << 20, frame) != p::frame_status::complete) return;
      if (frame.type == p::backend::parameter_status) {
        p::parameter_status_view status;
        if (p::decode(frame.body, status)) set(status.name, status.value);
      } else if (frame.type == p::backend::error_response && error_frame.empty()) {
        error_frame.assign(frame.bytes);
      }
      const bool ready = frame.type == p::backend::ready_for_query;
      b.consume(frame.total);
      if (ready && --answers_due == 0) return signal();
    }
  }
  void backend_writable(backend&) override {}
  void backend_lost(backend& b, std::string_view why) override {
    lost = p::make_error(p::error_id::server_lost, fmt::format("{}: {}", b.pool().endpoint().label, why));
    held_.reset();
    signal();
  }

  void set(std::string_view name, std::string_view value) {
    for (auto& [known, old] : parameters) {
      if (known != name) continue;
      old = value;
      return;
    }
    parameters.emplace_back(name, value);
  }

  void hold(backend_ptr b) {
    held_ = std::move(b);
    held_->holder = this;
  }
  [[nodiscard]] backend_ptr let_go() { return std::move(held_); }
  [[nodiscard]] backend& held() { return *held_; }

  p::parameter_list parameters;
  std::string error_frame;
  std::optional<p::error_report> lost;
  int answers_due = 0;

 private:
  asio::steady_timer changed_;
  backend_ptr held_;
  bool done_ = false;
};

// A bad startup setting ends the login, as on a server: the same error, but FATAL.
std::string made_fatal(std::string_view frame) {
  p::error_fields_view fields;
  if (!p::decode(frame.substr(p::frame_header_size), fields)) return std::string{frame};
  const p::error_field list[] = {{'S', "FATAL"},          {'V', "FATAL"},         {'C', fields.sqlstate()},
                                 {'M', fields.message()}, {'D', fields.detail()}, {'H', fields.hint()}};
  std::string bytes;
  p::encode_error_response(bytes, list);
  return bytes;
}

// The primary, or a replica where there is none.
chosen_server server_for(served_database& database, const std::string& user, bool replica_first,
                         p::error_report& refusal) {
  p::error_report ignored;
  chosen_server chosen = database.choose(0, replica_first, {}, user, refusal);
  if (chosen.pool == nullptr && !replica_first) chosen = database.choose(0, true, {}, user, ignored);
  return chosen;
}

// One server's answer.
asio::awaitable<welcome_result> ask_server(worker& owner, served_database& database, const std::string& user,
                                           settings_ptr startup, steady_time latest) {
  const unsigned generation = owner.shared().generation.load();
  auto collecting = std::make_shared<collector>(owner.context());
  asio::steady_timer pause{owner.context()};
  chosen_server chosen;
  backend_ptr b;
  for (bool replica_first = false; !b;) {
    p::error_report why;
    chosen = server_for(database, user, replica_first, why);
    if (chosen.pool == nullptr) why.message = "cannot log in: " + why.message;
    if (chosen.pool != nullptr) b = chosen.pool->take();
    if (chosen.pool != nullptr && !b) {
      auto on_lease = [&b, &why, collecting](backend_ptr got, const p::error_report* error) {
        b = std::move(got);
        if (error != nullptr) why = *error;
        collecting->signal();
      };
      (void)chosen.pool->request(on_lease);
      co_await collecting->wait();
      if (b) break;
      database.server_trouble(*chosen.pool);
      if (why.id != p::error_id::server_unreachable && why.id != p::error_id::server_lost) co_return why;
      // Of a primary that is gone the control plane may not know yet.
      if (!std::exchange(replica_first, true)) continue;
    }
    if (b) break;
    // Servers that have never been seen are not about to come back: why they cannot be used is told at once.
    const auto& schema = database.state().schema;
    const bool seen = schema != nullptr && !schema->functions.empty();
    if (!seen || std::chrono::steady_clock::now() >= latest) co_return why;
    pause.expires_after(next_try);
    boost::system::error_code ignored;
    co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  if (chosen.pool->parameters) collecting->parameters = *chosen.pool->parameters;
  collecting->hold(b);
  b.reset();
  backend_facts& facts = collecting->held().facts;
  std::string sql = settings_difference(facts.current.get(), *startup);
  // Reported values are wanted even where the backend happens to have these settings already.
  if (facts.current == nullptr || !startup->entries.empty()) sql = settings_difference(nullptr, *startup);
  if (!sql.empty()) {
    facts.current = startup;
    facts.unnamed = 0;
    std::string bytes;
    // Two statements: a value that is reset and set again in one would not be reported.
    p::encode_query(bytes, "RESET ALL");
    p::encode_query(bytes, sql);
    collecting->answers_due = 2;
    if (collecting->held().send(bytes)) co_await collecting->wait();
  }
  if (collecting->lost) co_return *collecting->lost;
  if (!collecting->error_frame.empty()) {
    collecting->held().facts.current = nullptr;
    backend_ptr back = collecting->let_go();
    server_pool& pool = back->pool();
    pool.give_back(std::move(back));
    co_return made_fatal(collecting->error_frame);
  }
  backend_ptr back = collecting->let_go();
  server_pool& pool = back->pool();
  pool.give_back(std::move(back));
  // A client must not think itself on a standby.
  for (auto& [name, value] : collecting->parameters) {
    if (name == "in_hot_standby" || (name == "default_transaction_read_only" && chosen.replica)) value = "off";
  }
  auto made = std::make_shared<const p::parameter_list>(std::move(collecting->parameters));
  if (generation == owner.shared().generation.load()) database.store_welcome(user, startup, made);
  co_return made;
}

}  // namespace

asio::awaitable<welcome_result> welcome_of(worker& owner, served_database& database, std::string user,
                                           settings_ptr startup) {
  if (welcome_parameters known = database.find_welcome(user, startup.get())) co_return known;
  // As statements do, it waits for a server, and asks another one if that is lost.
  const steady_time latest = std::chrono::steady_clock::now() + owner.options().failover.hold;
  while (true) {
    welcome_result told = co_await ask_server(owner, database, user, startup, latest);
    const auto* const error = std::get_if<p::error_report>(&told);
    const bool lost = error != nullptr && error->id == p::error_id::server_lost;
    if (!lost || std::chrono::steady_clock::now() >= latest) co_return told;
  }
}

}  // namespace pgbraid::proxy
