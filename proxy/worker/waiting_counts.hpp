// What all statements that wait for a primary come to: the bound in failover.max_held and max_held_bytes is one for the
// process.
#pragma once

#include <atomic>
#include <cstdint>

namespace pgbraid::proxy {

/// How many wait, over all workers. runs on: any thread.
struct waiting_counts {
  std::atomic<unsigned> statements{0};
  std::atomic<std::uint64_t> bytes{0};
};

}  // namespace pgbraid::proxy
