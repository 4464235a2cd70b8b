// What the session asks the designated shard before a statement goes where it belongs: numbers of sequences, whether a
// refused statement is one at all. And UPDATE of the key, which asks every shard for its rows.
#include <catch2/catch.hpp>

#include "machine_script.hpp"
#include "tests/unit/router_plan/fixture.hpp"

using namespace pgbraid::proxy::test;

namespace {

std::string key_on(const machine_script& t, pgbraid::router::shard_index shard) {
  return std::to_string(pgbraid::router::test::keys_on(t.map(), shard, 1).front());
}

const std::string insert = "INSERT INTO customers (id) VALUES (nextval('order_ids'))";
const std::string ask = "P(/SELECT (nextval('order_ids'))::pg_catalog.text) B(/) E";

std::string with_number(const std::string& number) {
  return "INSERT INTO customers (id) VALUES ('" + number + "'::pg_catalog.int8)";
}

}  // namespace

TEST_CASE("a number is drawn first, and tells where the row goes", "[question]") {
  machine_script t{two_shards(true)};
  const std::string key = key_on(t, 1);
  t.client("Q(" + insert + ")");
  CHECK(t.asked("s0") == ask + " S");
  SECTION("to another shard") {
    t.server("s0", "1 2 D(" + key + ") C(SELECT 1) Z(I)");
    CHECK(t.told().empty());
    CHECK(t.asked("s1") == "Q(" + with_number(key) + ")");
    t.server("s1", "C(INSERT 0 1) Z(I)");
    CHECK(t.told() == "C(INSERT 0 1) Z(I)");
    CHECK(t.leases() == "+s0 +s1 -s0 -s1");
  }
  SECTION("an error of the sequence is the statement's") {
    t.server("s0", "E(42P01 no such sequence) Z(I)");
    CHECK(t.told() == "E(42P01) Z(I)");
  }
  SECTION("a server that is lost before anything was written: another is asked") {
    t.lose("s0");
    CHECK(t.told().empty());
    CHECK(t.asked("s0") == ask + " S");
  }
  SECTION("what is no number is not put into a text") {
    t.server("s0", "1 2 D(1'2) C(SELECT 1) Z(I)");
    CHECK(t.told() == "E(XX000) Z(I)");
  }
}

TEST_CASE("drawing in a transaction is no write of it", "[question]") {
  machine_script t{two_shards(true)};
  const std::string key = key_on(t, 1);
  t.client("Q(BEGIN) Q(" + insert + ") Q(COMMIT)");
  t.server("s0", "C(BEGIN) Z(T) 1 2 D(" + key + ") C(SELECT 1) Z(T)");
  t.server("s1", "C(BEGIN) Z(T) C(INSERT 0 1) Z(T)");
  // The number must be on disk before the row is: a server that has crashed would give it again.
  CHECK(t.asked("s1").find("COMMIT") == std::string::npos);
  CHECK(t.asked("s0").ends_with("; COMMIT)"));
  SECTION("committed") {
    t.server("s0", "C(SELECT 1) C(COMMIT) Z(I)");
    CHECK(t.asked("s1") == "Q(COMMIT)");
    t.server("s1", "C(COMMIT) Z(I)");
    CHECK(t.told() == "C(BEGIN) Z(T) C(INSERT 0 1) Z(T) C(COMMIT) Z(I)");
  }
  SECTION("the server that has drawn is lost: so is the number") {
    t.lose("s0");
    CHECK(t.asked("s1") == "Q(ROLLBACK)");
    t.server("s1", "C(ROLLBACK) Z(I)");
    CHECK(t.told() == "C(BEGIN) Z(T) C(INSERT 0 1) Z(T) E(08006) Z(I)");
  }
  SECTION("the row's server is lost while it commits") {
    t.server("s0", "C(SELECT 1) C(COMMIT) Z(I)");
    t.lose("s1");
    CHECK(t.told() == "C(BEGIN) Z(T) C(INSERT 0 1) Z(T) E(08007) Z(I)");
  }
}

