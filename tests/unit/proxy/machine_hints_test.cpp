// pgbraid.shard, pgbraid.key and pgbraid.target as settings of a session: no server hears of them.
#include <catch2/catch.hpp>

#include "machine_script.hpp"
#include "tests/unit/router_plan/fixture.hpp"

using namespace pgbraid::proxy::test;

namespace {

const std::string read_all = "Q(SELECT name FROM customers)";
const std::string show = "Q(SHOW pgbraid.shard)";

std::string shown(const std::string& value) {
  return "T(pgbraid.shard) " + (value.empty() ? std::string{"D"} : "D(" + value + ")") + " C(SHOW) ";
}

// Where a read of all customers goes, the session being outside a transaction.
std::string asked_of(machine_script& t) {
  (void)t.leases();
  t.client(read_all);
  const std::string leased = t.leases();
  for (const char* name : {"s0", "s1"}) {
    if (leased.find(name) == std::string::npos) continue;
    t.server(name, "T(name) C(SELECT 0) Z(I)");
    (void)t.asked(name);
  }
  (void)t.told();
  return leased;
}

}  // namespace

TEST_CASE("a setting says where statements run, and servers are not told") {
  machine_script t{two_shards()};
  CHECK(asked_of(t) == "+s0 +s1");
  t.client("Q(SET pgbraid.shard = 's1')");
  CHECK(t.told() == "C(SET) Z(I)");
  CHECK(t.leases() == "-s0 -s1");
  t.client(read_all);
  CHECK(t.leases() == "+s1");
  CHECK(t.asked("s1") == read_all);
  t.server("s1", "T(name) C(SELECT 0) Z(I)");
  (void)t.told();
  t.client(show);
  CHECK(t.told() == shown("s1") + "Z(I)");
  t.client("Q(RESET pgbraid.shard)");
  CHECK(t.told() == "C(RESET) Z(I)");
  t.client(show);
  CHECK(t.told() == shown("") + "Z(I)");
  CHECK(asked_of(t) == "+s0 +s1");
}

TEST_CASE("a key as a setting") {
  machine_script t{two_shards()};
  const auto key = pgbraid::router::test::keys_on(t.map(), 1, 1).front();
  t.client("Q(SET pgbraid.key = " + std::to_string(key) + ")");
  CHECK(asked_of(t) == "+s1");
  t.client("Q(DISCARD ALL)");
  CHECK(asked_of(t) == "+s0 +s1");
}

TEST_CASE("what is no hint is refused when it is set") {
  machine_script t{two_shards()};
  t.client("Q(SET pgbraid.shard = 's7') Q(SET pgbraid.target = 'both') Q(SET pgbraid.shard = 's0', 's1')");
  CHECK(t.told() == "E(22023) Z(I) E(22023) Z(I) E(22023) Z(I)");
  CHECK(t.leases().empty());
}

TEST_CASE("SET LOCAL ends with the transaction, SET is undone with it") {
  machine_script t{two_shards()};
  t.client("Q(SET LOCAL pgbraid.shard = 's1') " + show);
  CHECK(t.told() == "N(25P01) C(SET) Z(I) " + shown("") + "Z(I)");
  t.client("Q(BEGIN) Q(SET LOCAL pgbraid.shard = 's1') " + show + " " + read_all);
  CHECK(t.leases() == "+s1");
  t.server("s1", "C(BEGIN) Z(T) T(name) C(SELECT 0) Z(T)");
  CHECK(t.told() == "C(BEGIN) Z(T) C(SET) Z(T) " + shown("s1") + "Z(T) T(name) C(SELECT 0) Z(T)");
  t.client("Q(COMMIT)");
  t.server("s1", "C(COMMIT) Z(I)");
  t.client(show);
  CHECK(t.told() == "C(COMMIT) Z(I) " + shown("") + "Z(I)");

  t.client("Q(BEGIN) Q(SET pgbraid.shard = 's1') Q(SAVEPOINT a) Q(SET pgbraid.shard = 's0') Q(ROLLBACK TO a) " + show);
  CHECK(t.told() == "C(BEGIN) Z(T) C(SET) Z(T) C(SAVEPOINT) Z(T) C(SET) Z(T) C(ROLLBACK) Z(T) " + shown("s1") + "Z(T)");
  t.client("Q(ROLLBACK) " + show);
  CHECK(t.told() == "C(ROLLBACK) Z(I) " + shown("") + "Z(I)");
}

TEST_CASE("by the extended protocol, and a batch that fails undoes it") {
  machine_script t{two_shards()};
  t.client("P(/SET pgbraid.shard = 's1') B(//) D(P ) E() S");
  CHECK(t.told() == "1 2 n C(SET) Z(I)");
  t.client("P(a/SHOW pgbraid.shard) D(S a) B(/a/) E() S");
  CHECK(t.told() == "1 t T(pgbraid.shard) 2 D(s1) C(SHOW) Z(I)");
  t.client("P(/RESET pgbraid.shard) B(//) E() P(/SET pgbraid.shard = 's9') B(//) E() S");
  CHECK(t.told() == "1 2 C(RESET) 1 2 E(22023) Z(I)");
  t.client("B(/a/) E() S");
  CHECK(t.told() == "2 D(s1) C(SHOW) Z(I)");
}

TEST_CASE("a prepared statement goes by the hint that holds when it is bound") {
  machine_script t{two_shards()};
  t.client("P(a/SELECT name FROM customers) S");
  t.server(t.leases() == "+s0" ? "s0" : "s1", "1 Z(I)");
  (void)t.leases();
  t.client("Q(SET pgbraid.shard = 's1') B(/a/) E() S");
  CHECK(t.leases() == "+s1");
}

TEST_CASE("target: a replica on request, the primary on request, and no write on a replica") {
  script_options options = two_shards();
  options.replicas = true;
  machine_script t{options};
  t.client("Q(SET pgbraid.shard = 's1') Q(SET pgbraid.target = 'primary') " + read_all);
  CHECK(t.leases() == "+s1");
  t.server("s1", "T(name) C(SELECT 0) Z(I)");
  (void)t.told();
  (void)t.leases();
  t.client("Q(SET pgbraid.target = 'replica') " + read_all);
  CHECK(t.leases() == "+s1r");
  t.server("s1r", "T(name) C(SELECT 0) Z(I)");
  (void)t.told();
  t.client("Q(DELETE FROM customers)");
  CHECK(t.told() == "E(25006) Z(I)");
}
