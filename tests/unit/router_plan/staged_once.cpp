// Parts of a write that are answered once: which they are, in what order, and what is left of the statement.
#include <catch2/catch.hpp>

#include "fixture.hpp"
#include "router/plan/names.hpp"
#include "router/plan/staged_source.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

/// The query that is asked first, and the statement around its mark.
std::pair<std::string, std::string> first_of(const writing_world& w, std::string_view text) {
  const auto made = w.staged(text);
  if (made == nullptr || !made->again || made->query == nullptr) return {};
  std::string rest = made->text;
  for (auto mark = rest.find('\1'); mark != std::string::npos; mark = rest.find('\1'))
    rest.replace(mark, rest.find('\1', mark + 1) + 1 - mark, "?");
  return {made->rows == nullptr ? made->query->sql : "gathered", rest};
}

}  // namespace

TEST_CASE("WITH entries that choose come first, one after the other", "[staged]") {
  const writing_world w;
  const std::string text =
      "WITH a AS (SELECT id FROM customers ORDER BY id LIMIT 3), b AS MATERIALIZED (SELECT count(*) OVER () AS n FROM "
      "a) "
      "UPDATE orders SET amount = b.n FROM a, b WHERE a.id = orders.customer_id";
  CHECK(first_of(w, text) == std::pair<std::string, std::string>{
                                 "gathered",
                                 "WITH a AS (?), b AS MATERIALIZED (SELECT count(*) OVER () AS n FROM a) "
                                 "UPDATE orders SET amount = b.n FROM a, b WHERE a.id = orders.customer_id"});
  const std::string then =
      "WITH a AS (SELECT 1 AS id), b AS MATERIALIZED (SELECT count(*) OVER () AS n FROM a) "
      "UPDATE orders SET amount = b.n FROM a, b WHERE a.id = orders.customer_id";
  CHECK(first_of(w, then).first ==
        "WITH a AS (SELECT 1 AS id), b AS MATERIALIZED (SELECT count(*) OVER () AS n FROM a) SELECT * FROM \"b\"");
  // The time comes before what asks for it.
  const auto timed = w.staged(
      "WITH a AS (SELECT id, now() AS t FROM customers ORDER BY id LIMIT 3) DELETE FROM orders USING a WHERE "
      "a.id = customer_id AND amount < 5");
  REQUIRE(timed != nullptr);
  CHECK(timed->again);
  CHECK(timed->query == nullptr);
  CHECK(timed->moments_sql == "SELECT pg_catalog.to_json(now()) OPERATOR(pg_catalog.#>>) '{}'");
  CHECK(timed->text.find("(SELECT '\1"
                         "0\1'::pg_catalog.timestamptz AS now) AS t FROM customers") != std::string::npos);
  // A part that is named, and cannot come first.
  CHECK(
      w.staged("WITH a AS (SELECT id FROM customers LIMIT $1) DELETE FROM orders USING a WHERE a.id = customer_id AND "
               "amount = $1") == nullptr);
}

TEST_CASE("subqueries in FROM and USING that choose come first", "[staged]") {
  const writing_world w;
  using parts = std::pair<std::string, std::string>;
  CHECK(first_of(w,
                 "UPDATE orders o SET amount = s.n FROM (SELECT id, row_number() OVER (ORDER BY name) AS n FROM "
                 "customers) AS s WHERE s.id = o.customer_id") ==
        parts{"gathered", "UPDATE orders o SET amount = s.n FROM (?) AS s WHERE s.id = o.customer_id"});
  CHECK(first_of(w,
                 "DELETE FROM orders USING countries, (SELECT DISTINCT ON (name) (id), 'a)(' AS a FROM customers ORDER "
                 "BY name, id) s (id, a) WHERE s.id = customer_id")
            .second == "DELETE FROM orders USING countries, (?) s (id, a) WHERE s.id = customer_id");
  // What is not all of a subquery.
  for (const char* text :
       {"UPDATE customers SET name = s.item FROM (WITH orders AS (SELECT * FROM orders WHERE amount > 10) (SELECT "
        "customer_id, item FROM orders ORDER BY amount LIMIT 1)) s WHERE s.customer_id = id",
        "DELETE FROM orders USING ((SELECT id FROM customers ORDER BY name LIMIT 1) UNION SELECT 5) s WHERE s.id = "
        "customer_id"}) {
    INFO(text);
    CHECK(w.staged(text) == nullptr);
  }
  // What each shard answers for itself stays where it is; what names its neighbours is no statement of its own.
  CHECK(first_of(w, "DELETE FROM orders USING (SELECT id FROM customers) s WHERE s.id = customer_id").second.empty());
  CHECK(w.staged("DELETE FROM orders USING customers c, LATERAL (SELECT id FROM customers ORDER BY c.name LIMIT 1) s "
                 "WHERE s.id = customer_id") == nullptr);
}

