// Which sorted reads are merged, and by what.
#include <catch2/catch.hpp>

#include "fixture.hpp"
#include "router/plan/merge.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

std::shared_ptr<const merge_order> merged(const world& w, const char* sql) {
  INFO(sql);
  return w.make(sql).plan->merge;
}

}  // namespace

TEST_CASE("sort keys that the result shows", "[merge]") {
  const world w(2);
  const auto order = merged(w, "SELECT item, amount AS a, placed, id FROM orders o ORDER BY o.amount DESC, 4, placed NULLS FIRST LIMIT 7");
  REQUIRE(order != nullptr);
  using namespace type_oid;
  CHECK(order->keys == std::vector<merge_key>{{1, numeric, true, true}, {3, uuid, false, false}, {2, timestamptz, false, true}});
  CHECK(order->limit.rows == 7);
  CHECK(order->of_settings);
  CHECK_FALSE(order->of_characters);
  const auto star = merged(w, "SELECT * FROM orders WHERE item = 'x' ORDER BY customer_id");
  REQUIRE(star != nullptr);
  CHECK(star->keys == std::vector<merge_key>{{0, int8, false, false}});
  CHECK(star->limit.rows == std::numeric_limits<std::uint64_t>::max());
  CHECK_FALSE(star->of_settings);
  const auto joined = merged(w, "SELECT c.name, o.id FROM customers c JOIN orders o ON o.customer_id = c.id LEFT JOIN countries n ON n.code = c.country ORDER BY o.id DESC NULLS LAST");
  REQUIRE(joined != nullptr);
  CHECK(joined->keys == std::vector<merge_key>{{1, uuid, true, false}});
  CHECK(merged(w, "SELECT customer_id, id FROM orders WHERE customer_id IN (1, 2, 3) ORDER BY id") != nullptr);
}

TEST_CASE("a LIMIT that is a parameter", "[merge]") {
  const auto order = merged(world(2), "SELECT id FROM orders ORDER BY id LIMIT $2");
  REQUIRE(order != nullptr);
  CHECK(order->limit.parameter == 2);
}

TEST_CASE("rows that are locked", "[merge]") {
  world w(2);
  w.schema.single_writer.clear();
  const auto order = merged(w, "SELECT id FROM orders WHERE placed < now() ORDER BY id LIMIT 4 FOR UPDATE");
  REQUIRE(order != nullptr);
  CHECK(order->limit.rows == 4);
  const auto some = merged(w, "SELECT id FROM orders LIMIT 3 FOR SHARE");
  REQUIRE(some != nullptr);
  CHECK(some->keys.empty());
  CHECK(merged(w, "SELECT id FROM orders ORDER BY id FOR UPDATE SKIP LOCKED") != nullptr);
  for (const char* sql :
       {"SELECT id FROM orders FOR UPDATE", "SELECT id FROM orders ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED",
        "SELECT id FROM orders LIMIT 1 FOR SHARE NOWAIT", "SELECT id FROM orders ORDER BY amount FOR UPDATE",
        "SELECT id FROM orders ORDER BY id LIMIT 3 OFFSET 1 FOR UPDATE", "SELECT id FROM orders LIMIT 3"}) {
    INFO(sql);
    CHECK(merged(w, sql) == nullptr);
  }
  w.schema.single_writer = "max_prepared_transactions is 0";
  CHECK(merged(w, "SELECT id FROM orders ORDER BY id FOR UPDATE") == nullptr);
}

TEST_CASE("characters are merged where their bytes are their order", "[merge]") {
  world w(2);
  CHECK(merged(w, "SELECT id, item FROM orders ORDER BY item") == nullptr);
  catalog changed = *w.context.schema;
  for (column& c : changed.relations.find("public.orders")->second.columns) c.byte_order = c.name == "item";
  w.context.schema = &changed;
  const auto order = merged(w, "SELECT id, item FROM orders ORDER BY item, id");
  REQUIRE(order != nullptr);
  CHECK(order->of_characters);
}

TEST_CASE("what is not merged", "[merge]") {
  const world w(2);
  for (const char* sql :
       {"SELECT item FROM orders ORDER BY amount",
        "SELECT amount + 1 AS amount FROM orders ORDER BY amount",
        "SELECT id, id FROM orders ORDER BY id",
        "SELECT id FROM orders ORDER BY id OFFSET 5",
        "SELECT id FROM orders ORDER BY id FETCH FIRST 5 ROWS WITH TIES",
        "SELECT id FROM orders ORDER BY id LIMIT $1 + 1",
        "SELECT DISTINCT id FROM orders ORDER BY id",
        "SELECT max(id) FROM orders ORDER BY 1",
        "SELECT id, rank() OVER (ORDER BY id) FROM orders ORDER BY id",
        "SELECT id FROM orders UNION ALL SELECT id FROM orders ORDER BY id",
        "WITH a AS (SELECT 1) SELECT id FROM orders ORDER BY id",
        "SELECT a.id FROM orders a, orders b ORDER BY a.id",
        "SELECT id FROM orders ORDER BY id USING <",
        "SELECT id FROM orders",
        "SELECT o.*, c.id AS c FROM orders o JOIN customers c ON c.id = o.customer_id ORDER BY amount",
        "EXPLAIN SELECT id FROM orders ORDER BY id",
        "COPY (SELECT id FROM orders ORDER BY id) TO STDOUT",
        "DECLARE c CURSOR FOR SELECT id FROM orders ORDER BY id",
        "SELECT id FROM orders WHERE customer_id = 5 ORDER BY id",
        "SELECT id FROM orders ORDER BY 2",
        "SELECT id FROM orders WHERE placed < now() ORDER BY id"}) {
    INFO(sql);
    CHECK(merged(w, sql) == nullptr);
  }
}
