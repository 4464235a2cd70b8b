// UPDATE of the sharding key: where it goes, and what is taken out and put in where rows may leave their shards.
#include <catch2/catch.hpp>

#include "fixture.hpp"
#include "router/plan/clauses.hpp"
#include "router/plan/staged.hpp"
#include "router/plan/staged_source.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

struct moving_world : world {
  moving_world() : world{4} {
    schema.single_writer.clear();
    schema.relations["public.customers"].unique_keys = {{"id"}};
    schema.relations["public.orders"].unique_keys = {{"customer_id", "id"}, {"customer_id", ""}};
  }
  [[nodiscard]] std::shared_ptr<const staged_write> staged(std::string_view text) const { return plan_staged(text, context); }
};

}  // namespace

TEST_CASE("an UPDATE of the key stays on a shard where it can", "[moves]") {
  const moving_world w;
  const std::vector<std::int64_t> near = keys_on(w.map, 0, 2);
  const std::int64_t far = keys_on(w.map, 1, 1).front();
  const auto update = [](std::int64_t to, std::int64_t from) {
    return "UPDATE customers SET id = " + std::to_string(to) + " WHERE id = " + std::to_string(from);
  };
  const std::string all = "shards s0, s1, s2, s3 together (primary)";
  check(w, {{update(near[1], near[0]), "shard s0 (primary)"},
            {update(near[0], near[0]), "shard s0 (primary)"},
            {update(far, near[0]), "shards s0, s1 together (primary)"},
            {"UPDATE customers SET id = NULL WHERE id = 5", all},
            {"UPDATE customers SET id = id + 1 WHERE id = 5", all},
            {"UPDATE customers SET id = 5", all},
            {"UPDATE customers SET id = id, name = 'x' WHERE id = 5", "shard {5} (primary)"},
            {"UPDATE customers c SET id = c.id, name = 'x'", all},
            {"UPDATE customers SET id = DEFAULT WHERE id = 5", "refused: UPDATE of the sharding key..."},
            {"UPDATE customers SET (id, name) = (6, 'x') WHERE id = 5", "..."},
            {"WITH u AS (UPDATE customers SET id = 6 WHERE id = 5 RETURNING id) SELECT * FROM u", "refused: UPDATE of the sharding key..."},
            {"INSERT INTO customers (id) VALUES (5) ON CONFLICT (id) DO UPDATE SET id = excluded.id", "shard {5} (primary)"},
            {"INSERT INTO customers (id) VALUES (5) ON CONFLICT (id) DO UPDATE SET id = 6", "refused: UPDATE of the sharding key..."}});
  const std::string sql = "UPDATE customers SET id = $1, name = $2 WHERE id = $3";
  const std::string a = std::to_string(near[0]), b = std::to_string(near[1]), c = std::to_string(far);
  CHECK(w.told(sql, {text_parameter(b), text_parameter("x"), text_parameter(a)}) == "shard s0 (primary)");
  CHECK(w.told(sql, {text_parameter(c), text_parameter("x"), text_parameter(a)}) == "shards s0, s1 together (primary)");
}

TEST_CASE("rows are taken out and put in", "[moves]") {
  const moving_world w;
  const auto plan = w.staged("UPDATE customers SET id = id + 1, name = 'x', balance = balance * 2 WHERE country = 'DE' RETURNING id AS new");
  REQUIRE(plan);
  REQUIRE(plan->source);
  CHECK(plan->text ==
        "DELETE FROM customers WHERE country = 'DE' RETURNING CAST((id + 1) AS pg_catalog.int8), ('x'), \"customers\".\"email\", "
        "\"customers\".\"country\", (balance * 2), \"customers\".\"created\", \"customers\".\"id\"");
  CHECK(plan->moves);
  CHECK(plan->source->keys.front().at == 0);
  CHECK(plan->source->before ==
        "INSERT INTO \"public\".\"customers\" (\"id\", \"name\", \"email\", \"country\", \"balance\", \"created\") ");
  CHECK(plan->source->after == "RETURNING id AS new");
  CHECK(plan->source->columns[1].untyped);
  REQUIRE(plan->source->unique.size() == 1);
  CHECK(plan->source->unique[0].after == std::vector<std::size_t>{0});
  CHECK(plan->source->unique[0].before == std::vector<std::size_t>{6});
  const auto joined = w.staged("WITH x AS (SELECT 1 AS n) UPDATE ONLY orders AS o SET customer_id = n FROM x WHERE o.item = 'set'");
  REQUIRE(joined);
  CHECK(joined->text.starts_with("WITH x AS (SELECT 1 AS n) DELETE FROM ONLY orders AS o USING x WHERE o.item = 'set' RETURNING CAST((n) AS pg_catalog.int8), "));
  CHECK(joined->source->before.starts_with("INSERT INTO \"public\".\"orders\" AS \"o\" ("));
  CHECK(joined->source->unique.size() == 2);
}

