#include "proxy/worker/client_counts.hpp"

namespace pgbraid::proxy {

client_counts::entry* client_counts::enter(const std::string& name, unsigned limit) {
  const std::lock_guard lock{mutex_};
  const auto counted = counts_.try_emplace(name, 0).first;
  if (limit != 0 && counted->second >= limit) return nullptr;
  ++counted->second;
  return &*counted;
}

void client_counts::leave(entry* counted) {
  const std::lock_guard lock{mutex_};
  if (--counted->second == 0) counts_.erase(counted->first);
}

}  // namespace pgbraid::proxy
