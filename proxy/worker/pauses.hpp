// Shards whose primary nobody is given at present, since somebody said PAUSE.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <utility>

namespace pgbraid::proxy {

/// runs on: any thread.
class pauses {
 public:
  void set(const std::string& database, const std::string& shard, bool paused) {
    const std::lock_guard lock{mutex_};
    if (paused) {
      paused_.emplace(database, shard);
    } else {
      paused_.erase({database, shard});
    }
  }
  [[nodiscard]] bool is_paused(const std::string& database, const std::string& shard) const {
    const std::lock_guard lock{mutex_};
    return paused_.contains({database, shard});
  }

 private:
  mutable std::mutex mutex_;
  std::set<std::pair<std::string, std::string>> paused_;
};

}  // namespace pgbraid::proxy
