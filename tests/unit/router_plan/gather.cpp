// How reads are gathered: what is asked of the shards, and what of the server that combines.
#include <catch2/catch.hpp>

#include "fixture.hpp"
#include "router/plan/words.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

/// How it is gathered row by row.
std::shared_ptr<const gather_plan> whole_rows(std::string_view sql, const plan_context& context) {
  auto plan = plan_gather(sql, context);
  return plan != nullptr && plan->otherwise != nullptr ? plan->otherwise : plan;
}

}  // namespace

TEST_CASE("the statement stands behind WITH entries of its tables' names", "[gather]") {
  const world w(2);
  const auto plan = whole_rows("SELECT count(*) FROM customers", w.context);
  REQUIRE(plan != nullptr);
  CHECK(plan->fragment_sql == "SELECT 0, f.\"id\" FROM \"public\".\"customers\" AS f");
  CHECK(plan->combine_sql ==
        "WITH \"customers\" AS MATERIALIZED (SELECT f.\"id\" FROM pg_catalog.json_populate_recordset("
        "NULL::\"public\".\"customers\", $1::pg_catalog.json) AS f) SELECT count(*) FROM customers");
  REQUIRE(plan->fragments.size() == 1);
  CHECK(plan->fragments[0].table == "public.customers");
  CHECK(plan->fragments[0].json_keys == std::vector<std::string>{"\"id\":"});
}

TEST_CASE("several tables are one statement for each shard, and parameters come behind the statement's own", "[gather]") {
  const world w(2);
  const auto plan = whole_rows("/* x */ WITH RECURSIVE a AS (SELECT 1) SELECT sum(amount) FROM orders, customers WHERE name = $2 OR item = $1", w.context);
  REQUIRE(plan != nullptr);
  CHECK(plan->parameters == 2);
  CHECK(plan->fragment_sql ==
        "SELECT 0, f.\"item\", f.\"amount\", (NULL::\"public\".\"customers\").\"name\" FROM \"public\".\"orders\" AS f UNION ALL "
        "SELECT 1, (NULL::\"public\".\"orders\").\"item\", (NULL::\"public\".\"orders\").\"amount\", f.\"name\" FROM \"public\".\"customers\" AS f");
  CHECK(plan->combine_sql.starts_with("/* x */ WITH RECURSIVE \"orders\" AS MATERIALIZED (SELECT"));
  CHECK(plan->combine_sql.find("$3::pg_catalog.json") != std::string::npos);
  CHECK(plan->combine_sql.find("$4::pg_catalog.json) AS f), a AS (SELECT 1)") != std::string::npos);
}

TEST_CASE("conditions on one table are asked of the shards", "[gather]") {
  const world w(2);
  const auto where = [&](const char* sql) {
    const auto plan = whole_rows(sql, w.context);
    REQUIRE(plan != nullptr);
    const auto at = plan->fragment_sql.find(" WHERE ");
    return at == std::string::npos ? std::string{} : plan->fragment_sql.substr(at + 7);
  };
  CHECK(where("SELECT count(*) FROM orders o WHERE o.item = 'x' GROUP BY id") == "o.item = 'x'");
  CHECK(where("SELECT item FROM orders WHERE (id, amount) IN ((1, 2)) AND item <> 'order by' ORDER BY id;") ==
        "(id, amount) IN ((1, 2)) AND item <> 'order by'");
  // Not where it might come out otherwise there, or means more than the one table.
  CHECK(where("SELECT count(*) FROM orders WHERE placed < now()").empty());
  CHECK(where("SELECT count(*) FROM orders WHERE amount > random()").empty());
  CHECK(where("SELECT count(*) FROM orders WHERE item = $1 AND amount > 2") == "item = $1 AND amount > 2");
  // What a parameter is may follow from another place.
  CHECK(where("SELECT count(*), $1 FROM orders WHERE item = $1").empty());
  CHECK(where("SELECT count(*) FROM orders, countries WHERE item = code").empty());
  CHECK(where("SELECT count(*) FROM orders WHERE id IN (SELECT 1)").empty());
  CHECK(where("SELECT count(*) FROM orders, generate_series(1, 2) AS g(n) WHERE n = 1").empty());
  CHECK(where("SELECT id FROM orders WHERE id = 1 UNION SELECT id FROM orders").empty());
}

