// Fuzz target: a session's state machine between a client and servers of which each may say anything at any time. The
// input is a script: every byte chooses an event, the bytes behind it what the event says. Honest answers are events too,
// so that scripts get past the first messages.
#include "proxy/session/machine.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/frontend.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/unit/router_plan/fixture.hpp"

namespace {

using namespace pgbraid::proxy;
using pgbraid::fuzz::require;
namespace p = pgbraid::protocol;
namespace router = pgbraid::router;

constexpr std::string_view statements[] = {
    "SELECT name FROM customers WHERE id = 1", "SELECT name FROM customers WHERE id = $1", "SELECT name FROM customers",
    "UPDATE customers SET name = 'x' WHERE id = 2", "INSERT INTO customers (id, name) VALUES ($1, $2)", "BEGIN",
    "COMMIT", "ROLLBACK", "SAVEPOINT a", "ROLLBACK TO a", "RELEASE a", "SET work_mem = '1MB'",
    "SET LOCAL work_mem = '2MB'", "RESET ALL", "DISCARD ALL", "DEALLOCATE ALL", "DEALLOCATE a", "PREPARE q AS SELECT 1",
    "LISTEN x", "CREATE TEMP TABLE t (a int)", "DO 'BEGIN END'", "SELECT 1; SELECT 2", "BEGIN; SELECT 1",
    "COPY customers FROM STDIN", "COPY (SELECT name FROM customers) TO STDOUT",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "", "SELECT", "BEGIN ISOLATION LEVEL SERIALIZABLE",
    "SET TRANSACTION READ ONLY", "SELECT set_config('a.b', 'c', true)",
    // Several shards: rows and copies that are split, rows that are gathered, commits on all of them.
    "UPDATE customers SET name = 'x' WHERE id = 1", "UPDATE customers SET name = 'x' WHERE id = 3",
    "INSERT INTO customers (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c') RETURNING id",
    "UPDATE customers SET name = 'y'", "UPDATE countries SET name = 'z'", "SELECT count(*) FROM orders",
    "SELECT name FROM customers ORDER BY name LIMIT 1", "COPY customers (id, name) FROM STDIN WITH (FORMAT csv)",
    "COPY customers FROM STDIN (FORMAT binary)", "COPY countries FROM STDIN", "COMMIT AND CHAIN",
    "PREPARE TRANSACTION 'p'",
    // What the session shares with others, and what it cannot.
    "LISTEN y", "UNLISTEN x", "UNLISTEN *", "NOTIFY x, 'z'", "SELECT pg_notify('x', 'z')", "LISTEN x; LISTEN y",
    "SELECT * FROM pg_listening_channels()", "SELECT lastval()", "EXECUTE q", "ALTER ROLE app SET work_mem = '1MB'",
    // Snapshots of several shards; writes in WITH; cursors over gathered rows.
    "BEGIN ISOLATION LEVEL REPEATABLE READ",
    "WITH u AS (UPDATE customers SET name = 'x' RETURNING id) SELECT count(*) FROM u",
    "WITH i AS (INSERT INTO customers (id, name) VALUES (1, 'a'), (2, 'b') RETURNING id) DELETE FROM orders USING i "
    "WHERE customer_id = i.id",
    "DECLARE c CURSOR FOR SELECT name FROM customers", "FETCH ALL FROM c", "LOCK TABLE countries", "VACUUM customers",
    "ANALYZE customers", "CREATE INDEX CONCURRENTLY by_name ON customers (name)", "DROP INDEX CONCURRENTLY by_name"};
constexpr std::string_view names[] = {"", "a", "b"};
constexpr std::string_view channels[] = {"x", "y", "z"};
constexpr char server_types[] = "123TDCZENASGHWnsItVdc";
constexpr char client_types[] = "QPBDECSHFdcfXp";
constexpr std::size_t max_events = 400;

class script {
 public:
  script(const std::uint8_t* data, std::size_t size) : left_{reinterpret_cast<const char*>(data), size} {}
  [[nodiscard]] bool ended() const noexcept { return left_.empty(); }
  std::uint8_t byte() {
    if (left_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(left_.front());
    left_.remove_prefix(1);
    return value;
  }
  std::string_view bytes() {
    const std::string_view taken = left_.substr(0, byte());
    left_.remove_prefix(taken.size());
    return taken;
  }
  template <typename T, std::size_t N>
  const T& one_of(const T (&list)[N]) {
    return list[byte() % N];
  }

 private:
  std::string_view left_;
};

std::string frame(char type, std::string_view body) {
  std::string out(p::frame_header_size, type);
  const auto length = static_cast<std::uint32_t>(body.size() + 4);
  for (int i = 0; i < 4; ++i) out[static_cast<std::size_t>(1 + i)] = static_cast<char>(length >> (24 - 8 * i));
  return out.append(body);
}

std::string error(std::string_view sqlstate) {
  return frame('E', std::string{"SERROR"} + '\0' + "VERROR" + '\0' + "C" + std::string{sqlstate} + '\0' + "Mno" + '\0' + '\0');
}

// A server's answer to a statement: its tag, or what COPY begins with.
std::string result_of(std::string_view text, bool rows) {
  const auto has = [&](std::string_view part) { return text.find(part) != std::string_view::npos; };
  if (has("FROM STDIN")) return frame('G', std::string_view{"\0\0\0", 3});
  std::string out;
  if (rows) out = frame('D', std::string_view{"\0\1\0\0\0\2[]", 8});
  std::string tag = has("PREPARE TRANSACTION") ? "PREPARE TRANSACTION" : text.starts_with("COMMIT") ? "COMMIT" : "SELECT 1";
  return out + frame('C', tag.append(1, '\0'));
}

struct server {
  router::shard_index shard = 0;
  branch_index branch = 0;
  bool replica = false, leased = false;
  backend_facts facts;
  std::string asked, pending;
};

database_state_ptr make_state(std::size_t shards, bool replicas, bool several_writers, bool consistent = false) {
  auto state = std::make_shared<database_state>();
  auto map = std::make_shared<router::topology>(router::test::demo_topology(shards));
  map->replicas = replicas ? router::replica_use::prefer : router::replica_use::off;
  map->consistent = consistent;
  state->name = map->database;
  state->served = true;
  state->map = std::move(map);
  auto schema = std::make_shared<router::catalog>(router::test::demo_catalog());
  state->shards.resize(shards);
  if (several_writers) {
    schema->single_writer.clear();
    for (std::size_t i = 0; i < shards; ++i) state->shards[i].identity = shard_identity(0x10 + i, "db");
  }
  state->schema = std::move(schema);
  return state;
}

// Made once: it never changes, and to make it takes longer than a whole script.
database_state_ptr demo_state(std::size_t shards, bool replicas, bool several_writers, bool consistent) {
  static const database_state_ptr made[] = {make_state(1, false, false),      make_state(1, true, false),
                                            make_state(2, false, false),      make_state(2, true, false),
                                            make_state(2, false, true),       make_state(2, true, true),
                                            make_state(2, false, true, true), make_state(2, true, true, true)};
  return made[shards == 1 ? replicas : (consistent ? 6U : several_writers ? 4U : 2U) + replicas];
}

/// Carries out what the machine wants, as the driver of sockets would.
class driver {
 public:
  explicit driver(std::uint8_t options) : hold_leases_{(options & 4) != 0}, replicas_{(options & 2) != 0} {
    environment_.state = demo_state(1 + (options & 1), replicas_, (options & 8) != 0, (options & 64) != 0);
    if ((options & 16) != 0) environment_.pool_mode = pgbraid::config::pool_mode::session;
    if ((options & 32) != 0) environment_.pool_mode = pgbraid::config::pool_mode::statement;
    environment_.max_notifications = 256;
    environment_.max_message_bytes = 4096;
    environment_.max_backend_statements = 2;
    machine_ = std::make_unique<session_machine>(environment_, "app", settings_.none(), 1);
  }