TEST_CASE("what is computed and what is numbered is minded", "[moves]") {
  moving_world w;
  std::vector<column>& columns = w.schema.relations["public.customers"].columns;
  columns[2].generated = true;
  columns[3].generated = columns[3].identity = columns[3].default_varies = columns[3].has_default = true;
  const auto plan = w.staged("UPDATE customers SET id = id + 1");
  REQUIRE(plan);
  CHECK(plan->source->before ==
        "INSERT INTO \"public\".\"customers\" (\"id\", \"name\", \"country\", \"balance\", \"created\") OVERRIDING SYSTEM VALUE ");
  w.schema.relations["public.customers"].writes_spread = true;
  CHECK_FALSE(w.staged("UPDATE customers SET id = id + 1"));
  CHECK(w.told("UPDATE customers SET id = id + 1").starts_with("refused: UPDATE of the sharding key"));
}

TEST_CASE("rows that cannot be moved are not", "[moves]") {
  const moving_world w;
  for (const char* text :
       {"UPDATE customers SET id = orders.customer_id FROM orders WHERE orders.item = name RETURNING item",
        "UPDATE customers SET id = id + 1 RETURNING (SELECT max(o.id) FROM orders o WHERE o.item = name)",
        "UPDATE customers SET id = id + 1 RETURNING now()", "UPDATE customers SET id = id + 1 RETURNING ctid",
        "UPDATE customers SET id = id + 1 RETURNING customers", "UPDATE customers SET id = id + 1 -- more\n"}) {
    INFO(text);
    CHECK_FALSE(w.staged(text));
  }
}

TEST_CASE("the clauses of an UPDATE", "[moves]") {
  const auto parts = [](std::string_view text) {
    std::string out;
    const auto found = update_clauses_of(text);
    if (!found) return std::string{"none"};
    for (const text_span& span : {found->target, found->from, found->where, found->returning}) out.append(span.of(text)).append("|");
    for (const text_span& value : found->values) out.append(value.of(text)).append(";");
    return out;
  };
  CHECK(parts("UPDATE a SET b = 1") == "a||||1;");
  CHECK(parts("update only \"set\" as s set \"from\" = f(1, 2), c = 'where' where a is distinct from b returning *;") ==
        "only \"set\" as s||a is distinct from b|*|f(1, 2);'where';");
  CHECK(parts("WITH update AS (UPDATE x SET y = 1) UPDATE a SET b = (SELECT c FROM d WHERE e) FROM f, g") == "a|f, g|||(SELECT c FROM d WHERE e);");
  CHECK(parts("UPDATE a SET (b, c) = (1, f(2, 3)), d = 4, (e, f) = ROW ('5', DEFAULT) WHERE g") ==
        "a||g||1;f(2, 3);4;'5';DEFAULT;");
  CHECK(parts("UPDATE a SET (b, c) = (SELECT 1, 2)") == "none");
  CHECK(parts("UPDATE a SET (b, c) = (SELECT 1, 2 FROM d)") == "none");
  CHECK(parts("UPDATE a SET (b, c) = f(1, 2)") == "none");
  CHECK(parts("UPDATE a SET b = 1 -- c\n") == "none");
  CHECK(parts("UPDATE set SET a = 1") == "set||||1;");
}
