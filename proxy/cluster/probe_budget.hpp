// How often servers may be asked for their positions out of turn: what keeping reads fresh may cost the process.
#pragma once

#include "proxy/cluster/snapshot.hpp"

namespace pgbraid::proxy {

/// A bucket that holds a tenth of a second's questions and fills at `rate` of them a second. Every question to a server
/// is counted; those of the interval are never put off, so that what is left of the rate is for those out of turn.
/// Pure.
class probe_budget {
 public:
  explicit probe_budget(unsigned rate) noexcept { change_rate(rate); }

  /// Questions a second; 0: none out of turn.
  void change_rate(unsigned rate) noexcept;
  /// A server is asked now.
  void spend(steady_time now) noexcept;
  /// When servers may be asked out of turn: not after `now` if they may be at once, steady_time::max() for never.
  [[nodiscard]] steady_time ready_at() const noexcept;

 private:
  steady_time::duration each_{};                  ///< the time that one question takes of the rate; zero: there is none
  steady_time spent_until_ = steady_time::min();  ///< up to then the rate is used up
};

}  // namespace pgbraid::proxy