  [[nodiscard]] bool closed() const noexcept { return closed_; }

  void client(std::string_view bytes) {
    unread_.append(bytes);
    deliver();
  }

  void answer(server& from, std::string_view bytes) {
    if (!from.leased) return;
    from.pending.append(bytes);
    read(from);
    for (std::size_t i = 0; i < 64 && !resumed_.empty(); ++i) {
      server* const held = at(resumed_.front());
      resumed_.pop_front();
      if (held != nullptr) read(*held);
    }
    deliver();
  }

  // What a server would answer to all that it has been asked.
  void answer_honestly(server& from, char status, bool fail, bool rows) {
    std::string out;
    bool skipping = false;
    p::frame_view f;
    while (p::next_frame(from.asked, std::size_t{1} << 20, f) == p::frame_status::complete) {
      const char type = f.type;
      const std::string body{f.body};
      from.asked.erase(0, f.total);
      if (type == 'S') skipping = false;
      if (skipping) continue;
      const std::string ready = frame('Z', {&status, 1});
      if (fail && type != 'S' && type != 'H') {
        out += error(body.find("commit_gate") == std::string::npos ? "22012" : "55P03") + (type == 'Q' ? ready : "");
        skipping = type != 'Q';
        continue;
      }
      switch (type) {
        case 'Q': {
          const std::string result = result_of(std::string_view{body}.substr(0, body.size() - 1), rows);
          out += result.front() == 'G' ? result : result + ready;
          break;
        }
        case 'c': out += frame('C', std::string_view{"COPY 1\0", 7}) + ready; break;
        case 'f': out += error("57014") + ready; break;
        case 'P': out += frame('1', {}); break;
        case 'B': out += frame('2', {}); break;
        case 'D':
          if (body.starts_with('S')) out += frame('t', std::string_view{"\0\0", 2});
          out += rows ? frame('T', std::string_view{"\0\1a\0\0\0\0\0\0\0\0\0\0\27\0\4\377\377\377\377\0\0", 22}) : frame('n', {});
          break;
        case 'E': out += result_of({}, rows); break;
        case 'C': out += frame('3', {}); break;
        case 'S': out += ready; break;
        default: break;
      }
    }
    answer(from, out);
  }

