// Values that must be unique over all shards, on their way to being claimed: see router/plan/claims.hpp. The first
// shard is asked before the others, so that two who claim the same value meet there and nowhere else.
#pragma once

#include "protocol/errors.hpp"
#include "proxy/session/asked_in_turn.hpp"
#include "router/plan/claims.hpp"

#include <cstddef>
#include <memory>
#include <vector>

namespace pgbraid::proxy {

struct claims_state : asked_in_turn {
  std::shared_ptr<const router::claim_plan> plan;
  std::vector<router::claimed_value> values;
  std::vector<router::shard_index> homes;               ///< the shard of each row, or one for all
  std::size_t operation = 0;                            ///< the one of a batch that they are claimed for
  std::shared_ptr<const protocol::error_report> taken;  ///< a row of another shard has one of them; null: none has
  std::size_t taken_column = 0;
};

}  // namespace pgbraid::proxy
