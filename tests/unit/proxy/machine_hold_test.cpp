// The session's machine under reads.snapshot: consistent: the gates that are taken before shards are read, and let go.
#include <catch2/catch.hpp>

#include "machine_script.hpp"
#include "tests/unit/router_plan/fixture.hpp"

using namespace pgbraid::proxy::test;

namespace {

script_options consistent() {
  script_options options = two_shards(true);
  options.consistent = true;
  return options;
}

// The notation calls what begins with pgbraid_ "own".
std::string gate(int wait, bool again = false) {
  return std::string("Q(") + (again ? "ROLLBACK TO SAVEPOINT ownhold" : "SAVEPOINT ownhold") +
         "; SET LOCAL lock_timeout = " + std::to_string(wait) + "; LOCK TABLE pgbraid.commit_gate IN SHARE MODE)";
}

/// Of the tables of one read in a transaction of pgbraid's own, before the gates.
const std::string tables =
    "Q(SAVEPOINT ownhold; LOCK TABLE \"public\".\"customers\" IN ACCESS SHARE MODE; RELEASE SAVEPOINT ownhold)";
constexpr const char* tables_locked = "C(SAVEPOINT) C(LOCK TABLE) C(RELEASE) Z(T) ";
const std::string begin = "Q(BEGIN ISOLATION LEVEL REPEATABLE READ)";
const std::string snapshot = "Q(SELECT 1; ROLLBACK TO SAVEPOINT ownhold; RELEASE SAVEPOINT ownhold)";
const std::string release = "Q(ROLLBACK TO SAVEPOINT ownhold; RELEASE SAVEPOINT ownhold)";
const std::string restore = "Q(SET LOCAL lock_timeout TO DEFAULT)";
const std::string read_all = "Q(SELECT name FROM customers)";

constexpr const char* gate_open = "C(SAVEPOINT) C(SET) C(LOCK TABLE) Z(T)";
constexpr const char* gate_open_again = "C(ROLLBACK) C(SET) C(LOCK TABLE) Z(T)";
constexpr const char* seen = "T(c) D(1) C(SELECT 1) C(ROLLBACK) C(RELEASE) Z(T)";

std::string key_on(const machine_script& t, pgbraid::router::shard_index shard) {
  return std::to_string(pgbraid::router::test::keys_on(t.map(), shard, 1).front());
}

}  // namespace

TEST_CASE("all gates are taken before a snapshot is", "[hold]") {
  machine_script t{consistent()};
  t.client(read_all);
  for (const char* server : {"s0", "s1"}) CHECK(t.asked(server) == begin + " " + tables);
  // No gate is held while a table is waited for.
  t.server("s0", std::string("C(BEGIN) Z(T) ") + tables_locked);
  CHECK(t.asked("s0").empty());
  t.server("s1", std::string("C(BEGIN) Z(T) ") + tables_locked);
  for (const char* server : {"s0", "s1"}) CHECK(t.asked(server) == gate(10));
  t.server("s0", gate_open);
  CHECK(t.asked("s0").empty());
  t.server("s1", gate_open);
  CHECK(t.asked("s0") == snapshot + " " + read_all);
  CHECK(t.asked("s1") == snapshot + " " + read_all);
  t.server("s0", std::string(seen) + " T(name) D(a) C(SELECT 1) Z(T)");
  t.server("s1", std::string(seen) + " T(name) D(b) C(SELECT 1) Z(T)");
  CHECK(t.told() == "T(name) D(a) D(b)");
  CHECK(t.asked("s0") == "Q(COMMIT)");
  t.server("s0", "C(COMMIT) Z(I)");
  t.server("s1", "C(COMMIT) Z(I)");
  CHECK(t.told() == "C(SELECT 2) Z(I)");
  CHECK(t.leases() == "+s0 +s1 -s0 -s1");
}

