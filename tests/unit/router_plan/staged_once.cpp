// Parts of a write that are answered once: which they are, in what order, and what is left of the statement.
#include <catch2/catch.hpp>

#include "fixture.hpp"
#include "router/plan/staged_source.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

/// The query that is asked first, and the statement around its mark.
std::pair<std::string, std::string> first_of(const writing_world& w, std::string_view text) {
  const auto made = w.staged(text);
  if (made == nullptr || !made->again || made->query == nullptr) return {};
  std::string rest = made->text;
  const auto mark = rest.find('\1');
  if (mark != std::string::npos) rest.replace(mark, rest.find('\1', mark + 1) + 1 - mark, "?");
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
  // The time of another server; a part that is named, and cannot come first.
  CHECK(
      w.staged("WITH a AS (SELECT id, now() AS t FROM customers ORDER BY id LIMIT 3) DELETE FROM orders USING a WHERE "
               "a.id = customer_id") == nullptr);
  CHECK(
      w.staged("WITH a AS (SELECT id FROM customers LIMIT $1) DELETE FROM orders USING a WHERE a.id = customer_id AND "
               "amount = $1") == nullptr);
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
  // A constant takes the type of its column; a row of the table itself; rows of other shards by themselves.
  for (const char* text :
       {"INSERT INTO countries (code, name) SELECT name, NULL FROM customers",
        "DELETE FROM countries WHERE EXISTS (SELECT FROM customers WHERE customers.name = countries.name)",
        "UPDATE countries SET name = c.name FROM customers c WHERE c.id = 5"}) {
    INFO(text);
    CHECK(w.told(text).starts_with("refused: a write to reference table"));
  }
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
  for (int i = 0; i < 16; ++i) text += " OR amount = (SELECT 1 LIMIT 1)";
  CHECK(w.staged(text) != nullptr);
  text += " OR amount = (SELECT 1 LIMIT 1)";
  CHECK(w.staged(text) == nullptr);
}

TEST_CASE("rows in the place of a part have its columns' names and modifiers", "[staged]") {
  std::vector<source_column> columns = {{"a b", 23, false, false, -1}, {"c", 1043, false, false, 12}};
  CHECK(rows_select(columns, "[]") ==
        "SELECT (f.value OPERATOR(pg_catalog.->>) 'c0')::pg_catalog.int4 AS \"a b\", "
        "(f.value OPERATOR(pg_catalog.->>) 'c1')::pg_catalog.varchar(8) AS \"c\" FROM "
        "pg_catalog.json_array_elements(E'[]'::pg_catalog.json) AS f(value)");
  columns[1].type = 16390;
  CHECK(rows_select(columns, "[]").empty());
}