TEST_CASE("WITH entries that nobody names are left out", "[staged]") {
  const writing_world w;
  const std::string text = "WITH a AS (SELECT id FROM customers ORDER BY id LIMIT 3) DELETE FROM notes";
  const auto plain = w.staged(text);
  REQUIRE(plain);
  CHECK(plain->text == text);
  CHECK(plain->query == nullptr);
  CHECK(plain->rows == nullptr);
  // No other shard has the table.
  CHECK(w.staged("WITH a AS (SELECT * FROM reports) DELETE FROM notes") == nullptr);
  // Its name is one of a column.
  CHECK(
      first_of(w, "WITH a AS (SELECT id FROM customers ORDER BY id LIMIT 3) DELETE FROM notes n WHERE n.a = 1").first ==
      "gathered");
}

TEST_CASE("what one shard alone can read comes first", "[staged]") {
  const writing_world w;
  const auto part = first_of(w, "DELETE FROM notes WHERE id IN (SELECT id FROM reports)");
  CHECK(part.first == "SELECT id FROM reports");
  const auto made = w.staged("DELETE FROM notes WHERE id IN (SELECT id FROM reports)");
  CHECK(made->query->only == shard_index{1});
  CHECK(w.make("DELETE FROM notes WHERE id IN (SELECT id FROM reports)").plan->described_on == shard_index{1});
  // Each of two shards knows but one of its tables.
  CHECK_FALSE(
      w.make("DELETE FROM notes WHERE id IN (SELECT id FROM reports) OR id IN (SELECT id FROM settings)").plan->staged);
}

TEST_CASE("reference tables get the same rows on every shard", "[staged]") {
  const writing_world w;
  CHECK(first_of(w, "INSERT INTO countries (code, name) SELECT name, max(email) FROM customers GROUP BY name").second ==
        "INSERT INTO countries (code, name) ?");
  CHECK(first_of(w, "DELETE FROM countries WHERE code IN (SELECT name FROM customers)").second ==
        "DELETE FROM countries WHERE code IN (?)");
  CHECK(w.told("DELETE FROM countries WHERE code IN (SELECT name FROM customers)") == w.told("DELETE FROM countries"));
  // A constant takes the type of its column, and a subquery may name a row of the table itself: what comes first is all
  // rows of the other table.
  CHECK(first_of(w, "INSERT INTO countries (code, name) SELECT name, NULL FROM customers").second ==
        "INSERT INTO countries (code, name) ?");
  CHECK(first_of(w, "DELETE FROM countries WHERE EXISTS (SELECT FROM customers WHERE customers.name = countries.name)")
            .second ==
        "DELETE FROM countries WHERE EXISTS (SELECT FROM (?) AS \"customers\" WHERE customers.name = countries.name)");
  CHECK(first_of(w, "DELETE FROM countries USING ONLY orders AS o, orders p WHERE o.item = code AND p.item = name")
            .second == "DELETE FROM countries USING (?) AS o, orders p WHERE o.item = code AND p.item = name");
  CHECK(w.told("UPDATE countries SET name = c.name FROM customers c WHERE c.id = 5")
            .starts_with("refused: a write to reference table"));
}

