// MERGE over several shards: where it goes, and what each shard gets of a source whose rows are fetched first.
#include <catch2/catch.hpp>

#include "fixture.hpp"
#include "router/plan/merge_source.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/staged.hpp"
#include "router/plan/staged_source.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

const std::string at5 = "shard {5} (primary)";
const std::string all = "shards s0, s1, s2, s3 together (primary)";
const std::string several = "refused: a write to more than one shard is not supported: ";

/// MERGE of `source` into orders, with rows that are inserted.
std::string into_orders(const std::string& source, const std::string& key = "v.id") {
  return "MERGE INTO orders o USING " + source + " ON o.customer_id = " + key +
         " WHEN MATCHED THEN UPDATE SET item = 'x' WHEN NOT MATCHED THEN INSERT (customer_id, item) VALUES (" + key +
         ", 'y')";
}

}  // namespace

TEST_CASE("MERGE that is tied to one shard goes there as it is", "[merge_into]") {
  const writing_world w;
  check(w,
        {
            {into_orders("(VALUES (5, 'x')) v(id, item)"), at5},
            {into_orders("(VALUES (5), (5)) v(id)"), at5},
            {into_orders("(VALUES (5)) v", "column1"), at5},
            {into_orders("(SELECT 5 AS id, lower(name) FROM countries) v"), at5},
            {into_orders("(SELECT 5::bigint, 6) v(id, n)"), at5},
            {into_orders("countries", "5"), at5},
            {into_orders("(VALUES (5)) v(id)") + "; SELECT * FROM orders WHERE customer_id = 5", at5},
            {"MERGE INTO orders o USING countries c ON o.customer_id = 5 AND o.item = c.code WHEN MATCHED THEN DELETE",
             at5},
            {"MERGE INTO orders USING customers c ON customer_id = c.id AND c.id = 5 WHEN MATCHED THEN DELETE", at5},
            {"MERGE INTO orders USING (SELECT * FROM customers WHERE id = 5) c ON customer_id = 5 WHEN NOT MATCHED "
             "THEN INSERT (customer_id, item) VALUES (5, c.name)",
             at5},
            {"MERGE INTO settings s USING countries c ON c.code = s.name WHEN NOT MATCHED THEN INSERT VALUES (c.code)",
             "shard s0 (primary)"},
            {"EXPLAIN " + into_orders("(VALUES (5, 'x')) v(id, item)"), "shard {5} (replica allowed)"},
        });
  const auto parameter = into_orders("(VALUES ($1)) v(id)");
  CHECK(w.told(parameter, {text_parameter("5", type_oid::int8)}) == w.told("DELETE FROM orders WHERE customer_id = 5"));
}

TEST_CASE("MERGE that each shard does its part of", "[merge_into]") {
  const writing_world w;
  check(w, {
               {into_orders("customers v"), all},
               {into_orders("customers AS v(id)"), all},
               {"MERGE INTO orders o USING customers AS v(k) ON customer_id = k WHEN NOT MATCHED THEN INSERT "
                "(customer_id) VALUES (k)",
                all},
               {"MERGE INTO orders o USING countries c ON o.item = c.code WHEN MATCHED THEN DELETE", all},
               {"MERGE INTO orders o USING (VALUES (1), (2), (3), (4), (5), (6)) v(id) ON o.customer_id = v.id WHEN "
                "MATCHED THEN DELETE",
                "shards s0, s1, s3 together (primary)"},
               {"MERGE INTO orders o USING customers c ON o.customer_id = c.id WHEN MATCHED THEN UPDATE SET "
                "customer_id = c.id",
                all},
               {"MERGE INTO countries c USING currencies x ON c.code = x.code WHEN MATCHED THEN UPDATE SET name = 'x' "
                "WHEN NOT MATCHED THEN INSERT VALUES (x.code, 'y')",
                all},
           });
  // One whose rows are looked for, one whose keys might be those of rows of another shard.
  CHECK_FALSE(w.make(into_orders("customers v")).plan->staged);
  CHECK(
      w.make("MERGE INTO orders o USING customers c ON o.customer_id = c.id AND c.id < 5 WHEN MATCHED THEN UPDATE SET "
             "placed = now()")
          .plan->staged);
}

