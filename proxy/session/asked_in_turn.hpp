// What is asked of one branch before the others, so that those who ask for the same meet there and nowhere else.
#pragma once

#include "proxy/session/branch.hpp"

#include <cstdint>

namespace pgbraid::proxy {

struct asked_in_turn {
  enum class phase : std::uint8_t { wanted, first, others, held };
  phase at = phase::wanted;
  targets over;  ///< the branches, the one that goes ahead first

  [[nodiscard]] bool waits() const noexcept { return at == phase::first || at == phase::others; }
  /// Something of it has been asked for, or is held.
  [[nodiscard]] bool under_way() const noexcept { return at != phase::wanted; }
};

}  // namespace pgbraid::proxy
