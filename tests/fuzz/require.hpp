// What a fuzz target holds against its subject, beyond what the sanitizers see.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace pgbraid::fuzz {

/// Ends the program, which is a finding, unless `condition` holds. Unlike assert, in every build.
inline void require(bool condition, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  if (condition) return;
  std::fprintf(stderr, "%s:%d: does not hold\n", file, line);
  std::abort();
}

}  // namespace pgbraid::fuzz
