// A client's connection: owns the socket, feeds the state machine, carries out its actions. No protocol decision is made here.
#pragma once

#include "proxy/backend/pool.hpp"
#include "proxy/session/machine.hpp"
#include "proxy/session/step.hpp"
#include "proxy/worker/client_counts.hpp"
#include "proxy/worker/channel.hpp"
#include "proxy/worker/read_operation.hpp"

#include <boost/intrusive/list_hook.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

class replication_relay;
class served_database;
struct chosen_server;
struct read_floor;
class worker;

/// What the console tells of a client.
struct session_description {
  std::int32_t pid = 0;  ///< as its BackendKeyData told
  std::string user, database;
  std::string state;    ///< login, replication, idle, in transaction, running, waiting for a server
  std::string servers;  ///< whose connections it holds
  std::string kept_because;  ///< it keeps them between transactions; "" if it does not
  bool in_transaction = false, wrote = false;
};

/// runs on: its worker.
class session final : public boost::intrusive_ref_counter<session, boost::thread_unsafe_counter>,
                      public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>,
                      public backend_holder {
 public:
  session(worker& owner, channel io, std::uint64_t id);
  ~session();

  /// Takes the session from its first byte. The worker keeps it until its connection ends.
  void start();
  /// A cancel request that named it.
  void cancel();
  /// Cancels its statement, or ends it, if it has stood still for longer than the topology's time-outs allow. `now` in
  /// time_steps of its worker; `first`: nobody has looked for a while.
  void watch(std::uint32_t now, bool first);
  static constexpr std::chrono::milliseconds time_step{10};
  /// Its transaction, if that is open on several shards and waits for a server.
  [[nodiscard]] std::optional<waiting_transaction> waiting() const;
  /// More may be known of definitions that it waits for.
  void look_at_catalog();
  [[nodiscard]] const std::string& database_name() const;
  /// Its statement fails with "deadlock detected", if it is still in that cycle.
  void end_deadlock(std::uint32_t cycle);
  /// Ends it with a word of explanation once it is between transactions; at once if `now`.
  void shut_down(bool now);
  [[nodiscard]] worker& owner() noexcept { return worker_; }
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  [[nodiscard]] session_description describe() const;
  [[nodiscard]] bool logged_in() const noexcept { return machine_ != nullptr; }
  [[nodiscard]] std::int32_t cancel_key() const noexcept { return cancel_key_; }

  /// Closes what has been closed by the other side, its own connection or one to a server, where no event tells of it:
  /// see read_operation.
  void look_for_ends();

  // Called by the listening backends that it shares with others.
  void notified(router::shard_index shard, const protocol::notification_view& told);
  void caught_up();
  void listener_lost(std::string_view why);

  /// The server of this pool is not to be talked to any more: whatever is under way there is lost.
  void lose_backends_of(server_pool& pool, std::string_view why);
  void note_promoted(const server_pool& pool) noexcept;
  /// What waited for a primary (see primary_wait) is to be tried again, respectively has waited for too long.
  void ask_again(branch_index branch);
  void waited_in_vain(branch_index branch, const protocol::error_report& why);
  /// What waited for a replica (see replica_wait): false if none will do yet; respectively, it has waited long enough.
  [[nodiscard]] bool try_replica(branch_index branch);
  void go_on_without_replica(branch_index branch);

  void backend_readable(backend& b) override;
  void backend_writable(backend& b) override;
  void backend_lost(backend& b, std::string_view why) override;

 private:
  friend class client_greeting;
  friend class replication_relay;
  friend read_operation<session>;

  struct lease {
    backend_ptr held;
    lease_request_ptr asked;
    server_pool* pool = nullptr;
    steady_time asked_at = steady_time::min();  ///< since when it has waited for a primary
    unsigned restarts = 0;                      ///< of the replica, before it was chosen
    router::shard_index shard = 0;
    bool replica = false;
    bool wants_replica = false, may_wait = false;  ///< as asked for
    bool waits = false;                            ///< stands in the database's primary_wait or replica_wait
    bool held_back = false;                        ///< nothing is read from it until the machine goes on with it
    steady_time floor = steady_time::min();        ///< as asked for
    steady_time shows = steady_time::min();        ///< of the replica that was chosen
  };

  void begin(served_database& database, const std::string& user, settings_ptr startup);
  void read();
  void on_read(const boost::system::error_code& error, std::size_t bytes);
  void process();
  void perform(step& s);
  void run(step& s);
  void acquire(step& s, const action& a);
  enum class patience : std::uint8_t {
    all,      ///< it waits for a replica, if it is to
    none,     ///< not for a replica
    primary,  ///< nor is the primary that is known the right one: it has just been lost
  };
  void ask_for_backend(step& s, branch_index branch, patience wait);
  void take_again(step& s, branch_index branch);
  void take_lease(step& s, branch_index branch, backend_ptr b);
  void leased(branch_index branch, backend_ptr b, const protocol::error_report* error);
  void fail_lease(step& s, branch_index branch, const protocol::error_report& why);
  [[nodiscard]] bool await_primary(branch_index branch, protocol::error_report& why);
  [[nodiscard]] read_floor must_see(const lease& l) const;
  [[nodiscard]] bool await_replica(branch_index branch, const chosen_server& chosen);
  void recall(step& s);
  void note_read(const lease& l);
  void lose(branch_index branch, std::string_view why);
  /// Parts for one call of sendmsg.
  struct send_parts {
    std::array<iovec, 32> list;
    std::array<char, 2048> joined;
    std::size_t count = 0, total = 0;
  };
  [[nodiscard]] static std::size_t gather(const step& s, std::size_t from, send_parts& parts);
  [[nodiscard]] std::size_t send_to_backend(step& s, std::size_t from);
  [[nodiscard]] std::size_t send_to_client(step& s, std::size_t from);
  void release(const action& a);
  void discard(branch_index branch);
  void cancel_branch(branch_index branch);
  void note_write(router::shard_index shard, steady_time when);
  void note_outcome_known(router::shard_index shard, const server_pool& primary);
  void on_writable(const boost::system::error_code& error);
  void drained();
  void read_on(backend& b);
  void close();
  void leave();
  void send_away(const protocol::error_report& why);
  void consume(std::size_t bytes);
  void make_room();
  [[nodiscard]] std::string_view input() const noexcept { return {data_ + begin_, end_ - begin_}; }

  /// What was seen of it when time-outs were last looked at; times in time_steps of its worker.
  struct last_look {
    std::uint32_t cycles = 0, transactions = 0;
    std::uint32_t since = 0, transaction_since = 0;
    session_machine::activity doing = session_machine::activity::idle;
    bool valid = false, cancelled = false;
  };

  static constexpr std::size_t inline_size = 352;


  worker& worker_;
  channel io_;
  std::uint64_t id_;
  std::int32_t cancel_key_;
  served_database* database_ = nullptr;
  std::unique_ptr<session_machine> machine_;
  replication_relay* relay_ = nullptr;        ///< of a replication connection, in place of a machine
  std::vector<lease> leases_;                 ///< by branch
  struct last_read {
    steady_time ended;
    const server_pool* pool = nullptr;
    unsigned restarts = 0;
  };
  /// What its reads must not be older than.
  struct past {
    std::vector<steady_time> writes;          ///< by shard, the end of the last one; max: of unknown outcome
    std::vector<last_read> reads;             ///< by shard, on a replica; empty where nothing depends on it
    consistency_token demanded;               ///< by tokens that it was given
    const server_pool* unsure_of = nullptr;   ///< the lost primary's pool that a write of unknown outcome went to
  };
  std::unique_ptr<past> past_;                ///< null until something of it is known
  [[nodiscard]] past& note_past();
  std::string unsent_;
  char* data_;
  std::size_t begin_ = 0, end_ = 0, capacity_ = inline_size;
  std::unique_ptr<char[]> large_;
  last_look seen_;
  client_counts::entry* counted_user_ = nullptr;      ///< where it is counted
  client_counts::entry* counted_database_ = nullptr;
  bool reading_ = false, wants_input_ = false, waiting_writable_ = false;
  bool closing_ = false, leaving_ = false;
  bool looked_for_end_ = false;                       ///< since the last bytes
  read_operation<session> read_;
  std::array<char, inline_size> inline_;
};
using session_ptr = boost::intrusive_ptr<session>;

}  // namespace pgbraid::proxy
