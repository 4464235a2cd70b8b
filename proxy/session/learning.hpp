// A transaction that has defined something and goes on to use it asks its own servers what there is now: nobody else
// can see it. What they say is planned by until the transaction ends. See own_definitions.hpp.
#pragma once

#include "proxy/cluster/own_definitions.hpp"
#include "proxy/cluster/snapshot.hpp"
#include "proxy/session/branch.hpp"

#include <memory>
#include <vector>

namespace pgbraid::proxy {

/// The question, on its way.
struct learning_state {
  struct server {
    branch_index branch = 0;
    router::shard_index shard = 0;
    own_definitions::reading told;
  };
  database_state_ptr published;  ///< what it goes on from; null: not asked yet
  std::vector<server> servers;
  steady_time began{};
  bool second = false;  ///< the first text has been answered
  unsigned rounds = 0;

  [[nodiscard]] answered_text* text_of(branch_index b) noexcept {
    for (server& each : servers) {
      if (each.branch == b) return second ? &each.told.second : &each.told.first;
    }
    return nullptr;
  }
};

}  // namespace pgbraid::proxy
