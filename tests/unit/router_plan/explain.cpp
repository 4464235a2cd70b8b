// EXPLAIN over several shards: what is told of pgbraid's own part, and what the shards are asked.
#include <catch2/catch.hpp>

#include "fixture.hpp"
#include "router/plan/explain.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

std::string first_step(const world& w, std::string_view sql) {
  const planned made = w.make(sql);
  return made.plan->explain == nullptr ? "" : made.plan->explain->steps.front();
}

std::string asked(const world& w, std::string_view sql) {
  const planned made = w.make(sql);
  return made.plan->explain == nullptr ? "" : made.plan->explain->asked;
}

}  // namespace

TEST_CASE("how answers are put together", "[explain]") {
  world w{4};
  w.schema.single_writer.clear();
  CHECK(first_step(w, "EXPLAIN SELECT * FROM customers") == "pgbraid: the shards' rows, one behind the other");
  CHECK(first_step(w, "EXPLAIN SELECT id, balance FROM customers ORDER BY id") ==
        "pgbraid: the shards' rows come sorted and are merged");
  CHECK(first_step(w, "EXPLAIN SELECT count(*), sum(balance) FROM customers").starts_with("pgbraid: in two steps"));
  CHECK(first_step(w, "EXPLAIN SELECT DISTINCT country FROM customers").starts_with("pgbraid: rows are gathered"));
  CHECK(first_step(w, "EXPLAIN DELETE FROM orders").starts_with("pgbraid: each shard writes"));
  CHECK(first_step(w, "EXPLAIN INSERT INTO customers (id) VALUES (1), (2), (3), (4)")
            .starts_with("pgbraid: each shard gets its own rows"));
  CHECK(first_step(w, "EXPLAIN SELECT * FROM customers WHERE id = $1").empty());
  CHECK(first_step(w, "EXPLAIN SELECT 1").empty());
  CHECK(first_step(w, "SELECT * FROM customers").empty());
}

TEST_CASE("shards are asked for the plans of what they would be asked for", "[explain]") {
  world w{4};
  w.schema.single_writer.clear();
  CHECK(asked(w, "EXPLAIN SELECT * FROM customers").empty());
  const std::string fragment = asked(w, "/* x */ EXPLAIN (ANALYZE, COSTS off) SELECT DISTINCT country FROM customers");
  CHECK(fragment.starts_with("/* x */ EXPLAIN (ANALYZE, COSTS off) SELECT"));
  CHECK(fragment.find("country") != std::string::npos);
  CHECK(fragment.find("DISTINCT") == std::string::npos);
  check(w,
        {
            {"EXPLAIN SELECT * FROM customers", "shards s0, s1, s2, s3 concatenated (replica allowed)"},
            {"EXPLAIN SELECT * FROM customers WHERE id = 5", "shard {5} (replica allowed)"},
            {"EXPLAIN (FORMAT JSON) SELECT * FROM customers", "shards s0, s1, s2, s3 concatenated (replica allowed)"},
            {"EXPLAIN (FORMAT yaml) SELECT * FROM customers",
             "refused: this query over several shards is not supported: EXPLAIN with FORMAT yaml"},
            {"EXPLAIN (FORMAT 'xml') SELECT * FROM customers WHERE id = 5", "shard {5} (replica allowed)"},
            {"EXPLAIN (FORMAT xml) SELECT * FROM customers WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8)",
             "refused: this query over several shards is not supported: EXPLAIN with FORMAT xml"},
            {"EXPLAIN UPDATE countries SET name = 'x'", "any shard (replica allowed)"},
        });
}

TEST_CASE("the format that an EXPLAIN asks for", "[explain]") {
  CHECK(explain_format("EXPLAIN SELECT 1 AS format") == "text");
  CHECK(explain_format("explain (verbose, format JSON) select 1") == "json");
  CHECK(explain_format("EXPLAIN (FORMAT 'yaml') SELECT 1") == "yaml");
  CHECK(explain_format("EXPLAIN (FORMAT /* a */ text) SELECT 1") == "text");
  CHECK(explain_format("EXPLAIN /* format xml */ ANALYZE VERBOSE SELECT 1") == "text");
}
