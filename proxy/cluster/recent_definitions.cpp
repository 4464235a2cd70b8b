#include "proxy/cluster/recent_definitions.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace {

constexpr std::size_t most_names = 4096;
constexpr std::chrono::minutes kept{10};  // the catalog has been read long since

}  // namespace

void recent_definitions::note(const std::vector<std::string>& names, steady_time ended) {
  const std::lock_guard lock{mutex_};
  if (names_.size() >= most_names)
    std::erase_if(names_, [&](const auto& entry) { return entry.second < ended - kept; });
  for (const std::string& name : names) {
    steady_time& known = names_.try_emplace(name, ended).first->second;
    known = std::max(known, ended);
  }
  const steady_time::rep count = ended.time_since_epoch().count();
  if (latest_.load() < count) latest_.store(count);
}

steady_time recent_definitions::latest(std::string_view table) const {
  const std::lock_guard lock{mutex_};
  const auto found = names_.find(bare_name(table));
  return found == names_.end() ? steady_time::min() : found->second;
}

}  // namespace pgbraid::proxy
