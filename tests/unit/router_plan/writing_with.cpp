// WITH that writes: what each shard does with the rows that are fetched, and what is then answered over them.
#include <catch2/catch.hpp>

#include "fixture.hpp"
#include "router/plan/staged.hpp"
#include "router/plan/staged_source.hpp"
#include "router/plan/writing_with.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

/// The fragments' statement and the text that comes after it, with "..." in the places of rows and <type> of types.
std::pair<std::string, std::string> steps(const writing_world& w, std::string_view text) {
  const auto plan = w.staged(text);
  if (plan == nullptr || plan->rows == nullptr) return {};
  std::string rest;
  std::size_t at = 0;
  for (const gather_gap& gap : plan->rows->gaps) {
    rest.append(plan->rows->combine_sql, at, gap.at - at).append(gap.kind == gap_kind::rows ? "..." : "<type>");
    at = gap.at;
  }
  return {plan->rows->fragment_sql, rest + plan->rows->combine_sql.substr(at)};
}

}  // namespace

TEST_CASE("a write in WITH that reads a table of one shard", "[writing_with]") {
  const writing_world w;
  const std::string text =
      "WITH gone AS (DELETE FROM notes WHERE id IN (SELECT id FROM reports) RETURNING *) SELECT * FROM gone";
  CHECK(w.staged(text)->query->only == shard_index{1});
  CHECK(w.make(text).plan->described_on == shard_index{1});
}

TEST_CASE("a write in WITH that reads a view over all shards", "[writing_with]") {
  const writing_world w;
  for (const std::string body : {"DELETE FROM orders WHERE amount > ANY (SELECT total FROM totals)",
                                 "UPDATE orders SET amount = 1 FROM totals WHERE totals.total = orders.amount",
                                 "INSERT INTO notes (customer_id, id) SELECT o.customer_id, o.id FROM orders o JOIN "
                                 "totals t ON t.total = o.amount"}) {
    INFO(body);
    const auto made = w.staged("WITH a AS (" + body + " RETURNING 1) SELECT count(*) FROM a");
    // Each shard would see its own rows of it.
    const bool whole = made != nullptr && made->rows != nullptr &&
                       made->rows->fragment_sql.find("totals") != std::string::npos && made->query == nullptr;
    CHECK_FALSE(whole);
  }
}

TEST_CASE("shards do their part and give the rows of RETURNING", "[writing_with]") {
  const writing_world w;
  const auto [fragments, rest] = steps(w, 
      "WITH gone AS (DELETE FROM orders WHERE amount > 5 RETURNING id, amount * 2 AS twice) SELECT * FROM gone");
  CHECK(fragments ==
        "WITH \"pgbraid write 0\"(c0, c1) AS (DELETE FROM orders WHERE amount > 5 RETURNING id, amount * 2 AS twice\n) "
        "SELECT 0, \"pgbraid write 0\".c0, \"pgbraid write 0\".c1 FROM \"pgbraid write 0\"");
  CHECK(rest ==
        "WITH gone AS (SELECT f.\"id\" AS \"id\", f.\"pgbraid 1\"::<type> AS \"twice\" FROM ROWS FROM "
        "(pg_catalog.json_populate_recordset(NULL::\"public\".\"orders\", ...::pg_catalog.json), "
        "pg_catalog.json_to_recordset(...::pg_catalog.json) AS (\"pgbraid 1\" pg_catalog.text)) AS f) SELECT * FROM "
        "gone");
}

TEST_CASE("tables that the rest reads are read with the writes", "[writing_with]") {
  const writing_world w;
  const auto [fragments, rest] =
      steps(w, "WITH up AS (UPDATE customers SET name = 'x') SELECT count(*) FROM orders WHERE amount > 5");
  CHECK(fragments.starts_with(
      "WITH \"pgbraid write 0\" AS (UPDATE customers SET name = 'x'\n) SELECT f.* FROM (SELECT 0, f.\"amount\" FROM "));
  CHECK(rest.find("\"orders\" AS MATERIALIZED (SELECT f.\"amount\" FROM") != std::string::npos);
  CHECK(rest.ends_with("up AS (SELECT 1 WHERE false) SELECT count(*) FROM orders WHERE amount > 5"));
}

