// Values that must be unique over all shards, on their way to being claimed: see router/plan/claims.hpp. The first
// shard is asked before the others, so that two who claim the same value meet there and nowhere else.
#pragma once

#include "protocol/errors.hpp"
#include "proxy/session/branch.hpp"
#include "router/plan/claims.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace pgbraid::proxy {

struct claims_state {
  enum class phase : std::uint8_t { wanted, first, others, held };
  phase at = phase::wanted;
  std::shared_ptr<const router::claim_plan> plan;
  std::vector<router::claimed_value> values;
  std::vector<router::shard_index> homes;               ///< the shard of each row, or one for all
  targets over;                                         ///< a branch of each shard, the first shard's first
  std::size_t operation = 0;                            ///< the one of a batch that they are claimed for
  std::shared_ptr<const protocol::error_report> taken;  ///< a row of another shard has one of them; null: none has
  std::size_t taken_column = 0;

  [[nodiscard]] bool waits() const noexcept { return at == phase::first || at == phase::others; }
};

}  // namespace pgbraid::proxy
