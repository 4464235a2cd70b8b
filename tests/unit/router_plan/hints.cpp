// Hints: in comments and by the context, where statements then run, and what no hint can do.
#include <catch2/catch.hpp>

#include "fixture.hpp"
#include "router/plan/hints.hpp"
#include "router/plan/key_columns.hpp"
#include "router/plan/plan_cache.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

std::string key_on(const world& w, shard_index shard) {
  return std::to_string(keys_on(w.map, shard, 1).front());
}

std::string error_of(const route& r) {
  const auto* refused = std::get_if<to_refusal>(&r.target);
  return refused == nullptr ? "" : std::string{pgbraid::protocol::row_of(refused->error().id).sqlstate} + " " + refused->error().hint;
}

}  // namespace

TEST_CASE("a comment says where a statement runs", "[hints]") {
  const world w{4};
  check(w, {
               {"/* pgbraid: shard=s2 */ SELECT count(DISTINCT name) FROM customers", "shard s2 (replica allowed)"},
               {"SELECT * FROM customers ORDER BY name /*pgbraid:shard=s1*/", "shard s1 (replica allowed)"},
               {"SELECT * FROM customers -- pgbraid: shard=s3", "shard s3 (replica allowed)"},
               {"-- pgbraid: shard='s3' target=primary\nSELECT * FROM customers", "shard s3 (primary, a read)"},
               {"SELECT * FROM customers WHERE id = 5 /* pgbraid: shard=s0 */", "shard s0 (replica allowed)"},
               {"/* pgbraid: key=5 */ SELECT * FROM customers", "shard {5} (replica allowed)"},
               {"/* pgbraid: key=5 */ SELECT * FROM customers, orders", "shard {5} (replica allowed)"},
               {"/* pgbraid: key=5 */ SELECT audit(customer_id) FROM orders", "shard {5} (primary)"},
               {"/* pgbraid: shard=s1 */ DELETE FROM orders", "shard s1 (primary)"},
               {"/* pgbraid: shard=s1 */ UPDATE orders SET item = now()::text", "shard s1 (primary)"},
               {"/* pgbraid: shard=s1 */ CALL tidy()", "shard s1 (primary)"},
               {"/* pgbraid: shard=s1 */ DO $$ BEGIN END $$", "shard s1 (primary)"},
               {"/* pgbraid: shard=s1 */ VACUUM orders", "shard s1 (primary)"},
               {"/* pgbraid: shard=s2 */ SELECT * FROM pg_class", "shard s2 (replica allowed)"},
               {"/* pgbraid: shard=s2 */ COPY orders TO STDOUT", "shard s2 (replica allowed)"},
               {"/* pgbraid: shard=s2 */ EXPLAIN SELECT * FROM orders", "shard s2 (replica allowed)"},
               {"/* pgbraid: shard=s2 */ SELECT * FROM unlisted", "shard s2 (replica allowed)"},
               {"/* pgbraid: target=primary */ SELECT * FROM customers WHERE id = 5", "shard {5} (primary, a read)"},
               {"/* pgbraid: target=replica */ SELECT * FROM customers", "shards s0, s1, s2, s3 concatenated (replica allowed)"},
               {"SELECT '/* pgbraid: shard=s1 */' FROM customers WHERE id = 5", "shard {5} (replica allowed)"},
               {"/* see pgbraid: shard=s1 */ SELECT * FROM customers WHERE id = 5", "shard {5} (replica allowed)"},
           });
}

