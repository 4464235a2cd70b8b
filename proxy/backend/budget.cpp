#include "proxy/backend/budget.hpp"

#include <algorithm>
#include <utility>

namespace pgbraid::proxy {

// --- groups ------------------------------------------------------------------------------------------------------------

bool connection_group::enter() {
  const std::lock_guard lock{mutex_};
  const unsigned limit = limit_.load(std::memory_order_relaxed);
  if (limit != 0 && open_ >= limit) return false;
  ++open_;
  return true;
}

void connection_group::leave() {
  const std::lock_guard lock{mutex_};
  --open_;
}

void connection_group::change_limit(unsigned limit) { limit_.store(limit, std::memory_order_relaxed); }

void connection_group::add(std::weak_ptr<server_budget> member) {
  const std::lock_guard lock{mutex_};
  members_.push_back(std::move(member));
}

std::vector<std::shared_ptr<server_budget>> connection_group::members() const {
  std::vector<std::shared_ptr<server_budget>> all;
  const std::lock_guard lock{mutex_};
  for (const auto& each : members_) {
    if (auto alive = each.lock()) all.push_back(std::move(alive));
  }
  return all;
}

// --- budgets -----------------------------------------------------------------------------------------------------------
// Locks: a budget's own, then a group's. No two budgets' at a time.

server_budget::server_budget(const budget_limits& limits, unsigned workers) : limits_{limits}, idle_(workers) {}

void server_budget::join(const connection_groups& groups, const std::shared_ptr<server_budget>& self) {
  if (groups_[0]) return;
  groups_ = groups;
  for (const auto& group : groups_) group->add(self);
}

void server_budget::change(const budget_limits& limits) {
  const std::lock_guard lock{mutex_};
  limits_ = limits;
}

bool server_budget::enter_groups() {
  if (!groups_[0]) return true;
  if (!groups_[0]->enter()) return false;
  if (groups_[1]->enter()) return true;
  groups_[0]->leave();
  return false;
}

void server_budget::leave_groups() {
  if (!groups_[0]) return;
  for (const auto& group : groups_) group->leave();
}

void server_budget::note_waiting() noexcept {
  waiting_.store(static_cast<unsigned>(queue_.size()) + (pressed_[0] || pressed_[1] ? 1U : 0U));
}

int server_budget::idle_worker() const noexcept {
  for (std::size_t i = 0; i < idle_.size(); ++i) {
    if (idle_[i].load() > 0) return static_cast<int>(i);
  }
  return -1;
}

void server_budget::idle(unsigned number, unsigned count, const server_endpoint* endpoint) noexcept {
  endpoint_.store(endpoint, std::memory_order_relaxed);
  idle_[number].store(count);
}

server_budget::answer server_budget::ask(const lease_request_ptr& request) {
  bool want_of_group = false;
  {
    const std::lock_guard lock{mutex_};
    drop_withdrawn();
    if (open_ < limits_.size && queue_.empty() && enter_groups()) {
      ++open_;
      return {outcome::connect, -1, nullptr};
    }
    want_of_group = open_ < limits_.size;
    queue_.push_back(request);
    note_waiting();
  }
  if (const int own = idle_worker(); own >= 0) return {outcome::wait, own, nullptr};
  if (!want_of_group || !limited()) return {outcome::wait, -1, nullptr};
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (!groups_[g]->limited()) continue;
    review(g);
    for (const auto& other : groups_[g]->members()) {
      const server_endpoint* endpoint = other->endpoint_.load(std::memory_order_relaxed);
      if (const int lender = other->idle_worker(); lender >= 0 && endpoint != nullptr) return {outcome::wait, lender, endpoint};
    }
  }
  return {outcome::wait, -1, nullptr};
}

void server_budget::drop_withdrawn() {
  while (!queue_.empty() && queue_.front()->withdrawn.load(std::memory_order_relaxed)) queue_.pop_front();
}

lease_request_ptr server_budget::pop() {
  drop_withdrawn();
  lease_request_ptr found;
  if (!queue_.empty()) {
    found = std::move(queue_.front());
    queue_.pop_front();
  }
  note_waiting();
  return found;
}

lease_request_ptr server_budget::next() {
  const std::lock_guard lock{mutex_};
  return pop();
}

lease_request_ptr server_budget::try_open(unsigned limit) {
  if (open_ >= limit) return nullptr;
  drop_withdrawn();
  if (queue_.empty() || !enter_groups()) {
    note_waiting();
    return nullptr;
  }
  ++open_;
  return pop();
}

lease_request_ptr server_budget::closed() {
  {
    const std::lock_guard lock{mutex_};
    --open_;
    leave_groups();
    if (!limited()) return try_open(limits_.size);
  }
  return open_in_groups();
}

lease_request_ptr server_budget::open_more(time_point long_ago) {
  {
    const std::lock_guard lock{mutex_};
    if (lease_request_ptr first = try_open(limits_.size)) return first;
    drop_withdrawn();
    if (limits_.reserve > 0 && !queue_.empty() && queue_.front()->asked <= long_ago) {
      if (lease_request_ptr first = try_open(limits_.size + limits_.reserve)) return first;
    }
  }
  return nullptr;
}

std::optional<server_budget::time_point> server_budget::waits_since(bool for_group) {
  const std::lock_guard lock{mutex_};
  drop_withdrawn();
  if (queue_.empty() || (for_group && open_ >= limits_.size)) return std::nullopt;
  return queue_.front()->asked;
}

// Room in a group belongs to whoever of its members waits longest.
lease_request_ptr server_budget::open_in_groups() {
  std::vector<std::pair<time_point, std::shared_ptr<server_budget>>> waiting;
  for (const auto& group : groups_) {
    for (auto& member : group->members()) {
      if (const auto since = member->waits_since(true)) waiting.emplace_back(*since, std::move(member));
    }
  }
  std::sort(waiting.begin(), waiting.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [since, member] : waiting) {
    const std::lock_guard lock{member->mutex_};
    if (lease_request_ptr first = member->try_open(member->limits_.size)) return first;
  }
  return nullptr;
}

// Tells every member since when another one waits for room.
void server_budget::review(std::size_t group) {
  const auto members = groups_[group]->members();
  std::optional<time_point> oldest, second;
  const server_budget* whose = nullptr;
  for (const auto& member : members) {
    const auto since = member->waits_since(true);
    if (!since) continue;
    if (!oldest || *since < *oldest) {
      second = std::exchange(oldest, since);
      whose = member.get();
    } else if (!second || *since < *second) {
      second = since;
    }
  }
  for (const auto& member : members) {
    const std::lock_guard lock{member->mutex_};
    member->pressed_[group] = member.get() == whose ? second : oldest;
    member->note_waiting();
  }
}

bool server_budget::yields() {
  if (!groups_[0]) return false;
  for (std::size_t g = 0; g < groups_.size(); ++g) review(g);
  const std::lock_guard lock{mutex_};
  drop_withdrawn();
  const auto older = [this](const std::optional<time_point>& pressed) {
    return pressed && (queue_.empty() || *pressed < queue_.front()->asked);
  };
  return older(pressed_[0]) || older(pressed_[1]);
}

bool server_budget::surplus() const {
  const std::lock_guard lock{mutex_};
  return open_ > limits_.size;
}

unsigned server_budget::open() const {
  const std::lock_guard lock{mutex_};
  return open_;
}

}  // namespace pgbraid::proxy
