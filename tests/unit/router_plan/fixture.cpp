// The demonstration world of the planner's tests; see fixture.hpp.
#include "fixture.hpp"

#include "router/shard/bucket_map.hpp"
#include "router/shard/hash.hpp"

namespace pgbraid::router::test {
namespace {

column col(std::string name, oid type, std::int32_t modifier = -1) {
  column out;
  out.name = std::move(name);
  out.type = type;
  out.modifier = modifier;
  return out;
}

relation& add(catalog& c, std::string name, std::vector<column> columns, char kind = 'r') {
  relation r;
  r.id = static_cast<oid>(16384 + c.relations.size());
  r.schema = "public";
  r.name = name;
  r.kind = kind;
  r.columns = std::move(columns);
  return c.relations["public." + name] = std::move(r);
}

void functions(catalog& c, const std::vector<std::string>& names, const function_traits& traits) {
  for (const std::string& name : names) c.functions[name] = traits;
}

void add_functions(catalog& c) {
  function_traits immutable;
  functions(c,
            {"lower", "upper", "abs", "round", "md5", "int4", "substring", "btrim", "array_length", "generate_series",
             "jsonb_array_elements", "unnest", "like_escape", "int8", "make_date", "xmlcomment"},
            immutable);
  c.functions["generate_series"].any_set_returning = true;
  c.functions["unnest"].any_set_returning = true;
  function_traits stable;
  stable.any_stable = true;
  functions(c,
            {"now",
             "to_char",
             "date_trunc",
             "extract",
             "date_part",
             "concat",
             "age",
             "format",
             "current_setting",
             "timezone",
             "pg_is_in_recovery",
             "inet_server_addr",
             "inet_server_port",
             "pg_listening_channels",
             "txid_current_snapshot",
             "pg_get_viewdef",
             "to_regclass",
             "pg_get_serial_sequence",
             "has_table_privilege",
             "transaction_timestamp",
             "pg_backend_pid",
             "pg_last_wal_replay_lsn",
             "current_database",
             "pg_postmaster_start_time",
             "pg_table_is_visible",
             "pg_stat_get_activity",
             "pg_relation_size",
             "version"},
            stable);
  function_traits is_volatile;
  is_volatile.any_volatile = true;
  functions(c,
            {"random",
             "gen_random_uuid",
             "current_query",
             "nextval",
             "setval",
             "currval",
             "lastval",
             "clock_timestamp",
             "timeofday",
             "pg_notify",
             "lo_create",
             "lo_get",
             "txid_current",
             "pg_advisory_lock",
             "pg_advisory_xact_lock",
             "pg_try_advisory_lock",
             "set_config",
             "setseed",
             "pg_sleep",
             "pg_current_wal_lsn"},
            is_volatile);
  function_traits aggregate;
  aggregate.any_aggregate = true;
  functions(c, {"count", "sum", "avg", "min", "max", "string_agg", "array_agg", "bool_and", "percentile_cont"},
            aggregate);
  function_traits window;
  window.any_window = true;
  functions(c, {"row_number", "rank", "lag"}, window);
  function_traits user;
  user.any_user_code = true;
  user.pg_catalog_only = false;
  functions(c, {"tax", "order_total"}, user);
  c.functions["order_total"].any_stable = true;
  user.any_volatile = true;
  functions(c, {"audit", "bump"}, user);
  function_traits extension;
  extension.pg_catalog_only = false;
  functions(c, {"similarity", "uuid_nil"}, extension);
}

}  // namespace

topology demo_topology(std::size_t shards) {
  topology t;
  t.database = "shop";
  std::vector<shard_buckets> owners;
  for (std::size_t i = 0; i < shards; ++i) {
    t.shards.push_back("s" + std::to_string(i));
    owners.push_back({t.shards.back(), {}});
  }
  t.buckets = build_bucket_map(4096, owners).map;
  if (shards == 1) return t;
  t.tables["public.customers"] = {{"id"}};
  t.tables["public.orders"] = {{"customer_id"}};
  t.tables["public.notes"] = {{"customer_id"}};
  t.tables["public.documents"] = {{"tenant"}};
  t.tables["public.people"] = {{"login"}};
  t.tables["public.codes"] = {{"code"}};
  t.tables["public.days"] = {{"day"}};
  t.tables["public.prices"] = {{"sku"}};
  t.tables["public.moments"] = {{"at"}};
  t.tables["public.loose"] = {{"id"}};
  t.tables["public.watched"] = {{"id"}};
  t.tables["public.typed"] = {{"id"}};
  t.tables["public.fast"] = {{"id"}};
  t.tables["public.odd"] = {{"name"}};
  t.tables["public.gone"] = {{"id"}};
  t.reference_tables = {"public.countries", "public.currencies"};
  t.unsharded["public.settings"] = 0;
  t.unsharded["public.reports"] = 1;
  t.shard_local = {"order_total"};
  return t;
}

catalog demo_catalog() {
  using namespace type_oid;
  catalog c;
  c.version = 1;
  c.schemas = {"public", "pg_catalog", "information_schema", "tenant"};
  add(c, "customers",
      {col("id", int8), col("name", text), col("email", text), col("country", text), col("balance", numeric),
       col("created", timestamptz)}).primary_key = {"id"};
  add(c, "orders",
      {col("customer_id", int8), col("id", uuid), col("item", text), col("amount", numeric),
       col("placed", timestamptz)});
  add(c, "notes", {col("id", int8), col("customer_id", int4), col("body", text)});
  add(c, "documents", {col("tenant", uuid), col("title", text)});
  add(c, "people", {col("login", text), col("age", int4)});
  add(c, "codes", {col("code", bpchar, 8), col("what", text)});
  add(c, "days", {col("day", date), col("what", text)});
  add(c, "prices", {col("sku", numeric), col("price", float8)});
  add(c, "moments", {col("at", timestamptz), col("what", text)});
  add(c, "loose", {col("id", int8), col("email", text)}).unenforced = {
      "unique constraint \"loose_email_key\" does not contain the sharding key"};
  add(c, "watched", {col("id", int8), col("name", text)}).user_code = {"audit"};
  relation& typed = add(c, "typed", {col("id", int8), col("mood", 99999)});
  typed.types_differ = true;
  typed.types_differ_detail = "type \"mood\" of column \"mood\"";
  add(c, "fast", {col("id", int8), col("what", text)}).persistence = 'u';
  column loose_text = col("name", text);
  loose_text.deterministic = false;
  add(c, "odd", {loose_text});
  add(c, "countries", {col("code", text), col("name", text)});
  add(c, "currencies", {col("code", text), col("rate", numeric)});
  add(c, "settings", {col("name", text), col("value", text)});
  add(c, "reports", {col("id", int8), col("body", text)});
  add(c, "unlisted", {col("id", int8)});
  add(c, "scratch", {col("id", int8)}).persistence = 't';
  add(c, "order_ids", {}, 'S');
  add(c, "remote", {col("id", int8)}, 'f');
  relation& european = add(c, "european", {col("code", text), col("name", text)}, 'v');
  european.view_read_safe = true;
  european.view_relations = {"public.countries"};
  relation& totals = add(c, "totals", {col("customer_id", int8), col("total", numeric)}, 'v');
  totals.view_read_safe = true;
  totals.view_relations = {"public.orders"};
  totals.definition = " SELECT orders.customer_id,\n    sum(orders.amount) AS total\n   FROM public.orders\n  GROUP BY orders.customer_id;";
  relation& noisy = add(c, "noisy", {col("code", text)}, 'v');
  noisy.view_relations = {"public.countries"};
  relation& quick = add(c, "quick", {col("id", int8)}, 'v');
  quick.view_read_safe = true;
  quick.view_relations = {"public.fast"};
  add(c, "sneaky", {col("oid", oid_type)}, 'v').view_relations = {"pg_catalog.pg_class"};
  relation& tables = add(c, "tables", {col("table_name", text)}, 'v');
  tables.user_code = {"_pg_truetypid"};
  relation moved = tables;
  moved.schema = "information_schema";
  c.relations.erase("public.tables");
  c.relations["information_schema.tables"] = moved;
  add_functions(c);
  c.volatile_operators = {"<~!~>"};
  c.user_types = {"mood", "citext"};
  return c;
}

shard_index shard_of(const topology& map, std::int64_t key) {
  const auto hash = partition_hash_text(type_oid::int8, -1, type_oid::int8, std::to_string(key), "UTC");
  return map.buckets.shard_of(bucket_of(hash.value(), static_cast<std::uint32_t>(map.buckets.owner.size())));
}

std::vector<std::int64_t> keys_on(const topology& map, shard_index shard, std::size_t count) {
  std::vector<std::int64_t> out;
  for (std::int64_t key = 1; out.size() < count; ++key) {
    if (shard_of(map, key) == shard) out.push_back(key);
  }
  return out;
}

world::world(std::size_t shards) : map(demo_topology(shards)), schema(demo_catalog()) {
  context.map = &map;
  context.schema = &schema;
  context.search_path = {"public"};
  context.user = "app";
}

planned world::make(std::string_view sql) const {
  sql::token_scan scan;
  sql::scan(sql, scan);
  return make_plan(sql, scan, context);
}

route world::routed(std::string_view sql, const std::vector<bound_parameter>& parameters) const {
  sql::token_scan scan;
  sql::scan(sql, scan);
  const planned made = make_plan(sql, scan, context);
  return resolve(*made.plan, map, sql, scan.constants, parameters, {});
}

std::string world::told(std::string_view sql, const std::vector<bound_parameter>& parameters) const {
  return to_string(routed(sql, parameters), map);
}

bound_parameter text_parameter(std::string_view value, oid type) {
  bound_parameter out;
  out.value = value;
  out.type = type;
  return out;
}

}  // namespace pgbraid::router::test
