// The locks that come before a write to reference tables which reads others of them: see router/plan/copy_locks.hpp. As
// for the write itself one shard goes ahead, where all who write these tables come first.
#pragma once

#include <string>

#include "proxy/session/asked_in_turn.hpp"

namespace pgbraid::proxy {

struct copy_locks_state : asked_in_turn {
  std::string sql;
};

}  // namespace pgbraid::proxy