TEST_CASE("no hint puts a row where it does not belong", "[hints]") {
  world w{4};
  w.schema.single_writer.clear();
  const std::string on1 = key_on(w, 1), on2 = key_on(w, 2);
  const std::string here = "/* pgbraid: shard=s1 */ ";
  check(w, {
               {here + "INSERT INTO orders (customer_id) VALUES (" + on1 + ")", "shard s1 (primary)"},
               {here + "INSERT INTO orders (customer_id) VALUES (" + on2 + ")",
                "refused: what this statement writes belongs on shard \"s2\", and a hint wants it on shard \"s1\""},
               {here + "INSERT INTO orders (customer_id) VALUES (" + on1 + "), (" + on2 + ")",
                "refused: what this statement writes belongs on shard \"s1, s2\", and a hint wants it on shard \"s1\""},
               {here + "INSERT INTO orders (customer_id) SELECT customer_id FROM orders", "shard s1 (primary)"},
               {here + "INSERT INTO orders (customer_id) SELECT id FROM notes", "refused: ..."},
               {here + "INSERT INTO orders (customer_id) VALUES (abs(5))", "refused: ..."},
               {here + "COPY orders FROM STDIN", "refused: invalid hint for pgbraid: COPY into sharded table \"public.orders\" puts each row where its key says"},
               {here + "UPDATE orders SET customer_id = 5 WHERE customer_id = 5", "refused: ..."},
               {here + "WITH u AS (UPDATE orders SET item = 'x' RETURNING 1) SELECT * FROM u", "refused: ..."},
               {here + "INSERT INTO loose (id) VALUES (" + on1 + ")", "refused: a write to table \"public.loose\" is refused: ..."},
               {here + "INSERT INTO countries VALUES ('at', 'Austria')",
                "refused: INSERT cannot be left to shard \"s1\" by a hint: a reference table is written on all shards"},
               {here + "SELECT * FROM settings", "refused: SELECT cannot be left to shard \"s1\" by a hint: table \"public.settings\" stands on shard \"s0\""},
               {here + "CREATE TABLE more (id int)", "refused: CREATE TABLE cannot be left to shard \"s1\" by a hint: the shards would no longer be alike"},
               {here + "TRUNCATE orders", "refused: TRUNCATE cannot be left to ..."},
               {here + "SELECT set_config('pgbraid.shard', 's0', false)", "refused: set_config() of a setting ..."},
               {here + "SELECT * FROM typed", "refused: table \"public.typed\" has a type ..."},
               {here + "SELECT * INTO more FROM orders", "refused: ..."},
               {here + "BEGIN", "any shard ..."},
               {here + "SET work_mem = 1000", "any shard ..."},
               {here + "DELETE FROM orders; INSERT INTO orders (customer_id) VALUES (" + on1 + ")", "shard s1 (primary)"},
               {here + "DELETE FROM orders; INSERT INTO orders (customer_id) VALUES (" + on2 + ")", "refused: what this statement writes ..."},
           });
}

TEST_CASE("hints that mean nothing are refused", "[hints]") {
  const world w{4};
  check(w, {
               {"/* pgbraid: shard=s9 */ SELECT 1", "refused: invalid hint for pgbraid: database \"shop\" has no shard \"s9\""},
               {"/* pgbraid: shard */ SELECT 1", "refused: invalid hint for pgbraid: it is not of the form name=value"},
               {"/* pgbraid: */ SELECT 1", "refused: invalid hint for pgbraid: it is not of the form name=value"},
               {"/* pgbraid: shard= */ SELECT 1", "refused: invalid hint for pgbraid: it is not of the form name=value"},
               {"/* pgbraid: shart=s1 */ SELECT 1", "refused: invalid hint for pgbraid: there is no \"shart\""},
               {"/* pgbraid: target=both */ SELECT 1", "refused: invalid hint for pgbraid: \"both\" is no target"},
               {"/* pgbraid: shard=s1, key=5 */ SELECT 1", "refused: invalid hint for pgbraid: it names a shard and a key"},
               {"/* pgbraid: shard=s1 */ SELECT 1 /* pgbraid: shard=s2 */", "refused: invalid hint for pgbraid: it says shard more than once"},
               {"/* pgbraid: key=x */ SELECT * FROM orders", "refused: invalid hint for pgbraid: \"x\" is no value of a sharding key"},
               {"/* pgbraid: key=5 */ SELECT audit(1)", "refused: invalid hint for pgbraid: tables of this database have the key \"5\" on different shards"},
               {"/* pgbraid: target=replica */ DELETE FROM orders WHERE customer_id = 5", "refused: a hint wants this statement on a replica, and it is a write: it writes"},
               {"/* pgbraid: target=replica */ SELECT random(), bump()", "refused: ..."},
           });
  const route r = w.routed("/* pgbraid: shard=s9 */ SELECT * FROM orders");
  CHECK(error_of(r) == "22023 Its shards are: s0, s1, s2, s3.");
  CHECK(error_of(w.routed("/* pgbraid: target=replica */ INSERT INTO orders (customer_id) VALUES (5)")).substr(0, 5) == "25006");
  const world one{1};
  check(one, {
                 {"/* pgbraid: shard=s0, target=primary */ SELECT * FROM orders", "shard s0 (primary, a read)"},
                 {"/* pgbraid: shard=s1 */ SELECT * FROM orders", "refused: invalid hint ..."},
                 {"/* pgbraid: target=replica */ INSERT INTO orders VALUES (1)", "refused: a hint wants ..."},
             });
}

