// Name resolution and placement; see names.hpp.
#include "router/plan/names.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "router/plan/words.hpp"
#include "router/plan/written_view.hpp"

namespace pgbraid::router {
namespace {

using type_entry = std::pair<std::string_view, oid>;
constexpr std::array<type_entry, 17> known_types{{{"bool", type_oid::boolean},
                                                  {"bytea", type_oid::bytea},
                                                  {"int2", type_oid::int2},
                                                  {"int4", type_oid::int4},
                                                  {"int8", type_oid::int8},
                                                  {"text", type_oid::text},
                                                  {"oid", type_oid::oid_type},
                                                  {"float4", type_oid::float4},
                                                  {"float8", type_oid::float8},
                                                  {"bpchar", type_oid::bpchar},
                                                  {"varchar", type_oid::varchar},
                                                  {"date", type_oid::date},
                                                  {"time", type_oid::time},
                                                  {"timestamp", type_oid::timestamp},
                                                  {"timestamptz", type_oid::timestamptz},
                                                  {"numeric", type_oid::numeric},
                                                  {"uuid", type_oid::uuid}}};

constexpr std::array<std::string_view, 14> server_state_views{"pg_locks",
                                                              "pg_prepared_statements",
                                                              "pg_prepared_xacts",
                                                              "pg_cursors",
                                                              "pg_settings",
                                                              "pg_file_settings",
                                                              "pg_hba_file_rules",
                                                              "pg_ident_file_mappings",
                                                              "pg_shmem_allocations",
                                                              "pg_replication_slots",
                                                              "pg_replication_origin_status",
                                                              "pg_backend_memory_contexts",
                                                              "pg_sequences",
                                                              "pg_user_mappings"};

}  // namespace

// It chooses no rows, reads nothing that differs, and its aggregates do not depend on the order of rows.
bool alike_everywhere(std::string_view definition, const catalog& schema) {
  constexpr std::array<std::string_view, 25> telling{"limit",
                                                     "pgbraid",
                                                     "offset",
                                                     "fetch",
                                                     "over",
                                                     "window",
                                                     "tablesample",
                                                     "current_date",
                                                     "current_time",
                                                     "current_timestamp",
                                                     "localtime",
                                                     "localtimestamp",
                                                     "current_user",
                                                     "session_user",
                                                     "user",
                                                     "current_role",
                                                     "current_catalog",
                                                     "current_schema",
                                                     "ctid",
                                                     "xmin",
                                                     "xmax",
                                                     "cmin",
                                                     "cmax",
                                                     "tableoid",
                                                     "system_user"};
  constexpr std::array<std::string_view, 8> exact{"count",   "min",   "max",     "bool_and",
                                                  "bool_or", "every", "bit_and", "bit_or"};
  const auto among = [](const auto& list, std::string_view word) {
    return std::find(list.begin(), list.end(), word) != list.end();
  };
  std::string before;
  for (std::size_t at = 0; at < definition.size();) {
    const std::size_t past = skip_quoted(definition, at);
    const bool quoted = past != at && definition[at] == '"';
    if (!quoted && !is_word_start(definition[at])) {
      at = past == at ? at + 1 : past;
      continue;
    }
    const std::size_t end = quoted ? past : end_of_word(definition, at);
    const std::string word =
        quoted ? std::string{definition.substr(at + 1, end - at - 2)} : lower_word(definition.substr(at, end - at));
    at = end;
    if (!quoted && (among(telling, word) || (before == "distinct" && word == "on"))) return false;
    before = word;
    const std::size_t next = skip_blanks(definition, end);
    if (next >= definition.size() || definition[next] != '(') continue;
    const auto known = schema.functions.find(std::string_view{word});
    if (known == schema.functions.end()) continue;
    const function_traits& traits = known->second;
    if (traits.any_volatile || traits.any_stable || traits.any_user_code ||
        (traits.any_aggregate && !among(exact, word)))
      return false;
  }
  return true;
}

name_resolver::name_resolver(const plan_context& context)
    : map_(*context.map), schema_(*context.schema), search_path_(context.search_path) {
  const auto listed = std::find(search_path_.begin(), search_path_.end(), "pg_catalog");
  catalog_listed_ = listed != search_path_.end();
  catalog_first_ = !catalog_listed_ || listed == search_path_.begin();
}

resolved_table name_resolver::resolve(const sql::qualified_name& name) const {
  if (name.empty()) return {};
  const std::string& bare = name.back();
  if (name.size() > 1) return place(name[name.size() - 2], bare);
  const auto try_schema = [&](const std::string& schema) {
    if (schema_.find_relation(schema, bare) != nullptr) return true;
    if (schema == "pg_catalog") return false;
    const std::string full = schema + '.' + bare;
    return map_.tables.contains(full) || map_.reference_tables.contains(full) || map_.unsharded.contains(full) ||
           map_.unfit.contains(full);
  };
  if (!catalog_listed_ && schema_.find_relation("pg_catalog", bare) != nullptr) return place("pg_catalog", bare);
  for (const std::string& schema : search_path_) {
    if (try_schema(schema)) return place(schema, bare);
  }
  // The control plane need not list pg_catalog's own relations: their names begin with pg_.
  if (bare.starts_with("pg_")) return place("pg_catalog", bare);
  // What is not there yet would be made in the first schema.
  if (!search_path_.empty() && map_.schemas.contains(search_path_.front())) return place(search_path_.front(), bare);
  resolved_table missing;
  missing.full_name = bare;
  missing.name = bare;
  return missing;
}

resolved_table name_resolver::place(std::string schema, std::string name) const {
  resolved_table out;
  out.full_name = schema + '.' + name;
  out.schema = std::move(schema);
  out.name = std::move(name);
  out.described = schema_.find_relation(out.schema, out.name);
  if (out.schema.starts_with("pg_temp") || (out.described != nullptr && out.described->persistence == 't')) {
    out.where = placement::temporary;
  } else if (system_schema(out.schema)) {
    out.where = placement::system;
  } else if (const auto sharded = map_.tables.find(out.full_name); sharded != map_.tables.end()) {
    out.where = placement::sharded;
    out.sharding = &sharded->second;
  } else if (map_.reference_tables.contains(out.full_name)) {
    out.where = placement::reference;
  } else if (const auto single = map_.unsharded.find(out.full_name); single != map_.unsharded.end()) {
    out.where = placement::unsharded;
    out.shard = single->second;
  } else if (const auto home = map_.schemas.find(out.schema); home != map_.schemas.end()) {
    if (out.described != nullptr && out.described->kind == 'v') place_view(out);
    const bool elsewhere = out.where == placement::unsharded ? out.shard != home->second : out.where == placement::system && home->second != designated_shard;
    if (elsewhere) {
      out.where = placement::spread_view;
    } else if (out.where == placement::unknown || out.where == placement::reference || out.where == placement::system) {
      out.where = placement::unsharded;
    }
    out.shard = home->second;
    out.chosen = false;
  } else if (out.described == nullptr) {
    out.where = placement::unknown;
  } else if (out.described->kind == 'S') {
    // The designated shard's sequences are the ones that count.
    out.where = placement::unsharded;
    out.shard = designated_shard;
    out.chosen = true;
  } else if (out.described->kind == 'v') {
    place_view(out);
  } else {
    out.where = placement::unlisted;
  }
  return out;
}

void name_resolver::place_view(resolved_table& table) const {
  bool system = false;
  bool single = false;
  bool alike = alike_everywhere(table.described->definition, schema_);
  for (const std::string& read : table.described->view_relations) {
    const auto dot = read.find('.');
    if (dot == std::string::npos) {
      table.where = placement::spread_view;
      return;
    }
    const std::string schema = read.substr(0, dot);
    const relation* below = schema_.find_relation(schema, std::string_view{read}.substr(dot + 1));
    // Views below are listed by what they read themselves.
    if (below != nullptr && below->kind == 'v' && !system_schema(schema)) {
      alike = alike && alike_everywhere(below->definition, schema_);
      continue;
    }
    const resolved_table inner = place(schema, read.substr(dot + 1));
    if (inner.where == placement::reference) continue;
    if (inner.where == placement::system && (!single || table.shard == designated_shard)) {
      system = true;
      continue;
    }
    const bool same = (!single || table.shard == inner.shard) && (!system || inner.shard == designated_shard);
    if (inner.where != placement::unsharded || !same) {
      table.where = inner.where == placement::unlisted ? placement::unlisted : placement::spread_view;
      return;
    }
    single = true;
    table.shard = inner.shard;
  }
  table.where = system ? placement::system : single ? placement::unsharded : placement::reference;
  if (table.where != placement::reference || alike) return;
  // One server's rows are as good as another's, but they must be one server's.
  table.where = placement::unsharded;
  table.shard = designated_shard;
  table.chosen = true;
}

oid known_type(const sql::type_name& type, const catalog& schema) {
  if (type.array || type.set_of || !type.modifiers.empty() || type.name.empty() || type.name.size() > 2) return 0;
  if (type.name.size() == 2 && type.name[0] != "pg_catalog") return 0;
  const std::string& bare = type.name.back();
  if (type.name.size() == 1 && schema.user_types.contains(bare)) return 0;
  for (const auto& [name, id] : known_types) {
    if (name == bare) return id;
  }
  return 0;
}

std::string_view type_label(oid type) noexcept {
  switch (type) {
    case type_oid::int2:
      return "smallint";
    case type_oid::int4:
      return "integer";
    case type_oid::int8:
      return "bigint";
    case type_oid::bpchar:
      return "character";
    case type_oid::varchar:
      return "character varying";
    case type_oid::timestamp:
      return "timestamp without time zone";
    case type_oid::timestamptz:
      return "timestamp with time zone";
    default:
      break;
  }
  for (const auto& [name, id] : known_types) {
    if (id == type) return name;
  }
  return "unknown";
}

bool system_schema(std::string_view schema) noexcept {
  return schema == "pg_catalog" || schema == "information_schema" || schema == "pg_toast";
}

bool server_state_view(std::string_view name) noexcept {
  return name.starts_with("pg_stat_") || name.starts_with("pg_statio_") ||
         std::find(server_state_views.begin(), server_state_views.end(), name) != server_state_views.end();
}

}  // namespace pgbraid::router
