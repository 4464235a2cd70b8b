// What a session is told by the listening backends that it shares with others: see shared_listeners.
#include "proxy/session/session.hpp"

#include "proxy/worker/served_database.hpp"
#include "proxy/worker/worker.hpp"

#include <spdlog/spdlog.h>

namespace pgbraid::proxy {

namespace p = protocol;

void session::notified(router::shard_index shard, const p::notification_view& told) {
  if (!machine_ || closing_) return;
  const session_ptr keep{this};
  step& s = worker_.scratch();
  s.clear();
  machine_->on_notification(s, shard, told);
  run(s);
  // A client that does not read: what it misses it must not think it has.
  if (!closing_ && unsent_.size() > database_->environment().max_notifications) {
    spdlog::info("client sent away: {} bytes of notifications wait for it", unsent_.size());
    close();
  }
}

void session::caught_up() {
  if (!machine_ || closing_) return;
  step& s = worker_.scratch();
  s.clear();
  machine_->on_caught_up(s);
  run(s);
}

void session::listener_lost(std::string_view why) {
  if (!machine_ || closing_) return;
  step& s = worker_.scratch();
  s.clear();
  machine_->on_listener_lost(s, why);
  run(s);
}

}  // namespace pgbraid::proxy
