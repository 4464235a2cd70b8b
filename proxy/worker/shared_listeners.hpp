// The listening backends of one database on one worker, and which of its sessions listens to what by way of them.
#pragma once

#include "proxy/session/session.hpp"
#include "proxy/worker/listening_backend.hpp"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pgbraid::proxy {

/// One user's, in one client_encoding: a connection to each shard's primary, made when somebody listens and closed a
/// while after nobody does. If one of them is lost, every session that listens is told, since none can know what it
/// has missed; the next to listen begins anew.
/// runs on: its worker.
class listening_group final : private listening_owner {
 public:
  listening_group(worker& at, served_database& database, std::string user, std::string encoding);
  ~listening_group();

  void hear(session& who, std::vector<std::string> channels);
  void catch_up(session& who);
  void leave(const session& who);
  [[nodiscard]] bool has(const session& who) const;
  [[nodiscard]] bool empty() const noexcept { return channels_of_.empty(); }
  /// Closes what has not been needed for a while.
  void tick(steady_time now);
  void look_at_primaries();

 private:
  void heard(router::shard_index shard, const protocol::notification_view& told) override;
  void marked(std::uint64_t mark) override;
  void gone(std::string_view why) override;
  void open();
  void close();
  void drop(session& who, const std::string& channel);

  struct waiting {
    session* who = nullptr;
    std::size_t backends = 0;  ///< that have not caught up yet
  };
  worker& worker_;
  served_database& database_;
  std::string user_, encoding_;
  std::vector<std::shared_ptr<listening_backend>> backends_;  ///< by shard; empty: not open
  std::map<session*, std::vector<std::string>> channels_of_;
  std::unordered_map<std::string, std::set<session*>> listeners_of_;
  std::map<std::uint64_t, waiting> waiting_;
  std::uint64_t last_mark_ = 0;
  steady_time unused_since_ = steady_time::max();
};

/// runs on: its worker.
class shared_listeners {
 public:
  shared_listeners(worker& at, served_database& database) : worker_{at}, database_{database} {}

  /// The session listens to these channels and to no others from here on; none: it leaves.
  void hear(session& who, const std::string& user, std::string_view encoding, std::vector<std::string> channels);
  /// Calls who.caught_up() when all has been told that was notified before. The session must be listening.
  void catch_up(session& who);
  void leave(const session& who);
  void tick(steady_time now);
  /// Somebody else may have become primary.
  void look_at_primaries();

 private:
  worker& worker_;
  served_database& database_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<listening_group>> groups_;  ///< by user and encoding
};

}  // namespace pgbraid::proxy
