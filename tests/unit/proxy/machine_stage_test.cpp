// The session's machine with writes over several shards that go out in two steps: what is asked for first, on which
// server, and what becomes of failures in between.
#include <catch2/catch.hpp>

#include "machine_script.hpp"
#include "tests/unit/router_plan/fixture.hpp"

using namespace pgbraid::proxy::test;

namespace {

const std::string ask_time = "P(/SELECT pg_catalog.to_json(now()) OPERATOR(pg_catalog.#>>) '{}') B(/) E";
const std::string with_time = "UPDATE customers SET created_at = (SELECT '2024-01-02'::pg_catalog.timestamptz AS now)";
constexpr const char* set_time = "UPDATE customers SET created_at = now()";

}  // namespace

TEST_CASE("the time is asked of one server, and all get it", "[stage]") {
  machine_script t{two_shards(true)};
  t.client("Q(BEGIN) Q(" + std::string{set_time} + ")");
  const std::string asked = t.asked("s0");
  CHECK(asked.starts_with("Q(BEGIN"));
  CHECK(asked.ends_with(ask_time + " S"));
  CHECK(t.asked("s1").find("SELECT") == std::string::npos);
  t.server("s0", "C(BEGIN) Z(T)");
  t.server("s1", "C(BEGIN) Z(T)");
  t.server("s0", "1 2 D(2024-01-02) C(SELECT 1) Z(T)");
  CHECK(t.asked("s0") == "Q(" + with_time + ")");
  CHECK(t.asked("s1") == "Q(" + with_time + ")");
  t.server("s0", "C(UPDATE 2) Z(T)");
  t.server("s1", "C(UPDATE 3) Z(T)");
  CHECK(t.told() == "C(BEGIN) Z(T) C(UPDATE 5) Z(T)");
}

TEST_CASE("a failure of the question is the statement's", "[stage]") {
  machine_script t{two_shards(true)};
  t.client("Q(BEGIN) Q(" + std::string{set_time} + ")");
  t.server("s0", "C(BEGIN) Z(T)");
  t.server("s1", "C(BEGIN) Z(T)");
  (void)t.asked("s1");
  SECTION("an error") {
    t.server("s0", "E(57014 canceled) Z(E)");
    CHECK(t.told() == "C(BEGIN) Z(T) E(57014) Z(E)");
    CHECK(t.asked("s1").empty());
  }
  SECTION("a server that is lost") {
    t.lose("s0");
    CHECK(t.told() == "C(BEGIN) Z(T) E(08006) Z(E)");
    CHECK(t.asked("s1").empty());
  }
}

TEST_CASE("the extended protocol binds to what came of it", "[stage]") {
  machine_script t{two_shards(true)};
  t.client("P(/UPDATE customers SET created_at = now() WHERE name = $1) B(//x) E() S");
  t.server("s0", "C(BEGIN) Z(T)");
  t.server("s1", "C(BEGIN) Z(T)");
  t.server("s0", "1");
  t.server("s1", "1");
  t.server("s0", "1 2 D(2024-01-02) C(SELECT 1)");
  const std::string sent = "P(/" + with_time + " WHERE name = $1) B(//x) E";
  CHECK(t.asked("s0").find(sent) != std::string::npos);
  CHECK(t.asked("s1").find(sent) != std::string::npos);
  CHECK(t.told() == "1");
}

TEST_CASE("rows of an INSERT that are selected first go to their shards", "[stage]") {
  machine_script t{two_shards(true)};
  const std::string on0 = std::to_string(pgbraid::router::test::keys_on(t.map(), 0, 1).front());
  const std::string on1 = std::to_string(pgbraid::router::test::keys_on(t.map(), 1, 1).front());
  t.client("Q(BEGIN) Q(INSERT INTO customers (id) SELECT n FROM generate_series(1, 9) AS n)");
  t.server("s0", "C(BEGIN) Z(T)");
  t.server("s1", "C(BEGIN) Z(T)");
  CHECK(t.asked("s0").ends_with("B(/) D(P ) E S"));
  (void)t.asked("s1");
  SECTION("each to its own") {
    t.server("s0", "1 1 2 T(n) D(" + on0 + ") D(" + on1 + ") C(SELECT 2) Z(T)");
    CHECK(t.asked("s0").find("[{\"c0\":\"" + on0 + "\"}]") != std::string::npos);
    CHECK(t.asked("s1").find("[{\"c0\":\"" + on1 + "\"}]") != std::string::npos);
    t.server("s0", "C(INSERT 0 1) Z(T)");
    t.server("s1", "C(INSERT 0 1) Z(T)");
    CHECK(t.told() == "C(BEGIN) Z(T) C(INSERT 0 2) Z(T)");
  }
  SECTION("one without a key") {
    t.server("s0", "1 1 2 T(n) D(NULL) C(SELECT 1) Z(T)");
    CHECK(t.told().starts_with("C(BEGIN) Z(T) E("));
    CHECK(t.asked("s1").empty());
  }
  SECTION("an error on the way") {
    t.server("s0", "1 1 2 T(n) D(" + on0 + ") E(22012 division by zero) Z(E)");
    CHECK(t.told() == "C(BEGIN) Z(T) E(22012) Z(E)");
    CHECK(t.asked("s1").empty());
  }
}