TEST_CASE("what the rows of a reference table become is told by the first shard", "[staged]") {
  writing_world w;
  using parts = std::pair<std::string, std::string>;
  relation& table = w.schema.relations["public.countries"];
  table.primary_key = {"code"};
  const std::string query = "SELECT DISTINCT ON (pgbraid_k1) * FROM (SELECT ";
  const std::string behind =
      " FROM (?) AS pgbraid_chosen WHERE \"o\".\"code\" OPERATOR(pg_catalog.=) pgbraid_chosen.pgbraid_k1";
  CHECK(
      first_of(w,
               "UPDATE ONLY countries o SET name = upper(c.code) FROM currencies c WHERE c.code = o.name AND rate > 5 "
               "RETURNING o.*, rate, lower(c.code), upper(name) AS n") ==
      parts{query +
                "\"o\".\"code\" AS pgbraid_k1, (upper(c.code)) AS pgbraid_n2, rate AS pgbraid_r3, c.code AS pgbraid_r4 "
                "FROM ONLY countries o, currencies c WHERE c.code = o.name AND rate > 5 FOR NO KEY UPDATE OF \"o\") "
                "AS pgbraid_chosen",
            "UPDATE ONLY countries o SET name = pgbraid_chosen.pgbraid_n2" + behind +
                " RETURNING o.*, pgbraid_chosen.pgbraid_r3 AS \"rate\", lower(pgbraid_chosen.pgbraid_r4) AS "
                "\"lower\", upper(name) AS n"});
  const auto made = w.staged("UPDATE countries o SET name = c.code FROM currencies c");
  REQUIRE(made != nullptr);
  CHECK(made->chosen);
  CHECK(made->query->only == designated_shard);
  // Constants take the types of their columns; a key that changes is locked as one.
  CHECK(first_of(w, "UPDATE countries o SET (name, code) = ('a', c.code) FROM currencies c RETURNING *") ==
        parts{query +
                  "\"o\".\"code\" AS pgbraid_k1, (c.code) AS pgbraid_n2, \"c\".\"code\" AS pgbraid_r3, "
                  "\"c\".\"rate\" AS pgbraid_r4 FROM countries o, currencies c FOR UPDATE OF \"o\") AS pgbraid_chosen",
              "UPDATE countries o SET (name, code) = ('a', pgbraid_chosen.pgbraid_n2)" + behind +
                  " RETURNING \"o\".*, pgbraid_chosen.pgbraid_r3 AS \"code\", pgbraid_chosen.pgbraid_r4 AS \"rate\""});
  CHECK(first_of(w, "UPDATE countries o SET name = c.code FROM currencies c RETURNING c.*, o.code").second ==
        "UPDATE countries o SET name = pgbraid_chosen.pgbraid_n2" + behind +
            " RETURNING pgbraid_chosen.pgbraid_r3 AS \"code\", pgbraid_chosen.pgbraid_r4 AS \"rate\", o.code");
  CHECK(first_of(w, "UPDATE countries o SET name = random() WHERE random() < 0.5").second ==
        "UPDATE countries o SET name = pgbraid_chosen.pgbraid_n2" + behind);
  CHECK(first_of(w,
                 "UPDATE countries o SET name = (SELECT max(code) FROM currencies c WHERE c.rate > 1 AND c.code < "
                 "o.name)")
            .second == "UPDATE countries o SET name = pgbraid_chosen.pgbraid_n2" + behind);
  // Rows of other tables come before, and so does the time.
  CHECK(first_of(w, "UPDATE countries o SET name = c.name FROM customers c WHERE c.id = 5").second ==
        "UPDATE countries o SET name = c.name FROM (?) c WHERE c.id = 5");
  const auto timed = w.staged("UPDATE countries o SET name = now() FROM currencies c");
  REQUIRE(timed != nullptr);
  CHECK(timed->query == nullptr);
  CHECK(timed->again);
  CHECK(w.make("UPDATE countries o SET name = c.code FROM currencies c").plan->staged);
  for (const char* text : {"UPDATE countries o SET name = c.code FROM currencies c RETURNING c",
                           "UPDATE countries o SET name = c.code FROM currencies c RETURNING (SELECT max(x.code) FROM "
                           "countries x WHERE x.code = c.code)",
                           "UPDATE countries o SET name = c.code FROM currencies c WHERE c.code = $1 AND o.name = $1",
                           "UPDATE countries o SET name = c.code FROM currencies c WHERE o.ctid = c.ctid",
                           "UPDATE countries o SET name = random() RETURNING random()",
                           "UPDATE countries o SET name = nextval('ids') FROM currencies c",
                           "WITH x AS (UPDATE countries o SET name = c.code FROM currencies c RETURNING o.code) SELECT "
                           "* FROM x",
                           "DELETE FROM countries WHERE random() < 0.5"}) {
    INFO(text);
    CHECK(w.told(text).starts_with("refused: "));
  }
  table.writes_spread = true;
  CHECK(w.staged("UPDATE countries o SET name = c.code FROM currencies c") == nullptr);
}

