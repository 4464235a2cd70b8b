// INSERT over several shards: who gets which rows, and the statements of their own that they get.
#include <catch2/catch.hpp>

#include "fixture.hpp"
#include "router/copy/copy_splitter.hpp"
#include "router/plan/rows.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

std::string part(std::string_view text, std::vector<shard_index> rows, shard_index shard) {
  return part_of_insert(text, rows, shard).sql;
}

}  // namespace

TEST_CASE("each shard gets its own rows", "[rows]") {
  CHECK(part("INSERT INTO t VALUES (1), (2), (3)", {0, 1, 0}, 0) == "INSERT INTO t VALUES (1), (3)");
  CHECK(part("INSERT INTO t VALUES (1), (2), (3)", {0, 1, 0}, 1) == "INSERT INTO t VALUES (2)");
  CHECK(part("insert into t (\"values\", b) values /* (0) */ (1, '), (') , (2, $$(,)$$) returning (b)", {0, 1}, 1) ==
        "insert into t (\"values\", b) values /* (0) */ (2, $$(,)$$) returning (b)");
  CHECK(part("INSERT INTO t VALUES (f((1)), (2)) -- (3)\n, (4, 5) ON CONFLICT (a) DO NOTHING;", {1, 0}, 1) ==
        "INSERT INTO t VALUES (f((1)), (2)) ON CONFLICT (a) DO NOTHING;");
  CHECK(part("INSERT INTO t VALUES (1), (2)", {0}, 0).empty());
}

TEST_CASE("where a shard's own rows stand in the whole", "[rows]") {
  const std::string text = "INSERT INTO t VALUES (1), (22) , (333) RETURNING a";
  const std::vector<shard_index> rows{0, 1, 1};
  const std::string own = own_rows(text, rows, 1);
  for (const std::string piece : {"INTO", "(22)", "2)", "(333)", "3)", "RETURNING", "a"}) {
    const auto place = place_of_own_row(text, rows, 1, own.find(piece));
    REQUIRE(place);
    CHECK(text.substr(*place).starts_with(piece));
  }
  CHECK(place_of_own_row(text, rows, 1, own.find(", ")) == std::nullopt);
  CHECK(place_of_own_row(text, {}, 1, 0) == std::nullopt);
}

TEST_CASE("parameters are numbered anew", "[rows]") {
  const std::vector<shard_index> rows{0, 1};
  const insert_part second = part_of_insert("INSERT INTO t VALUES ($1, $2, '$9'), ($3, $2, a$1) RETURNING $4", rows, 1);
  CHECK(second.sql == "INSERT INTO t VALUES ($1, $2, a$1) RETURNING $3");
  CHECK(second.parameters == std::vector<std::uint16_t>{2, 1, 3});
}