  void lose(server& gone) {
    if (!gone.leased) return;
    gone.leased = false;
    gone.asked.clear();
    gone.pending.clear();
    step_.clear();
    machine_->on_backend_lost(step_, gone.branch, "gone");
    run();
    deliver();
  }

  void grant(bool fail) {
    if (waiting_.empty()) return;
    const action wanted = waiting_.front();
    waiting_.pop_front();
    step_.clear();
    if (fail) {
      machine_->on_lease_failed(step_, wanted.branch, p::make_error(p::error_id::server_login_failed, "no"));
    } else {
      lease(wanted);
    }
    run();
    deliver();
  }

  void notified(std::int32_t pid, std::string_view channel, std::string_view payload) {
    p::notification_view told;
    told.pid = pid;
    told.channel = channel;
    told.payload = payload;
    step_.clear();
    machine_->on_notification(step_, 0, told);
    run();
    deliver();
  }

  void catch_up() {
    if (behind_ == 0) return;
    --behind_;
    step_.clear();
    machine_->on_caught_up(step_);
    run();
    deliver();
  }

  void lose_listener() {
    // Nobody answers any more.
    behind_ = 0;
    step_.clear();
    machine_->on_listener_lost(step_, "gone");
    run();
    deliver();
  }

  void deadlock() {
    step_.clear();
    machine_->on_deadlock(step_);
    run();
    deliver();
  }

  void cancel() {
    step_.clear();
    machine_->on_cancel(step_);
    run();
    deliver();
  }

  server* some_server(std::uint8_t n) { return servers_.empty() ? nullptr : servers_[n % servers_.size()].get(); }