TEST_CASE("tables that the shards of a write do not have are fetched", "[staged]") {
  const writing_world w;
  const auto part =
      first_of(w, "DELETE FROM notes n WHERE EXISTS (SELECT FROM reports r WHERE r.id = n.id AND body > '')");
  CHECK(part.first == "SELECT \"id\", \"body\" FROM \"public\".\"reports\"");
  CHECK(part.second == "DELETE FROM notes n WHERE EXISTS (SELECT FROM (?) r WHERE r.id = n.id AND body > '')");
  // Two occurrences get the same rows.
  CHECK(first_of(w, "DELETE FROM notes n USING reports, reports AS b (x) WHERE reports.id = n.id AND b.x = n.id")
            .second ==
        "DELETE FROM notes n USING (?) AS \"reports\", (?) AS b (x) WHERE reports.id = n.id AND b.x = n.id");
  for (const char* text :
       {"DELETE FROM notes n WHERE EXISTS (SELECT FROM reports r WHERE r.id = n.id AND r.ctid IS NULL)",
        "DELETE FROM notes n WHERE EXISTS (SELECT r FROM reports r WHERE r.id = n.id AND f(r))",
        "DELETE FROM notes n WHERE EXISTS (SELECT FROM reports WHERE public.reports.id = n.id)",
        "DELETE FROM notes n WHERE EXISTS (SELECT FROM reports TABLESAMPLE system (1) WHERE id = n.id)",
        "DELETE FROM notes n WHERE EXISTS (TABLE reports) AND EXISTS (SELECT FROM reports r WHERE r.id = n.id) AND "
        "EXISTS (SELECT WHERE n.id IN (TABLE reports))"}) {
    INFO(text);
    CHECK(w.staged(text) == nullptr);
  }
}

