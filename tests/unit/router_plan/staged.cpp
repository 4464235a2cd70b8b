// Writes over several shards that go out in two steps: what is asked for first, and what the shards get then.
#include <catch2/catch.hpp>

#include "fixture.hpp"
#include "router/plan/insert_select.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/staged.hpp"
#include "router/plan/staged_source.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

const std::string now =
    "(SELECT '\1"
    "0\1'::pg_catalog.timestamptz AS now)";

}  // namespace

TEST_CASE("the time is asked for once", "[staged]") {
  const writing_world w;
  const auto plan = w.staged(
      "UPDATE customers SET created_at = now(), name = 'now()' WHERE created_at < pg_catalog . now ( ) OR created_at > "
      "now()");
  REQUIRE(plan);
  CHECK(plan->moments_sql ==
        "SELECT pg_catalog.to_json(now()) OPERATOR(pg_catalog.#>>) '{}', pg_catalog.to_json(pg_catalog . now ( )) "
        "OPERATOR(pg_catalog.#>>) '{}'");
  CHECK(plan->rows == nullptr);
  const std::vector<std::string> values{"one", "two"};
  CHECK(with_moments(plan->text, values) ==
        "UPDATE customers SET created_at = (SELECT 'one'::pg_catalog.timestamptz AS now), name = 'now()' WHERE "
        "created_at < "
        "(SELECT 'two'::pg_catalog.timestamptz AS now) OR created_at > (SELECT 'one'::pg_catalog.timestamptz AS now)");
  const auto precise =
      w.staged("UPDATE customers SET created_at = CURRENT_TIMESTAMP (2) WHERE created_at < current_date");
  REQUIRE(precise);
  CHECK(with_moments(precise->text, values) ==
        "UPDATE customers SET created_at = (SELECT 'one'::pg_catalog.timestamptz(2) AS current_timestamp) WHERE "
        "created_at < "
        "(SELECT 'two'::pg_catalog.date AS current_date)");
}

TEST_CASE("defaults of the moment are written out", "[staged]") {
  writing_world w;
  for (column& c : w.schema.relations["public.customers"].columns) {
    if (c.name != "name") continue;
    c.has_default = c.default_varies = c.default_of_moment = true;
    c.default_text = "now()";
  }
  const auto told = [&](std::string_view text) {
    const auto plan = w.staged(text);
    return plan ? plan->text : std::string{};
  };
  CHECK(told("INSERT INTO customers (id) VALUES (2), (8) RETURNING id") ==
        "INSERT INTO customers (id, \"name\") VALUES (2, (" + now + ")), (8, (" + now + ")) RETURNING id");
  CHECK(told("INSERT INTO customers (\"id\" /* ) */ ) VALUES (2), (8)") ==
        "INSERT INTO customers (\"id\", \"name\" /* ) */ ) VALUES (2, (" + now + ")), (8, (" + now + "))");
  CHECK(told("INSERT INTO customers VALUES (2), (8)") ==
        "INSERT INTO customers (\"id\", \"name\") VALUES (2, (" + now + ")), (8, (" + now + "))");
  CHECK(told("INSERT INTO customers (id, name) VALUES (2, DEFAULT), (8, 'x')") ==
        "INSERT INTO customers (id, name) VALUES (2, (" + now + ")), (8, 'x')");
  CHECK(told("UPDATE customers SET name = DEFAULT") == "UPDATE customers SET name = (" + now + ")");
  for (column& c : w.schema.relations["public.customers"].columns)
    c.default_text = c.default_text.empty() ? "" : "now() + random() * '1 day'::interval";
  CHECK(told("INSERT INTO customers (id) VALUES (2), (8)").empty());
  CHECK(told("UPDATE customers SET name = DEFAULT").empty());
}

