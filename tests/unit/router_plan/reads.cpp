// Reads over several shards that need no key, and the rules that no key can mend.
#include <catch2/catch.hpp>

#include "fixture.hpp"
#include "router/plan/columns.hpp"
#include "router/sql/parser.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {
constexpr const char* any = "any shard (replica allowed)";
const std::string all = "shards s0, s1 concatenated (replica allowed)";
const std::string unsupported = "refused: this query over several shards is not supported: ";
}  // namespace

TEST_CASE("reference tables and constants: any shard", "[reads]") {
  const world w(2);
  check(w, {
               {"SELECT 1", any},
               {"SELECT count(*) FROM countries", any},
               {"SELECT * FROM countries c JOIN currencies r ON true ORDER BY 1 LIMIT 3", any},
               {"SELECT * FROM european", any},
               {"SELECT * FROM noisy", "any shard (primary)"},
               {"SELECT random() FROM countries", "any shard (primary)"},
               {"VALUES (1), (2)", any},
               {"SELECT * FROM generate_series(1, 3)", any},
               {"SELECT * FROM countries FOR UPDATE", "shard s0 (primary)"},
               {"EXPLAIN SELECT * FROM countries", any},
               {"", any},
           });
}

TEST_CASE("the designated shard answers for the catalog", "[reads]") {
  const world w(2);
  check(w, {
               {"SELECT * FROM pg_class", "shard s0 (replica allowed)"},
               {"SELECT oid FROM pg_catalog.pg_type WHERE typname = 'mood'", "shard s0 (replica allowed)"},
               {"SELECT * FROM information_schema.columns", "shard s0 (replica allowed)"},
               {"SELECT * FROM information_schema.tables", "shard s0 (replica allowed)"},
               {"SELECT * FROM sneaky", "shard s0 (primary)"},
               {"SELECT 'orders'::regclass", "shard s0 (replica allowed)"},
               {"SELECT to_regclass('orders')", "shard s0 (replica allowed)"},
               {"SELECT pg_is_in_recovery()", "shard s0 (primary, a read)"},
               {"SELECT * FROM pg_stat_activity", "shard s0 (primary, a read)"},
               {"SELECT current_database()", "shard s0 (replica allowed)"},
               {"SELECT pg_advisory_lock(5)", "shard s0 (primary)"},
               {"SELECT * FROM pg_class, countries", "shard s0 (replica allowed)"},
               {"SELECT * FROM pg_class, settings", "shard s0 (replica allowed)"},
               {"SELECT * FROM pg_class, reports", unsupported + "tables of different shards in one statement"},
               {"SELECT * FROM orders, pg_class WHERE customer_id = 5",
                unsupported + "table \"pg_catalog.pg_class\" stands..."},
               {"SELECT tableoid::regclass FROM orders", unsupported + "system column..."},
           });
}

TEST_CASE("unsharded tables", "[reads]") {
  const world w(2);
  check(w,
        {
            {"SELECT * FROM settings", "shard s0 (replica allowed)"},
            {"SELECT * FROM reports ORDER BY 1", "shard s1 (replica allowed)"},
            {"SELECT * FROM settings, countries", "shard s0 (replica allowed)"},
            {"SELECT * FROM settings, reports", unsupported + "tables of different shards in one statement"},
            {"SELECT * FROM settings, orders WHERE customer_id = 5", gathered},
            {"UPDATE settings SET value = 'x'", "shard s0 (primary)"},
            {"INSERT INTO reports SELECT 1, code FROM countries", "shard s1 (primary)"},
            {"INSERT INTO reports SELECT customer_id, item FROM orders", unsupported + "table \"public.reports\"..."},
        });
}

