// Definitions that have passed through this process, so that no statement goes by an older one: one for each database,
// shared by its sessions on all workers and the control plane.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

using steady_time = std::chrono::steady_clock::time_point;

/// runs on: any thread.
class recent_definitions {
 public:
  /// Relations of these bare names may have been redefined by a transaction that ended at `ended`, before anybody is
  /// told that it has.
  void note(const std::vector<std::string>& names, steady_time ended);
  /// When the last one of any name was; min() without one.
  [[nodiscard]] steady_time latest() const noexcept { return steady_time{steady_time::duration{latest_.load()}}; }
  /// When the last one of this name was, "schema.name" or bare.
  [[nodiscard]] steady_time latest(std::string_view table) const;

 private:
  std::atomic<steady_time::rep> latest_{steady_time::min().time_since_epoch().count()};
  mutable std::mutex mutex_;
  std::map<std::string, steady_time, std::less<>> names_;
};

/// A relation's name without its schema.
[[nodiscard]] constexpr std::string_view bare_name(std::string_view table) noexcept {
  return table.substr(table.rfind('.') + 1);
}

}  // namespace pgbraid::proxy
