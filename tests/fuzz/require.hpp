// What a fuzz target holds against its subject, beyond what the sanitizers see.
#pragma once

#include <cstdlib>

namespace pgbraid::fuzz {

/// Ends the program, which is a finding, unless `condition` holds. Unlike assert, in every build.
inline void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace pgbraid::fuzz