TEST_CASE("concatenation", "[reads]") {
  const world w(2);
  check(w,
        {
            {"SELECT * FROM orders", all},
            {"TABLE orders", all},
            {"SELECT o.*, item FROM orders o WHERE amount > 5", all},
            {"SELECT lower(item), amount * 2 FROM orders", all},
            {"SELECT * FROM orders, generate_series(1, 2)", all},
            {"SELECT item, n FROM orders, generate_series(1, 2) n", all},
            {"SELECT * FROM orders CROSS JOIN countries", all},
            {"SELECT * FROM orders o, (SELECT code FROM countries) n WHERE n.code = o.item", all},
            {"SELECT * FROM orders WHERE item IN (VALUES ('a'), ('b'))", all},
            {"SELECT unnest(ARRAY[1, 2]), item FROM orders", all},
            {"SELECT order_total(5) FROM orders WHERE customer_id = 5", "shard {5} (replica allowed)"},
            {"SELECT order_total(5) FROM orders", unsupported + "function \"order_total\" may give another value..."},
            {"SELECT o FROM orders o", unsupported + "a whole row as one value over several shards"},
            {"SELECT orders FROM orders", unsupported + "a whole row..."},
            {"SELECT row_to_json(o.*) FROM orders o", "refused: ..."},
            {"SELECT ROW(o.*) FROM orders o", "shards s0, s1 gathered (replica allowed)"},
            {"SELECT (o).item FROM orders o", "shards s0, s1 gathered (replica allowed)"},
            {"SELECT ctid FROM orders", unsupported + "system column \"ctid\" over several shards"},
            {"SELECT o.xmin FROM orders o", unsupported + "system column..."},
            {"SELECT * FROM orders TABLESAMPLE BERNOULLI (5)", all},
            {"SELECT * FROM orders, countries TABLESAMPLE BERNOULLI (5)",
             unsupported + "TABLESAMPLE over several shards"},
            {"SELECT * FROM totals", "shards s0, s1 gathered (replica allowed)"},
            {"SELECT * FROM quick", unsupported + "view \"public.quick\" reads tables of several shards"},
            {"EXPLAIN SELECT * FROM orders", "shards s0, s1 concatenated (replica allowed)"},
            {"EXPLAIN (COSTS OFF) SELECT count(*) FROM orders", "shards s0, s1 gathered (replica allowed)"},
            {"EXPLAIN SELECT * FROM orders WHERE customer_id = 5", "shard {5} (replica allowed)"},
            {"EXPLAIN ANALYZE DELETE FROM orders WHERE customer_id = 5", "shard {5} (primary)"},
            {"EXPLAIN DELETE FROM orders WHERE customer_id = 5", "shard {5} (replica allowed)"},
            {"SELECT * FROM typed WHERE id = 5", "shards s0, s1 gathered (replica allowed)"},
            {"SELECT ctid FROM typed WHERE id = 5", "refused: table \"public.typed\" has a type whose OID differs..."},
        });
}

TEST_CASE("all shards that own a bucket are asked, and no other", "[reads]") {
  world w(4);
  for (auto& owner : w.map.buckets.owner) {
    if (owner == 3) owner = 2;
  }
  CHECK(w.told("SELECT * FROM orders") == "shards s0, s1, s2 concatenated (replica allowed)");
  for (auto& owner : w.map.buckets.owner) owner = 1;
  CHECK(w.told("SELECT * FROM orders") == "shard s1 (replica allowed)");
}

TEST_CASE("user code that may read sharded tables", "[reads]") {
  const world w(2);
  check(w, {
               {"SELECT tax(5)",
                "refused: function \"tax\" may read or write sharded tables and would see one shard only"},
               {"SELECT tax(amount) FROM orders WHERE customer_id = 5", "refused: function \"tax\"..."},
               {"SELECT unheard_of(1)", "refused: function \"unheard_of\"..."},
               {"SELECT query_to_xml('SELECT count(*) FROM orders', true, true, '')", "refused: function \"query_to_xml\"..."},
               {"SELECT order_total(5)", any},
               {"SELECT similarity('a', item) FROM orders", all},
               {"CALL something()", "refused: procedure \"something\"..."},
               {"DO $$ begin end $$", "refused: a DO block..."},
           });
}

TEST_CASE("session functions over several shards", "[reads]") {
  const world w(2);
  check(
      w,
      {
          {"SELECT set_config('a.b', 'c', false)", "any shard (primary, a read)"},
          {"SELECT pg_catalog.set_config('a.b', $1::text, true) AS x, set_config($2, NULL, $3)",
           "any shard (primary, a read)"},
          {"SELECT set_config('a.b', 'c' || 'd', false)", "refused: function \"set_config\" is not supported here..."},
          {"SELECT set_config('a.b', 'c', false), 1", "refused: function \"set_config\" is not supported here..."},
          {"SELECT set_config('a.b', name, false) FROM customers WHERE id = 5",
           "refused: function \"set_config\" is not..."},
          {"SELECT set_config('a.b', 'c', false) WHERE false",
           "refused: function \"set_config\" is not supported here..."},
          {"SELECT set_config(new_value => 'c', setting_name => 'a.b', is_local => false)", "refused:..."},
          {"SELECT 1; SELECT set_config('a.b', 'c', false)", "refused:..."},
          {"EXPLAIN SELECT set_config('a.b', 'c', false)", "refused: function \"set_config\" is not supported here..."},
          {"SELECT pg_notify('a', 'b')", "shard s0 (primary)"},
          {"SELECT lo_create(0)", "refused: function \"lo_create\"..."},
          {"SELECT setseed(0.5)", "refused: function \"setseed\"..."},
          {"SELECT nextval('order_ids')", "shard s0 (primary)"},
          {"SELECT lastval()", "shard s0 (primary)"},
          {"SELECT pg_advisory_xact_lock(id) FROM customers WHERE id = 5", "refused: function \"pg_advisory..."},
      });
}

