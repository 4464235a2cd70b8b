// The locks that come before a write to reference tables which reads others of them: see router/plan/copy_locks.hpp. As
// for the write itself one shard goes ahead, where all who write these tables come first.
#pragma once

#include <cstdint>
#include <string>

#include "proxy/session/branch.hpp"

namespace pgbraid::proxy {

struct copy_locks_state {
  enum class phase : std::uint8_t { wanted, first, others, held };
  phase at = phase::wanted;
  std::string sql;
  targets over;  ///< the branches, the one that goes ahead first
  [[nodiscard]] bool waits() const noexcept { return at == phase::first || at == phase::others; }
};

}  // namespace pgbraid::proxy