TEST_CASE("MERGE whose source's rows are fetched first", "[merge_into]") {
  const writing_world w;
  for (const std::string source :
       {"(VALUES (1), (2), (3), (4), (5), (6)) v(id)", "(SELECT id FROM customers LIMIT 3) v",
        "(SELECT abs(5) AS id, code FROM countries) v", "generate_series(1, 5) AS v(id)",
        "(customers c JOIN countries n ON n.code = c.country) AS v"}) {
    INFO(source);
    CHECK(w.make(into_orders(source)).plan->staged);
    CHECK(w.told(into_orders(source)).starts_with(all));
    const auto staged = w.staged(into_orders(source));
    REQUIRE(staged);
    REQUIRE(staged->source);
    CHECK(staged->source->merge->inserts);
    CHECK(staged->source->merge->keys == std::vector<std::string>{"id"});
  }
  const auto staged = w.staged(
      "WITH x AS (SELECT 1) MERGE INTO orders AS o USING (SELECT n AS \"a b\", 2 AS m FROM generate_series(1, 9) n) AS "
      "v ON "
      "(v.\"a b\", 1) = (o.customer_id, v.m) WHEN MATCHED THEN UPDATE SET placed = now() WHEN NOT MATCHED THEN INSERT "
      "(customer_id) VALUES (\"a b\")");
  REQUIRE(staged);
  CHECK(staged->query->sql ==
        "WITH x AS (SELECT 1) SELECT \"a b\", \"m\" FROM  (SELECT n AS \"a b\", 2 AS m FROM generate_series(1, 9) n) "
        "AS v ");
  CHECK(staged->source->before == "MERGE INTO orders AS o USING (");
  const auto source = with_columns(*staged->source, {"a b", "m"}, {type_oid::int4, type_oid::int4});
  REQUIRE(source);
  CHECK(source->keys.size() == 1);
  CHECK(source->keys.front().at == 0);
  const std::vector<std::string> moments{"then"};
  CHECK(with_moments(source->after, moments) ==
        ") AS \"v\"(\"a b\", \"m\") ON (v.\"a b\", 1) = (o.customer_id, v.m) WHEN MATCHED THEN UPDATE SET placed = "
        "(SELECT 'then'::pg_catalog.timestamptz AS now) WHEN NOT MATCHED THEN INSERT (customer_id) VALUES (\"a b\")");
  CHECK(source_select(*source, {type_oid::int4, type_oid::int4}, {}, "[]") ==
        "SELECT f.c0::pg_catalog.int4, f.c1::pg_catalog.int4 FROM pg_catalog.json_to_recordset('[]'::pg_catalog.json) "
        "AS "
        "f(c0 pg_catalog.text, c1 pg_catalog.text) ");
  CHECK_FALSE(with_columns(*staged->source, {"a", "m"}, {type_oid::int4, type_oid::int4}));
}

TEST_CASE("of the source of MERGE only columns that are named are fetched", "[merge_into]") {
  const writing_world w;
  const auto asked = [&](const std::string& source) {
    const auto staged =
        w.staged("MERGE INTO orders o USING " + source + " ON o.item = v.name WHEN MATCHED THEN DELETE");
    return staged ? staged->query->sql.empty() ? staged->rows->combine_sql : staged->query->sql : std::string{};
  };
  CHECK(asked("(SELECT random() AS name, 1 / 0 AS other) v") ==
        "SELECT \"name\" FROM  (SELECT random() AS name, 1 / 0 AS other) v ");
  CHECK(asked("(VALUES (random(), 1)) v(name)") == "SELECT \"name\" FROM  (VALUES (random(), 1)) v(name) ");
  CHECK(asked("(SELECT random() AS \"Name\", 2 AS name) v") ==
        "SELECT * FROM  (SELECT random() AS \"Name\", 2 AS name) v ");
  CHECK(asked("(SELECT random() AS name, * FROM countries) v") ==
        "SELECT * FROM  (SELECT random() AS name, * FROM countries) v ");
}

