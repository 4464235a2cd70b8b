// Which tables a plan says that it reads and changes, and when it says that there may be more.
#include "router/plan/table_marks.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "fixture.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

using names = std::vector<std::string>;

std::vector<std::uint32_t> marks_of(const names& tables) {
  std::vector<std::uint32_t> marks;
  for (const std::string& table : tables) marks.push_back(table_mark("public." + table));
  std::sort(marks.begin(), marks.end());
  return marks;
}

std::vector<std::uint32_t> sorted(std::vector<std::uint32_t> marks) {
  std::sort(marks.begin(), marks.end());
  return marks;
}

struct row {
  const char* sql;
  names reads, writes;
};

// Tables that a trigger, a rule or a cascade stands behind, and one with policies.
struct company : world {
  company() : world{1} {
    schema.relations.find("public.watched")->second.writes_spread = true;
    schema.relations.find("public.people")->second.row_security = true;
    schema.code_operators = {"<~!~>", "<~>"};
  }
};

}  // namespace

TEST_CASE("tables that are read and written are known") {
  const company w;
  const std::vector<row> rows{
      {"SELECT 1", {}, {}},
      {"SELECT name FROM customers WHERE id = 1", {"customers"}, {}},
      {"SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id, (SELECT count(*) FROM notes) n",
       {"customers", "orders", "notes"},
       {}},
      {"WITH w AS (SELECT * FROM orders) SELECT * FROM w WHERE EXISTS (SELECT 1 FROM codes)", {"orders", "codes"}, {}},
      {"SELECT * FROM european", {"european", "countries"}, {}},
      {"SELECT name FROM customers FOR UPDATE", {"customers"}, {}},
      {"SELECT nextval('order_ids'), random()", {}, {}},
      {"INSERT INTO orders (customer_id, item) SELECT id, 'x' FROM customers", {"customers"}, {"orders"}},
      {"UPDATE customers SET name = lower(name) FROM countries", {"countries"}, {"customers"}},
      {"DELETE FROM notes USING orders WHERE orders.customer_id = notes.id", {"orders"}, {"notes"}},
      {"MERGE INTO customers c USING orders o ON true WHEN MATCHED THEN DELETE", {"orders"}, {"customers"}},
      {"WITH gone AS (DELETE FROM notes RETURNING id) INSERT INTO codes SELECT id::text FROM gone",
       {},
       {"notes", "codes"}},
      {"EXPLAIN ANALYZE UPDATE customers SET name = 'x'", {}, {"customers"}},
      {"COPY orders FROM STDIN", {}, {"orders"}},
      {"COPY orders TO STDOUT", {"orders"}, {}},
      {"UPDATE customers SET name = 'x'; DELETE FROM notes; SELECT * FROM codes", {"codes"}, {"customers", "notes"}},
      {"NOTIFY something", {}, {}},
      {"LISTEN something", {}, {}},
      {"BEGIN", {}, {}},
      {"SET work_mem = '1MB'", {}, {}},
  };
  for (const row& r : rows) {
    INFO(r.sql);
    const plan_ptr p = w.make(r.sql).plan;
    CHECK_FALSE(p->writes_more);
    CHECK_FALSE(p->reads_more);
    CHECK(sorted(p->read_marks) == marks_of(r.reads));
    CHECK(sorted(p->write_marks) == marks_of(r.writes));
  }
}

TEST_CASE("what may change other tables than it names counts for all") {
  const company w;
  for (const char* const sql : {"UPDATE watched SET name = 'x'",
                                "DELETE FROM people",
                                "INSERT INTO european VALUES ('a', 'b')",
                                "INSERT INTO nowhere VALUES (1)",
                                "SELECT bump(1)",
                                "UPDATE customers SET name = audit(name)",
                                "SELECT unknown_function()",
                                "SELECT lo_create(0)",
                                "SELECT 1 <~!~> 2",
                                "SELECT * INTO made FROM customers",
                                "CREATE TABLE made AS SELECT 1",
                                "DROP TABLE customers",
                                "TRUNCATE customers",
                                "DO 'BEGIN END'",
                                "CALL something()",
                                "EXECUTE something",
                                "COMMIT PREPARED 'x'",
                                "SET CONSTRAINTS ALL IMMEDIATE",
                                "REFRESH MATERIALIZED VIEW something",
                                "VACUUM customers",
                                "SELECT name FROM customers; SELECT bump(1)",
                                "not a statement at all",
                                "COPY orders FROM STDIN WHERE bump(customer_id) IS NULL"}) {
    INFO(sql);
    CHECK(w.make(sql).plan->writes_more);
  }
}

TEST_CASE("what may read other tables than it names must see all that was written") {
  const company w;
  for (const char* const sql :
       {"SELECT order_total(1)", "SELECT * FROM people", "SELECT * FROM remote", "SELECT * FROM noisy",
        "SELECT * FROM nowhere", "SELECT 1 <~> 2", "SELECT unknown_function()", "SELECT lo_get(1)"}) {
    INFO(sql);
    CHECK(w.make(sql).plan->reads_more);
  }
}
