// How many clients of each user and of each database are logged in, over all workers.
#pragma once

#include <map>
#include <mutex>
#include <string>

namespace pgbraid::proxy {

/// runs on: any thread.
class client_counts {
 public:
  /// One name's count: kept as long as it is not 0.
  using entry = std::pair<const std::string, unsigned>;

  /// Counts one more client of `name`, unless there are `limit` already (0: no limit): then null.
  [[nodiscard]] entry* enter(const std::string& name, unsigned limit);
  /// Takes back what enter() gave.
  void leave(entry* counted);

 private:
  std::mutex mutex_;
  std::map<std::string, unsigned> counts_;
};

}  // namespace pgbraid::proxy
