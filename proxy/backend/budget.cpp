#include "proxy/backend/budget.hpp"

namespace pgbraid::proxy {

server_budget::server_budget(unsigned limit, unsigned workers) : limit_{limit}, idle_(workers) {}

server_budget::answer server_budget::ask(const lease_request_ptr& request) {
  const std::lock_guard lock{mutex_};
  if (open_ < limit_ && queue_.empty()) {
    ++open_;
    return {outcome::connect, -1};
  }
  queue_.push_back(request);
  waiting_.store(static_cast<unsigned>(queue_.size()));
  for (std::size_t i = 0; i < idle_.size(); ++i) {
    if (idle_[i].load() > 0) return {outcome::wait, static_cast<int>(i)};
  }
  return {outcome::wait, -1};
}

lease_request_ptr server_budget::pop() {
  lease_request_ptr found;
  while (!queue_.empty() && !found) {
    found = std::move(queue_.front());
    queue_.pop_front();
    if (found->withdrawn.load(std::memory_order_relaxed)) found.reset();
  }
  waiting_.store(static_cast<unsigned>(queue_.size()));
  return found;
}

lease_request_ptr server_budget::next() {
  const std::lock_guard lock{mutex_};
  return pop();
}

lease_request_ptr server_budget::closed() {
  const std::lock_guard lock{mutex_};
  --open_;
  if (open_ >= limit_) return nullptr;
  lease_request_ptr first = pop();
  if (first) ++open_;
  return first;
}

void server_budget::change_limit(unsigned limit) {
  const std::lock_guard lock{mutex_};
  limit_ = limit;
}

unsigned server_budget::open() const {
  const std::lock_guard lock{mutex_};
  return open_;
}

}  // namespace pgbraid::proxy
