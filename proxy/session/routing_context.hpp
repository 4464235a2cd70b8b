// Everything that decides how a session's statements are planned (database, user, search_path, quoting rules), shared by
// all sessions of a worker that have it in common, together with the plan cache that belongs to it.
#pragma once

#include "proxy/cluster/snapshot.hpp"
#include "proxy/session/settings.hpp"
#include "router/plan/plan_cache.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace pgbraid::proxy {

/// runs on: its worker.
class routing_context {
 public:
  router::plan_context context;
  router::plan_cache cache;
  router::literal_context literals;
  std::string time_zone;
  /// No other context of the process has had it, dead ones included.
  const std::uint64_t serial = fresh_number();
  /// Another one whenever plans made before must not be used any more, which no other context has had either.
  std::uint64_t generation = fresh_number();

  /// Takes a newer state of the database; plans are dropped when what they depend on has changed.
  void update(database_state_ptr state);
  [[nodiscard]] const database_state& state() const noexcept { return *state_; }

 private:
  database_state_ptr state_;
  std::string search_path_setting_;
  std::string role_;
  struct {
    std::string shard, key, target;
  } hints_;
  friend class routing_contexts;
  void derive();
  [[nodiscard]] static std::uint64_t fresh_number() noexcept;
};

/// The contexts of one database on one worker.
class routing_contexts {
 public:
  explicit routing_contexts(std::size_t max_parse_bytes) : max_parse_bytes_(max_parse_bytes) {}

  /// The context of a session of `user` with these settings.
  [[nodiscard]] std::shared_ptr<routing_context> get(const std::string& user, const settings& wanted, const database_state_ptr& state);
  /// One of its own, which does not go by newer states.
  [[nodiscard]] std::shared_ptr<routing_context> apart(const std::string& user, const settings& wanted,
                                                       const database_state_ptr& state) const;
  /// Another limit: plans made under the old one are dropped.
  void set_max_parse(std::size_t bytes);
  /// Hands a new state to all contexts in use.
  void update(const database_state_ptr& state);

 private:
  struct key_of_context;
  [[nodiscard]] std::shared_ptr<routing_context> make(const key_of_context& key, const database_state_ptr& state) const;

  std::map<std::string, std::weak_ptr<routing_context>> known_;
  std::size_t max_parse_bytes_;
};

/// Splits a search_path value as SplitIdentifierString does: commas, quotes, folding to lower case.
[[nodiscard]] std::vector<std::string> split_search_path(std::string_view value, const std::string& user, const router::catalog& schema);

}  // namespace pgbraid::proxy
