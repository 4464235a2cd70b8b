// A statement of transaction control or of settings under way, and what goes with the end of a transaction.
#pragma once

#include "proxy/session/branch.hpp"
#include "proxy/session/commit.hpp"
#include "proxy/session/consistency_token.hpp"
#include "router/plan/route.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace pgbraid::proxy {

/// SHOW pgbraid.consistency_token under way.
struct token_state {
  consistency_token known;
  targets leased;           ///< branches that are there for it alone
  std::size_t answers = 0;  ///< positions heard
};

/// Statement of transaction control or of settings, sent to every branch as a simple query; one answer is made of theirs.
struct control_state {
  router::plan_ptr plan;
  std::string sql;
  std::string reply;        ///< frames for the client
  std::string tag;          ///< of the reply, if not the server's own
  bool tagged = false;      ///< the reply has its CommandComplete
  bool running = false;
  bool failed = false;
  bool done = false;        ///< finished; the operation that began it has not looked yet
  bool own = false;         ///< ends a transaction of pgbraid's own: the client is told of failure only
  std::unique_ptr<commit_state> commit;  ///< over several shards
  std::unique_ptr<token_state> token;
};

}  // namespace pgbraid::proxy
