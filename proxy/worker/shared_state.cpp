#include "proxy/worker/shared_state.hpp"

#include "protocol/scram.hpp"
#include "proxy/backend/pool.hpp"

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
  gathered.change_limit(topology->limits.max_gather_total);
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

std::shared_ptr<server_budget> shared_state::budget(const server_endpoint& endpoint, const budget_limits* limits) {
  const std::lock_guard lock{mutex_};
  auto& found = budgets_[endpoint.key()];
  if (found && limits == nullptr) return found;
  const budget_limits wanted = limits == nullptr ? budget_limits{} : *limits;
  if (!found) found = std::make_shared<server_budget>(wanted, static_cast<unsigned>(workers.size()));
  const auto group = [&](std::string key, unsigned limit) {
    auto& of_key = groups_[key];
    if (!of_key) {
      // A budget joins when it is made, so that its connections are counted whether there is a limit today or not.
      of_key = std::make_shared<connection_group>();
    }
    of_key->change_limit(limit);
    return of_key;
  };
  const std::string server = endpoint.host + '\0' + std::to_string(endpoint.port) + '\0';
  found->join({group(server + "d" + endpoint.database, wanted.of_database), group(server + "u" + endpoint.user, wanted.of_user)}, found);
  found->change(wanted);
  return found;
}

}  // namespace pgbraid::proxy