 private:
  [[nodiscard]] backend_facts fresh() const {
    backend_facts facts;
    facts.current = settings_.none();
    return facts;
  }

  server* at(branch_index branch) {
    for (const auto& s : servers_) {
      if (s->leased && s->branch == branch) return s.get();
    }
    return nullptr;
  }

  void deliver() {
    if (delivering_) return;
    delivering_ = true;
    while (reading_ && !closed_ && !unread_.empty()) {
      // A buffer of its own for every read: a view that is kept too long is seen.
      const std::size_t kept = size_ - begin_;
      auto larger = std::make_unique<char[]>(kept + unread_.size());
      if (kept > 0) std::memcpy(larger.get(), input_.get() + begin_, kept);
      std::memcpy(larger.get() + kept, unread_.data(), unread_.size());
      size_ = kept + unread_.size();
      begin_ = 0;
      unread_.clear();
      input_ = std::move(larger);
      reading_ = false;
      step_.clear();
      machine_->on_client(step_, {input_.get(), size_});
      run();
    }
    delivering_ = false;
  }

  void read(server& from) {
    const std::unique_ptr<char[]> data = std::make_unique<char[]>(from.pending.size());
    std::memcpy(data.get(), from.pending.data(), from.pending.size());
    const std::size_t size = from.pending.size();
    step_.clear();
    const std::size_t used = machine_->on_backend(step_, from.branch, {data.get(), size});
    require(used <= size);
    from.pending.erase(0, used);
    run();
  }

  void lease(const action& wanted) {
    if (wanted.same) return machine_->on_lease_failed(step_, wanted.branch, p::make_error(p::error_id::sequence_memory));
    const bool replica = wanted.replica && replicas_;
    server* found = nullptr;
    for (const auto& s : servers_) {
      if (!s->leased && s->shard == wanted.shard && s->replica == replica) found = s.get();
    }
    if (found == nullptr) {
      servers_.push_back(std::make_unique<server>());
      found = servers_.back().get();
      found->shard = wanted.shard;
      found->replica = replica;
      found->facts.current = settings_.none();
    }
    require(at(wanted.branch) == nullptr);
    found->leased = true;
    found->branch = wanted.branch;
    machine_->on_lease(step_, wanted.branch, found->facts, replica);
  }

  void run() {
    for (std::size_t rounds = 0; !closed_; ++rounds) {
      require(rounds < 100'000);
      for (std::size_t i = 0; i < step_.actions.size() && !closed_; ++i) perform(action{step_.actions[i]});
      const bool more = step_.more_input;
      const bool wanted = step_.read_client || more;
      begin_ += step_.consumed;
      require(begin_ <= size_);
      if (!wanted) return;
      if (!more || begin_ == size_) break;
      step_.clear();
      machine_->on_client(step_, {input_.get() + begin_, size_ - begin_});
    }
    reading_ = true;
  }

  void perform(const action& a) {
    server* const side = at(a.branch);
    switch (a.kind) {
      case action_kind::to_client: {
        const std::string_view bytes = step_.bytes_of(a);
        told_ += static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), 'E'));
        break;
      }
      case action_kind::to_backend:
        if (side != nullptr) side->asked.append(step_.bytes_of(a));
        break;
      case action_kind::acquire:
        if (hold_leases_) {
          waiting_.push_back(a);
        } else {
          lease(a);
        }
        break;
      case action_kind::release:
        require(side != nullptr);
        side->leased = false;
        // The pool closes a backend that has something to say to nobody.
        if (!side->pending.empty()) side->facts = fresh();
        side->pending.clear();
        side->asked.clear();
        break;
      case action_kind::discard:
        std::erase_if(waiting_, [&](const action& w) { return w.branch == a.branch; });
        if (side == nullptr) break;
        side->leased = false;
        side->facts = fresh();
        side->pending.clear();
        side->asked.clear();
        break;
      case action_kind::hold:
        break;
      case action_kind::resume:
        resumed_.push_back(a.branch);
        break;
      case action_kind::cancel:
      case action_kind::doubt:
        require(side != nullptr);
        break;
      case action_kind::hear:
        require(machine_->wanted_channels().size() <= std::size(channels));
        break;
      case action_kind::catch_up:
        // One at a time.
        require(behind_ == 0 && machine_->listens());
        ++behind_;
        break;
      case action_kind::renew:
        break;
      case action_kind::close:
        closed_ = true;
        break;
    }
  }