TEST_CASE("rows of fetched tables keep what may be seen of them", "[staged]") {
  const writing_world w;
  const std::string all = "SELECT \"id\", \"body\" FROM \"public\".\"reports\"";
  for (const char* text :
       {"DELETE FROM notes n USING (reports r JOIN countries c ON r.id > 1) AS j (a, b) WHERE j.a = n.id",
        "DELETE FROM notes n WHERE EXISTS (SELECT * FROM reports r WHERE r.id = n.id)"}) {
    INFO(text);
    CHECK(first_of(w, text).first == all);
  }
  CHECK(first_of(w, "DELETE FROM notes n WHERE EXISTS (SELECT FROM reports r WHERE r.id = n.id)").first ==
        "SELECT \"id\" FROM \"public\".\"reports\"");
  // All copies get the rows in one order.
  CHECK(first_of(w,
                 "INSERT INTO countries (code, name) SELECT c.name, NULL FROM customers c JOIN orders o ON "
                 "o.customer_id = c.id ON CONFLICT DO NOTHING")
            .second == "INSERT INTO countries (code, name) ?ON CONFLICT DO NOTHING");
  for (const char* text :
       {// Other names in its row; a key that is not known to be one; code that would read another shard.
        "DELETE FROM notes n WHERE EXISTS (SELECT FROM reports r (x) WHERE x = n.id AND to_jsonb(r) IS NOT NULL)",
        "DELETE FROM notes n WHERE EXISTS (SELECT body FROM reports r WHERE r.id = n.id GROUP BY r.id)",
        "INSERT INTO reports SELECT id, audit(name) FROM customers",
        // One value, drawn on each shard.
        "INSERT INTO customers (id, name) SELECT g, 'x' FROM generate_series(1, 9) g ON CONFLICT (id) DO UPDATE SET "
        "name = (SELECT random()::text)"}) {
    INFO(text);
    CHECK(w.staged(text) == nullptr);
  }
  // Drawn once; and a name of an entry's own WITH means that.
  CHECK(first_of(w, "UPDATE customers SET id = id + 1 RETURNING (SELECT random())").first == "SELECT random()");
  CHECK(
      first_of(w,
               "WITH gone AS (WITH reports AS (SELECT 5 AS id) DELETE FROM orders WHERE id IN (SELECT id FROM reports) "
               "AND id NOT IN (SELECT id FROM public.reports) RETURNING id) SELECT id FROM gone")
          .second ==
      "WITH gone AS (WITH reports AS (SELECT 5 AS id) DELETE FROM orders WHERE id IN (SELECT id FROM reports) "
      "AND id NOT IN (SELECT id FROM (?) AS \"reports\") RETURNING id) SELECT id FROM gone");
}

TEST_CASE("what stands in the way of many parts is found soon", "[staged]") {
  const writing_world w;
  std::string text = "UPDATE orders SET item = 'x' WHERE true";
  for (int i = 0; i < 15; ++i) text += " AND id IN (SELECT id FROM reports WHERE id < " + std::to_string(i) + ")";
  CHECK(w.staged(text + " RETURNING id"));
  CHECK_FALSE(w.staged(text + " RETURNING ctid"));
}

TEST_CASE("a table of one shard is written from rows of all", "[staged]") {
  const writing_world w;
  const auto made = w.staged("INSERT INTO reports SELECT id, name FROM customers");
  REQUIRE(made);
  CHECK(made->again);
  replanning budget;
  const auto then = plan_staged("INSERT INTO reports SELECT 1, 'x'", w.context, &budget);
  REQUIRE(then);
  CHECK(then->only == shard_index{1});
  CHECK(first_of(w, "INSERT INTO reports SELECT id, NULL FROM customers").second == "INSERT INTO reports ?");
  CHECK(first_of(w, "WITH c AS (SELECT max(id) AS top FROM customers) DELETE FROM reports USING c WHERE id > top")
            .second == "WITH c AS (?) DELETE FROM reports USING c WHERE id > top");
  const auto defaults = plan_staged("INSERT INTO reports (id) SELECT 1", w.context, &budget);
  CHECK(defaults->only == shard_index{1});
  writing_world timed_world;
  timed_world.schema.relations["public.reports"].columns[1].default_of_moment = true;
  CHECK_FALSE(plan_staged("INSERT INTO reports (id) SELECT 1", timed_world.context, &budget));
  CHECK(plan_staged("INSERT INTO reports (id, body) SELECT 1, 'x'", timed_world.context, &budget));
  // The time of a transaction is not that of a branch that has just begun.
  CHECK(w.staged("INSERT INTO reports SELECT id, now()::text FROM customers")->again);
  CHECK(timed_world.staged("INSERT INTO reports (id) SELECT length(now()::text) FROM customers") == nullptr);
}

