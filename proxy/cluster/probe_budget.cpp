#include "proxy/cluster/probe_budget.hpp"

#include <algorithm>
#include <chrono>

namespace pgbraid::proxy {

using namespace std::chrono_literals;

namespace {

constexpr auto saved_up = 100ms;   // what was not asked for longer ago is lost
constexpr auto longest_debt = 1s;  // what was asked beyond the rate is forgiven after this

}  // namespace

void probe_budget::change_rate(unsigned rate) noexcept {
  each_ = rate == 0 ? steady_time::duration{} : std::chrono::duration_cast<steady_time::duration>(1s) / rate;
  spent_until_ = steady_time::min();
}

void probe_budget::spend(steady_time now) noexcept {
  if (each_ == steady_time::duration::zero()) return;
  spent_until_ = std::min(std::max(spent_until_, now - saved_up) + each_, now + longest_debt);
}

steady_time probe_budget::ready_at() const noexcept {
  return each_ == steady_time::duration::zero() ? steady_time::max() : spent_until_;
}

}  // namespace pgbraid::proxy
