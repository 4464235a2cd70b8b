// EXPLAIN over several shards in the session's machine: lines of pgbraid's own, then each shard's plan under its name.
#include <catch2/catch.hpp>

#include "machine_script.hpp"
#include "tests/unit/router_plan/fixture.hpp"

using namespace pgbraid::proxy::test;

TEST_CASE("each shard's plan stands under the shard's name, whichever comes first") {
  machine_script t{two_shards()};
  t.client("Q(EXPLAIN SELECT name FROM customers)");
  CHECK(t.asked("s1") == "Q(EXPLAIN SELECT name FROM customers)");
  t.server("s1", "T(QUERY PLAN) D(Seq Scan on b) C(EXPLAIN) Z(I)");
  CHECK(t.told() == "T(QUERY PLAN)");
  t.server("s0", "T(QUERY PLAN) D(Seq Scan on a) D(  Filter) C(EXPLAIN) Z(I)");
  const std::string told = t.told();
  CHECK(told.starts_with("D(pgbraid: the shards' rows, one behind the other)"));
  CHECK(told.ends_with("D(  Shards: s0, s1) D(Shard s0:) D(  Seq Scan on a) D(    Filter) D(Shard s1:) D(  Seq Scan on b) C(EXPLAIN) Z(I)"));
}

TEST_CASE("one shard's plan is passed on as it comes") {
  machine_script t{two_shards()};
  const std::string key = std::to_string(pgbraid::router::test::keys_on(t.map(), 1, 1).front());
  t.client("Q(EXPLAIN SELECT name FROM customers WHERE id = " + key + ")");
  t.server("s1", "T(QUERY PLAN) D(Index Scan) C(EXPLAIN) Z(I)");
  CHECK(t.told() == "T(QUERY PLAN) D(Index Scan) C(EXPLAIN) Z(I)");
}

TEST_CASE("JSON is one row that holds both shards' JSON") {
  machine_script t{two_shards()};
  t.client("Q(EXPLAIN (FORMAT JSON) SELECT name FROM customers)");
  t.server("s0", "T(QUERY PLAN) D([0]) C(EXPLAIN) Z(I)");
  t.server("s1", "T(QUERY PLAN) D([1]) C(EXPLAIN) Z(I)");
  const std::string told = t.told();
  CHECK(told.find("{\"shard\": \"s0\", \"explain\":\n[0]}") != std::string::npos);
  CHECK(told.find("{\"shard\": \"s1\", \"explain\":\n[1]}") != std::string::npos);
  CHECK(told.find("D(", told.find("D(") + 1) == std::string::npos);
}

TEST_CASE("by the extended protocol, with parameters, and a shard that fails") {
  machine_script t{two_shards()};
  t.client("P(/EXPLAIN SELECT DISTINCT country FROM customers WHERE name = $1) B(//x) D(P ) E() S");
  // The client's own statement is parsed on one shard; both are asked for the plan of what would be gathered.
  CHECK(t.asked("s0") == "P(/EXPLAIN SELECT DISTINCT country FROM customers WHERE name = $1) H");
  t.server("s0", "1");
  const std::string fragment = "P(/EXPLAIN SELECT 0, \"customers\".\"name\", \"customers\".\"country\" FROM \"public\".\"customers\" AS \"customers\" WHERE name = $1) B(//x) D(P ) E S";
  CHECK(t.asked("s0") == fragment);
  CHECK(t.asked("s1") == fragment);
  t.server("s1", "1 2 T(QUERY PLAN) D(b) C(EXPLAIN) Z(I)");
  t.server("s0", "1 2 T(QUERY PLAN) D(a) C(EXPLAIN) Z(I)");
  const std::string told = t.told();
  CHECK(told.ends_with("D(Shard s0:) D(  a) D(Shard s1:) D(  b) C(EXPLAIN) Z(I)"));
  t.client("Q(EXPLAIN SELECT name FROM customers)");
  (void)t.asked("s0");
  t.server("s0", "T(QUERY PLAN) D(a) C(EXPLAIN) Z(I)");
  t.server("s1", "E(42P01) Z(I)");
  CHECK(t.told() == "T(QUERY PLAN) E(42P01) Z(I)");
  t.client("Q(SELECT name FROM customers)");
  t.server("s0", "T(name) D(x) C(SELECT 1) Z(I)");
  t.server("s1", "T(name) C(SELECT 0) Z(I)");
  CHECK(t.told() == "T(name) D(x) C(SELECT 1) Z(I)");
}
