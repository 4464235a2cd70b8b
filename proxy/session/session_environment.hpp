// What a session's machine knows of the world around it: shared things, limits, and what only a driver can tell.
#pragma once

#include "config/config.hpp"
#include "proxy/session/gather_budget.hpp"
#include "proxy/session/key_lookup.hpp"
#include "proxy/session/number_blocks.hpp"
#include "proxy/session/routing_context.hpp"
#include "proxy/session/settings.hpp"
#include "proxy/session/statement.hpp"
#include "proxy/session/write_marks.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace pgbraid::proxy {

/// What a transaction has changed so far, for consistency among all sessions.
struct changed_tables {
  std::vector<std::pair<router::shard_index, std::uint32_t>> marks;
  std::vector<router::shard_index> more;     ///< where anything may have been changed
  std::vector<router::shard_index> defined;  ///< where definitions have
  bool uncertain = false;                    ///< a server was lost on the way: it may be done later

  void clear() noexcept {
    marks.clear();
    more.clear();
    defined.clear();
    uncertain = false;
  }
};

/// What sessions of one database share on a worker.
struct session_environment {
  settings_registry& settings;
  statement_registry& statements;
  routing_contexts& contexts;
  database_state_ptr state;
  std::size_t max_message_bytes = 64u << 20;
  std::size_t max_statements = 10'000;         ///< prepared statements of one client
  std::size_t max_backend_statements = 500;    ///< prepared statements kept on one backend
  std::size_t max_gather = 64u << 20;          ///< bytes that one statement may gather from several shards
  std::size_t max_notifications = 512u << 10;  ///< bytes of notifications that wait for one client's transaction to end
  gather_budget* gathered = nullptr;           ///< of all sessions; null: no limit but max_gather
  config::pool_mode pool_mode = config::pool_mode::transaction;
  std::string (*random_record)() = nullptr;    ///< a uuid that nobody can guess; null: they are counted
  std::uint64_t records = 0;                   ///< records of commits so far
  write_marks* marks = nullptr;                ///< null: nobody asks what was written when
  bool global_reads = false;                   ///< reads.consistency: global
  bool answers_decided = false;                ///< commits.answer: decided
  std::shared_ptr<key_cache> keys{};           ///< keys that are looked up; null: none are
  std::vector<std::uint64_t> mark_seeds{};     ///< by shard: see write_marks
  std::unique_ptr<changed_tables> spare_changes{};  ///< empty: the memory of the transaction that ended last
  steady_time (*now)() = [] { return std::chrono::steady_clock::now(); };
  unsigned awaiting_catalog = 0;               ///< sessions that wait for a table's new definition to be known
  bool sequences_asked = false;                ///< somebody asks for currval() or lastval() at times
  std::unique_ptr<number_blocks> blocks{};     ///< sharding.sequence_blocks; null: each INSERT draws for itself

  /// A uuid that no other commit has.
  [[nodiscard]] std::string fresh_record() { return ++records, random_record ? random_record() : fmt::format("{:032x}", records); }
};

}  // namespace pgbraid::proxy
