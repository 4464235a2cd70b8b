// Upkeep over several shards: where it goes, what it makes of transaction blocks, and what is asked about an index.
#include <catch2/catch.hpp>

#include "fixture.hpp"
#include "router/plan/upkeep.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

struct upkeep_row {
  std::string sql;
  std::string where;
  block_rule blocks;
};

const std::string all = "shards s0, s1 together (primary)", home = "shard s0 (primary)";

}  // namespace

TEST_CASE("upkeep goes to all shards, or to the one that has the tables", "[upkeep]") {
  world w(2);
  w.schema.single_writer.clear();
  constexpr auto outside = block_rule::outside, either = block_rule::either, within = block_rule::within,
                 any = block_rule::any;
  const std::vector<upkeep_row> rows{
      {"VACUUM", all, outside},
      {"VACUUM (FULL, ANALYZE) customers, orders (item)", all, outside},
      {"VACUUM settings", home, outside},
      {"VACUUM customers, settings", "refused: VACUUM over several shards...", any},
      {"VACUUM pg_temp.x", "refused: VACUUM over several shards...", any},
      {"ANALYZE", all, either},
      {"ANALYZE VERBOSE customers (name)", all, either},
      {"REINDEX TABLE customers", all, either},
      {"REINDEX INDEX by_name", all, either},
      {"REINDEX TABLE CONCURRENTLY customers", all, outside},
      {"REINDEX (CONCURRENTLY) INDEX by_name", all, outside},
      {"REINDEX SCHEMA public", all, outside},
      {"REINDEX DATABASE shop", "refused: REINDEX DATABASE over several shards...", any},
      {"REINDEX SYSTEM shop", "refused: REINDEX SYSTEM over several shards...", any},
      {"CLUSTER", all, outside},
      {"CLUSTER customers USING by_name", all, either},
      {"CREATE INDEX CONCURRENTLY by_name ON customers (name)", all, outside},
      {"CREATE INDEX CONCURRENTLY IF NOT EXISTS by_name ON customers (name)", all, outside},
      {"CREATE UNIQUE INDEX CONCURRENTLY ON customers (name, id)",
       "refused: CREATE INDEX CONCURRENTLY without a name...", any},
      {"CREATE INDEX CONCURRENTLY by_key ON settings (key)", home, outside},
      {"DROP INDEX CONCURRENTLY by_name", all, outside},
      {"LOCK TABLE customers IN SHARE MODE NOWAIT", all, within},
      {"LOCK settings", home, within},
      {"LOCK customers, settings", "refused: a write to more than one shard...", any},
      {"REFRESH MATERIALIZED VIEW x", "refused: REFRESH MATERIALIZED VIEW over several shards...", any},
      {"CREATE ROLE x", "refused: CREATE ROLE over several shards...", any},
      {"ALTER TABLE customers DETACH PARTITION x CONCURRENTLY", "refused: ALTER TABLE over several shards...", any}};
  for (const upkeep_row& row : rows) {
    INFO(row.sql);
    check(w, {{row.sql, row.where}});
    CHECK(static_cast<int>(w.make(row.sql).plan->blocks) == static_cast<int>(row.blocks));
  }
}

TEST_CASE("what is asked about an index", "[upkeep]") {
  const auto plan = [](std::string_view sql) { return plan_upkeep(sql); };
  const upkeep made = plan(
      "/* why */ CREATE UNIQUE INDEX CONCURRENTLY \"By 'x'\" ON ONLY /* on */ public.\"customers\" USING btree "
      "(lower(name)) -- all\n;");
  CHECK(made.what == upkeep::kind::create_index);
  CHECK_FALSE(made.lenient);
  CHECK(made.state_sql.find("c.relname OPERATOR(pg_catalog.=) 'By ''x'''") != std::string::npos);
  index_state found;
  CHECK(compare_question(made, found).empty());
  found.schema = "public";
  CHECK(compare_question(made, found)
            .starts_with("CREATE TABLE public.pgbraid_compared (LIKE \"public\".\"customers\");\n"
                         "CREATE UNIQUE INDEX ON public.pgbraid_compared USING btree (lower(name)) -- all\n"));
  CHECK(compare_question(made, found).ends_with(";\nROLLBACK"));
  CHECK(plan("CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON customers (id)").lenient);
  // A name that only the server decodes: nothing is compared.
  CHECK(compare_question(plan("CREATE INDEX CONCURRENTLY i ON U&\"customers\" (id)"), found).empty());
  CHECK(plan("DROP INDEX CONCURRENTLY i").what == upkeep::kind::drop_index);
  CHECK(plan("DROP INDEX CONCURRENTLY IF EXISTS i").lenient);
  CHECK(plan("REINDEX INDEX CONCURRENTLY i").what == upkeep::kind::use_index);
  CHECK(plan("VACUUM customers").state_sql.empty());
}

TEST_CASE("what a shard says of an index", "[upkeep]") {
  const auto read = [](std::optional<std::string> valid, std::string building) {
    return read_index_state({std::move(valid), std::move(building), "public.customers", "public", "i"});
  };
  CHECK(read("t", "f").valid);
  CHECK(read("f", "f").leftover);
  CHECK_FALSE(read("f", "t").leftover);
  CHECK(read(std::nullopt, "f").exists);
  CHECK_FALSE(read(std::nullopt, "f").leftover);
  CHECK_FALSE(read_index_state({}).exists);
}
