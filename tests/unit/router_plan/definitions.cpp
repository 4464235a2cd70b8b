// What definitions change of what the catalog knows, which plans go by it, and what no shard can see to alone.
#include <catch2/catch.hpp>

#include "fixture.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

using list = std::vector<std::string>;

bool by_columns(const world& w, std::string_view sql) {
  return w.make(sql).plan->by_columns;
}

}  // namespace

TEST_CASE("definitions tell what of the catalog they change", "[definitions]") {
  const writing_world w;
  const auto alters = [&](std::string_view sql) { return w.make(sql).plan->alters; };
  const auto alters_all = [&](std::string_view sql) { return w.make(sql).plan->alters_all; };
  SECTION("of tables whose place the topology says") {
    CHECK(alters("ALTER TABLE countries ADD x int") == list{"countries"});
    CHECK(alters("ALTER TABLE countries RENAME TO states") == list{"countries"});
    CHECK(alters("DROP TABLE settings") == list{"settings"});
    CHECK(alters("CREATE TABLE settings (a int)") == list{"settings"});
    CHECK(alters("CREATE TABLE IF NOT EXISTS settings (a int)").empty());
    CHECK(alters("COMMENT ON TABLE countries IS 'all of them'").empty());
  }
  SECTION("what hangs on them") {
    for (const char* sql : {"CREATE TYPE level AS ENUM ('a')", "ALTER DOMAIN label SET DEFAULT 'x'",
                            "DROP INDEX orders_note", "CREATE EXTENSION hstore"}) {
      INFO(sql);
      CHECK(alters(sql) == list{"*"});
    }
    CHECK(alters("CREATE FUNCTION upper(int) RETURNS int LANGUAGE sql AS 'SELECT 1'") == list{"*", "upper()", "()"});
    CHECK(alters("CREATE UNIQUE INDEX ON orders (customer_id, note)") == list{"orders"});
    CHECK(alters("CREATE UNIQUE INDEX CONCURRENTLY i ON orders (customer_id, note)") == list{"orders"});
    CHECK(alters("CREATE INDEX ON orders (note)").empty());
    CHECK(alters("CREATE TRIGGER t BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION tax()") == list{"orders"});
    CHECK(alters("DROP TRIGGER t ON orders") == list{"orders"});
  }
  SECTION("functions") {
    CHECK(alters("CREATE AGGREGATE added (int) (SFUNC = int4pl, STYPE = int)").front() == "*");
    CHECK(alters("CREATE FUNCTION fresh(int) RETURNS int LANGUAGE sql AS 'SELECT 1'") == list{"fresh()", "()"});
    // One that there is may be behind a view, a default or a check.
    CHECK(alters("CREATE FUNCTION tax(int) RETURNS int LANGUAGE sql AS 'SELECT 1'") == list{"*", "tax()", "()"});
    CHECK(alters("CREATE OR REPLACE PROCEDURE x.tax() LANGUAGE sql AS 'SELECT 1'") == list{"*", "tax()", "()"});
    CHECK(alters("ALTER FUNCTION tax(int) STABLE") == list{"*", "tax()", "()"});
    CHECK(alters("ALTER FUNCTION tax(int) RENAME TO duty") == list{"*", "tax()", "()"});
    CHECK(alters("ALTER FUNCTION tax(int) SET SCHEMA x") == list{"*", "tax()", "()"});
    CHECK(alters("DROP FUNCTION tax(int), duty") == list{"*", "tax()", "duty()", "()"});
  }
  SECTION("columns alone, or what stands behind them too") {
    for (const char* sql :
         {"ALTER TABLE orders ADD x int", "ALTER TABLE orders ADD x int DEFAULT 5 NOT NULL, DROP COLUMN note",
          "ALTER TABLE orders RENAME COLUMN note TO x", "ALTER TABLE orders ALTER note DROP DEFAULT",
          "ALTER TABLE orders ALTER note SET NOT NULL", "ALTER TABLE orders ALTER note TYPE varchar(10)",
          "ALTER TABLE orders ADD CHECK (id > 0)", "ALTER TABLE orders DISABLE TRIGGER ALL",
          "ALTER TABLE orders OWNER TO app",
          "ALTER TABLE orders ADD x jsonb DEFAULT '{}'::jsonb NOT NULL CHECK (x IS NOT NULL AND x <> '1')",
          "DROP TABLE settings", "CREATE UNIQUE INDEX ON orders (customer_id, note)",
          "COMMENT ON TABLE orders IS 'all of them'"}) {
      INFO(sql);
      CHECK_FALSE(alters_all(sql));
    }
    for (const char* sql :
         {"ALTER TABLE orders ALTER note SET DEFAULT upper('x')", "ALTER TABLE orders ENABLE TRIGGER ALL",
          "ALTER TABLE orders ADD x text UNIQUE", "ALTER TABLE orders ADD CHECK (tax(id) > 0)",
          "ALTER TABLE orders ADD x int CHECK (tax(x) > 0)", "ALTER TABLE customers ALTER id TYPE int",
          "ALTER TABLE orders ENABLE ROW LEVEL SECURITY", "ALTER TABLE orders RENAME TO u", "DROP TABLE orders",
          "CREATE TRIGGER t BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION tax()",
          "ALTER TABLE orders ALTER id ADD GENERATED ALWAYS AS IDENTITY"}) {
      INFO(sql);
      CHECK(alters_all(sql));
    }
  }
}