TEST_CASE("rows of other tables come with the statement", "[staged]") {
  const writing_world w;
  const auto plan =
      w.staged("DELETE FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE item = 'x') RETURNING id");
  REQUIRE(plan);
  REQUIRE(plan->rows);
  REQUIRE(plan->rows->fragments.size() == 1);
  CHECK(plan->rows->fragments[0].table == "public.orders");
  CHECK(plan->text.starts_with("WITH \"orders\" AS MATERIALIZED (SELECT "));
  CHECK(plan->text.ends_with(
      ") DELETE FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE item = 'x') RETURNING id"));
  // What chooses rows might choose others on each shard.
  for (const char* text :
       {"DELETE FROM customers WHERE id IN (SELECT customer_id FROM orders ORDER BY id LIMIT 2)",
        "DELETE FROM customers WHERE id IN (SELECT DISTINCT ON (item) customer_id FROM orders)",
        "DELETE FROM customers WHERE id IN (SELECT customer_id FROM orders UNION SELECT 1 LIMIT 2)"}) {
    INFO(text);
    const auto once = w.staged(text);
    REQUIRE(once);
    CHECK(once->query != nullptr);
    CHECK(once->text ==
          "DELETE FROM customers WHERE id IN (\1"
          "0\1)");
  }
  for (const char* text :
       {"DELETE FROM customers WHERE id IN (SELECT customer_id FROM orders LIMIT 2 FOR UPDATE SKIP LOCKED)",
        "DELETE FROM customers WHERE id IN (SELECT customer_id FROM orders, countries LIMIT 2 FOR UPDATE)",
        "UPDATE customers SET name = (SELECT max(item) || random() FROM orders WHERE item = customers.name)"}) {
    INFO(text);
    CHECK(w.staged(text) == nullptr);
  }
}

TEST_CASE("rows of VALUES whose keys are evaluated first", "[staged]") {
  const writing_world w;
  const std::string head = "INSERT INTO orders (customer_id, item) VALUES ";
  for (const char* rows :
       {"(1 + 1, 'a'), (3, 'b')", "(1 + 1, 'a'), (2.5, NULL)", "(abs(1), lower('A')), (abs(2), lower('B'))",
        "(1 + 1, $1), (2 + 2, $2)", "(5::bigint + 1 - 1, 'a'), (6 + 0, 'b')", "(1 + 1, NULL), (2 + 1, NULL)"}) {
    INFO(rows);
    const auto plan = w.staged(head + rows);
    const bool cast = std::string_view{rows}.starts_with("(5::");
    CHECK((plan == nullptr) == cast);  // its type may be another one's
    if (plan == nullptr) continue;
    REQUIRE(plan->source != nullptr);
    CHECK_FALSE(plan->source->columns[0].untyped);
    CHECK(plan->source->columns[1].of_rows == (std::string_view{rows}.find("lower") == std::string_view::npos));
    CHECK(plan->query->sql == std::string{"VALUES "} + rows);
  }
  for (const char* rows :
       {"(1 + 1, 'a'), (3, lower('b'))", "(1 + 1, 'a'), ('3', 'b')", "(abs(1), 'a'), (abs(2.5), 'b')",
        "(1 + 1, 'a'), (length('x'), 'b')", "(1 + 1, $1), (2 + 2, 'b')", "(1 + 1, DEFAULT), (2 + 2, 'b')",
        "(1 + 1, 5), (2 + 2, 'b')", "(1 + 1, 'a'), (2 ^ 3, 'b')"}) {
    INFO(rows);
    CHECK(w.staged(head + rows) == nullptr);
  }
}

TEST_CASE("INSERT ... SELECT", "[staged]") {
  const writing_world w;
  const std::string all = "shards s0, s1, s2, s3 together (primary)";
  const std::string five = "shard {5} (primary)";
  check(w, {
               {"INSERT INTO orders (customer_id, item) SELECT id, name FROM customers", all},
               {"INSERT INTO orders (customer_id, item) SELECT id, name FROM customers WHERE id = 5", five},
               {"INSERT INTO orders (customer_id, item) SELECT 5, name FROM countries", five},
               {"INSERT INTO orders (item, customer_id) SELECT name, id FROM customers LIMIT 3", all},
               {"INSERT INTO orders (customer_id) SELECT id + 1 FROM customers WHERE id = 5", all},
               {"INSERT INTO orders (item) SELECT name FROM customers", "refused: null value for the sharding key..."},
               {"INSERT INTO orders (customer_id) SELECT id FROM customers FOR UPDATE", "refused:..."},
               {"INSERT INTO orders (customer_id) VALUES ((SELECT max(id) FROM customers))", all},
           });
  // By themselves: nothing is asked for first.
  for (const char* text :
       {"INSERT INTO orders (customer_id, item) SELECT id, name FROM customers",
        "INSERT INTO orders (customer_id) SELECT id FROM customers c GROUP BY c.id",
        "INSERT INTO orders (customer_id) SELECT c.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id"}) {
    INFO(text);
    const auto plan = w.staged(text);
    REQUIRE(plan);
    CHECK(plan->source == nullptr);
    CHECK(plan->text == text);
  }
  for (const char* text :
       {"INSERT INTO orders (customer_id) SELECT o.customer_id FROM customers c LEFT JOIN orders o ON o.customer_id = "
        "c.id",
        "INSERT INTO orders (customer_id) SELECT max(id) FROM customers",
        "INSERT INTO orders (customer_id) SELECT id FROM customers GROUP BY name, id LIMIT 5",
        "INSERT INTO orders (customer_id) SELECT id FROM customers UNION SELECT customer_id FROM orders",
        "INSERT INTO orders (customer_id) SELECT count(*) FROM customers GROUP BY id"}) {
    INFO(text);
    const auto plan = w.staged(text);
    REQUIRE(plan);
    CHECK(plan->source != nullptr);
  }
}

