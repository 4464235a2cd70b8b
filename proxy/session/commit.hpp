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
#include <vector>

namespace pgbraid::proxy {

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
  bool failed = false;
  std::string error;  ///< for the client, if it failed or its outcome is unknown
};

}  // namespace pgbraid::proxy
