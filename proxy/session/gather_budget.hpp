// The memory that statements of all clients together may take for rows that wait in pgbraid: limits.max_gather_total.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <limits>
#include <utility>

namespace pgbraid::proxy {

/// Bytes, shared by all workers. Thread-safe.
class gather_budget {
 public:
  void change_limit(std::size_t bytes) noexcept { limit_.store(bytes, std::memory_order_relaxed); }
  [[nodiscard]] std::size_t limit() const noexcept { return limit_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t taken() const noexcept { return taken_.load(std::memory_order_relaxed); }

  /// False: so many are not left, and none are taken.
  [[nodiscard]] bool take(std::size_t bytes) noexcept {
    if (taken_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= limit()) return true;
    give_back(bytes);
    return false;
  }
  void give_back(std::size_t bytes) noexcept { taken_.fetch_sub(bytes, std::memory_order_relaxed); }

 private:
  std::atomic<std::size_t> taken_{0}, limit_{std::numeric_limits<std::size_t>::max()};
};

/// One statement's part of the budget, given back when it ends.
class gather_share {
 public:
  gather_share() = default;
  gather_share(gather_share&& other) noexcept
      : of_{std::exchange(other.of_, nullptr)}, bytes_{std::exchange(other.bytes_, 0)} {}
  gather_share& operator=(gather_share&& other) noexcept {
    std::swap(of_, other.of_);
    std::swap(bytes_, other.bytes_);
    other.give_back();
    return *this;
  }
  ~gather_share() { give_back(); }

  /// The statement holds `bytes` by now. False: there is no room for them. `budget` is the same in every call; null: none.
  [[nodiscard]] bool cover(gather_budget* budget, std::size_t bytes) noexcept {
    if (budget == nullptr || bytes <= bytes_) return true;
    const std::size_t more = std::max(bytes - bytes_, step);
    if (!budget->take(more)) return false;
    of_ = budget;
    bytes_ += more;
    return true;
  }
  void give_back() noexcept {
    if (of_ != nullptr) of_->give_back(bytes_);
    of_ = nullptr;
    bytes_ = 0;
  }

 private:
  static constexpr std::size_t step = std::size_t{64} << 10;  ///< taken at once: rows are small, and workers many

  gather_budget* of_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace pgbraid::proxy
