// Which constants of a text its plan depends on by value (pinned), by class (typed), or not at all (free).
#include <catch2/catch.hpp>

#include "fixture.hpp"
#include "router/plan/constants.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

using indices = std::vector<std::uint16_t>;

struct marks_row {
  const char* sql;
  indices pinned;
  indices typed;
};

void check_marks(const world& w, const std::vector<marks_row>& rows) {
  for (const marks_row& row : rows) {
    const planned made = w.make(row.sql);
    INFO(row.sql);
    CHECK(made.pinned == row.pinned);
    CHECK(made.typed == row.typed);
  }
}

}  // namespace

TEST_CASE("free, pinned and typed constants", "[constants]") {
  const world w(2);
  check_marks(
      w, {
             {"SELECT * FROM orders WHERE customer_id = 5", {}, {0}},
             {"SELECT * FROM orders WHERE customer_id = -5 AND item = 'x'", {}, {0}},
             {"SELECT * FROM orders WHERE customer_id IN (1, 2, 3)", {}, {0, 1, 2}},
             {"SELECT * FROM orders WHERE customer_id = 5 LIMIT 10", {1}, {0}},
             {"SELECT * FROM orders WHERE customer_id = 5 ORDER BY 2", {1}, {0}},
             {"SELECT item FROM orders WHERE customer_id = 5 GROUP BY 1", {1}, {0}},
             {"SELECT * FROM orders WHERE customer_id = 5 AND item = 'abc'::varchar(2)", {1, 2}, {0}},
             {"INSERT INTO customers (id, name) VALUES (5, 'x'), (6, 'y')", {}, {0, 2}},
             {"UPDATE orders SET item = 'x', amount = -3.5 WHERE customer_id = 5", {}, {2}},
             {"SELECT * FROM orders WHERE customer_id = 4.2", {}, {0}},
             {"SELECT * FROM orders WHERE customer_id = U&'42'", {0}, {0}},
             {"SELECT * FROM orders WHERE customer_id = - /* x */ 5", {0}, {}},
             {"SELECT lower('X'), 5, 'a' FROM countries WHERE code LIKE 'a%' AND name BETWEEN 'a' AND 'b'", {}, {}},
             {"SELECT extract(year FROM placed) FROM orders WHERE customer_id = 5 AND amount > 3", {}, {0}},
             {"SET a.b = 'c'", {0}, {}},
             {"PREPARE q AS SELECT * FROM orders WHERE customer_id = 5", {0}, {}},
             {"SELECT nextval('order_ids')", {0}, {}},
             {"SELECT 'a'; SELECT * FROM orders WHERE customer_id = 5", {}, {1}},
             {"SELECT 1 FROM orders WHERE customer_id = 5 THIS IS NO SQL 6", {0, 1, 2}, {}},
         });
}

TEST_CASE("with one shard nothing depends on LIMIT", "[constants]") {
  const world w(1);
  check_marks(w, {
                     {"SELECT * FROM orders WHERE customer_id = 5 LIMIT 10 OFFSET 20", {}, {}},
                     {"SELECT * FROM orders ORDER BY 1 LIMIT 10", {0}, {}},
                 });
}

TEST_CASE("a plan made for one constant routes another of the same shape", "[constants]") {
  const world w(4);
  const std::string first = "SELECT * FROM orders WHERE customer_id = 5";
  const planned made = w.make(first);
  for (const std::int64_t key : {std::int64_t{0}, std::int64_t{1}, std::int64_t{999}, std::int64_t{4200000000000}}) {
    const std::string sql = "SELECT * FROM orders WHERE customer_id = " + std::to_string(key);
    sql::token_scan scan;
    sql::scan(sql, scan);
    const route r = resolve(*made.plan, w.map, sql, scan.constants, {}, {});
    INFO(sql);
    CHECK(r.target == route_target{to_shard{shard_of(w.map, key)}});
  }
  // A string, an escape string: same shape, same plan, read by its own rules.
  for (const char* sql :
       {"SELECT * FROM orders WHERE customer_id = '77'", "SELECT * FROM orders WHERE customer_id = E'\\x37\\x37'",
        "SELECT * FROM orders WHERE customer_id = $$77$$"}) {
    sql::token_scan scan;
    sql::scan(sql, scan);
    INFO(sql);
    CHECK(resolve(*made.plan, w.map, sql, scan.constants, {}, {}).target ==
          route_target{to_shard{shard_of(w.map, 77)}});
  }
  // A decimal does not tie an int8: the plan that was made for an integer must not take it for one.
  const std::string decimal = "SELECT * FROM orders WHERE customer_id = 5.0";
  sql::token_scan scan;
  sql::scan(decimal, scan);
  CHECK(std::holds_alternative<to_many>(resolve(*made.plan, w.map, decimal, scan.constants, {}, {}).target));
}

TEST_CASE("a folded minus stays with its own statement", "[constants]") {
  const world w(4);
  CHECK(w.told("SELECT * FROM orders WHERE customer_id = -9223372036854775808") ==
        "shard s" + std::to_string(shard_of(w.map, INT64_MIN)) + " (replica allowed)");
  CHECK(w.told("SELECT * FROM orders WHERE customer_id = - -5").starts_with("shard"));
}