TEST_CASE("a type of one's own may have a default", "[definitions]") {
  writing_world w;
  CHECK_FALSE(w.make("ALTER TABLE orders ADD x label").plan->alters_all);
  w.schema.user_types.insert("label");
  CHECK(w.make("ALTER TABLE orders ADD x label").plan->alters_all);
}

TEST_CASE("plans that hold whatever columns their tables have", "[definitions]") {
  const writing_world w;
  for (const char* sql :
       {"SELECT * FROM orders WHERE customer_id = 1", "SELECT id, note FROM orders", "SELECT * FROM countries",
        "UPDATE orders SET note = 'x' WHERE customer_id = 1", "UPDATE orders SET note = 'x'",
        "DELETE FROM orders WHERE note = 'x'", "INSERT INTO orders (customer_id, id) VALUES (1, 2), (3, 4)",
        "INSERT INTO countries (code) VALUES ('x')", "INSERT INTO settings VALUES (1)", "COPY settings FROM STDIN",
        "INSERT INTO orders (customer_id, id) VALUES (1, 2) ON CONFLICT (customer_id, id) DO NOTHING",
        "COPY orders (customer_id, id) FROM STDIN", "EXPLAIN SELECT * FROM settings",
        "SELECT o.*, c.name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.customer_id = 1", "SELECT 1",
        "LOCK TABLE orders", "TRUNCATE orders"}) {
    INFO(sql);
    CHECK_FALSE(by_columns(w, sql));
  }
  for (const char* sql :
       {"SELECT count(*) FROM orders", "SELECT * FROM orders ORDER BY id", "INSERT INTO orders VALUES (1, 2)",
        "SELECT * FROM orders NATURAL JOIN customers WHERE customer_id = 1",
        "SELECT o.id FROM orders o JOIN customers c USING (id) WHERE o.customer_id = 1 AND c.id = 1",
        "SELECT * FROM customers WHERE id = 1 AND EXISTS (SELECT 1 FROM orders WHERE customer_id = id)",
        "SELECT s.id FROM (SELECT * FROM customers) s JOIN orders o ON o.customer_id = s.id WHERE s.id = 1",
        "COPY orders FROM STDIN", "COPY orders TO STDOUT", "COPY countries FROM STDIN",
        "SELECT c.name FROM customers c JOIN orders o ON o.note = c.name", "EXPLAIN SELECT * FROM orders"}) {
    INFO(sql);
    CHECK(by_columns(w, sql));
  }
  CHECK(by_columns(w, "SELECT 1; SELECT count(*) FROM orders"));
}

