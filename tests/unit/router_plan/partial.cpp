// Aggregates in two steps: what each shard computes, and what is made of it.
#include <catch2/catch.hpp>

#include "fixture.hpp"
#include "router/plan/clauses.hpp"
#include "router/plan/written_type.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

struct two_steps {
  std::string shards, combined;
};

/// The fragments' statement, and the combining one behind its WITH entry; the types it waits for are told as <n>.
two_steps split(const world& w, const char* sql) {
  INFO(sql);
  const auto plan = plan_gather(sql, w.context);
  REQUIRE(plan != nullptr);
  if (plan->otherwise == nullptr) return {};
  CHECK(plan->fragments.size() == 1);
  std::string combined = plan->combine_sql;
  for (auto gap = plan->gaps.rbegin(); gap != plan->gaps.rend(); ++gap) {
    combined.insert(gap->at, gap->kind == gap_kind::rows ? "rows" : "<" + std::to_string(gap->index) + ">");
  }
  const auto entry = combined.find(")) SELECT ");
  return {plan->fragment_sql, combined.substr(entry + 3)};
}

constexpr const char* rows = "\"pgbraid rows\"";

}  // namespace

TEST_CASE("each shard aggregates its own rows", "[partial]") {
  const world w(2);
  const auto plan = plan_gather("SELECT count(*) FROM orders WHERE item = $1", w.context);
  REQUIRE(plan != nullptr);
  CHECK(plan->fragment_sql == "SELECT 0, count(*) FROM orders WHERE item = $1");
  CHECK(plan->combine_sql == "WITH \"pgbraid rows\" AS MATERIALIZED (SELECT * FROM pg_catalog.json_to_recordset($2::pg_catalog.json) AS f(c0 )) "
                             "SELECT pg_catalog.sum(\"pgbraid rows\".c0)::pg_catalog.int8 AS \"count\" FROM \"pgbraid rows\"");
  REQUIRE(plan->gaps.size() == 1);
  CHECK(plan->combine_sql.substr(plan->gaps[0].at).starts_with(")) SELECT"));
  CHECK(plan->fragments[0].json_keys == std::vector<std::string>{"\"c0\":"});
  CHECK(plan->fragment_parameters == std::vector<bool>{true});
  CHECK(plan->combine_parameters == std::vector<bool>{false});
  CHECK(plan->otherwise->fragment_parameters == std::vector<bool>{true});
  CHECK(plan->otherwise->combine_parameters == std::vector<bool>{true});
}

TEST_CASE("groups, aggregates and what is made of them", "[partial]") {
  const world w(2);
  const std::string r{rows};
  auto two = split(w, "SELECT o.item AS what, avg(amount), Count ( * ) FILTER (WHERE amount > 3) + 1 FROM orders o GROUP BY what "
                      "HAVING max(\"amount\") > 5 AND count(*) > 2 ORDER BY 2 DESC, o.item LIMIT 5 OFFSET 1");
  CHECK(two.shards == "SELECT 0, o.item, pg_catalog.sum(amount), pg_catalog.count(amount), Count ( * ) FILTER (WHERE amount > 3), max(\"amount\"), count(*) "
                      "FROM orders o GROUP BY 2");
  const std::string sum = "pg_catalog.sum(" + r + ".c1)";
  CHECK(two.combined == "SELECT " + r + ".c0 AS \"what\", ((CASE " + sum + "::pg_catalog.text WHEN '-0' THEN -" + sum +
                            " ELSE " + sum + " END) / pg_catalog.sum(" + r + ".c2)) AS \"avg\", pg_catalog.sum(" + r +
                            ".c3)::pg_catalog.int8 + 1 AS \"?column?\" FROM " + r + " GROUP BY " + r +
                            ".c0 HAVING pg_catalog.max(" + r + ".c4) > 5 AND pg_catalog.sum(" + r +
                            ".c5)::pg_catalog.int8 > 2 ORDER BY 2 DESC, " + r + ".c0 LIMIT 5 OFFSET 1");
  two = split(w, "SELECT upper(orders.item), sum(amount) FROM orders GROUP BY item, upper(item) ORDER BY sum(amount)");
  CHECK(two.shards == "SELECT 0, item, upper(item), sum(amount) FROM orders GROUP BY 2, 3");
  CHECK(two.combined == "SELECT " + r + ".c1 AS \"upper\", pg_catalog.sum(" + r + ".c2)::<2> AS \"sum\" FROM " + r + " GROUP BY " + r + ".c0, " + r +
                            ".c1 ORDER BY pg_catalog.sum(" + r + ".c2)::<2>");
  // Joined where each row of the join stands on one shard.
  two = split(w, "SELECT n.name, count(*) FROM customers c JOIN orders o ON o.customer_id = c.id LEFT JOIN countries n ON n.code = c.country GROUP BY n.name");
  CHECK(two.shards.ends_with(" GROUP BY 2"));
  two = split(w, "DECLARE c CURSOR FOR SELECT count(*) FROM orders;");
  CHECK(two.combined.ends_with(" FROM " + r + ";"));
  const auto copy = plan_gather("COPY (SELECT item, count(*) FROM orders GROUP BY 1) TO STDOUT", w.context);
  REQUIRE(copy != nullptr);
  CHECK(copy->rows_in_text);
  CHECK(copy->combine_sql.ends_with(" GROUP BY \"pgbraid rows\".c0) TO STDOUT"));
  REQUIRE(copy->gaps.size() == 3);
  CHECK(copy->combine_sql.substr(copy->gaps[0].at).starts_with("::pg_catalog.json) AS f(c0 , c1 )) SELECT"));
}