TEST_CASE("rows of VALUES are left to be shared out", "[writing_with]") {
  const writing_world w;
  const auto plan =
      w.staged("WITH a AS (INSERT INTO customers (id, name) VALUES (1, 'a'), (2, 'b') RETURNING id) SELECT id FROM a");
  REQUIRE(plan);
  CHECK(plan->answered_once);
  REQUIRE(plan->rows->inserts.size() == 1);
  CHECK(plan->rows->inserts[0].body == "INSERT INTO customers (id, name) VALUES (1, 'a'), (2, 'b') RETURNING id");
  CHECK(plan->rows->inserts[0].nothing == "SELECT  id\n FROM \"public\".\"customers\" AS \"customers\" WHERE false");
  CHECK(with_inserts(plan->rows->fragment_sql, std::vector<std::string>{"SELECT 1"}) ==
        "WITH \"pgbraid write 0\"(c0) AS (SELECT 1\n) SELECT 0, \"pgbraid write 0\".c0 FROM \"pgbraid write 0\"");
}

TEST_CASE("an INSERT takes the rows of RETURNING like those of any query", "[writing_with]") {
  const writing_world w;
  const auto plan = w.staged(
      "WITH gone AS (DELETE FROM orders RETURNING customer_id, amount) INSERT INTO orders (customer_id, amount) SELECT "
      "* FROM gone");
  REQUIRE(plan);
  CHECK_FALSE(plan->answered_once);
  REQUIRE(plan->source);
  CHECK(plan->source->before == "INSERT INTO orders (customer_id, amount) ");
  CHECK(plan->query->shown.starts_with("WITH gone AS (DELETE"));
  CHECK(plan->rows->fragment_sql.find("DELETE FROM orders RETURNING") != std::string::npos);
}

TEST_CASE("what could come out otherwise is left alone", "[writing_with]") {
  const writing_world w;
  for (const std::string_view text : {
           // One write reads another, a key changes, a table is written twice.
           "WITH a AS (DELETE FROM orders RETURNING customer_id), b AS (DELETE FROM customers WHERE id IN (SELECT "
           "customer_id FROM a)) SELECT 1",
           "WITH a AS (UPDATE customers SET id = id + 1 RETURNING id) SELECT * FROM a",
           "WITH a AS (UPDATE customers SET name = 'x' RETURNING id), b AS (DELETE FROM customers RETURNING id) SELECT "
           "* FROM a, b",
           "WITH a AS (UPDATE customers SET name = 'x' RETURNING id) UPDATE customers SET name = 'y' FROM a WHERE a.id "
           "= customers.id",
           "WITH a AS (DELETE FROM customers RETURNING id, name) INSERT INTO customers SELECT * FROM a ON CONFLICT "
           "(id) DO NOTHING",
           // A parameter that means something outside too.
           "WITH a AS (DELETE FROM orders WHERE amount > $1 RETURNING id) SELECT * FROM a WHERE id > $1",
       }) {
    INFO(text);
    CHECK(w.staged(text) == nullptr);
  }
}

TEST_CASE("rows of a table are those of what inherits from it", "[writing_with]") {
  writing_world w;
  for (const std::string_view text :
       {"WITH a AS (DELETE FROM orders RETURNING customer_id) DELETE FROM customers",
        "WITH a AS (DELETE FROM orders RETURNING id), b AS (DELETE FROM customers RETURNING id) SELECT * FROM a, b"}) {
    INFO(text);
    for (const bool family : {false, true}) {
      w.schema.relations.at("public.orders").writes_spread = w.schema.relations.at("public.customers").writes_spread =
          family;
      CHECK((w.staged(text) == nullptr) == family);
    }
  }
}

TEST_CASE("rows that a DELETE takes along are those of the whole statement", "[writing_with]") {
  writing_world w;
  w.schema.relations.at("public.customers").unique_keys = {{"id"}, {"name"}};
  for (const std::string_view text :
       {"WITH a AS (DELETE FROM customers RETURNING id) INSERT INTO orders (customer_id, id) SELECT id, 1 FROM a",
        "WITH a AS (DELETE FROM customers RETURNING id) UPDATE orders SET amount = 1 FROM a WHERE a.id = "
        "customer_id",
        "WITH a AS (UPDATE customers SET name = 'x' RETURNING id) UPDATE orders SET amount = 1 FROM a WHERE a.id = "
        "customer_id"}) {
    INFO(text);
    for (const bool refers : {false, true}) {
      auto& to = w.schema.relations.at("public.orders").refers_to;
      to = refers ? std::vector<std::string>{"public.notes"} : std::vector<std::string>{};
      w.schema.relations.at("public.notes").refers_to = {"public.customers"};
      CHECK((w.staged(text) == nullptr) == refers);
    }
  }
}