TEST_CASE("the extended protocol binds to the statement with its numbers", "[question]") {
  machine_script t{two_shards(true)};
  const std::string key = key_on(t, 1);
  t.client("P(a/" + insert + ") B(/a/) E() S");
  t.server("s0", "1");
  CHECK(t.asked("s0").ends_with(ask + " H"));
  t.server("s0", "1 2 D(" + key + ") C(SELECT 1)");
  CHECK(t.asked("s1") == "P(/" + with_number(key) + ") B(/) E H");
  t.server("s1", "1 2 C(INSERT 0 1)");
  CHECK(t.asked("s0") == "S");
  CHECK(t.asked("s1") == "S");
  t.server("s0", "Z(I)");
  t.server("s1", "Z(I)");
  CHECK(t.told() == "1 2 C(INSERT 0 1) Z(I)");
}

TEST_CASE("what would be refused may be no statement at all", "[question]") {
  machine_script t{two_shards(true)};
  SECTION("the server's own error is told") {
    t.client("Q(SELEC 1)");
    CHECK(t.asked("s0") == "P(/SELEC 1) S");
    t.server("s0", "E(42601 syntax error) Z(I)");
    CHECK(t.told() == "E(42601) Z(I)");
  }
  SECTION("a table that it does not have may stand elsewhere") {
    t.client("Q(SELEC 1)");
    t.server("s0", "E(42P01 no such table) Z(I)");
    CHECK(t.told() == "E(0A000) Z(I)");
  }
  SECTION("what it takes is refused") {
    t.client("Q(SELEC 1)");
    t.server("s0", "1 Z(I)");
    CHECK(t.told() == "E(0A000) Z(I)");
  }
  SECTION("by the extended protocol") {
    t.client("P(/SELEC 1) B(//) E() S");
    CHECK(t.asked("s0") == "P(/SELEC 1) H");
    t.server("s0", "E(42601 syntax error)");
    t.server("s0", "Z(I)");
    CHECK(t.told() == "E(42601) Z(I)");
  }
}

TEST_CASE("rows that move are taken out everywhere and put in", "[move]") {
  machine_script t{two_shards(true)};
  t.client("Q(BEGIN) Q(UPDATE customers SET id = id + 1)");
  t.server("s0", "C(BEGIN) Z(T)");
  t.server("s1", "C(BEGIN) Z(T)");
  CHECK(t.asked("s0").find("P(/UPDATE customers SET id = id + 1) P(/DELETE FROM customers RETURNING CAST((id + 1) AS pg_catalog.int8), ") !=
        std::string::npos);
  CHECK(t.asked("s1").find("P(/DELETE FROM customers RETURNING ") != std::string::npos);
  SECTION("none of them") {
    t.server("s0", "1 1 2 T(id) C(DELETE 0) Z(T)");
    CHECK(t.asked("s0").empty());
    t.server("s1", "1 2 T(id) C(DELETE 0) Z(T)");
    // What does not fit a column is an error without rows too.
    CHECK(t.asked("s0") == "P(/EXPLAIN UPDATE customers SET id = id + 1) B(/) E S");
    CHECK(t.asked("s1").empty());
    t.server("s0", "1 2 D(a plan) C(EXPLAIN) Z(T)");
    CHECK(t.asked("s0").starts_with("Q(INSERT INTO \"public\".\"customers\" ("));
    t.server("s0", "C(INSERT 0 0) Z(T)");
    t.server("s1", "C(INSERT 0 0) Z(T)");
    CHECK(t.told() == "C(BEGIN) Z(T) C(UPDATE 0) Z(T)");
  }
  SECTION("rows that others refer to stay: one server might say so, or find their new keys taken") {
    t.server("s0", "1 1 2 T(id) E(23503 referred to) Z(E)");
    CHECK(t.told().empty() == false);
    t.server("s1", "1 2 T(id) C(DELETE 0) Z(T)");
    CHECK(t.asked("s1").empty());
  }
  SECTION("an error on one shard") {
    t.server("s0", "1 1 2 T(id) C(DELETE 1) Z(T)");
    t.server("s1", "1 2 T(id) E(22012 division by zero) Z(E)");
    CHECK(t.told() == "C(BEGIN) Z(T) E(22012) Z(E)");
    CHECK(t.asked("s0").empty());
  }
}
