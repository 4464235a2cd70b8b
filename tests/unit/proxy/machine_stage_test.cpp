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
  SECTION("without rows it is planned all the same") {
    t.server("s0", "1 1 2 T(n) C(SELECT 0) Z(T)");
    CHECK(t.asked("s0") ==
          "P(/EXPLAIN INSERT INTO customers (id) SELECT n FROM generate_series(1, 9) AS n) B(/) E S");
    SECTION("") {
      t.server("s0", "1 2 D(a plan) D(of it) C(EXPLAIN) Z(T)");
      t.server("s0", "C(INSERT 0 0) Z(T)");
      t.server("s1", "C(INSERT 0 0) Z(T)");
      CHECK(t.told() == "C(BEGIN) Z(T) C(INSERT 0 0) Z(T)");
    }
    SECTION("with an error") {
      t.server("s0", "1 E(22003 out of range) Z(E)");
      CHECK(t.told() == "C(BEGIN) Z(T) E(22003) Z(E)");
      CHECK(t.asked("s1").empty());
    }
    SECTION("or a server that is lost") {
      t.lose("s0");
      CHECK(t.told() == "C(BEGIN) Z(T) E(08006) Z(E)");
    }
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

TEST_CASE("a subquery's rows come with their collations", "[stage]") {
  auto options = two_shards(true);
  options.alter_catalog = [](pgbraid::router::catalog& c) {
    c.relations["public.reports"].columns[1].default_collation = false;
    c.functions["json_array_elements"].any_set_returning = true;
  };
  machine_script t{options};
  t.client("Q(BEGIN) Q(DELETE FROM customers WHERE name IN (SELECT body FROM reports))");
  t.server("s0", "C(BEGIN) Z(T)");
  t.server("s1", "C(BEGIN) Z(T)");
  (void)t.asked("s0");
  CHECK(t.asked("s1").ends_with("P(/SELECT body FROM reports) B(/) D(P ) E S"));
  t.server("s1", "1 1 2 T(body:25) D(x) C(SELECT 1) Z(T)");
  CHECK(t.asked("s1") ==
        "P(/SELECT pg_catalog.pg_collation_for(q.k0) FROM (SELECT) AS one LEFT JOIN (SELECT * FROM (SELECT body FROM "
        "reports\n) AS z(k0) LIMIT 0) AS q ON true) B(/) E S");
  const auto deleted = [](std::string_view collation) {
    return "Q(DELETE FROM customers WHERE name IN (SELECT (f.value OPERATOR(pg_catalog.->>) 'c0')::pg_catalog.text" +
           std::string{collation} +
           " AS \"body\" FROM pg_catalog.json_array_elements('[{\"c0\":\"x\"}]'::pg_catalog.json) AS f(value)))";
  };
  SECTION("one of its own") {
    t.server("s1", "1 2 D(\"de-x-icu\") C(SELECT 1) Z(T)");
    CHECK(t.asked("s0") == deleted(" COLLATE \"de-x-icu\""));
    CHECK(t.asked("s1") == deleted(" COLLATE \"de-x-icu\""));
  }
  SECTION("the database's") {
    t.server("s1", "1 2 D(\"default\") C(SELECT 1) Z(T)");
    CHECK(t.asked("s0") == deleted(""));
  }
  SECTION("none that can be said") {
    t.server("s1", "1 2 D(NULL) C(SELECT 1) Z(T)");
    CHECK(t.told() == "C(BEGIN) Z(T) E(0A000) Z(E)");
    CHECK(t.asked("s0").empty());
  }
  SECTION("an error") {
    t.server("s1", "1 E(57014 canceled) Z(E)");
    CHECK(t.told() == "C(BEGIN) Z(T) E(57014) Z(E)");
    CHECK(t.asked("s0").empty());
  }
}

TEST_CASE("a table of one shard is written from rows of another, on its shard alone", "[stage]") {
  auto options = two_shards(true);
  options.alter_catalog = [](pgbraid::router::catalog& c) {
    c.functions["json_array_elements"].any_set_returning = true;
  };
  machine_script t{options};
  t.client("Q(BEGIN) Q(INSERT INTO reports SELECT id, name FROM customers WHERE id < 9)");
  t.server("s0", "C(BEGIN) Z(T)");
  t.server("s1", "C(BEGIN) Z(T)");
  (void)t.asked("s0");
  (void)t.asked("s1");
  t.server("s0", "1 2 D(0|5|a) C(SELECT 1) Z(T)");
  t.server("s1", "1 n 1 2 C(SELECT 0) Z(T)");
  CHECK(t.asked("s0").empty());
  // The server that has the table sees the statement, and puts the rows together.
  CHECK(t.asked("s1").starts_with("P(/INSERT INTO reports SELECT id, name FROM customers WHERE id < 9) P(/WITH "));
  t.server("s1", "1 1 2 T(id:20) D(5) C(SELECT 1) Z(T)");
  CHECK(t.asked("s0").empty());
  CHECK(t.asked("s1") ==
        "Q(INSERT INTO reports SELECT (f.value OPERATOR(pg_catalog.->>) 'c0')::pg_catalog.int8 AS \"id\" FROM "
        "pg_catalog.json_array_elements('[{\"c0\":\"5\"}]'::pg_catalog.json) AS f(value))");
  t.server("s1", "C(INSERT 0 1) Z(T)");
  CHECK(t.told() == "C(BEGIN) Z(T) C(INSERT 0 1) Z(T)");
}
