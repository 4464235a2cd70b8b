// Statements of a file in one transaction over the shards that they go to, committed on all of them or on none. The
// commit is the one of the sessions (proxy/session/commit.hpp): what a killed process leaves, any instance finishes.
#pragma once

#include "proxy/apply/destinations.hpp"
#include "proxy/apply/script.hpp"
#include "proxy/apply/shard_sessions.hpp"
#include "proxy/cluster/snapshot.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pgbraid::proxy::apply {

class atomic_group {
 public:
  atomic_group(shard_sessions& sessions, const database_state& state);

  /// Runs one statement where it belongs: the first shard goes ahead, the others follow. Why it failed, or nothing;
  /// after a failure everything has been rolled back.
  [[nodiscard]] std::optional<line_report> run(const script_statement& s, const destination& where);

  enum class outcome { committed, undone, unknown };
  struct ending {
    outcome is = outcome::committed;
    line_report report{};  ///< why not, or of shards that follow later
  };
  [[nodiscard]] ending commit();

 private:
  [[nodiscard]] bool begin(std::span<const router::shard_index> shards, line_report& failed);
  [[nodiscard]] ending commit_over_several(const std::vector<router::shard_index>& wrote);
  void undo(const std::vector<router::shard_index>& prepared, const std::string& id);
  void end();
  [[nodiscard]] line_report report_of(router::shard_index shard, const pg_answer& answer) const;

  shard_sessions& sessions_;
  const database_state& state_;
  std::vector<bool> open_, wrote_;  ///< by shard
};

}  // namespace pgbraid::proxy::apply