TEST_CASE("what the grammar or the planner does not know is refused over several shards", "[reads]") {
  world w(2);
  check(w, {
               {"THIS IS NO SQL", "refused: pgbraid cannot parse this statement: syntax error at or near \"THIS\""},
               {"SELECT * FROM orders WHERE customer_id = 5 AND xmlcomment('a') IS DOCUMENT",
                "refused: pgbraid cannot parse..."},
               {"SELECT * FROM orders WHERE customer_id = 'unterminated", "refused: pgbraid cannot parse..."},
               {"MERGE INTO orders USING customers ON true WHEN MATCHED THEN DELETE",
                "refused: a write to more than one shard..."},
           });
  const std::string long_text = "SELECT '" + std::string(2 << 20, 'x') + "'";
  CHECK(w.told(long_text).starts_with("refused: a statement of 2097161 bytes is too long"));
  std::string deep = "SELECT 1";
  for (int i = 0; i < 20000; ++i) deep += "+1";
  CHECK(w.told(deep).starts_with("refused: statement too complex"));
  w.context.standard_conforming_strings = false;
  CHECK(w.told("SELECT * FROM orders WHERE customer_id = 5 AND item = 'a\\'")
            .starts_with("refused: pgbraid cannot parse"));
  CHECK(w.told("SELECT * FROM orders WHERE customer_id = 5").starts_with("shard "));
  w.context.multibyte_unsafe = true;
  CHECK(w.told("SELECT * FROM orders WHERE customer_id = 5 AND item = '\x81\x5c'")
            .starts_with("refused: pgbraid cannot parse"));
}

TEST_CASE("refusals carry a hint", "[reads]") {
  const world w(2);
  for (const char* sql :
       {"SELECT max(o) FROM orders o", "SELECT o FROM public.orders o ORDER BY 1", "UPDATE orders SET item = 'x'",
        "SELECT * FROM customers, orders TABLESAMPLE SYSTEM (1)", "SELECT * FROM settings, reports"}) {
    const route r = w.routed(sql);
    INFO(sql);
    REQUIRE(std::holds_alternative<to_refusal>(r.target));
    CHECK_FALSE(std::get<to_refusal>(r.target).error().hint.empty());
  }
  const route r = w.routed("SELECT count(*), max(ctid) FROM public.orders");
  CHECK(std::get<to_refusal>(r.target).error().hint ==
        "Tie \"public.orders\" to one value of the sharding key, for example WHERE orders.customer_id = $1.");
}

TEST_CASE("times in words mean another moment on each shard", "[reads]") {
  const world w(2);
  check(w, {
               {"SELECT * FROM orders WHERE placed > 'now'", unsupported + "'now', 'today' and the like..."},
               {"SELECT * FROM orders WHERE placed > ' Today 12:00 '::timestamptz", unsupported + "'now', 'today'..."},
               {"SELECT * FROM orders WHERE placed > 'YESTERDAY' AND customer_id = 5", "shard {5} (replica allowed)"},
               {"SELECT * FROM orders WHERE item = 'nowhere'", all},
           });
  CHECK(w.told("SELECT * FROM orders WHERE placed > $1", {text_parameter("tomorrow")}).starts_with("refused"));
  CHECK(w.told("SELECT * FROM orders WHERE placed > $1", {text_parameter("2024-01-01")}) == all);
}

TEST_CASE("results whose columns are those of tables", "[reads]") {
  const world w(4);
  const auto alone = [&](std::string_view text) {
    const auto parsed = pgbraid::router::sql::parse(text);
    const auto& statement = std::get<std::vector<pgbraid::router::sql::statement>>(parsed).front();
    analysis found;
    const pgbraid::router::sql::token_scan none;
    constant_marks unused{{}, none};
    analyze(statement, w.context, unused, found);
    return gives_columns_alone(statement, found, *w.context.schema);
  };
  for (const char* text : {"SELECT id, c.name FROM customers c", "SELECT * FROM customers",
                           "SELECT c.*, o.item FROM customers c JOIN orders o ON true", "DELETE FROM customers",
                           "DELETE FROM customers RETURNING id", "UPDATE customers SET name = 'x' RETURNING *",
                           "INSERT INTO customers (id) VALUES (1) RETURNING customers.*",
                           "SELECT ARRAY[name], ROW(id + 1, 'x') FROM customers",
                           "DELETE FROM customers RETURNING $1::int, -$2::numeric, coalesce(name, 'x')::text"}) {
    INFO(text);
    CHECK(alone(text));
  }
  for (const char* text :
       {"SELECT ARRAY[mood] FROM typed", "SELECT c FROM customers c", "SELECT ROW(id, mood) FROM typed",
        "SELECT ARRAY['x'::mood] FROM customers", "SELECT ARRAY[made_elsewhere(id)] FROM customers",
        "SELECT array_agg(mood) FROM typed", "SELECT ARRAY[$1] FROM customers",
        "SELECT * FROM (SELECT ARRAY[name] FROM customers) q",
        "SELECT q.a FROM (SELECT ARRAY[name] AS a FROM customers) q", "WITH q AS (SELECT ROW(1) AS a) SELECT a FROM q",
        "SELECT name FROM customers UNION SELECT name FROM customers",
        "UPDATE customers SET name = 'x' FROM (SELECT 1 AS a) q RETURNING *",
        "WITH q AS (DELETE FROM orders RETURNING ARRAY[item] AS a) DELETE FROM customers USING q RETURNING a",
        "DELETE FROM customers RETURNING customers"}) {
    INFO(text);
    CHECK_FALSE(alone(text));
  }
}
