#include "proxy/worker/shared_state.hpp"

#include "protocol/scram.hpp"

namespace pgbraid::proxy {

shared_state::shared_state(std::shared_ptr<const config::topology> topology, std::shared_ptr<const tls_contexts> tls)
    : mock_key{protocol::scram_nonce()} {
  replace(std::move(topology), std::move(tls));
}

shared_state::~shared_state() { slow_work.join(); }

std::shared_ptr<const config::topology> shared_state::topology() const {
  const std::lock_guard lock{mutex_};
  return topology_;
}

std::shared_ptr<const user_list> shared_state::users() const {
  const std::lock_guard lock{mutex_};
  return users_;
}

std::shared_ptr<const tls_contexts> shared_state::tls() const {
  const std::lock_guard lock{mutex_};
  return tls_;
}

void shared_state::replace(std::shared_ptr<const config::topology> topology, std::shared_ptr<const tls_contexts> tls) {
  auto users = std::make_shared<const user_list>(topology->users);
  const std::lock_guard lock{mutex_};
  topology_ = std::move(topology);
  users_ = std::move(users);
  looked_up.clear();  // the query may be another
  tls_ = std::move(tls);
}

database_state_ptr shared_state::database(const std::string& name) const {
  const std::lock_guard lock{mutex_};
  const auto found = databases_.find(name);
  return found == databases_.end() ? nullptr : found->second;
}

std::vector<database_state_ptr> shared_state::databases() const {
  const std::lock_guard lock{mutex_};
  std::vector<database_state_ptr> all;
  for (const auto& [name, state] : databases_) all.push_back(state);
  return all;
}

void shared_state::publish(database_state_ptr state) {
  const std::lock_guard lock{mutex_};
  databases_[state->name] = std::move(state);
}

std::shared_ptr<server_budget> shared_state::budget(const std::string& key, unsigned limit) {
  const std::lock_guard lock{mutex_};
  auto& found = budgets_[key];
  if (!found) {
    found = std::make_shared<server_budget>(limit == 0 ? config::pool_options{}.size : limit, static_cast<unsigned>(workers.size()));
  } else if (limit != 0) {
    found->change_limit(limit);
  }
  return found;
}

}  // namespace pgbraid::proxy