TEST_CASE("plans tell which functions they go by", "[definitions]") {
  writing_world w;
  CHECK(w.make("SELECT public.tax(id), lower(note) FROM orders").plan->calls == list{"tax()", "()"});
  CHECK(w.make("SELECT lower(note) FROM orders").plan->calls.empty());
  CHECK(w.make("SELECT x.lower(note) FROM orders").plan->calls == list{"lower()", "()"});
  w.schema.relations.at("public.orders").user_code = {"public.stamp"};
  CHECK(w.make("UPDATE orders SET note = 'x'").plan->calls == list{"stamp()", "()"});
  CHECK(w.make("SELECT tax(1); UPDATE orders SET note = 'x'").plan->calls == list{"tax()", "()", "stamp()"});
}

TEST_CASE("what is to be unique has the sharding key among its columns", "[definitions]") {
  writing_world w;
  const auto refused = [](const std::string& tag) {
    return "refused: " + tag + " for uniqueness without the sharding key of \"public.orders\"...";
  };
  check(w, {{"CREATE UNIQUE INDEX ON orders (note)", refused("CREATE INDEX")},
            {"CREATE UNIQUE INDEX CONCURRENTLY i ON orders (note)", refused("CREATE INDEX")},
            {"CREATE UNIQUE INDEX ON orders (abs(customer_id))", refused("CREATE INDEX")},
            {"CREATE UNIQUE INDEX ON orders ((customer_id), note COLLATE \"C\")", refused("CREATE INDEX")},
            {"ALTER TABLE orders ADD UNIQUE (note, id)", refused("ALTER TABLE")},
            {"ALTER TABLE orders ADD PRIMARY KEY (id)", refused("ALTER TABLE")},
            {"ALTER TABLE orders ADD CONSTRAINT a UNIQUE (customer_id, id), ADD CONSTRAINT b UNIQUE (id)", refused("ALTER TABLE")},
            {"ALTER TABLE orders ADD EXCLUDE USING gist (note WITH =)", refused("ALTER TABLE")},
            {"ALTER TABLE orders ADD EXCLUDE USING gist (customer_id WITH <>)", refused("ALTER TABLE")},
            {"ALTER TABLE orders ADD x int DEFAULT 5 UNIQUE", refused("ALTER TABLE")},
            {"CREATE INDEX ON orders (note)", "shards s0, s1, s2, s3 together..."},
            {"CREATE UNIQUE INDEX ON orders (note, customer_id)", "shards s0, s1, s2, s3 together..."},
            {"ALTER TABLE orders ADD UNIQUE (note, customer_id)", "shards s0, s1, s2, s3 together..."},
            {"ALTER TABLE orders ADD x int UNIQUE", "shards s0, s1, s2, s3 together..."},
            {"CREATE UNIQUE INDEX ON countries (code)", "shards s0, s1, s2, s3 together..."},
            {"CREATE UNIQUE INDEX ON unknown (code)", "shards s0, s1, s2, s3 together..."}});
  const auto hint = [&w](const std::string& sql) {
    return std::get<to_refusal>(std::get<fixed_target>(w.make(sql).plan->where).target).error().hint;
  };
  CHECK(hint("CREATE UNIQUE INDEX ON orders (note)").starts_with("Add \"customer_id\" to its columns, "));
  w.map.tables.at("public.orders").unique = {"note"};
  CHECK(hint("CREATE UNIQUE INDEX ON orders (note)").starts_with("It is listed as unique: "));
  CHECK(hint("CREATE UNIQUE INDEX ON orders (lower(note))").starts_with("Add "));
  CHECK(hint("ALTER TABLE orders ADD UNIQUE (note, id)").starts_with("Add "));
  w.map.accept_unenforced.insert("public.orders");
  check(w, {{"CREATE UNIQUE INDEX ON orders (note)", "shards s0, s1, s2, s3 together..."}});
}