TEST_CASE("writes in WITH whose conditions read other shards", "[staged]") {
  const writing_world w;
  CHECK(
      first_of(
          w, "WITH a AS (DELETE FROM orders WHERE id IN (SELECT id FROM orders LIMIT 1) RETURNING id) SELECT * FROM a")
          .second == "WITH a AS (DELETE FROM orders WHERE id IN (?) RETURNING id) SELECT * FROM a");
  CHECK(
      first_of(w,
               "WITH gone AS (DELETE FROM notes WHERE id IN (SELECT id FROM reports) RETURNING customer_id, id) SELECT "
               "gone.id, r.body FROM gone LEFT JOIN reports r ON r.id = gone.id ORDER BY 1, 2")
          .first == "SELECT id FROM reports");
  // What writes is carried out, whether somebody names it or not.
  CHECK(first_of(w, "WITH a AS (DELETE FROM orders WHERE id IN (SELECT id FROM reports)) SELECT 1").second ==
        "WITH a AS (DELETE FROM orders WHERE id IN (?)) SELECT 1");
}

TEST_CASE("RETURNING with rows of other tables", "[staged]") {
  const writing_world w;
  const std::string text =
      "INSERT INTO orders (id, customer_id) VALUES (1, 2), (3, 4) RETURNING (SELECT max(id) FROM reports)";
  CHECK(first_of(w, text).second == text.substr(0, text.find("(SELECT") + 1) + "?)");
  // Its rows go to their shards, whatever was settled without the others.
  CHECK(first_of(w, "INSERT INTO orders (id, customer_id) VALUES (1, 2) RETURNING (SELECT max(id) FROM customers)")
            .first == "gathered");
  replanning budget;
  const auto then = plan_staged(text.substr(0, text.find("(SELECT")) + "(SELECT 5)", w.context, &budget);
  REQUIRE(then);
  CHECK(then->source != nullptr);
}

TEST_CASE("what copies would each tell in their own way comes first", "[staged]") {
  const writing_world w;
  CHECK(first_of(w, "UPDATE countries SET name = ARRAY(SELECT code FROM countries)::text").first ==
        "SELECT code FROM countries");
  CHECK(first_of(w, "UPDATE countries SET name = (SELECT max(name) FROM countries)").first ==
        "SELECT max(name) FROM countries");
  CHECK(first_of(w, "INSERT INTO countries SELECT upper(code), name FROM countries ON CONFLICT DO NOTHING").second ==
        "INSERT INTO countries ?ON CONFLICT DO NOTHING");
  // Each row has its own.
  CHECK(w.staged("UPDATE countries c SET name = (SELECT max(d.name) FROM countries d WHERE d.code < c.code)") ==
        nullptr);
}

TEST_CASE("so many parts are not planned", "[staged]") {
  const writing_world w;
  std::string text = "DELETE FROM orders WHERE false";
  for (int i = 0; i < 16; ++i) text += " OR item = (SELECT code FROM countries LIMIT 1)";
  CHECK(w.staged(text) != nullptr);
  text += " OR item = (SELECT code FROM countries LIMIT 1)";
  CHECK(w.staged(text) == nullptr);
}