TEST_CASE("the first rows of all are among the first rows of each", "[gather]") {
  const world w(2);
  const auto rows = [&](const char* sql) {
    INFO(sql);
    const auto plan = whole_rows(sql, w.context);
    REQUIRE(plan != nullptr);
    const auto at = plan->fragment_sql.find(" AS \"");
    return at == std::string::npos ? std::string{} : plan->fragment_sql.substr(plan->fragment_sql.find('"', at + 5) + 1);
  };
  CHECK(rows("SELECT id FROM orders o ORDER BY amount DESC NULLS LAST, o.item LIMIT 5 OFFSET 10") == " ORDER BY amount DESC NULLS LAST, o.item LIMIT 15");
  CHECK(rows("SELECT id FROM orders WHERE item = $1 ORDER BY $2 || item FETCH FIRST ROW ONLY") == " WHERE item = $1 ORDER BY $2 || item LIMIT 1");
  CHECK(rows("SELECT * FROM orders LIMIT 3") == " LIMIT 3");
  CHECK(rows("SELECT amount, item AS \"as\" FROM orders o ORDER BY 2 DESC NULLS LAST, 1 LIMIT 3") ==
        " ORDER BY item DESC NULLS LAST, amount LIMIT 3");
  CHECK(rows("SELECT item AS item FROM orders ORDER BY item LIMIT 3") == " ORDER BY item LIMIT 3");
  for (const char* sql :
       {"SELECT id FROM orders ORDER BY amount", "SELECT upper(item) AS item FROM orders ORDER BY item LIMIT 5",
        "SELECT upper(item) FROM orders ORDER BY 1 LIMIT 5", "SELECT *, id FROM orders ORDER BY 1 LIMIT 5",
        "SELECT upper(item) FROM orders ORDER BY upper LIMIT 5",
        "SELECT id FROM orders ORDER BY amount FETCH FIRST 5 ROWS WITH TIES",
        "SELECT id FROM orders ORDER BY amount LIMIT $1", "SELECT id FROM orders ORDER BY amount LIMIT 5 OFFSET $1",
        "SELECT max(id) FROM orders LIMIT 1", "SELECT DISTINCT item FROM orders LIMIT 5",
        "SELECT item, rank() OVER (ORDER BY item) FROM orders LIMIT 5", "SELECT id FROM orders OFFSET 5",
        // What gives several rows for one, or none.
        "SELECT unnest(ARRAY[item]) FROM orders ORDER BY amount LIMIT 5",
        "SELECT id FROM orders ORDER BY amount, generate_series(1, 2) LIMIT 5",
        "SELECT (SELECT count(*) FROM orders) FROM orders LIMIT 5"}) {
    CHECK(rows(sql).empty());
  }
}

TEST_CASE("only columns that are named are fetched", "[gather]") {
  const world w(2);
  const auto columns = [&](const char* sql) {
    const auto plan = whole_rows(sql, w.context);
    REQUIRE(plan != nullptr);
    std::string out;
    for (const std::string& key : plan->fragments[0].json_keys) out += key;
    return out;
  };
  const std::string all_of_customers = columns("SELECT *, count(*) OVER () FROM customers");
  CHECK(columns("SELECT upper(NAME) FROM customers ORDER BY 1") == "\"name\":");
  CHECK(columns("SELECT max(\"name\") FROM customers") == "\"name\":");
  CHECK(columns("SELECT count(*), 'name \" *' FROM customers ORDER BY id") == "\"id\":");
  CHECK(columns("SELECT max(customers.id) FROM customers -- name\n") == "\"id\":");
  for (const char* sql : {"SELECT c.* FROM customers c ORDER BY 1", "TABLE customers LIMIT 1", "SELECT max(a) FROM customers AS c(a)",
                          "SELECT max(U&\"n\\0061me\") FROM customers", "SELECT count(*) FROM customers NATURAL JOIN orders"}) {
    CHECK(columns(sql) == all_of_customers);
  }
}

TEST_CASE("what rows cannot stand for is not gathered", "[gather]") {
  const world w(2);
  for (const char* sql :
       {"SELECT o FROM orders o", "SELECT row_to_json(o) FROM orders AS o(x) ORDER BY 1", "SELECT max(ctid) FROM orders", "SELECT count(*) FROM ONLY (orders)", "SELECT count(*) FROM U&\"orders\" , public.orders",
        "SELECT count(*) FROM orders TABLESAMPLE SYSTEM (1)", "SELECT id FROM orders ORDER BY 1 FOR UPDATE",
        "SELECT count(*), order_total(1) FROM orders", "SELECT count(*) FROM orders, pg_class",
        "SELECT pg_relation_size('orders'), count(*) FROM orders", "SELECT count(*) FROM quick", "DELETE FROM orders", "SELECT 1",
        "SELECT count(*) FROM orders; SELECT 1", "WITH x AS (DELETE FROM notes WHERE customer_id = 5 RETURNING id) SELECT count(*) FROM orders, x",
        "COPY orders TO '/tmp/x'", "COPY orders FROM STDIN", "COPY (SELECT 1) TO STDOUT", "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM orders"}) {
    INFO(sql);
    CHECK(whole_rows(sql, w.context) == nullptr);
  }
}