  settings_registry settings_;
  statement_memory statement_memory_;
  statement_registry statement_registry_{0, statement_memory_};
  routing_contexts contexts_{std::size_t{1} << 16};
  session_environment environment_{settings_, statement_registry_, contexts_, nullptr};
  std::unique_ptr<session_machine> machine_;
  step step_;
  std::vector<std::unique_ptr<server>> servers_;
  std::deque<action> waiting_;
  std::deque<branch_index> resumed_;
  std::string unread_;
  std::unique_ptr<char[]> input_;
  std::size_t begin_ = 0, size_ = 0, told_ = 0, behind_ = 0;
  bool hold_leases_, replicas_, reading_ = true, delivering_ = false, closed_ = false;
};

std::string honest_message(script& in) {
  std::string out;
  const std::string_view name = in.one_of(names), portal = in.one_of(names);
  switch (in.byte() % 8) {
    case 0: p::encode_parse(out, name, in.one_of(statements)); break;
    case 1: {
      const std::string_view key[] = {in.bytes(), "x"};
      const p::optional_value values[] = {key[0], key[1]};
      p::encode_bind(out, portal, name, {}, {values, in.byte() % 3u}, {});
      break;
    }
    case 2: p::encode_describe(out, in.byte() % 2 == 0 ? p::object_kind::statement : p::object_kind::portal, name); break;
    case 3: p::encode_execute(out, portal, in.byte() % 4); break;
    case 4: p::encode_close(out, in.byte() % 2 == 0 ? p::object_kind::statement : p::object_kind::portal, name); break;
    case 5: p::encode_flush(out); break;
    default: p::encode_sync(out); break;
  }
  return out;
}

void play(driver& d, script& in) {
  constexpr char statuses[] = {'I', 'T', 'E'};
  switch (in.byte() % 16) {
    case 0: {
      std::string out;
      p::encode_query(out, in.one_of(statements));
      return d.client(out);
    }
    case 1:
    case 2: return d.client(honest_message(in));
    case 3: {
      const char type = client_types[in.byte() % (sizeof client_types - 1)];
      return d.client(frame(type, in.bytes()));
    }
    case 4: return d.client(in.bytes());
    case 5:
    case 6: {
      server* const from = d.some_server(in.byte());
      const char status = in.one_of(statuses);
      const std::uint8_t how = in.byte();
      if (from != nullptr) d.answer_honestly(*from, status, how % 8 == 0, how % 4 == 2);
      return;
    }
    case 7: {
      server* const from = d.some_server(in.byte());
      const char type = server_types[in.byte() % (sizeof server_types - 1)];
      if (from != nullptr) d.answer(*from, frame(type, in.bytes()));
      return;
    }
    case 8: {
      server* const from = d.some_server(in.byte());
      if (from != nullptr) d.answer(*from, in.bytes());
      return;
    }
    case 9: {
      server* const gone = d.some_server(in.byte());
      if (gone != nullptr) d.lose(*gone);
      return;
    }
    case 10: return d.cancel();
    case 12: {
      const std::uint8_t pid = in.byte();
      const std::string_view channel = in.one_of(channels);
      return d.notified(pid % 4, channel, in.bytes());
    }
    case 13: return d.catch_up();
    case 14: return in.byte() % 8 == 0 ? d.lose_listener() : d.catch_up();
    case 15: return d.deadlock();
    default: return d.grant(in.byte() % 4 == 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  script in{data, size};
  driver d{in.byte()};
  for (std::size_t events = 0; events < max_events && !in.ended() && !d.closed(); ++events) play(d, in);
  return 0;
}