TEST_CASE("settings are hints for every statement, and the text's own come before them", "[hints]") {
  world w{4};
  w.context.hint.shard = "s2";
  CHECK(w.told("SELECT * FROM orders ORDER BY item") == "shard s2 (replica allowed)");
  CHECK(w.told("SELECT * FROM orders /* pgbraid: shard=s1 */") == "shard s1 (replica allowed)");
  CHECK(w.told("SELECT * FROM orders /* pgbraid: key=" + key_on(w, 3) + " */") == "shard s3 (replica allowed)");
  w.context.hint.target = statement_hint::server::replica;
  CHECK(w.told("SELECT * FROM orders /* pgbraid: target=primary */") == "shard s2 (primary, a read)");
  w.context.hint.key = "5";
  CHECK(w.told("SELECT * FROM orders").starts_with("refused: invalid hint"));
  w.context.hint = {};
  w.context.hint.key = key_on(w, 1);
  CHECK(w.told("SELECT * FROM customers JOIN orders ON true") == "shard s1 (replica allowed)");
  CHECK(w.told("INSERT INTO customers (id) VALUES (" + key_on(w, 2) + ")").starts_with("refused: what this statement writes"));
  w.map.replicas = replica_use::off;
  w.context.hint.target = statement_hint::server::replica;
  CHECK(w.told("SELECT * FROM customers") == "shard s1 (replica allowed)");
}

TEST_CASE("a plan that is kept is the plan of its hint", "[hints]") {
  const world w{4};
  plan_cache cache;
  sql::token_scan scan;
  const auto told = [&](const std::string& text) {
    const plan_ptr p = cache.get(text, scan, w.context);
    return to_string(resolve(*p, w.map, text, scan.constants, {}, {}), w.map);
  };
  // Often enough for the cache to know the texts by their bytes.
  for (int i = 0; i < 40; ++i) {
    const std::string read = "SELECT name FROM customers WHERE balance = " + std::to_string(i);
    CHECK(told(read + " /* pgbraid: shard=s1 */") == "shard s1 (replica allowed)");
    CHECK(told(read + " /* pgbraid: shard=s2 */") == "shard s2 (replica allowed)");
    CHECK(told(read + " -- pgbraid: shard=s2") == "shard s2 (replica allowed)");
    CHECK(told("/* pgbraid: shard=s3 */ " + read) == "shard s3 (replica allowed)");
    CHECK(told(read) == "shards s0, s1, s2, s3 concatenated (replica allowed)");
    CHECK(told(read + " /* shard=s2 */") == "shards s0, s1, s2, s3 concatenated (replica allowed)");
  }
}

TEST_CASE("a key in a hint of CREATE TABLE names columns", "[hints]") {
  world w{4};
  w.schema.single_writer.clear();
  const auto declares = [&](std::string_view sql) { return w.make(sql).plan->declares; };
  CHECK(declares("CREATE TABLE t (a int) /* pgbraid: key=A */") == "COMMENT ON TABLE \"t\" IS 'pgbraid: key=(\"a\")'");
  CHECK(declares("CREATE TABLE x.\"T t\" (a int) -- pgbraid: key=(a, \"B '\")") ==
        "COMMENT ON TABLE \"x\".\"T t\" IS 'pgbraid: key=(\"a\", \"B ''\")'");
  CHECK(declares("CREATE TABLE t (a int)").empty());
  w.context.hint.key = "a";
  CHECK(declares("CREATE TABLE t (a int)").empty());
  check(w, {{"CREATE TABLE t (a int)", "refused: ..."}});
  w.context.hint = {};
  check(w, {{"CREATE TABLE t (a int) /* pgbraid: key=a */", "shards s0, s1, s2, s3..."},
            {"CREATE TABLE t (a int) /* pgbraid: key='a b' */",
             "refused: invalid hint for pgbraid: \"a b\" names no columns"},
            {"CREATE TABLE orders (a int) /* pgbraid: key=a */", "shards s0, s1, s2, s3..."},
            {"CREATE TABLE IF NOT EXISTS t (a int) /* pgbraid: key=a */",
             "refused: invalid hint for pgbraid: with IF NOT EXISTS..."},
            {"CREATE TABLE t (a int) /* pgbraid: shard=s1 */", "refused: ..."},
            {"CREATE TABLE t AS SELECT 1 /* pgbraid: key=a */", "refused: ..."}});
  world one{1};
  one.schema.single_writer.clear();
  CHECK(one.make("CREATE TABLE t (a int) /* pgbraid: key=a */").plan->declares.empty());
}