TEST_CASE("what is not split beyond doubt is gathered row by row", "[partial]") {
  world w(2);
  for (const char* sql : {"SELECT count(DISTINCT item) FROM orders",
                          "SELECT string_agg(item, ',') FROM orders",
                          "SELECT max(item ORDER BY item) FROM orders",
                          "SELECT count(*) OVER (), count(*) FROM orders GROUP BY item",
                          "SELECT count(*) FROM orders GROUP BY ROLLUP (item)",
                          "SELECT count(*), (SELECT 1) FROM orders",
                          "SELECT count(*) FROM orders a, orders b",
                          "SELECT count(*) FROM orders WHERE placed < now()",
                          "SELECT item, id, count(*) FROM orders GROUP BY item",
                          "SELECT max(item COLLATE \"C\") FROM orders",
                          "SELECT max(item::mood) FROM orders",
                          "SELECT item COLLATE \"C\", count(*) FROM orders GROUP BY 1",
                          "SELECT count(*) FROM totals",
                          "SELECT count(*) FROM orders UNION SELECT 1",
                          "WITH a AS (SELECT 1) SELECT count(*) FROM orders",
                          "SELECT DISTINCT item FROM orders",
                          "SELECT count(*), $1 FROM orders WHERE item = $1",
                          "SELECT item || $1, count(*) FROM orders GROUP BY item || $1",
                          "SELECT count(*) FROM orders, reports",
                          "(SELECT count(*) FROM orders)",
                          "SELECT count(*) -- all\n FROM orders",
                          "SELECT customers.*, count(*) FROM customers GROUP BY id",
                          "SELECT 'x' AS k, count(*) FROM orders GROUP BY k",
                          "SELECT DISTINCT ON (item) item, count(*) FROM orders GROUP BY item",
                          "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount) FROM orders",
                          "SELECT (item, amount), count(*) FROM orders GROUP BY (item, amount)"}) {
    INFO(sql);
    CHECK(split(w, sql).shards.empty());
  }
  catalog changed = *w.context.schema;
  for (column& c : changed.relations.find("public.orders")->second.columns) c.default_collation = c.name != "item";
  w.context.schema = &changed;
  CHECK(split(w, "SELECT max(item) FROM orders").shards.empty());
  CHECK(split(w, "SELECT item, count(*) FROM orders GROUP BY item").shards.empty());
  CHECK_FALSE(split(w, "SELECT max(amount) FROM orders WHERE item > 'x'").shards.empty());
  // A max() of one's own is another.
  changed.functions["max"].pg_catalog_only = false;
  CHECK(split(w, "SELECT max(amount) FROM orders").shards.empty());
}

TEST_CASE("clauses of a text", "[partial]") {
  const std::string_view text = "/* SELECT */ SELECT DISTINCT a, f(x, 'from') AS \"from\", b[1,2] FROM t WHERE a IS DISTINCT FROM b.order GROUP BY 1, (a, b) HAVING true ORDER BY a, b DESC OFFSET 1 FETCH FIRST 2 ROWS ONLY ; ";
  const auto found = clauses_of(text, 0, text.size());
  REQUIRE(found.has_value());
  CHECK(found->distinct.of(text) == "DISTINCT");
  REQUIRE(found->targets.size() == 3);
  CHECK(found->targets[1].of(text) == "f(x, 'from') AS \"from\"");
  CHECK(found->from.of(text) == "t");
  CHECK(found->where.of(text) == "a IS DISTINCT FROM b.order");
  CHECK(found->group_by.size() == 2);
  CHECK(found->having.of(text) == "true");
  REQUIRE(found->order_by.size() == 2);
  CHECK(found->order_by[1].of(text) == "b DESC");
  CHECK(found->limit.of(text) == "OFFSET 1 FETCH FIRST 2 ROWS ONLY");
  CHECK(text.substr(found->end) == " ; ");
  for (const std::string_view other : {"VALUES (1)", "(SELECT 1)", "SELECT 1 UNION SELECT 2", "SELECT 1 AS from FROM t", "SELECT 1 -- x\n", "WITH a AS (SELECT 1) SELECT 2", "TABLE t",
                                       "SELECT a INTO b FROM c", "SELECT 1)", "SELECT a FROM t FOR UPDATE", ""}) {
    INFO(other);
    CHECK_FALSE(clauses_of(other, 0, other.size()).has_value());
  }
}

TEST_CASE("types as they are written", "[partial]") {
  CHECK(written_type(20, -1) == "pg_catalog.int8");
  CHECK(written_type(1700, -1) == "pg_catalog.numeric");
  CHECK(written_type(1700, ((10 << 16) | 2) + 4) == "pg_catalog.numeric(10,2)");
  CHECK(written_type(1700, ((3 << 16) | (-2 & 0x7ff)) + 4) == "pg_catalog.numeric(3,-2)");
  CHECK(written_type(1043, 24) == "pg_catalog.varchar(20)");
  CHECK(written_type(1184, 3) == "pg_catalog.timestamptz(3)");
  // Sums in parts would not be exact; users' types have no OID that is known.
  CHECK_FALSE(written_type(700, -1).has_value());
  CHECK_FALSE(written_type(16400, -1).has_value());
  CHECK_FALSE(written_type(1186, 327679).has_value());
}
