// The session's machine when servers fail: what is begun anew, what may wait for a primary, and what is said of
// outcomes.
#include <catch2/catch.hpp>

#include "machine_script.hpp"
#include "tests/unit/router_plan/fixture.hpp"

using namespace pgbraid::proxy::test;

namespace {

constexpr const char* read_query = "Q(SELECT name FROM customers WHERE id = 1)";
constexpr const char* write_query = "Q(UPDATE customers SET name = 'x' WHERE id = 1)";

std::string key_on(const machine_script& t, pgbraid::router::shard_index shard) {
  return std::to_string(pgbraid::router::test::keys_on(t.map(), shard, 1).front());
}

}  // namespace

TEST_CASE("a read whose primary is lost before it answers is asked again of whoever is primary then") {
  machine_script t;
  SECTION("a simple query") {
    t.client(read_query);
    t.lose("s0");
    CHECK(t.told().empty());
    CHECK(t.leases() == "+s0 @s0");
    CHECK(t.asked("s0") == read_query);
    t.server("s0", "T(name) D(a) C(SELECT 1) Z(I)");
    CHECK(t.told() == "T(name) D(a) C(SELECT 1) Z(I)");
    CHECK(t.leases() == "-s0");
  }
  SECTION("a batch, whose statement is prepared where it goes") {
    t.client("P(a/SELECT name FROM customers WHERE id = 1) B(/a) E() S");
    t.lose("s0");
    CHECK(t.asked("s0") == "P(own/SELECT name FROM customers WHERE id = 1) B(/own) E S");
    t.server("s0", "1 2 D(a) C(SELECT 1) Z(I)");
    CHECK(t.told() == "1 2 D(a) C(SELECT 1) Z(I)");
  }
}

TEST_CASE("what the client has seen a part of is not run again") {
  machine_script t;
  t.client(read_query);
  t.server("s0", "T(name) D(a)");
  t.lose("s0");
  CHECK(t.told() == "T(name) D(a) E(08006) Z(I)");
}

TEST_CASE("reads are not begun anew for ever") {
  machine_script t;
  t.client(read_query);
  for (int i = 0; i < 4; ++i) {
    CHECK(t.told().empty());
    t.lose("s0");
  }
  CHECK(t.told() == "E(08006) Z(I)");
  CHECK(t.leases() == "+s0 @s0 @s0 @s0");
}

TEST_CASE("a write that has been sent is never run again: its outcome is unknown") {
  machine_script t;
  SECTION("a simple query") {
    t.client(write_query);
  }
  SECTION("a batch") {
    t.client("P(/UPDATE customers SET name = 'x' WHERE id = 1) B(/) E() S");
  }
  SECTION("COMMIT") {
    t.client(std::string{"Q(BEGIN) "} + write_query);
    t.server("s0", "C(BEGIN) Z(T) C(UPDATE 1) Z(T)");
    t.client("Q(COMMIT)");
    CHECK(t.told() == "C(BEGIN) Z(T) C(UPDATE 1) Z(T)");
  }
  CHECK(t.machine().may_have_written(0));
  t.lose("s0");
  CHECK(t.told() == "E(40003) Z(I)");
  CHECK(t.leases() == "+s0");
}

TEST_CASE("a statement inside a transaction that was not told to commit is known to be undone") {
  machine_script t;
  t.client(std::string{"Q(BEGIN) "} + write_query);
  t.lose("s0");
  CHECK(t.told() == "C(BEGIN) Z(T) E(08006) Z(E)");
  t.client("Q(ROLLBACK)");
  CHECK(t.told() == "C(ROLLBACK) Z(I)");
}

TEST_CASE("the COMMIT of a transaction that has only read is known to have changed nothing") {
  machine_script t;
  t.client(std::string{"Q(BEGIN) "} + read_query);
  t.server("s0", "C(BEGIN) Z(T) T(name) C(SELECT 0) Z(T)");
  t.client("Q(COMMIT)");
  (void)t.told();
  t.lose("s0");
  CHECK(t.told() == "E(08006) Z(I)");
}

TEST_CASE("a write that still waits for its server's settings goes to another server") {
  machine_script t;
  t.client("Q(SET work_mem TO '5MB')");
  t.server("s0", "C(SET) Z(I)");
  (void)t.told();
  t.set_on_server("s0", t.settings().none());
  (void)t.asked("s0");
  t.client(write_query);
  CHECK(t.asked("s0") == "Q(SET work_mem TO '5MB')");
  t.lose("s0");
  CHECK(t.told().empty());
  CHECK(t.asked("s0") == "Q(SET work_mem TO '5MB')");
  t.server("s0", "C(SET) Z(I)");
  CHECK(t.asked("s0") == write_query);
  t.server("s0", "C(UPDATE 1) Z(I)");
  CHECK(t.told() == "C(UPDATE 1) Z(I)");
}

TEST_CASE("who may wait for a primary") {
  script_options options;
  options.shards = 2;
  options.hold_leases = true;
  machine_script t{options};
  const auto write_to = [&](std::size_t shard) {
    return "Q(UPDATE customers SET name = 'x' WHERE id = " + key_on(t, shard) + ")";
  };
  SECTION("a statement outside a transaction, or its first") {
    if (GENERATE(false, true)) t.client("Q(BEGIN)");
    t.client(write_to(0));
    CHECK(t.leases() == "~s0");
  }
  SECTION("not a session that holds locks elsewhere") {
    t.client("Q(BEGIN) " + write_to(0));
    t.grant();
    t.server("s0", "C(BEGIN) Z(T) C(UPDATE 1) Z(T)");
    (void)t.leases();
    t.client("Q(SELECT name FROM customers WHERE id = " + key_on(t, 1) + ")");
    CHECK(t.leases() == "~s1 at once");
  }
}

TEST_CASE("a server that refuses a write as a standby does is asked who it is") {
  machine_script t;
  t.client(write_query);
  t.server("s0", "E(25006 cannot execute UPDATE in a read-only transaction) Z(I)");
  CHECK(t.told() == "E(25006) Z(I)");
  CHECK(t.leases() == "+s0 ds0 -s0");
}