TEST_CASE("without an INSERT all shards may get all rows of the source", "[merge_into]") {
  const writing_world w;
  const auto staged =
      w.staged("MERGE INTO orders o USING (SELECT name FROM customers) c ON o.item = c.name WHEN MATCHED THEN DELETE");
  REQUIRE(staged);
  REQUIRE(staged->source);
  CHECK(staged->source->merge->keys.empty());
  const auto compared = w.staged(
      "MERGE INTO orders o USING (SELECT max(id) AS id FROM customers) c ON o.customer_id = c.id WHEN MATCHED THEN "
      "DELETE");
  REQUIRE(compared);
  CHECK(with_columns(*compared->source, {"id"}, {type_oid::int8})->keys.size() == 1);
  CHECK(with_columns(*compared->source, {"id"}, {type_oid::numeric})->keys.empty());
}

TEST_CASE("defaults of the moment are written into MERGE", "[merge_into]") {
  writing_world w;
  for (column& c : w.schema.relations["public.orders"].columns) {
    if (c.name != "placed") continue;
    c.has_default = c.default_varies = c.default_of_moment = true;
    c.default_text = "now()";
  }
  const std::string now =
      "(SELECT '\1"
      "0\1'::pg_catalog.timestamptz AS now)";
  const auto told = [&](const std::string& actions) {
    const auto plan = w.staged("MERGE INTO orders o USING customers c ON o.customer_id = c.id " + actions);
    const std::string before = "MERGE INTO orders o USING customers c ON o.customer_id = c.id ";
    return plan ? plan->text.substr(before.size()) : std::string{};
  };
  CHECK(told("WHEN NOT MATCHED AND CASE WHEN true THEN true END THEN INSERT (customer_id, item) VALUES (c.id, f(')')) "
             "WHEN MATCHED "
             "THEN UPDATE SET placed = DEFAULT")
            .empty());  // f() is not known
  CHECK(told("WHEN NOT MATCHED AND CASE WHEN true THEN true END THEN INSERT (customer_id, item) VALUES (c.id, "
             "lower(')')) WHEN "
             "MATCHED THEN UPDATE SET placed = DEFAULT") ==
        "WHEN NOT MATCHED AND CASE WHEN true THEN true END THEN INSERT (customer_id, item, \"placed\") VALUES (c.id, "
        "lower(')'), (" +
            now + ")) WHEN MATCHED THEN UPDATE SET placed = (" + now + ")");
  CHECK(told("WHEN NOT MATCHED THEN INSERT VALUES (c.id, NULL, 'x')") ==
        "WHEN NOT MATCHED THEN INSERT (\"customer_id\", \"id\", \"item\", \"placed\") VALUES (c.id, NULL, 'x', (" +
            now + "))");
  CHECK(told("WHEN NOT MATCHED THEN INSERT (placed, customer_id) VALUES (DEFAULT, c.id)") ==
        "WHEN NOT MATCHED THEN INSERT (placed, customer_id) VALUES ((" + now + "), c.id)");
}

