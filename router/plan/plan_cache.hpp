// Text -> plan, by the tokenizer's key. One cache for each worker and plan context; it takes no lock.
#pragma once

#include "router/plan/planner.hpp"

#include <cstddef>
#include <memory>
#include <string_view>

namespace pgbraid::router {

/// An LRU of plans bounded by count and by bytes of normalised text. On a hit the normalised text and the pinned
/// constants are compared, so that neither a hash collision nor another constant can misroute. runs on: its worker.
class plan_cache {
 public:
  explicit plan_cache(std::size_t max_plans = 4096, std::size_t max_bytes = 16 << 20);
  ~plan_cache();
  plan_cache(plan_cache&&) noexcept;
  plan_cache& operator=(plan_cache&&) noexcept;

  /// The plan for `text`, made by make_plan on a miss. `scan` is filled as a side effect and stays valid for resolve();
  /// its `key` and `normalized` may be another text's.
  [[nodiscard]] plan_ptr get(std::string_view text, sql::token_scan& scan, const plan_context& context);

  void clear() noexcept;
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] std::uint64_t hits() const noexcept;
  [[nodiscard]] std::uint64_t misses() const noexcept;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace pgbraid::router
