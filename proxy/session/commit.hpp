// The commit of a transaction that wrote to several shards, as far as it has come. One of them decides: a record of the
// transaction is written there within the transaction itself, all others PREPARE, and when the deciding one has
// committed, so has the transaction. The others follow by COMMIT PREPARED; should that not come to pass, the control
// plane reads the record and does it (proxy/cluster/recovery.hpp). Source: the manual's pages "PREPARE TRANSACTION",
// "COMMIT PREPARED".
#pragma once

#include "proxy/cluster/prepared_id.hpp"
#include "proxy/session/branch.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

/// PostgreSQL's function whose warning says that a commit may not have come to the synchronous replicas.
inline constexpr std::string_view wait_for_replicas = "SyncRepWaitForLSN";

struct commit_state {
  enum class phase : std::uint8_t {
    prepare,  ///< the record is written, the others prepare
    decide,   ///< the deciding shard commits
    finish,   ///< decided: the others commit what they have prepared
    undo      ///< decided: nothing of it stays
  };
  phase at = phase::prepare;
  branch_index deciding = 0;
  std::string record;                  ///< a uuid
  std::string id;                      ///< prepared_id()
  std::vector<branch_index> prepared;  ///< branches that hold a prepared part
  /// Branches that no longer wait for their synchronous replicas: an operator has cancelled that. What they have
  /// answered next may be lost with them.
  std::vector<branch_index> unreplicated;
  bool failed = false;
  std::string error;  ///< for the client, if it failed or its outcome is unknown
};

}  // namespace pgbraid::proxy
