#include "proxy/worker/shared_listeners.hpp"

#include "proxy/worker/served_database.hpp"
#include "proxy/worker/worker.hpp"

#include <spdlog/spdlog.h>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>

namespace pgbraid::proxy {

namespace {

// Whoever listens in turns need not wait for a login each time.
constexpr std::chrono::seconds kept_open{30};

}  // namespace

listening_group::listening_group(worker& at, served_database& database, std::string user, std::string encoding)
    : worker_{at}, database_{database}, user_{std::move(user)}, encoding_{std::move(encoding)} {}

listening_group::~listening_group() {
  close();
}

void listening_group::open() {
  unused_since_ = steady_time::max();
  if (!backends_.empty()) return;
  const std::size_t shards = std::max<std::size_t>(database_.state().shards.size(), 1);
  listening_owner& owner = *this;
  for (std::size_t i = 0; i < shards; ++i) {
    backends_.push_back(std::make_shared<listening_backend>(worker_, database_, owner,
                                                            static_cast<router::shard_index>(i), user_, encoding_));
  }
  for (const auto& each : backends_) each->start();
}

void listening_group::close() {
  for (const auto& each : std::exchange(backends_, {})) each->abandon();
}

void listening_group::hear(session& who, std::vector<std::string> channels) {
  if (channels.empty()) return leave(who);
  open();
  std::vector<std::string>& now = channels_of_[&who];
  for (const std::string& name : channels) {
    if (std::find(now.begin(), now.end(), name) != now.end()) continue;
    std::set<session*>& listeners = listeners_of_[name];
    if (listeners.empty()) {
      for (const auto& each : backends_) each->listen(name);
    }
    listeners.insert(&who);
  }
  for (const std::string& name : now) {
    if (std::find(channels.begin(), channels.end(), name) == channels.end()) drop(who, name);
  }
  now = std::move(channels);
}

void listening_group::drop(session& who, const std::string& channel) {
  const auto found = listeners_of_.find(channel);
  if (found == listeners_of_.end()) return;
  found->second.erase(&who);
  if (!found->second.empty()) return;
  listeners_of_.erase(found);
  for (const auto& each : backends_) each->unlisten(channel);
}

bool listening_group::has(const session& who) const {
  return channels_of_.contains(const_cast<session*>(&who));
}

void listening_group::leave(const session& who) {
  const auto found = channels_of_.find(const_cast<session*>(&who));
  if (found == channels_of_.end()) return;
  session& gone = *found->first;
  const std::vector<std::string> channels = std::move(found->second);
  channels_of_.erase(found);
  for (const std::string& name : channels) drop(gone, name);
  std::erase_if(waiting_, [&](const auto& entry) { return entry.second.who == &gone; });
  if (channels_of_.empty()) unused_since_ = std::chrono::steady_clock::now();
}

void listening_group::catch_up(session& who) {
  const std::uint64_t mark = ++last_mark_;
  waiting_[mark] = {&who, backends_.size()};
  for (const auto& each : backends_) each->mark(mark);
}

void listening_group::heard(router::shard_index shard, const protocol::notification_view& told) {
  const auto found = listeners_of_.find(std::string{told.channel});
  if (found == listeners_of_.end()) return;
  // Whoever is told may leave, and others with it.
  std::vector<session_ptr> all{found->second.begin(), found->second.end()};
  for (const session_ptr& each : all) {
    if (has(*each)) each->notified(shard, told);
  }
}

void listening_group::marked(std::uint64_t mark) {
  const auto found = waiting_.find(mark);
  if (found == waiting_.end() || --found->second.backends > 0) return;
  const session_ptr who{found->second.who};
  waiting_.erase(found);
  who->caught_up();
}

void listening_group::gone(std::string_view why) {
  spdlog::warn("database {}: the connection that listens for user {} is lost: {}", database_.state().name, user_, why);
  close();
  waiting_.clear();
  listeners_of_.clear();
  std::vector<session_ptr> all;
  for (const auto& [who, channels] : std::exchange(channels_of_, {})) all.emplace_back(who);
  unused_since_ = steady_time::max();
  for (const session_ptr& each : all) each->listener_lost(why);
}

void listening_group::tick(steady_time now) {
  if (unused_since_ == steady_time::max() || now - unused_since_ < kept_open) return;
  unused_since_ = steady_time::max();
  close();
}

void listening_group::look_at_primaries() {
  const auto elsewhere = [](const auto& each) { return each->is_elsewhere(); };
  if (!backends_.empty() && backends_.size() != database_.state().shards.size())
    return gone("the topology has changed");
  if (std::any_of(backends_.begin(), backends_.end(), elsewhere)) gone("another server is the primary now");
}

void shared_listeners::hear(session& who, const std::string& user, std::string_view encoding,
                            std::vector<std::string> channels) {
  if (channels.empty()) return leave(who);
  for (const auto& [key, group] : groups_) {
    if (group->has(who)) return group->hear(who, std::move(channels));
  }
  auto& group = groups_[{user, std::string{encoding}}];
  if (!group) group = std::make_unique<listening_group>(worker_, database_, user, std::string{encoding});
  group->hear(who, std::move(channels));
}

void shared_listeners::catch_up(session& who) {
  for (const auto& [key, group] : groups_) {
    if (group->has(who)) return group->catch_up(who);
  }
  // What it listened with has been lost since.
  boost::asio::post(worker_.context(), [who = session_ptr{&who}] { who->caught_up(); });
}

void shared_listeners::leave(const session& who) {
  for (const auto& [key, group] : groups_) group->leave(who);
}

void shared_listeners::tick(steady_time now) {
  for (const auto& [key, group] : groups_) group->tick(now);
}

void shared_listeners::look_at_primaries() {
  for (const auto& [key, group] : groups_) group->look_at_primaries();
}

}  // namespace pgbraid::proxy