TEST_CASE("writes over several shards, where transactions may do that", "[rows]") {
  world w(4);
  w.schema.single_writer.clear();
  const auto key = [&](shard_index shard) { return std::to_string(keys_on(w.map, shard, 1).front()); };
  const std::string rows = "(" + key(0) + "), (" + key(2) + ")";
  const std::string refused = "refused: a write to more than one shard...",
                    all = "shards s0, s1, s2, s3 together (primary)";
  check(w,
        {
            {"UPDATE customers SET name = 'x'", "shards s0, s1, s2, s3 together (primary)"},
            {"DELETE FROM customers WHERE id IN (" + key(1) + ", " + key(3) + ")", "shards s1, s3 together (primary)"},
            {"INSERT INTO customers (id) VALUES " + rows, "shards s0, s2, each with its own rows (primary)"},
            {"INSERT INTO customers (id) VALUES " + rows + " ON CONFLICT DO NOTHING",
             "shards s0, s2, each with its own rows (primary)"},
            {"INSERT INTO customers (id) VALUES " + rows + " ON CONFLICT DO NOTHING RETURNING id",
             "shards s0, s2, each with its own rows (primary)"},
            {"COPY (INSERT INTO customers (id) VALUES " + rows + " RETURNING id) TO STDOUT", "refused:..."},
            {"EXPLAIN INSERT INTO customers (id) VALUES " + rows, "shards s0, s2 concatenated (replica allowed)"},
            {"UPDATE customers SET name = random()::text", all},
            {"UPDATE customers SET name = (SELECT random()::text)", all},
            {"UPDATE customers SET created_at = now()", all},
            {"UPDATE customers SET name = DEFAULT", all},
            {"UPDATE customers SET id = 7", "shards s0, s1, s2, s3 together (primary)"},
            {"DELETE FROM customers USING orders WHERE orders.customer_id = customers.id",
             "shards s0, s1, s2, s3 together (primary)"},
            {"DELETE FROM customers USING orders WHERE orders.note = customers.name", all},
            {"UPDATE customers SET name = 'x' WHERE id IN (SELECT customer_id FROM orders)", all},
            {"UPDATE customers SET name = 'x' WHERE id IN (SELECT customer_id FROM orders LIMIT 3)", all},
            {"WITH d AS (DELETE FROM orders RETURNING *) SELECT * FROM d", all},
            {"WITH d AS (DELETE FROM orders RETURNING *) DELETE FROM customers USING d WHERE d.customer_id = id", all},
            {"WITH d AS (DELETE FROM orders RETURNING *) DELETE FROM orders USING d WHERE d.id = orders.id", refused},
            {"SELECT * FROM customers FOR UPDATE", all},
            {"SELECT * FROM customers ORDER BY id FOR UPDATE", all},
            {"SELECT id FROM customers ORDER BY id FOR UPDATE SKIP LOCKED", all},
            {"SELECT id FROM customers ORDER BY id LIMIT 3 FOR UPDATE", all},
            {"SELECT id FROM customers ORDER BY id LIMIT 3 FOR UPDATE SKIP LOCKED", all},
            {"SELECT id FROM customers LIMIT 3 FOR UPDATE", all},
            {"SELECT id FROM customers WHERE id = ANY ($1) ORDER BY id FOR UPDATE", all},
            {"SELECT id FROM customers ORDER BY id OFFSET 1 FOR UPDATE", refused},
            {"SELECT id FROM customers ORDER BY lower(name) FOR UPDATE", all},
            {"SELECT id FROM customers ORDER BY name DESC LIMIT 3 FOR NO KEY UPDATE", all},
            {"SELECT id FROM customers WHERE name > 'a' ORDER BY 1, name FOR SHARE NOWAIT;", all},
            {"SELECT id FROM customers c ORDER BY name FOR UPDATE OF c", all},
            {"SELECT id FROM customers c ORDER BY name FOR UPDATE OF d", refused},
            {"SELECT id FROM customers ORDER BY name LIMIT 3 FOR UPDATE SKIP LOCKED", all},
            {"SELECT id FROM orders ORDER BY item LIMIT 3 FOR UPDATE SKIP LOCKED", refused},
            {"SELECT id FROM customers WHERE name IN (SELECT item FROM orders) ORDER BY name FOR UPDATE", refused},
            {"SELECT id FROM customers ORDER BY lower(name) LIMIT $1 FOR UPDATE", refused},
            {"SELECT DISTINCT name FROM customers FOR UPDATE", refused},
            // Rows that WHERE leaves out would be locked too.
            {"SELECT public.customers.id FROM customers WHERE name > 'a' ORDER BY lower(email) FOR UPDATE", refused},
            {"SELECT id FROM customers WHERE name <> ' LIMIT ' ORDER BY lower(name) LIMIT $1 FOR UPDATE", refused},
            {"SELECT count(*) FROM customers FOR UPDATE", refused},
            {"SELECT * FROM (SELECT * FROM customers ORDER BY id FOR UPDATE) x", refused},
        });
  for (column& c : w.schema.relations["public.customers"].columns) c.default_of_moment = c.name == "name";
  CHECK(w.told("INSERT INTO customers (id) VALUES " + rows).starts_with("refused:"));
  CHECK(w.told("INSERT INTO customers (id, name) VALUES (" + key(0) + ", 'a'), (" + key(2) + ", 'b')").starts_with("shards "));
}