TEST_CASE("who may not lock a table reads it without", "[hold]") {
  machine_script t{consistent()};
  t.client(read_all);
  for (const char* server : {"s0", "s1"}) (void)t.asked(server);
  t.server("s0", std::string("C(BEGIN) Z(T) ") + tables_locked);
  SECTION("where it is not allowed") {
    t.server("s1", "C(BEGIN) Z(T) C(SAVEPOINT) E(42501) Z(E)");
    CHECK(t.asked("s1") == release);
    CHECK(t.asked("s0").empty());
    t.server("s1", "C(ROLLBACK) C(RELEASE) Z(T)");
    for (const char* server : {"s0", "s1"}) CHECK(t.asked(server) == gate(10));
    for (const char* server : {"s0", "s1"}) t.server(server, gate_open);
    CHECK(t.asked("s1") == snapshot + " " + read_all);
  }
  SECTION("but not longer than it wants to wait") {
    t.server("s1", "C(BEGIN) Z(T) C(SAVEPOINT) E(55P03) Z(E)");
    CHECK(t.told() == "E(55P03)");
    for (const char* server : {"s0", "s1"}) {
      CHECK(t.asked(server) == "Q(ROLLBACK)");
      t.server(server, "C(ROLLBACK) Z(I)");
    }
    CHECK(t.told() == "Z(I)");
  }
  SECTION("and gives way to others that wait for it") {
    t.deadlock();
    CHECK(t.leases().find("?s1") != std::string::npos);
    t.server("s1", "C(BEGIN) Z(T) C(SAVEPOINT) E(57014) Z(E)");
    CHECK(t.told() == "E(40P01)");
  }
}

TEST_CASE("a server that cannot be had for a snapshot ends the statement", "[hold]") {
  script_options options = consistent();
  options.hold_leases = true;
  machine_script t{options};
  t.client(begin + " Q(SELECT name FROM customers WHERE id = " + key_on(t, 0) + ")");
  t.grant();
  CHECK(t.told() == "C(BEGIN) Z(T)");
  t.cancel();
  CHECK(t.told() == "E(57014) Z(E)");
}

TEST_CASE("what combines rows and reads stored tables keeps its gate until it has", "[hold]") {
  machine_script t{consistent()};
  t.client("Q(BEGIN) Q(SELECT count(DISTINCT c.name) FROM customers c JOIN countries k ON k.name = c.name)");
  for (const char* server : {"s0", "s1"}) {
    (void)t.asked(server);
    t.server(server, std::string("C(BEGIN) Z(T) ") + gate_open);
  }
  const bool first = t.asked("s0").size() > t.asked("s1").size();
  const std::string combiner = first ? "s0" : "s1", other = first ? "s1" : "s0";
  t.server(other, "C(SET) Z(T) 1 2 C(SELECT 0) Z(T)");
  t.server(combiner, "C(SET) Z(T) 1 T(count) 1 2 C(SELECT 0) Z(T)");
  CHECK(t.asked(combiner).find(release) == std::string::npos);
  t.server(combiner, "1 2 T(count) D(0) C(SELECT 1) Z(T)");
  CHECK(t.asked(combiner) == release);
  CHECK(t.asked(other) == release);
}

TEST_CASE("one shard is read as it comes", "[hold]") {
  machine_script t{consistent()};
  const std::string read = "Q(SELECT name FROM customers WHERE id = " + key_on(t, 0) + ")";
  t.client(read);
  CHECK(t.asked("s0") == read);
}

TEST_CASE("a gate that does not open is asked for again, and all others with it", "[hold]") {
  machine_script t{consistent()};
  t.client(read_all);
  for (const char* server : {"s0", "s1"}) t.server(server, std::string("C(BEGIN) Z(T) ") + tables_locked);
  (void)t.asked("s0");
  (void)t.asked("s1");
  t.server("s0", gate_open);
  t.server("s1", "C(SAVEPOINT) C(SET) E(55P03) Z(E)");
  CHECK(t.asked("s0") == gate(20, true));
  CHECK(t.asked("s1") == gate(20, true));
  CHECK(t.told().empty());
  SECTION("until it opens") {
    t.server("s0", gate_open_again);
    t.server("s1", gate_open_again);
    CHECK(t.asked("s0") == snapshot + " " + read_all);
  }
  SECTION("not for ever") {
    int asked = 2;
    for (; t.told().empty() && asked < 100; ++asked) {
      t.server("s0", gate_open_again);
      t.server("s1", "C(ROLLBACK) C(SET) E(55P03) Z(E)");
      const std::string next = t.asked("s0");
      (void)t.asked("s1");
      if (next == "Q(ROLLBACK)") break;
      CHECK((next.starts_with("Q(ROLLBACK TO SAVEPOINT ownhold; SET LOCAL lock_timeout = ")));
    }
    CHECK(asked == 34);
    t.server("s0", "C(ROLLBACK) Z(I)");
    t.server("s1", "C(ROLLBACK) Z(I)");
    CHECK(t.leases() == "+s0 +s1 -s0 -s1");
  }
  SECTION("nor when it is not there") {
    t.server("s0", gate_open_again);
    t.server("s1", "C(ROLLBACK) C(SET) E(42P01) Z(E)");
    CHECK(t.told() == "E(42P01)");
    CHECK(t.asked("s0") == "Q(ROLLBACK)");
    t.server("s0", "C(ROLLBACK) Z(I)");
    t.server("s1", "C(ROLLBACK) Z(I)");
    CHECK(t.told() == "Z(I)");
  }
}