TEST_CASE("rows of a queue are found, then locked", "[staged]") {
  const writing_world w;
  const std::string queue =
      "SELECT id FROM customers WHERE name = 'a' ORDER BY name, id LIMIT 2 FOR UPDATE SKIP LOCKED";
  const auto found = w.staged("UPDATE customers SET name = 'b' WHERE id IN (" + queue + ")");
  REQUIRE(found != nullptr);
  CHECK(found->pick == pgbraid::router::picking::finds);
  CHECK(found->again);
  CHECK(found->limit.rows == 2);
  CHECK(found->rows->combine_sql.find(
            "SELECT \"customers\".\"id\" FROM customers WHERE name = 'a' ORDER BY name, id LIMIT 2") !=
        std::string::npos);
  const std::string locking =
      "UPDATE customers SET name = 'b' WHERE id IN (SELECT id FROM customers WHERE (name = 'a') AND "
      "\"customers\".\"id\" IN (\1"
      "0\1) ORDER BY name, id LIMIT 2 FOR UPDATE SKIP LOCKED)";
  CHECK(found->text == locking);

  pgbraid::router::replanning known;
  known.picked = true;
  const std::vector<std::string> keys{"'3', '4'"};
  const auto locked = plan_staged(pgbraid::router::with_moments(locking, keys), w.context, &known);
  REQUIRE(locked != nullptr);
  CHECK(locked->pick == pgbraid::router::picking::locks);
  CHECK(locked->rows->fragment_sql.ends_with(" FOR UPDATE SKIP LOCKED"));
  CHECK(locked->rows->fragment_sql.find("IN ('3', '4')") != std::string::npos);

  // As many more as could not be had, also of a LIMIT that only the client knows.
  known = {};
  known.passed_over = 3;
  CHECK(plan_staged(queue, w.context, &known)->rows->combine_sql.find(" LIMIT 5") != std::string::npos);
  const auto more = plan_staged("SELECT id FROM customers LIMIT $1 FOR UPDATE NOWAIT", w.context, &known);
  REQUIRE(more != nullptr);
  CHECK(more->limit.parameter == 1);
  CHECK(more->rows->combine_sql.find("LIMIT $1::pg_catalog.int8 + 3") != std::string::npos);

  for (const char* text : {"SELECT id FROM customers ORDER BY 1 LIMIT 2 FOR UPDATE SKIP LOCKED",
                           "SELECT id AS name FROM customers ORDER BY name LIMIT 2 FOR UPDATE SKIP LOCKED",
                           "SELECT id FROM customers ORDER BY id LIMIT 2 OFFSET 1 FOR UPDATE SKIP LOCKED",
                           "SELECT id FROM customers ORDER BY id LIMIT 1 + 1 FOR UPDATE SKIP LOCKED",
                           "SELECT id FROM customers AS c ORDER BY id LIMIT 2 FOR UPDATE OF customers SKIP LOCKED",
                           "SELECT id FROM customers c ORDER BY id LIMIT 2 FOR UPDATE OF c SKIP LOCKED FOR SHARE OF c",
                           "SELECT now() FROM customers ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED"}) {
    INFO(text);
    CHECK(w.staged(text) == nullptr);
  }
  // The clause may stand in front of LIMIT, and the time in its conditions.
  CHECK(w.staged("SELECT id FROM customers AS c ORDER BY id FOR NO KEY UPDATE OF \"c\" SKIP LOCKED LIMIT 2"));
  const auto timed =
      w.staged("SELECT id FROM customers WHERE name < now()::text ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED");
  REQUIRE(timed != nullptr);
  CHECK(timed->text ==
        "SELECT id FROM customers WHERE name < '\1"
        "0\1'::pg_catalog.timestamptz::text ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED");
}

TEST_CASE("rows in the place of a part have its columns' names and modifiers", "[staged]") {
  writing_world w;
  std::vector<source_column> columns = {{"a b", 23, false, false, -1}, {"c", 1043, false, false, 12}};
  CHECK(rows_select(columns, "[]", w.context) ==
        "SELECT (f.value OPERATOR(pg_catalog.->>) 'c0')::pg_catalog.int4 AS \"a b\", "
        "(f.value OPERATOR(pg_catalog.->>) 'c1')::pg_catalog.varchar(8) AS \"c\" FROM "
        "pg_catalog.json_array_elements('[]'::pg_catalog.json) AS f(value)");
  columns[1].type = 16390;
  CHECK(rows_select(columns, "[]", w.context).empty());
  columns = {{"a", 25, false, false, -1, "\"en-x-icu\""}, {"b", 19, false, false, -1}};
  CHECK(rows_select(columns, "[]", w.context) ==
        "SELECT (f.value OPERATOR(pg_catalog.->>) 'c0')::pg_catalog.text COLLATE \"en-x-icu\" AS \"a\", "
        "(f.value OPERATOR(pg_catalog.->>) 'c1')::pg_catalog.name COLLATE pg_catalog.\"C\" AS \"b\" FROM "
        "pg_catalog.json_array_elements('[]'::pg_catalog.json) AS f(value)");
}