TEST_CASE("an INSERT is taken apart", "[staged]") {
  const writing_world w;
  const auto plan = w.staged(
      "WITH x AS (SELECT 1) INSERT INTO orders AS o (item, customer_id) (SELECT 'a', id FROM customers, x LIMIT $1) ON "
      "CONFLICT DO NOTHING RETURNING now()");
  REQUIRE(plan);
  REQUIRE(plan->source);
  CHECK(plan->source->before == "INSERT INTO orders AS o (item, customer_id) ");
  CHECK(plan->source->after == "ON CONFLICT DO NOTHING RETURNING " + now);
  CHECK(plan->source->keys.front().at == 1);
  CHECK_FALSE(plan->source->in_order);
  CHECK(plan->source->columns[0].untyped);
  CHECK(plan->rows->combine_sql.ends_with(", x AS (SELECT 1) (SELECT 'a', id FROM customers, x LIMIT $1) "));
  CHECK(source_select(*plan->source, {25, 23}, {"it's", "7"}, "[{\"c0\":\"it's\",\"c1\":\"7\"}]") ==
        "SELECT 'it''s', f.c1::pg_catalog.int4 FROM "
        "pg_catalog.json_to_recordset('[{\"c0\":\"it''s\",\"c1\":\"7\"}]'::pg_catalog.json) AS f(c0 "
        "pg_catalog.text, c1 pg_catalog.text) ");
  CHECK(source_select(*plan->source, {25, 2249}, {}, "[]").empty());
  const auto none = parts_of_text("INSERT INTO t DEFAULT VALUES");
  CHECK_FALSE(none);
  const std::string_view text =
      "INSERT INTO \"select\".values (\"returning\", on_conflict) SELECT a AS returning, 'on conflict' FROM b";
  const auto odd = parts_of_text(text);
  REQUIRE(odd);
  CHECK(odd->source == 55);
  CHECK(odd->end == text.size());
}

TEST_CASE("a subquery that is answered once stands for itself", "[staged]") {
  world w(4);
  w.schema.single_writer.clear();
  const auto staged = [&](const std::string& condition) {
    const auto made = w.make("UPDATE customers SET balance = 0 WHERE " + condition);
    return made.plan->staged;
  };
  CHECK(staged("balance = (SELECT o.amount FROM orders o ORDER BY 1 LIMIT 1)"));
  CHECK(staged("balance IN (SELECT o.amount AS a FROM orders o ORDER BY a LIMIT 3)"));
  CHECK(staged("balance = (SELECT x.a FROM (SELECT amount AS a FROM orders) x ORDER BY 1 LIMIT 1)"));
  // A column of the table that is written: it is asked for each of its rows.
  CHECK(staged("balance = (SELECT o.amount FROM orders o WHERE o.item = customers.name ORDER BY 1 LIMIT 1)"));
  CHECK(staged("balance = (SELECT o.amount FROM orders o WHERE o.item = email ORDER BY 1 LIMIT 1)"));
  CHECK(staged("balance = (SELECT o.amount FROM orders o JOIN notes n ON n.body = email ORDER BY 1 LIMIT 1)"));
  CHECK(staged("balance = (SELECT o.amount FROM orders o WHERE o.item = (SELECT name LIMIT 1) ORDER BY 1 LIMIT 1)"));
  // No columns, of which rows could be made again.
  CHECK_FALSE(staged("EXISTS (SELECT FROM orders ORDER BY amount LIMIT 1)"));
  // A name of the subquery's own WITH.
  CHECK_FALSE(
      staged("balance = (WITH notes AS (SELECT 1 AS id) SELECT 1 WHERE email IN (SELECT item FROM orders, notes ORDER "
             "BY 1 LIMIT 1))"));
}