TEST_CASE("definitions go to all shards, where each makes the same of them", "[rows]") {
  world w(2);
  const std::string refused = "refused: ALTER TABLE over several shards...";
  CHECK(w.told("ALTER TABLE customers ADD COLUMN x int").starts_with("refused:"));
  w.schema.single_writer.clear();
  const std::string all = "shards s0, s1 together (primary)";
  check(
      w,
      {
          {"ALTER TABLE customers ADD COLUMN x int DEFAULT 5", all},
          {"ALTER TABLE customers ADD COLUMN x numeric(10, 2) DEFAULT 0.5 NOT NULL CHECK (x > 0), ADD y varchar(5)",
           all},
          {"ALTER TABLE customers ADD x text[] DEFAULT ARRAY['a', 'b']::varchar(5)[] REFERENCES countries (code)", all},
          {"ALTER TABLE customers ADD COLUMN x int GENERATED ALWAYS AS (length(name) + 1) STORED", all},
          {"ALTER TABLE customers ADD x int[] DEFAULT ARRAY[1, f(2)]", refused},
          {"ALTER TABLE countries ADD x timestamptz DEFAULT CASE WHEN 1 IS NOT NULL THEN now() END", refused},
          {"ALTER TABLE countries ADD x timestamptz DEFAULT $$now$$", refused},
          {"ALTER TABLE countries ADD x timestamptz DEFAULT E'no\\x77'", refused},
          {"ALTER TABLE countries ADD x text DEFAULT current_schema", refused},
          {"ALTER TABLE countries ADD o int8 GENERATED ALWAYS AS (tableoid::int8) STORED", refused},
          {"ALTER TABLE countries ADD o int8 GENERATED ALWAYS AS (tax(code)) STORED", refused},
          {"ALTER TABLE customers ADD x int DEFAULT 1 CHECK (x > 0), ADD y float8 DEFAULT random()", refused},
          {"ALTER TABLE customers ADD x timestamptz DEFAULT timestamptz(now())", refused},
          {"ALTER TABLE customers ADD x timestamptz DEFAULT 'now'", refused},
          {"ALTER TABLE customers ADD COLUMN x timestamptz DEFAULT now()", refused},
          {"ALTER TABLE customers ADD COLUMN x timestamptz DEFAULT CURRENT_TIMESTAMP", refused},
          {"ALTER TABLE countries ADD COLUMN x serial", refused},
          {"ALTER TABLE countries ALTER COLUMN code TYPE text USING random()::text", refused},
          {"ALTER TABLE countries ALTER COLUMN code TYPE text USING current_timestamp", refused},
          {"ALTER TABLE countries ALTER COLUMN code TYPE timestamptz USING code::timestamptz", refused},
          {"ALTER TABLE countries ALTER COLUMN code TYPE regclass USING code::regclass", refused},
          {"ALTER TABLE countries ALTER COLUMN code TYPE label USING code::label", refused},
          {"ALTER TABLE countries ALTER COLUMN code TYPE text USING code || 'x'", refused},
          {"ALTER TABLE countries ALTER COLUMN code TYPE text USING tax(code)", refused},
          {"ALTER TABLE countries ADD EXCLUDE USING gist (code WITH =)", refused},
          {"ALTER TABLE \"countries\" alter column \"code\" type text using (\"code\"::text)", all},
          {"ALTER TABLE countries ALTER code TYPE varchar(20) USING code::text::pg_catalog.varchar(20), ALTER code SET "
           "NOT NULL",
           all},
          {"ALTER TABLE countries ALTER code TYPE character varying(5) USING code :: character varying ( 5 );", all},
          {"ALTER TABLE customers ALTER name TYPE bigint USING name", all},
          {"ALTER TABLE customers ALTER id TYPE bigint USING id::bigint",
           "refused: ALTER TABLE of the sharding key..."},
          {"ALTER TABLE ONLY countries ALTER COLUMN code SET DEFAULT nextval('public.s'::regclass)", all},
          {"ALTER TABLE countries ALTER COLUMN code SET DEFAULT now()::text, ADD CONSTRAINT c CHECK (code <> '')", all},
          {"ALTER TABLE countries ALTER code SET DEFAULT now()::text, ADD x int", refused},
          {"ALTER TABLE countries ALTER code ADD GENERATED BY DEFAULT AS IDENTITY (START WITH 1)", all},
          {"ALTER TABLE countries ADD generated always DEFAULT random()", refused},
          {"ALTER TABLE countries ADD \"x\" \"int4\" GENERATED ALWAYS AS IDENTITY", refused},
          {"ALTER TABLE countries ADD /* column */ \"constraint\" int DEFAULT random()", refused},
          {"CREATE INDEX ON customers (name)", all},
          {"CREATE POLICY p ON customers USING (id > 5)", all},
          {"CREATE AGGREGATE added (int) (SFUNC = int4pl, STYPE = int)", all},
          {"DROP AGGREGATE added (int)", all},
          {"DROP PROCEDURE p (int)", all},
          {"ALTER POLICY p ON customers RENAME TO q", all},
          {"DROP POLICY IF EXISTS p ON customers", all},
          {"CREATE POLICY p ON settings USING (true)", "shard s0 (primary)"},
          {"CREATE INDEX CONCURRENTLY ON customers (name)", "refused: CREATE INDEX CONCURRENTLY without a name..."},
          {"TRUNCATE customers", all},
          {"TRUNCATE settings", "shard s0 (primary)"},
          {"ALTER TABLE settings ADD x timestamptz DEFAULT now()", "shard s0 (primary)"},
          {"DROP TABLE customers, settings", "refused: DROP TABLE over several shards..."},
          {"CREATE TEMP TABLE x (n int)", "refused:..."},
          {"CREATE TABLE x AS SELECT 1", "refused:..."},
          {"CREATE ROLE x", "refused: CREATE ROLE over several shards..."},
          {"CREATE SEQUENCE x", "shards s0, s1 together (primary)"},
          {"CREATE EXTENSION x", all},
          {"ALTER TABLE orders ATTACH PARTITION documents DEFAULT", "refused: ALTER TABLE of tables whose rows..."},
          {"ALTER TABLE orders INHERIT notes", all},
          {"ALTER SCHEMA public RENAME TO old", "refused: ALTER SCHEMA ... RENAME of one with sharded..."},
          {"ALTER SCHEMA other RENAME TO public", "refused: ALTER SCHEMA ... RENAME of one with sharded..."},
          {"ALTER SCHEMA other RENAME TO another", all},
          {"COMMENT ON COLUMN customers.name IS 'on role'", all},
          {"COMMENT ON ROLE app IS 'x'", "refused: COMMENT over several shards..."},
          {"COMMENT ON DATABASE shop IS 'x'", "refused: COMMENT over several shards..."},
          {"GRANT SELECT ON customers TO app", all},
          {"GRANT SELECT ON ALL TABLES IN SCHEMA public TO app", all},
          {"GRANT CONNECT ON DATABASE shop TO app", "refused: GRANT over several shards..."},
          {"GRANT readers TO app", "refused: GRANT ROLE over several shards..."},
          {"REVOKE readers FROM app", "refused: REVOKE ROLE over several shards..."},
      });
}