TEST_CASE("declarations in comments", "[hints]") {
  using list = std::vector<std::string>;
  CHECK(key_columns("a") == list{"a"});
  CHECK(key_columns("( A , \"B \"\"c\" )") == list{"a", "B \"c"});
  for (const char* none : {"", "()", "1", "a b", "a,", ",a", "(a", "\"a", "a,a", "a;b", "\"\""}) {
    INFO(none);
    CHECK_FALSE(key_columns(none));
  }
  CHECK_FALSE(declared_key("Customers"));
  CHECK(declared_key("pgbraid: other") == "");
  CHECK(declared_key("pgbraid: key=a") == "a");
  CHECK(declared_key("Notes.\npgbraid:key=(a, b) and more") == "(a, b)");
  CHECK(declared_key("pgbraid: key=\"A b\", more") == "\"A b\"");
  CHECK(declared_key("pgbraid: key=a; more") == "a");
  CHECK(declared_key("pgbraid: key=(a") == "");
  CHECK(declared_key(key_declaration({"a", "B \"c"})) == "(\"a\", \"B \"\"c\")");
  CHECK(key_columns("(a, \"B \"\"c\")") == list{"a", "B \"c"});
}

TEST_CASE("definitions tell what they are of", "[hints]") {
  world w{4};
  w.schema.single_writer.clear();
  using list = std::vector<std::string>;
  const auto defines = [&](std::string_view sql) { return w.make(sql).plan->defines; };
  const auto remakes = [&](std::string_view sql) { return w.make(sql).plan->remakes; };
  CHECK(defines("CREATE TABLE x.t (a int REFERENCES customers)") == list{"t"});
  CHECK(defines("DROP TABLE t, x.u") == list{"t", "u"});
  CHECK(defines("ALTER TABLE t RENAME TO u") == list{"t", "u"});
  CHECK(defines("CREATE INDEX i ON orders (id)").empty());
  CHECK(defines("CREATE TABLE IF NOT EXISTS orders (a int)").empty());
  CHECK(defines("CREATE TABLE settings (a int)").empty());
  CHECK(defines("ALTER TABLE countries RENAME TO states").empty());
  CHECK_FALSE(remakes("COMMENT ON TABLE orders IS 'all of them'"));
  CHECK_FALSE(remakes("CREATE INDEX i ON orders (id)"));
  CHECK(defines("CREATE TEMP TABLE t (a int)").empty());
  CHECK(defines("INSERT INTO orders VALUES (1)").empty());
  CHECK(remakes("CREATE TABLE t (a int)"));
  CHECK(remakes("DROP TABLE t"));
  CHECK(remakes("ALTER TABLE t RENAME TO u"));
  CHECK(remakes("ALTER TABLE t SET SCHEMA x"));
  CHECK(remakes("COMMENT ON TABLE t IS 'pgbraid: key=a'"));
  CHECK_FALSE(remakes("COMMENT ON COLUMN orders.id IS 'x'"));
  CHECK_FALSE(remakes("ALTER TABLE orders ADD x int"));
  CHECK_FALSE(remakes("ALTER TABLE orders RENAME COLUMN note TO x"));
  CHECK_FALSE(remakes("CREATE INDEX ON orders (id)"));
  check(w,
        {{"ALTER TABLE orders DROP COLUMN customer_id", "refused: ALTER TABLE of the sharding key \"customer_id\"..."},
         {"ALTER TABLE orders RENAME customer_id TO c", "refused: ALTER TABLE of the sharding key \"customer_id\"..."},
         {"ALTER TABLE orders ALTER customer_id TYPE text",
          "refused: ALTER TABLE of the sharding key \"customer_id\"..."},
         {"ALTER TABLE orders ALTER customer_id TYPE bigint", "shards..."},
         {"ALTER TABLE orders DROP COLUMN note", "shards..."}});
}