TEST_CASE("values of types that users made are columns of a table that every shard has", "[staged]") {
  writing_world w;
  constexpr pgbraid::router::oid mood = 99999;
  w.schema.relations["public.reports"].columns[1].type = 16390;
  w.schema.relations["public.typed"].types_differ = false;
  CHECK(rows_select({{"m", mood, false, false, -1}}, "[]", w.context) ==
        "SELECT (pg_catalog.json_populate_record(NULL::\"public\".\"typed\", pg_catalog.json_build_object('mood', "
        "(f.value OPERATOR(pg_catalog.->>) 'c0')))).\"mood\" AS \"m\" FROM "
        "pg_catalog.json_array_elements('[]'::pg_catalog.json) AS f(value)");
  // Only one shard has that table.
  CHECK(rows_select({{"m", 16390, false, false, -1}}, "[]", w.context).empty());
}

TEST_CASE("collations of a query's columns are asked for without its rows", "[staged]") {
  CHECK(
      collations_query("SELECT a, b FROM c -- d", {25, 23}) ==
      "SELECT pg_catalog.pg_collation_for(q.k0), NULL FROM (SELECT) AS one LEFT JOIN (SELECT * FROM (SELECT a, b FROM "
      "c -- d\n) AS z(k0, k1) LIMIT 0) AS q ON true");
}

TEST_CASE("a view that may have other rows on each shard is one server's", "[staged]") {
  writing_world w;
  relation& view = w.schema.relations["public.european"];
  const auto defined = [&](const char* definition) -> std::string {
    view.definition = definition;
    return w.told("SELECT * FROM european");
  };
  const std::string any = w.told("SELECT * FROM countries"), one = w.told("SELECT * FROM settings");
  CHECK(any != one);
  for (const char* alike :
       {"SELECT code, name FROM countries", "SELECT count(*), max(name) FROM countries GROUP BY code",
        "SELECT upper(code) AS \"limit\" FROM countries WHERE name <> 'LIMIT now()'"}) {
    INFO(alike);
    CHECK(defined(alike) == any);
  }
  for (const char* other :
       {"SELECT code, random() AS name FROM countries", "SELECT code, now() AS name FROM countries",
        "SELECT code, name FROM countries LIMIT 3", "SELECT DISTINCT ON (code) code, name FROM countries",
        "SELECT code, rank() OVER (ORDER BY name) FROM countries", "SELECT CURRENT_DATE AS code, name FROM countries",
        "SELECT xmin, name FROM countries", "SELECT code, array_agg(name) FROM countries GROUP BY code"}) {
    INFO(other);
    CHECK(defined(other) == one);
    CHECK(first_of(w, "DELETE FROM orders WHERE item IN (SELECT code FROM european)").first ==
          "SELECT code FROM european");
    CHECK(w.staged("DELETE FROM orders WHERE item IN (SELECT code FROM european)")->query->only == shard_index{0});
    // A view that reads it is no better.
    relation& above = w.schema.relations["public.noisy"];
    above.definition = "SELECT code FROM european";
    above.view_relations = {"public.countries", "public.european"};
    CHECK(w.told("SELECT * FROM noisy").starts_with("shard s0"));
    // Its table's defaults and triggers are not the view's.
    CHECK(w.told("INSERT INTO european VALUES ('a', 'b')").starts_with("refused: a write to reference table"));
  }
}

TEST_CASE("the rows of a view over all shards are fetched once for a write", "[staged]") {
  const writing_world w;
  CHECK(first_of(w, "UPDATE customers SET name = 'x' FROM totals t WHERE t.customer_id = customers.id").second ==
        "UPDATE customers SET name = 'x' FROM (?) t WHERE t.customer_id = customers.id");
}
