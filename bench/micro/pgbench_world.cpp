#include "bench/micro/pgbench_world.hpp"

#include <utility>

namespace pgbraid::router::bench {
namespace {

relation table(oid id, std::string name, std::vector<column> columns) {
  relation out;
  out.id = id;
  out.schema = "public";
  out.name = std::move(name);
  out.columns = std::move(columns);
  return out;
}

column of_type(std::string name, oid type) {
  column out;
  out.name = std::move(name);
  out.type = type;
  return out;
}

/// Numbers spread over the accounts of scale 10, the same in every run.
unsigned account(unsigned i) {
  return i * 2'654'435'761u % 1'000'000u + 1;
}

}  // namespace

world::world(shard_index shards) {
  map.database = "bench";
  constexpr bucket_number buckets = 4096;
  for (shard_index s = 0; s < shards; ++s) map.shards.push_back("s" + std::to_string(s));
  for (bucket_number b = 0; b < buckets; ++b)
    map.buckets.owner.push_back(static_cast<shard_index>(std::size_t{b} * shards / buckets));
  map.tables["public.pgbench_accounts"] = {{"aid"}};
  map.tables["public.measurements"] = {{"id"}};

  schema.schemas = {"public", "pg_catalog"};
  schema.relations["public.pgbench_accounts"] =
      table(16384, "pgbench_accounts",
            {of_type("aid", type_oid::int4), of_type("bid", type_oid::int4), of_type("abalance", type_oid::int4),
             of_type("filler", type_oid::bpchar)});
  schema.relations["public.measurements"] =
      table(16390, "measurements",
            {of_type("id", type_oid::int8), of_type("device", type_oid::text), of_type("taken", type_oid::timestamptz),
             of_type("x", type_oid::float8), of_type("y", type_oid::float8), of_type("z", type_oid::float8),
             of_type("good", type_oid::boolean), of_type("batch", type_oid::int4), of_type("note", type_oid::text),
             of_type("total", type_oid::numeric)});

  context.map = &map;
  context.schema = &schema;
  context.search_path = {"public"};
  context.user = "bench";
}

std::vector<std::string> point_selects(unsigned count) {
  std::vector<std::string> out;
  for (unsigned i = 0; i < count; ++i)
    out.push_back("SELECT abalance FROM pgbench_accounts WHERE aid = " + std::to_string(account(i)) + ";");
  return out;
}

std::string point_select_with_parameter() {
  return "SELECT abalance FROM pgbench_accounts WHERE aid = $1;";
}

std::vector<std::string> inserts(unsigned count) {
  std::vector<std::string> out;
  for (unsigned i = 0; i < count; ++i)
    out.push_back("INSERT INTO measurements (id, device, taken, x, y, z, good, batch, note, total) VALUES (" +
                  std::to_string(account(i)) + ", 'device-" + std::to_string(i % 100) +
                  "', '2024-05-06 07:08:09+00', 1.25, -2.5, 3.75, true, " + std::to_string(i) +
                  ", 'as expected', 12345.678901)");
  return out;
}

}  // namespace pgbraid::router::bench
