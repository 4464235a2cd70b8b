// What the control plane knows of the servers, as one immutable value for each database. Workers read it without a
// lock; the monitor replaces it whole.
#pragma once

#include "config/config.hpp"
#include "proxy/cluster/own_definitions.hpp"
#include "proxy/cluster/recent_definitions.hpp"
#include "proxy/cluster/timeline_history.hpp"
#include "router/catalog.hpp"
#include "router/topology.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace pgbraid::proxy {

enum class server_role : std::uint8_t { unknown, primary, replica };

/// Microseconds: below this nobody is faster than another.
inline constexpr std::uint32_t shortest_answer_time = 10'000;

/// One server as last seen.
struct server_state {
  server_role role = server_role::unknown;
  bool usable = false;  ///< reachable, a role known, not lagging more than allowed, not drained
  bool answers = false;  ///< the last question was answered, whatever with
  bool drained = false;  ///< the topology says so: open transactions end there, nothing new begins
  std::string reason;   ///< why not usable
  unsigned weight = 1;
  /// Replica: whatever was committed on its primary before this moment has been replayed here. A session whose last
  /// write ended earlier may read from it. Primary: meaningless.
  steady_time safe_until = steady_time::min();
  std::uint64_t replayed = 0;  ///< replica on its shard's timeline: WAL position up to which it has replayed; else 0
  std::uint64_t lag_bytes = 0;
  std::uint32_t answer_time = shortest_answer_time;  ///< how long it took to answer of late: microseconds
  unsigned restarts = 0;  ///< replica: how often it has shown less than before
};

/// A part of a commit over several shards that stands prepared though nobody is about to finish it.
struct doubtful_transaction {
  std::string id;     ///< as in pg_prepared_xacts
  std::string owner;  ///< the role whose it is
  std::string since;  ///< when it was prepared, UTC
  friend bool operator==(const doubtful_transaction&, const doubtful_transaction&) = default;
};

struct shard_state {
  std::vector<server_state> servers;  ///< in the topology's order
  int primary = -1;                   ///< index into servers, -1 while none is known or it is drained
  std::vector<doubtful_transaction> doubtful;  ///< on the primary, when it was looked at last
  std::string identity;               ///< the primary's system identifier and database; "" while none is known
  // Of the last primary that was known, so that they outlive it.
  std::uint64_t system_identifier = 0;  ///< 0: none has been known
  std::uint32_t timeline = 0;
  std::shared_ptr<const timeline_history> history;  ///< of that timeline; null: not known
  std::uint64_t segment_bytes = 16u << 20;          ///< of its WAL
  std::uint64_t block_bytes = 8192;
};

/// One database: all that routing and choosing a server needs. Immutable once published.
struct database_state {
  std::string name;
  bool served = false;  ///< false: clients are refused with `reason`
  std::string reason;
  std::shared_ptr<const router::topology> map;
  std::shared_ptr<const router::catalog> schema;
  steady_time schema_as_of = steady_time::min();  ///< definitions made before this moment are in it, if they are in it at all
  std::shared_ptr<recent_definitions> definitions;            ///< that passed through here; null: nobody needs to know
  std::shared_ptr<const own_definitions> own;                 ///< how a transaction learns of its own; null: not at all
  std::shared_ptr<const ::pgbraid::config::database> config;  ///< its part of the topology; null when it has none
  std::vector<shard_state> shards;
};
using database_state_ptr = std::shared_ptr<const database_state>;

}  // namespace pgbraid::proxy
