// What all workers have in common. Each member says how it may be touched.
#pragma once

#include "config/config.hpp"
#include "proxy/backend/budget.hpp"
#include "proxy/backend/credentials.hpp"
#include "proxy/cluster/monitor.hpp"
#include "proxy/cluster/snapshot.hpp"
#include "proxy/session/gather_budget.hpp"
#include "proxy/session/statement.hpp"
#include "proxy/session/write_marks.hpp"
#include "proxy/worker/client_counts.hpp"
#include "proxy/worker/pauses.hpp"
#include "proxy/worker/waiting_counts.hpp"
#include "proxy/worker/tls_context.hpp"

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace pgbraid::proxy {

class worker;

struct shared_state {
  shared_state(std::shared_ptr<const config::topology> topology, std::shared_ptr<const tls_contexts> tls);
  ~shared_state();

  // Set before the workers run, never changed afterwards.
  std::vector<worker*> workers;
  std::string mock_key;                      ///< see client_login
  monitor* control_plane = nullptr;          ///< thread-safe itself

  // Thread-safe themselves.
  scram_key_cache keys;
  looked_up_passwords looked_up;
  boost::asio::thread_pool slow_work{1};     ///< PBKDF2
  std::atomic<unsigned> clients{0};
  statement_memory statements;
  client_counts users_clients, databases_clients;
  waiting_counts waiting;
  pauses paused;
  gather_budget gathered;
  write_marks marks{std::chrono::steady_clock::now()};
  std::atomic<unsigned> generation{0};       ///< grows with every change of what new server connections begin with

  /// The topology in force. runs on: any thread.
  [[nodiscard]] std::shared_ptr<const config::topology> topology() const;
  [[nodiscard]] std::shared_ptr<const user_list> users() const;
  /// Certificates and keys of the topology in force, never null. runs on: any thread.
  [[nodiscard]] std::shared_ptr<const tls_contexts> tls() const;
  /// A new topology: users with it, and what its TLS files held. Costs a PBKDF2 for each plain password.
  void replace(std::shared_ptr<const config::topology> topology, std::shared_ptr<const tls_contexts> tls);

  /// The newest state of a database, null if none is known. runs on: any thread.
  [[nodiscard]] database_state_ptr database(const std::string& name) const;
  [[nodiscard]] std::vector<database_state_ptr> databases() const;
  void publish(database_state_ptr state);

  /// The one budget of a server, database and user. Without limits: as it is, the default for a new one.
  /// runs on: any thread.
  [[nodiscard]] std::shared_ptr<server_budget> budget(const server_endpoint& endpoint, const budget_limits* limits);

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const config::topology> topology_;
  std::shared_ptr<const user_list> users_;
  std::shared_ptr<const tls_contexts> tls_;
  std::map<std::string, database_state_ptr> databases_;
  std::map<std::string, std::shared_ptr<server_budget>> budgets_;
  std::map<std::string, std::shared_ptr<connection_group>> groups_;  ///< of a server and a database, or a server and a user
};

}  // namespace pgbraid::proxy
