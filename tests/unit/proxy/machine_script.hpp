// Drives a session_machine by a script: what the client says, what each server answers. Does what the driver of sockets
// does, with strings in place of sockets and a pool that never runs dry.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "machine_notation.hpp"
#include "proxy/session/machine.hpp"

namespace pgbraid::proxy::test {

struct script_options {
  std::size_t shards = 1;
  bool replicas = false;     ///< shards have a replica, given when the machine allows one
  bool several_writers = false;  ///< transactions may write to several shards
  bool consistent = false;       ///< reads.snapshot: consistent
  bool decided = false;          ///< commits.answer: decided
  std::uint32_t blocks = 1;      ///< sharding.sequence_blocks
  bool hold_leases = false;  ///< `acquire` is answered by grant() only
  std::size_t max_message = 64u << 20;
  std::size_t max_gather = 64u << 20;
  config::pool_mode pool_mode = config::pool_mode::transaction;
  bool global = false;  ///< reads.consistency: global, by marks()
  std::size_t client_chunk = 0;  ///< most bytes that the client's side delivers at once; 0: all there are
  std::size_t server_chunk = 0;
  std::function<void(router::catalog&)> alter_catalog = nullptr;  ///< makes the demonstration's catalog another one
  std::size_t client_cut = 0;  ///< the client's stream is also cut at this offset
};

/// Two shards; with `several_writers` a transaction may write to both.
[[nodiscard]] inline script_options two_shards(bool several_writers = false) {
  script_options options;
  options.shards = 2;
  options.several_writers = several_writers;
  return options;
}

/// One session and its servers. A server is called by its shard, with an "r" behind it for a replica: "s0", "s1r".
class machine_script {
 public:
  explicit machine_script(const script_options& options = {});

  /// The client sends these messages.
  void client(std::string_view line) { client_bytes(client_frames(line)); }
  void client_bytes(std::string_view bytes);
  /// The server sends these messages.
  void server(std::string_view name, std::string_view line) { server_bytes(name, server_frames(line)); }
  void server_bytes(std::string_view name, std::string_view bytes);
  /// The server's connection breaks.
  void lose(std::string_view name);
  /// Answers the longest waiting `acquire`.
  void grant();
  void cancel();
  /// The listening backend that the session shares says that `pid` has notified; has caught up; is lost.
  void notified(std::int32_t pid, std::string_view channel, std::string_view payload = "");
  void caught_up();
  void listener_lost();
  /// The process that serves the session on `name`.
  void set_pid(std::string_view name, std::int32_t pid) { of(name).facts.pid = pid; }
  /// As if another session had written through it last.
  void other_wrote(std::string_view name) { of(name).facts.writer = writer_elsewhere; }
  /// As if sessions that cannot be told apart had drawn from sequences through it.
  void other_drew(std::string_view name) { of(name).facts.drawer = several_drawers; }
  /// The session's transaction must give way to others that wait for it.
  void deadlock();
  /// The driver says that more may be known of definitions.
  void look_at_catalog();
  /// As if another session had used the server last.
  void set_on_server(std::string_view name, settings_ptr settings) { of(name).facts.current = std::move(settings); }

  /// As if the server were another one, which has nothing of this session's.
  void forget_on_server(std::string_view name);
  /// As if another session had prepared `statement` there.
  void foreign_on_server(std::string_view name, std::string_view statement);

  /// What the client has been told, respectively the server asked, since this was last asked. Statements that have a
  /// name of pgbraid's on the server are called "own".
  [[nodiscard]] std::string told();
  [[nodiscard]] std::string asked(std::string_view name);
  [[nodiscard]] std::string raw_told();
  [[nodiscard]] std::string raw_asked(std::string_view name);
  /// Leases since this was last asked: "+s0" taken, "-s0" given back, "!s0" discarded, "?s0" cancelled, "*" client
  /// closed, "~s0" waiting ("at once": may not wait for a primary), "@s0" taken after a primary was lost, "ds0" no longer
  /// believed to be one. And what is asked of the listening backend: "hear(a,b)" channels, "catch_up".
  [[nodiscard]] std::string leases();

  /// What the driver answers to `recall`: see on_recall(). And what it was last told to remember.
  std::vector<router::shard_index> touched;
  consistency_token known;
  [[nodiscard]] const consistency_token& remembered() const noexcept { return remembered_; }
  /// What replicas show, as leased from now on; and when what they must show was written, as last asked for.
  steady_time shows = steady_time::min();
  [[nodiscard]] steady_time floor() const noexcept { return floor_; }
  [[nodiscard]] write_marks& marks() noexcept { return marks_; }
  [[nodiscard]] std::uint64_t mark_seed(std::size_t shard) const { return environment_.mark_seeds[shard]; }
  /// Another session's statement has made the servers known better.
  void take_state(database_state_ptr state) {
    environment_.state = std::move(state);
    contexts_.update(environment_.state);
  }
  [[nodiscard]] unsigned awaiting_catalog() const noexcept { return environment_.awaiting_catalog; }
  [[nodiscard]] const database_state& state() const { return *environment_.state; }

  [[nodiscard]] session_machine& machine() { return *machine_; }
  [[nodiscard]] settings_registry& settings() { return settings_; }
  [[nodiscard]] const router::topology& map() const { return *environment_.state->map; }

 private:
  struct server_side {
    std::string name;
    router::shard_index shard = 0;
    bool replica = false;
    bool open = true, leased = false;
    branch_index branch = 0;
    backend_facts facts;
    std::string asked, pending;
  };

  [[nodiscard]] server_side& of(std::string_view name);
  [[nodiscard]] server_side* at(branch_index branch);
  void lease(const action& wanted);
  void deliver_client();
  void deliver_server(server_side& from);
  void run();
  void perform();
  void perform(const action& a);
  void note(char sign, std::string_view name);

  script_options options_;
  settings_registry settings_;
  statement_memory memory_;
  statement_registry statements_{0, memory_};
  routing_contexts contexts_{1u << 20};
  session_environment environment_;
  std::unique_ptr<session_machine> machine_;
  step step_;
  std::vector<std::unique_ptr<server_side>> servers_;
  std::deque<action> waiting_;
  std::deque<branch_index> resumed_;
  std::string unread_;             ///< sent by the client, not yet read
  std::unique_ptr<char[]> input_;  ///< of exactly the size of what it holds
  std::size_t input_size_ = 0, input_begin_ = 0, offset_ = 0;
  bool reading_ = true, closed_ = false, delivering_ = false;
  std::string told_, leases_;
  consistency_token remembered_;
  steady_time floor_ = steady_time::min();
  write_marks marks_{steady_time::min()};
};

}  // namespace pgbraid::proxy::test