TEST_CASE("MERGE that is refused", "[merge_into]") {
  writing_world w;
  const std::string on_more = several + "rows that MERGE would insert on more than one shard";
  check(
      w,
      {
          {into_orders("countries v", "abs(5)"), on_more},
          {"MERGE INTO orders o USING countries c ON o.item = c.code WHEN NOT MATCHED THEN INSERT (customer_id) VALUES "
           "(5)",
           on_more},
          {"MERGE INTO orders o USING customers c ON o.customer_id = c.id WHEN NOT MATCHED THEN INSERT (customer_id) "
           "VALUES (c.id + 1)",
           on_more},
          {"MERGE INTO orders o USING customers c ON o.customer_id = c.id OR c.id = 7 WHEN NOT MATCHED THEN INSERT "
           "(customer_id) VALUES (c.id)",
           on_more},
          {"MERGE INTO orders o USING customers c ON o.customer_id = c.id WHEN NOT MATCHED THEN INSERT (item) VALUES "
           "('x')",
           "refused: null value for the sharding key..."},
          {"MERGE INTO orders o USING customers c ON o.customer_id = c.id WHEN NOT MATCHED THEN INSERT DEFAULT VALUES",
           "refused: null value for the sharding key..."},
          {"MERGE INTO orders o USING customers c ON o.customer_id = c.id WHEN MATCHED THEN UPDATE SET customer_id = 5",
           "refused: UPDATE of the sharding key..."},
          {"MERGE INTO orders o USING customers c ON true WHEN MATCHED THEN UPDATE SET customer_id = c.id",
           "refused: UPDATE of the sharding key..."},
          // The function's one value, and not the row that would stand for it.
          {"MERGE INTO orders o USING generate_series(1, 9) AS g ON g = o.customer_id WHEN MATCHED THEN UPDATE SET "
           "item "
           "= g.*::text WHEN NOT MATCHED THEN INSERT (customer_id) VALUES (g)",
           "refused: ..."},
          {"MERGE INTO watched t USING customers c ON t.id = c.id WHEN MATCHED THEN DELETE",
           "refused: function \"audit\"..."},
          {"MERGE INTO loose t USING customers c ON t.id = c.id WHEN MATCHED THEN DELETE", "refused: ..."},
          {"MERGE INTO countries c USING currencies x ON c.code = x.code WHEN MATCHED THEN UPDATE SET name = "
           "random()::text",
           "refused: ..."},
          {"MERGE INTO countries c USING currencies x ON c.code = x.code WHEN MATCHED AND c.ctid = x.ctid THEN DELETE",
           "refused: ..."},
          {"WITH d AS (DELETE FROM orders RETURNING customer_id AS id) " + into_orders("d v"),
           several + "WITH that writes..."},
          {"/* pgbraid: shard=s1 */ " + into_orders("(VALUES (5)) v(id)"), "refused: ..."},
          {into_orders("customers v") + "; SELECT 1", "refused: ..."},
          {"WITH m AS (" + into_orders("(VALUES (5)) v(id)") + ") SELECT 1", "refused: ..."},
          {into_orders("settings v", "v.value::bigint"), "refused: ..."},
      });
  // Parameters that stand in the source and in an action get their types from the one or the other.
  CHECK_FALSE(w.staged(
      "MERGE INTO orders o USING (VALUES ($1, $2), (3, 'x')) v(id, item) ON o.customer_id = v.id WHEN NOT MATCHED THEN "
      "INSERT (customer_id, item) VALUES (v.id, $2)"));
  // What travels is compared by the database's own collation.
  CHECK_FALSE(w.staged(into_orders("(SELECT id, name COLLATE \"C\" FROM customers) v")));
  for (column& c : w.schema.relations["public.customers"].columns) c.default_collation = c.name != "name";
  CHECK(w.staged(into_orders("(SELECT * FROM customers) v"))->query->collated);
  CHECK_FALSE(w.staged("MERGE INTO orders USING customers c ON item = c.name WHEN MATCHED THEN DELETE"));
  CHECK(w.staged("MERGE INTO orders USING customers c ON item = c.email WHEN MATCHED THEN DELETE"));
  // One server would evaluate it once.
  CHECK_FALSE(w.staged(
      "MERGE INTO orders o USING (SELECT max(id) AS id FROM customers) c ON o.customer_id = c.id WHEN MATCHED THEN "
      "UPDATE SET amount = (SELECT random())"));
  // A sequence would count on each shard.
  column& drawn = w.schema.relations["public.orders"].columns[1];
  drawn.draws = "nextval('order_ids')";
  drawn.default_varies = true;
  CHECK(w.told(into_orders("customers v")).starts_with(several + "column \"id\" is left to a sequence"));
}
