#include "proxy/worker/replica_wait.hpp"

#include "proxy/worker/worker.hpp"

#include <algorithm>
#include <utility>

namespace pgbraid::proxy {

replica_wait::replica_wait(worker& owner) : timer_{owner.context().get_executor()} {}

void replica_wait::add(session_ptr who, branch_index branch, router::shard_index shard, steady_time until) {
  const auto after = std::upper_bound(waiting_.begin(), waiting_.end(), until,
                                      [](steady_time t, const place& other) { return t < other.until; });
  const bool first = after == waiting_.begin();
  waiting_.insert(after, {std::move(who), branch, shard, until});
  if (first) arm();
}

void replica_wait::remove(const session& who, branch_index branch) {
  std::erase_if(waiting_, [&](const place& p) { return p.who.get() == &who && p.branch == branch; });
}

bool replica_wait::anybody(router::shard_index shard) const noexcept {
  return std::any_of(waiting_.begin(), waiting_.end(), [shard](const place& p) { return p.shard == shard; });
}

void replica_wait::look() {
  // Whoever goes on may ask for the next read at once, and so come to stand here again.
  std::deque<place> before = std::exchange(waiting_, {});
  for (place& each : before) {
    if (!each.who->try_replica(each.branch)) add(std::move(each.who), each.branch, each.shard, each.until);
  }
}

void replica_wait::arm() {
  timer_.expires_at(waiting_.front().until);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) expire();
  });
}

void replica_wait::expire() {
  const steady_time now = std::chrono::steady_clock::now();
  while (!waiting_.empty() && waiting_.front().until <= now) {
    const place late = std::move(waiting_.front());
    waiting_.pop_front();
    late.who->go_on_without_replica(late.branch);
  }
  if (!waiting_.empty()) arm();
}

}  // namespace pgbraid::proxy