namespace {

/// The combining statement without the WITH entries of tables.
std::string combined(const world& w, const char* sql) {
  const auto plan = whole_rows(sql, w.context);
  INFO(sql);
  REQUIRE(plan != nullptr);
  std::string out = plan->combine_sql;
  for (auto at = out.find(" AS MATERIALIZED ("); at != std::string::npos; at = out.find(" AS MATERIALIZED (")) {
    const std::string_view close = ") AS f)";
    out.erase(at, out.find(close, at) + close.size() - at);
  }
  return out;
}

}  // namespace

TEST_CASE("names that WITH cannot hide are replaced", "[gather]") {
  const world w(2);
  CHECK(combined(w, "SELECT count(*) FROM public.orders") == "WITH \"pgbraid 1\" SELECT count(*) FROM \"pgbraid 1\" AS \"orders\"");
  CHECK(combined(w, "SELECT public.orders.id FROM \"public\" /* x */ . orders * WHERE Public.orders.item = 'public.orders' ORDER BY 1") ==
        "WITH \"pgbraid 1\" SELECT orders.id FROM \"pgbraid 1\" AS \"orders\" WHERE orders.item = 'public.orders' ORDER BY 1");
  CHECK(combined(w, "SELECT max(o.id) FROM ONLY orders o, orders") ==
        "WITH \"pgbraid 1\", \"orders\" SELECT max(o.id) FROM ONLY \"pgbraid 1\" o, orders");
  CHECK(combined(w, "WITH orders AS (SELECT * FROM orders) SELECT count(*) FROM orders") ==
        "WITH \"pgbraid 1\", orders AS (SELECT * FROM \"pgbraid 1\" AS \"orders\") SELECT count(*) FROM orders");
  CHECK(combined(w, "TABLE public.orders LIMIT 1") == "WITH \"pgbraid 1\" TABLE \"pgbraid 1\" LIMIT 1");
}

TEST_CASE("what a primary key fixes joins GROUP BY", "[gather]") {
  const world w(2);
  const auto grouping = [&](const char* sql) {
    const std::string text = combined(w, sql);
    return text.substr(text.find("GROUP BY"));
  };
  CHECK(grouping("SELECT c.id, c.name, count(*) FROM customers c GROUP BY c.id") == "GROUP BY \"c\".\"name\", c.id");
  CHECK(grouping("SELECT id AS who, name, count(*) FROM customers GROUP BY 1 HAVING count(*) > 1") ==
        "GROUP BY \"customers\".\"name\", 1 HAVING count(*) > 1");
  CHECK(grouping("SELECT id AS who, name, count(*) FROM customers GROUP BY who") == "GROUP BY \"customers\".\"name\", who");
  CHECK(grouping("SELECT x, y, count(*) FROM public.customers c (x, y) GROUP BY x").starts_with("GROUP BY \"c\".\"y\", \"c\".\"email\", "));
  // No primary key, or not all of it.
  CHECK(grouping("SELECT o.id, o.item FROM orders o GROUP BY o.id") == "GROUP BY o.id");
  CHECK(grouping("SELECT c.name, max(c.id) FROM customers c GROUP BY c.name") == "GROUP BY c.name");
  CHECK(grouping("SELECT c.id, c.name FROM customers c GROUP BY ROLLUP (c.id), c.name") == "GROUP BY ROLLUP (c.id), c.name");
}