TEST_CASE("in a READ COMMITTED transaction the gates are held until the statement's end", "[hold]") {
  machine_script t{consistent()};
  t.client("Q(BEGIN) " + read_all);
  CHECK(t.asked("s0") == "Q(BEGIN) " + gate(10));
  for (const char* server : {"s0", "s1"}) t.server(server, std::string("C(BEGIN) Z(T) ") + gate_open);
  CHECK(t.asked("s0") == restore + " " + read_all);
  (void)t.asked("s1");
  (void)t.told();
  t.server("s0", "C(SET) Z(T) T(name) D(a) C(SELECT 1) Z(T)");
  CHECK(t.asked("s0").empty());
  SECTION("which succeeds") {
    t.server("s1", "C(SET) Z(T) T(name) C(SELECT 0) Z(T)");
    CHECK(t.told() == "T(name) D(a) C(SELECT 1) Z(T)");
    CHECK(t.asked("s0") == release);
    CHECK(t.asked("s1") == release);
    // The next statement does not wait for that.
    t.client("Q(SELECT name FROM customers WHERE id = " + key_on(t, 1) + ")");
    CHECK_FALSE(t.asked("s1").empty());
    t.server("s1", "C(ROLLBACK) C(RELEASE) Z(T) T(name) D(b) C(SELECT 1) Z(T)");
    t.server("s0", "C(ROLLBACK) C(RELEASE) Z(T)");
    CHECK(t.told() == "T(name) D(b) C(SELECT 1) Z(T)");
  }
  SECTION("which fails on one of them") {
    t.server("s1", "C(SET) Z(T) E(22012) Z(E)");
    CHECK(t.told().find("E(22012) Z(E)") != std::string::npos);
    CHECK(t.asked("s1").empty());
  }
}

TEST_CASE("a REPEATABLE READ transaction has a snapshot of every shard from its first statement on", "[hold]") {
  machine_script t{consistent()};
  const std::string first = "Q(SELECT name FROM customers WHERE id = " + key_on(t, 0) + ")";
  t.client(begin + " " + first);
  for (const char* server : {"s0", "s1"}) {
    CHECK(t.asked(server) == begin + " " + gate(10));
    t.server(server, std::string("C(BEGIN) Z(T) ") + gate_open);
  }
  CHECK(t.asked("s0") == snapshot + " " + first);
  CHECK(t.asked("s1") == snapshot);
  t.server("s1", seen);
  t.server("s0", std::string(seen) + " T(name) C(SELECT 0) Z(T)");
  CHECK(t.told() == "C(BEGIN) Z(T) T(name) C(SELECT 0) Z(T)");
  t.client(read_all);
  CHECK(t.asked("s0") == read_all);
  CHECK(t.asked("s1") == read_all);
}

TEST_CASE("a commit over two shards goes through their gates", "[hold]") {
  machine_script t{consistent()};
  t.client("Q(BEGIN)");
  for (const pgbraid::router::shard_index shard : {0, 1}) {
    t.client("Q(UPDATE customers SET name = 'x' WHERE id = " + key_on(t, shard) + ")");
    t.server(shard == 0 ? "s0" : "s1", "C(BEGIN) Z(T) C(UPDATE 1) Z(T)");
  }
  (void)t.asked("s0");
  (void)t.asked("s1");
  t.client("Q(COMMIT)");
  const std::string through = "Q(SET LOCAL lock_timeout = 0; LOCK TABLE pgbraid.commit_gate IN ROW EXCLUSIVE MODE; ";
  CHECK(t.asked("s0").starts_with(through));
  CHECK(t.asked("s1").starts_with(through));
}