TEST_CASE("COPY FROM gives each row to its shard, where transactions may do that", "[rows]") {
  world w(2);
  w.schema.single_writer.clear();
  const std::string split = "shards s0, s1 together (primary)";
  const std::string refused = "refused: a write to more than one shard is not supported: COPY...";
  check(w, {
               {"COPY customers FROM STDIN", split},
               {"COPY customers (name, id) FROM STDIN (FORMAT csv, HEADER match, QUOTE '''', FREEZE)", split},
               {"COPY public.orders FROM STDIN WITH CSV HEADER DELIMITER ';' NULL 'x' FORCE NOT NULL item", split},
               {"COPY BINARY customers FROM STDIN", split},
               {"COPY customers FROM STDIN (ENCODING 'latin1')", split},
               {"COPY customers FROM STDIN (ENCODING 'sjis')", refused},
               {"COPY customers FROM STDIN (FORMAT csv, QUOTE E'\\\\')", refused},
               {"COPY customers FROM STDIN (SOMETHING new)", refused},
               {"COPY customers (name) FROM STDIN", "refused: the INSERT gives no value for the sharding key..."},
               {"COPY customers FROM STDIN WHERE id > 5", "refused: COPY FROM ... WHERE..."},
               {"COPY customers FROM '/tmp/x'", "refused: COPY with a file..."},
               {"COPY odd FROM STDIN", "refused: the value of the sharding key..."},
               {"COPY loose FROM STDIN", "refused: a write to table..."},
               {"COPY watched FROM STDIN", "refused: function \"audit\"..."},
               {"COPY typed FROM STDIN", "shards s0, s1 together (primary)"},
               {"COPY typed FROM STDIN (FORMAT binary)", "refused: table \"public.typed\" has a type..."},
               {"COPY countries FROM STDIN", split},
               {"COPY countries FROM STDIN WHERE code = 'DE'", "refused: COPY FROM ... WHERE..."},
               {"COPY customers FROM STDIN; SELECT 1", "refused:..."},
           });
  for (column& c : w.schema.relations["public.countries"].columns) c.default_varies = c.name == "name";
  check(w, {{"COPY countries (code) FROM STDIN", "refused: a write to reference table..."}, {"COPY countries FROM STDIN", split}});
  const auto layout = w.make("COPY customers (name, id) FROM STDIN (FORMAT csv, FORCE_NULL (id))").plan->copy;
  REQUIRE(layout != nullptr);
  REQUIRE(layout->shape.keys.size() == 1);
  CHECK(layout->shape.keys.front().at == 1);
  CHECK(layout->shape.keys.front().null_forced);
  CHECK(layout->shape.format.delimiter == ',');
  CHECK(layout->shape.format.null_mark.empty());
  for (column& c : w.schema.relations["public.customers"].columns) {
    c.default_of_moment = c.name == "created";
    c.generated = c.name == "created";
  }
  check(w, {{"COPY customers (id) FROM STDIN", refused},
            {"COPY customers (id, created) FROM STDIN", split},
            {"COPY customers FROM STDIN", split}});
  for (column& c : w.schema.relations["public.customers"].columns) c.generated = c.name == "id";
  check(w, {{"COPY customers FROM STDIN", refused}, {"COPY customers (id, created) FROM STDIN", split}});
}
