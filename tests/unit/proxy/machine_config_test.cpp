// set_config() over several shards: what SET is, by a SELECT.
#include <catch2/catch.hpp>

#include "machine_script.hpp"
#include "tests/unit/router_plan/fixture.hpp"

using namespace pgbraid::proxy::test;

namespace {

std::string read_on(const machine_script& t, pgbraid::router::shard_index shard) {
  return "Q(SELECT name FROM customers WHERE id = " +
         std::to_string(pgbraid::router::test::keys_on(t.map(), shard, 1).front()) + ")";
}

}  // namespace

TEST_CASE("set_config() is answered by one server and told to the next") {
  machine_script t{two_shards()};
  t.client("Q(SELECT set_config('work_mem', '5120kB', false))");
  CHECK(t.leases() == "+s0");
  CHECK(t.asked("s0") == "Q(SELECT set_config('work_mem', '5120kB', false))");
  t.server("s0", "T(set_config) D(5MB) C(SELECT 1) Z(I)");
  CHECK(t.told() == "T(set_config) D(5MB) C(SELECT 1) Z(I)");
  CHECK(t.leases() == "-s0");
  t.client(read_on(t, 1));
  CHECK(t.asked("s1") == "Q(SELECT pg_catalog.set_config('work_mem', '5MB', false))");
}

TEST_CASE("set_config() for the transaction has no effect outside of one") {
  machine_script t{two_shards()};
  t.client("Q(SELECT set_config('app.tenant', '5', true))");
  t.server("s0", "T(set_config) D(5) C(SELECT 1) Z(I)");
  t.client(read_on(t, 1));
  CHECK(t.asked("s1") == read_on(t, 1));
}

TEST_CASE("set_config() that fails changes nothing") {
  machine_script t{two_shards()};
  t.client("Q(SELECT set_config('work_mem', 'much', false))");
  t.server("s0", "E(22023 invalid value) Z(I)");
  CHECK(t.told() == "E(22023) Z(I)");
  t.client(read_on(t, 1));
  CHECK(t.asked("s1") == read_on(t, 1));
}

TEST_CASE("in a transaction set_config() reaches the servers that it is open on, and those that come to it") {
  script_options options = two_shards();
  options.shards = 3;
  machine_script t{options};
  const bool local = GENERATE(false, true);
  const std::string call = std::string{"SELECT set_config('app.tenant', '5', "} + (local ? "true" : "false") + ")";
  t.client("Q(BEGIN) " + read_on(t, 0));
  t.server("s0", "C(BEGIN) Z(T) T(name) C(SELECT 0) Z(T)");
  t.client(read_on(t, 1));
  t.server("s1", "C(BEGIN) Z(T) T(name) C(SELECT 0) Z(T)");
  (void)t.told();
  (void)t.asked("s0");
  (void)t.asked("s1");
  t.client("Q(" + call + ")");
  CHECK(t.asked("s0") == "Q(" + call + ")");
  t.server("s0", "T(set_config) D(5) C(SELECT 1) Z(T)");
  CHECK(t.asked("s1") == "Q(" + call + ")");
  CHECK(t.told() == "T(set_config) D(5)");
  t.server("s1", "T(set_config) D(5) C(SELECT 1) Z(T)");
  CHECK(t.told() == "C(SELECT 1) Z(T)");
  t.client(read_on(t, 2));
  CHECK(t.asked("s2") ==
        "Q(BEGIN\n; SELECT pg_catalog.set_config('app.tenant', '5', " + std::string{local ? "true" : "false"} + "))");
  t.server("s2", "C(BEGIN) C(SELECT 1) Z(T) T(name) C(SELECT 0) Z(T)");
  const bool commits = GENERATE(false, true);
  t.client(commits ? "Q(COMMIT)" : "Q(ROLLBACK)");
  for (const char* server : {"s0", "s1", "s2"}) t.server(server, commits ? "C(COMMIT) Z(I)" : "C(ROLLBACK) Z(I)");
  t.set_on_server("s0", t.settings().none());
  (void)t.asked("s0");
  t.client(read_on(t, 0));
  CHECK(t.asked("s0") ==
        (commits && !local ? "Q(SELECT pg_catalog.set_config('app.tenant', '5', false))" : read_on(t, 0)));
}

TEST_CASE("set_config() of a parameter, alone up to its Sync") {
  machine_script t{two_shards()};
  t.client("P(/SELECT set_config('app.tenant', $1, false)) B(//7) D(P ) E() S");
  CHECK(t.asked("s0") == "P(/SELECT set_config('app.tenant', $1, false)) B(//7) D(P ) E H");
  t.server("s0", "1 2 T(set_config) D(7) C(SELECT 1)");
  CHECK(t.asked("s0") == "S");
  t.server("s0", "Z(I)");
  CHECK(t.told() == "1 2 T(set_config) D(7) C(SELECT 1) Z(I)");
  t.client(read_on(t, 1));
  CHECK(t.asked("s1") == "Q(SELECT pg_catalog.set_config('app.tenant', '7', false))");
}

TEST_CASE("set_config() in a pipeline holds for what comes behind it up to Sync, wherever that goes") {
  machine_script t{two_shards()};
  const std::string key = std::to_string(pgbraid::router::test::keys_on(t.map(), 1, 1).front());
  t.client(
      "P(/SELECT set_config('app.tenant', $1, true)) B(//7) E() P(/SELECT name FROM customers WHERE id = $1) B(//" +
      key + ") E() S");
  CHECK(t.asked("s0").find("Q(BEGIN)") == 0);
  t.server("s0", "C(BEGIN) Z(T) 1 2 D(7) C(SELECT 1)");
  CHECK(t.asked("s1") == "Q(BEGIN; SELECT pg_catalog.set_config('app.tenant', '7', true))");
  t.server("s1", "C(BEGIN) C(SELECT 1) Z(T)");
  t.server("s1", "1 2 D(x) C(SELECT 1) Z(T)");
  t.server("s0", "Z(T)");
  t.server("s0", "C(COMMIT) Z(I)");
  t.server("s1", "C(COMMIT) Z(I)");
  CHECK(t.told() == "1 2 D(7) C(SELECT 1) 1 2 D(x) C(SELECT 1) Z(I)");
}

TEST_CASE("settings that set_config() cannot change for all servers are refused") {
  machine_script t{two_shards()};
  const std::string call = GENERATE("'pgbraid.shard', 's0', false", "'pgBraid.Shard', 's0', false",
                                    "'transaction_read_only', 'on', true", "'seed', '0.5', false");
  t.client("Q(SELECT set_config(" + call + "))");
  CHECK(t.told() == "E(0A000) Z(I)");
}