TEST_CASE("a read that has told nothing when a server is lost is begun anew", "[hold]") {
  machine_script t{consistent()};
  t.client(read_all);
  for (const char* server : {"s0", "s1"}) {
    (void)t.asked(server);
    t.server(server, std::string("C(BEGIN) Z(T) ") + tables_locked);
  }
  for (const char* server : {"s0", "s1"}) t.server(server, gate_open);
  (void)t.leases();
  (void)t.asked("s0");
  (void)t.asked("s1");
  t.lose("s1");
  CHECK(t.told().empty());
  CHECK(t.leases() == "!s0 @s0 @s1");
  CHECK(t.asked("s1") == begin + " " + tables);
}

TEST_CASE("the rows of a batch that reads several shards and nothing else come as they come", "[hold]") {
  machine_script t{consistent()};
  const std::string read = "P(/SELECT name FROM customers) B(/) E";
  t.client("Q(BEGIN)");
  (void)t.told();
  t.client(read + " S");
  for (const char* server : {"s0", "s1"}) {
    CHECK(t.asked(server) == "Q(BEGIN) " + gate(10));
    t.server(server, std::string("C(BEGIN) Z(T) ") + gate_open);
  }
  for (const char* server : {"s0", "s1"}) {
    CHECK(t.asked(server) == restore + " " + read + " S");
    t.server(server, "C(SET) Z(T) 1 2 D(a) C(SELECT 1) Z(T)");
  }
  CHECK(t.told() == "1 2 D(a) D(a) C(SELECT 2) Z(T)");
  for (const char* server : {"s0", "s1"}) CHECK(t.asked(server) == release);
}

TEST_CASE("a batch that joins with stored tables and ends lets all gates go at its end", "[hold]") {
  machine_script t{consistent()};
  t.client("Q(BEGIN)");
  t.client("P(/SELECT count(DISTINCT c.name) FROM customers c JOIN countries k ON k.name = c.name) B(/) E S");
  std::string asked;
  // Whichever shard describes the statement, and combines: each answers what it has been asked.
  for (int round = 0; round < 8; ++round) {
    for (const char* server : {"s0", "s1"}) {
      const std::string now = t.asked(server);
      asked += now;
      std::string answers;
      for (const noted& each : split_notation(now)) {
        if (each.type == 'Q' && each.text.starts_with("BEGIN")) answers += "C(BEGIN) Z(T) ";
        if (each.type == 'Q' && each.text.find("commit_gate") != std::string::npos)
          answers += std::string(gate_open) + " ";
        if (each.type == 'Q' && each.text.starts_with("SET LOCAL")) answers += "C(SET) Z(T) ";
        if (each.type == 'Q' && each.text.starts_with("ROLLBACK")) answers += "C(ROLLBACK) C(RELEASE) Z(T) ";
        if (each.type == 'P') answers += "1 ";
        if (each.type == 'B') answers += "2 ";
        if (each.type == 'E') answers += "C(SELECT 0) ";
        if (each.type == 'S') answers += "Z(T) ";
      }
      if (!answers.empty()) t.server(server, answers);
    }
  }
  CHECK(t.told() == "C(BEGIN) Z(T) 1 2 C(SELECT 0) Z(T)");
  CHECK(asked.find("Q(RELEASE SAVEPOINT ownhold)") == std::string::npos);
  CHECK(asked.find(release) != std::string::npos);
  CHECK(asked.find(release) > asked.rfind("S "));
}

TEST_CASE("a batch that goes on behind a read of several shards lets go before its portal is made", "[hold]") {
  machine_script t{consistent()};
  t.client("Q(BEGIN)");
  t.client("P(/SELECT name FROM customers) B(/) E P(/UPDATE customers SET name = 'x' WHERE id = " + key_on(t, 0) + ") B(/) E S");
  for (const char* server : {"s0", "s1"}) {
    (void)t.asked(server);
    t.server(server, std::string("C(BEGIN) Z(T) ") + gate_open);
  }
  // Parsed already, when it turns out that its rows must be gathered.
  for (const char* server : {"s0", "s1"}) {
    CHECK(t.asked(server) == restore + " P(/SELECT name FROM customers) H");
    t.server(server, "C(SET) Z(T) 1");
  }
  for (const char* server : {"s0", "s1"}) {
    CHECK(t.asked(server).find("FROM \"public\".\"customers\"") != std::string::npos);
    t.server(server, "1 2 C(SELECT 0)");
  }
  const std::string s0 = t.asked("s0"), s1 = t.asked("s1");
  CHECK(s0.starts_with(release));
  CHECK(s1.starts_with(release));
  CHECK((s0 + s1).find("B(") != std::string::npos);
  CHECK((s0 + s1).find("UPDATE") == std::string::npos);
}
