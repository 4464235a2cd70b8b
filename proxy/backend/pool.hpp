// A worker's backends for one server, database and user; what they share with the other workers is the budget.
#pragma once

#include "config/config.hpp"
#include "protocol/errors.hpp"
#include "protocol/startup.hpp"
#include "proxy/backend/backend.hpp"
#include "proxy/backend/budget.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

namespace pgbraid::proxy {

class worker;

/// Where a pool's connections go and as whom.
struct server_endpoint {
  std::string host;             ///< name, address, or Unix-socket directory
  std::uint16_t port = 5432;
  std::string database;
  std::string user;
  std::string label;            ///< "shard s0, 127.0.0.1:6100", for messages
  config::server_tls tls;

  [[nodiscard]] std::string key() const;
};

/// The answer to a wish for a backend: the backend, or why there is none.
using lease_callback = std::function<void(backend_ptr, const protocol::error_report*)>;

/// runs on: its worker.
class server_pool final : private backend_holder {
 public:
  server_pool(worker& owner, server_endpoint endpoint, std::shared_ptr<server_budget> budget);
  ~server_pool();

  /// An idle backend if there is one and nobody waits; null otherwise.
  [[nodiscard]] backend_ptr take();
  /// The idle backend with this process, if session `drawer` is the only one that may have drawn from sequences there.
  [[nodiscard]] backend_ptr take_again(std::uint64_t drawer, std::int32_t pid);
  /// Asks for a backend; `callback` is called later, never from within.
  [[nodiscard]] lease_request_ptr request(lease_callback callback);
  void withdraw(const lease_request_ptr& request);
  /// Gives a clean backend back.
  void give_back(backend_ptr b);
  /// Gives a backend back once DISCARD ALL has rid it of its session's state.
  void clean(backend_ptr b);
  /// Closes a backend that must not be used again.
  void discard(backend& b);

  // Called by backends, by the login, and by other workers through this pool's worker.
  void idle_bytes(backend& b);
  void backend_closed(backend& b);
  void connected(std::uint64_t request, backend_ptr b);
  void connect_failed(std::uint64_t request, const protocol::error_report& error);
  void lend();
  /// Closes idle backends for other budgets of a full group.
  void make_room();
  void adopt(std::uint64_t request, lent_state lent);
  void open_for(std::uint64_t request);

  /// What time brings: requests that have waited longer than they may are answered, the reserve is opened, idle backends
  /// are closed that are too old or too many.
  void expire(std::chrono::steady_clock::time_point now);
  void look_for_ends();
  void close_idle();
  /// Backends that are open now are not handed out any more.
  void renew();
  /// Whoever waits for a connection to this server is told that there will be none.
  void refuse_all(const protocol::error_report& why);
  /// See worker::note_promoted().
  void note_promoted() noexcept;
  /// When a backend that is connected now has come of age.
  [[nodiscard]] std::chrono::steady_clock::time_point retirement(std::chrono::steady_clock::time_point now);
  [[nodiscard]] const server_endpoint& endpoint() const noexcept { return endpoint_; }
  [[nodiscard]] worker& owner() noexcept { return owner_; }
  [[nodiscard]] unsigned in_use() const noexcept { return in_use_; }
  [[nodiscard]] server_budget& budget() noexcept { return *budget_; }

  std::chrono::milliseconds idle_timeout{600'000};  ///< how long a backend may stand idle
  std::chrono::milliseconds lifetime{3'600'000};    ///< 0: no end
  std::chrono::milliseconds reserve_after{5'000};
  /// What the first login to this server was told of its settings; it comes along with a backend that another worker lends.
  std::shared_ptr<const protocol::parameter_list> parameters;

 private:
  void backend_readable(backend& b) override;
  void backend_writable(backend&) override {}
  void backend_lost(backend& b, std::string_view why) override;
  void serve(const lease_request_ptr& request, backend_ptr b);
  void grant(const lease_request_ptr& request);
  void answer(std::uint64_t request, backend_ptr b, const protocol::error_report* error);
  void refuse(const std::vector<std::uint64_t>& late);
  void withdraw(std::uint64_t id, const protocol::error_report& why);
  void note_idle() noexcept;

  worker& owner_;
  server_endpoint endpoint_;
  std::shared_ptr<server_budget> budget_;
  std::vector<backend_ptr> idle_;
  std::vector<backend_ptr> cleaning_;  ///< DISCARD ALL is under way
  struct waiting {
    lease_request_ptr request;
    lease_callback callback;
    std::chrono::steady_clock::time_point deadline;
  };
  std::unordered_map<std::uint64_t, waiting> waiting_;
  std::uint64_t next_request_ = 1;
  std::minstd_rand random_;
  unsigned in_use_ = 0;
};

}  // namespace pgbraid::proxy
