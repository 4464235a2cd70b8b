// What a statement needs of servers before it is sent there itself: gates that keep commits over several shards away
// (hold.hpp), locks of reference tables (copy_locks.hpp), values that nobody else gives to a row (claims.hpp). It goes
// on when all of that has been answered. Hardly any statement needs any of it, which one test tells.
#pragma once

#include "proxy/session/claims.hpp"
#include "proxy/session/copy_locks.hpp"
#include "proxy/session/hold.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

namespace pgbraid::proxy {

/// expectation::local_type of the answers to it.
[[nodiscard]] constexpr bool is_of_need(char type) noexcept {
  return type == of_hold || type == of_tables || type == of_copies || type == of_claims;
}

class statement_needs {
 public:
  /// False: there are none.
  [[nodiscard]] explicit operator bool() const noexcept { return all_ != nullptr; }

  /// Null: nothing keeps commits over several shards away.
  [[nodiscard]] hold_state* hold() const noexcept { return all_ && all_->hold ? &*all_->hold : nullptr; }
  /// Null: the statement under way needs none.
  [[nodiscard]] copy_locks_state* copy_locks() const noexcept {
    return all_ && all_->copy_locks ? &*all_->copy_locks : nullptr;
  }
  /// Null: the statement under way claims nothing.
  [[nodiscard]] claims_state* claims() const noexcept { return all_ && all_->claims ? &*all_->claims : nullptr; }

  void add(hold_state need) { all().hold = std::move(need); }
  void add(copy_locks_state need) { all().copy_locks = std::move(need); }
  void add(claims_state need) { all().claims = std::move(need); }

  [[nodiscard]] std::optional<hold_state> take_hold() noexcept {
    return all_ ? std::exchange(all_->hold, std::nullopt) : std::nullopt;
  }
  void drop_copy_locks() noexcept {
    if (all_) all_->copy_locks.reset();
  }
  void drop_claims() noexcept {
    if (all_) all_->claims.reset();
  }
  /// The statement is on its way, or will not be. What it holds commits back with stays until it has been answered.
  void statement_over() noexcept {
    if (!all_) return;
    if (!all_->hold) return reset();
    drop_copy_locks();
    drop_claims();
  }
  /// A branch is gone, and its locks with it.
  void lose(branch_index b) noexcept {
    statement_over();
    if (all_) std::erase(all_->hold->over, b);
  }
  void reset() noexcept { all_.reset(); }

  /// Servers are still to answer.
  [[nodiscard]] bool waits() const noexcept {
    return any_of([](const auto& need) { return need.waits(); });
  }
  /// Something that is needed has been asked of the branch, and the statement is still to come there.
  [[nodiscard]] bool under_way_on(branch_index b) const noexcept {
    return any_of([b](const auto& need) { return need.under_way() && contains(need.over, b); });
  }
  /// Something is or will be asked of the branch.
  [[nodiscard]] bool concern(branch_index b) const noexcept {
    return any_of([b](const auto& need) { return contains(need.over, b); });
  }
  template <class condition>
  [[nodiscard]] bool any_of(const condition& holds) const {
    return all_ && ((all_->hold && holds(*all_->hold)) || (all_->copy_locks && holds(*all_->copy_locks)) ||
                    (all_->claims && holds(*all_->claims)));
  }

 private:
  struct each_kind {
    std::optional<hold_state> hold;
    std::optional<copy_locks_state> copy_locks;
    std::optional<claims_state> claims;
  };

  [[nodiscard]] static bool contains(const targets& over, branch_index b) noexcept {
    return std::find(over.begin(), over.end(), b) != over.end();
  }
  [[nodiscard]] each_kind& all() {
    if (!all_) all_ = std::make_unique<each_kind>();
    return *all_;
  }

  std::unique_ptr<each_kind> all_;
};

}  // namespace pgbraid::proxy