TEST_CASE("views become entries of their definition", "[gather]") {
  world w(2);
  CHECK(combined(w, "SELECT max(total) FROM totals") ==
        "WITH \"pgbraid 1\", \"pgbraid 2\"(\"customer_id\", \"total\") AS NOT MATERIALIZED ( SELECT orders.customer_id,\n    sum(orders.amount) AS total\n"
        "   FROM \"pgbraid 1\" AS \"orders\"\n  GROUP BY orders.customer_id) SELECT max(total) FROM \"pgbraid 2\" AS \"totals\"");
  const auto plan = whole_rows("SELECT max(total) FROM totals", w.context);
  CHECK(plan->fragment_sql.ends_with(" UNION ALL SELECT 0, (NULL::\"public\".\"orders\").\"customer_id\", (NULL::\"public\".\"orders\").\"amount\""
                                     " FROM \"public\".\"totals\" AS f WHERE false"));
  // Names in it are looked up in pg_catalog first, or have a schema.
  catalog shadowed = *w.context.schema;
  const plan_context usual = w.context;
  w.context.search_path = {"public", "pg_catalog"};
  w.context.schema = &shadowed;
  CHECK(whole_rows("SELECT max(total) FROM totals", w.context) != nullptr);
  shadowed.functions["sum"].pg_catalog_only = false;
  CHECK(whole_rows("SELECT max(total) FROM totals", w.context) == nullptr);
  shadowed.functions["sum"].pg_catalog_only = true;
  shadowed.relations.find("public.totals")->second.definition =
      " SELECT 1::public.mood, orders.amount::text FROM public.orders;";
  CHECK(whole_rows("SELECT max(total) FROM totals", w.context) != nullptr);
  shadowed.user_types.insert("text");
  CHECK(whole_rows("SELECT max(total) FROM totals", w.context) == nullptr);
  w.context = usual;
  catalog guarded = *w.context.schema;
  guarded.relations.find("public.orders")->second.row_security = true;
  w.context.schema = &guarded;
  CHECK(whole_rows("SELECT max(total) FROM totals", w.context) == nullptr);
  CHECK(whole_rows("SELECT max(amount) FROM orders", w.context) != nullptr);
}

TEST_CASE("COPY and DECLARE carry their query inside", "[gather]") {
  const world w(2);
  CHECK(combined(w, "DECLARE c CURSOR FOR SELECT id FROM orders") == "DECLARE c CURSOR FOR WITH \"orders\" SELECT id FROM orders");
  CHECK(combined(w, "COPY (WITH a AS (SELECT 1) SELECT max(id) FROM orders, a) TO STDOUT") ==
        "COPY (WITH \"orders\", a AS (SELECT 1) SELECT max(id) FROM orders, a) TO STDOUT");
  CHECK(combined(w, "EXPLAIN ANALYZE VERBOSE SELECT max(id) FROM orders") == "EXPLAIN ANALYZE VERBOSE WITH \"orders\" SELECT max(id) FROM orders");
  CHECK(combined(w, "EXPLAIN (COSTS OFF, FORMAT json) SELECT max(id) FROM orders") ==
        "EXPLAIN (COSTS OFF, FORMAT json) WITH \"orders\" SELECT max(id) FROM orders");
  CHECK(combined(w, "EXPLAIN (SELECT max(id) FROM orders)") == "EXPLAIN WITH \"orders\" (SELECT max(id) FROM orders)");
  const auto plan = whole_rows("COPY notes (body, id) TO STDOUT (FORMAT csv)", w.context);
  REQUIRE(plan != nullptr);
  CHECK(plan->described_sql == "SELECT \"body\", \"id\" FROM ONLY \"public\".\"notes\"");
  REQUIRE(plan->gaps.size() == 1);
  CHECK(plan->combine_sql.substr(plan->gaps[0].at).starts_with("::pg_catalog.json) AS f) SELECT"));
  CHECK(plan->combine_sql.ends_with(") TO STDOUT (FORMAT csv)"));
}

TEST_CASE("types that only one shard can tell of are combined there", "[gather]") {
  const world w(2);
  const auto plan = whole_rows("SELECT * FROM typed", w.context);
  REQUIRE(plan != nullptr);
  CHECK(plan->combiner == shard_index{0});
  CHECK(whole_rows("SELECT * FROM typed, reports", w.context) == nullptr);
}

TEST_CASE("an unsharded table says where the rows are combined", "[gather]") {
  const world w(2);
  const auto plan = whole_rows("SELECT count(*) FROM orders, reports", w.context);
  REQUIRE(plan != nullptr);
  CHECK(plan->combiner == shard_index{1});
  CHECK(plan->fragments.size() == 1);
  CHECK(whole_rows("SELECT count(*) FROM orders, reports, settings", w.context) == nullptr);
}

TEST_CASE("places in a text", "[gather]") {
  CHECK(with_position("  /* a /* b */ */ -- c\n select 1") == 24);
  CHECK(with_position("with x as (select 1) select 2") == 4);
  CHECK(with_position("WITH -- a\n RECURSIVE x as (select 1) select 2") == 20);
  CHECK(with_position("(select 1)") == 0);
}
