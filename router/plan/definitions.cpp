// DDL over several shards; see definitions.hpp.
#include "router/plan/definitions.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "router/plan/analysis.hpp"
#include "router/plan/constants.hpp"
#include "router/plan/definition_words.hpp"
#include "router/plan/key_columns.hpp"
#include "router/plan/names.hpp"
#include "router/plan/statements.hpp"
#include "router/plan/targets.hpp"
#include "router/plan/words.hpp"

namespace pgbraid::router {

using kind = sql::statement_kind;

namespace {

/// Commands of which each shard makes the same of its own, and which can be prepared.
constexpr std::array<std::string_view, 41> alike{
    "CREATE TABLE",    "CREATE INDEX",   "CREATE VIEW",      "CREATE SCHEMA",
    "CREATE TYPE",     "CREATE DOMAIN",  "CREATE FUNCTION",  "CREATE PROCEDURE",
    "CREATE TRIGGER",  "ALTER TABLE",    "ALTER INDEX",      "ALTER VIEW",
    "ALTER SCHEMA",    "ALTER TYPE",     "ALTER DOMAIN",     "ALTER FUNCTION",
    "DROP TABLE",      "DROP INDEX",     "DROP VIEW",        "DROP SCHEMA",
    "DROP TYPE",       "DROP DOMAIN",    "DROP FUNCTION",    "DROP TRIGGER",
    "COMMENT",         "GRANT",          "REVOKE",           "CREATE SEQUENCE",
    "ALTER SEQUENCE",  "DROP SEQUENCE",  "CREATE EXTENSION", "ALTER EXTENSION",
    "DROP EXTENSION",  "CREATE POLICY",  "ALTER POLICY",     "DROP POLICY",
    "ALTER PROCEDURE", "DROP PROCEDURE", "CREATE AGGREGATE", "ALTER AGGREGATE",
    "DROP AGGREGATE"};

/// CREATE, ALTER, DROP SCHEMA: one that is listed lives on its shard.
std::optional<fixed_target> schema_target(std::string_view text, const topology& map) {
  std::optional<shard_index> home;
  for (const auto& [schema, shard] : map.schemas) {
    if (!has_word(text, schema)) continue;
    if (home && *home != shard) return std::nullopt;
    home = shard;
  }
  return home ? fixed_target{to_shard{*home}} : fixed_target{mirror_target(map)};
}

/// The column of a table's key that ALTER TABLE drops, renames or gives a type whose values have other shards; null:
/// none. With `converts`, USING, whatever gives it another type, and of what is unique over all shards too.
const sql::changed_column* changed_key(const sql::statement& s, const resolved_table& table, bool converts) {
  if (table.sharding == nullptr || table.described == nullptr) return nullptr;
  constexpr std::array<std::string_view, 6> integers{"int2", "int4", "int8", "smallint", "integer", "bigint"};
  const auto among = [](const auto& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  for (const sql::changed_column& each : s.changed) {
    const auto& key = table.sharding->key;
    if (converts && among(table.sharding->unique, each.name)) return &each;
    if (!among(key, each.name)) continue;
    if (converts) return &each;
    for (const column& c : table.described->columns) {
      if (c.name != each.name) continue;
      const bool integer = c.type == type_oid::int2 || c.type == type_oid::int4 || c.type == type_oid::int8;
      const bool text = c.type == type_oid::text || c.type == type_oid::varchar;
      const bool same = table.sharding->function == shard_function::hash &&
                        (integer ? among(integers, each.type) : text && each.type == "text");
      if (!same) return &each;
    }
  }
  return nullptr;
}

bool names_schema_of_sharded(std::string_view text, const topology& map) {
  return std::any_of(map.tables.begin(), map.tables.end(),
                     [&](const auto& entry) { return has_word(text, entry.first.substr(0, entry.first.find('.'))); });
}

/// Tables that become one stand alike: both sharded by equal keys, or both not. Where one stands that nothing has been
/// said of is settled by the other.
bool keys_differ(const sql::statement& s, const name_resolver& names) {
  if (s.relations.empty()) return false;
  const resolved_table first = names.resolve(s.relations.front());
  return std::any_of(s.relations.begin() + 1, s.relations.end(), [&](const sql::qualified_name& name) {
    const resolved_table other = names.resolve(name);
    const auto stands = [](const resolved_table& table) {
      return table.where == placement::sharded || table.where == placement::reference ||
             table.where == placement::unsharded;
    };
    if (first.sharding == nullptr || other.sharding == nullptr)
      return stands(first) && stands(other) && (first.where != other.where || first.shard != other.shard);
    return !(*first.sharding == *other.sharding);
  });
}

/// Triggers of TRUNCATE, which every shard would fire.
std::optional<protocol::error_report> code_behind(const sql::statement& s, const name_resolver& names,
                                                  const topology& map) {
  for (const sql::qualified_name& name : s.relations) {
    const resolved_table table = names.resolve(name);
    if (table.where != placement::sharded && table.where != placement::reference) continue;
    if (table.described == nullptr || map.shard_local.contains(table.full_name)) continue;
    const std::vector<std::string>& code = table.described->user_code;
    if (std::all_of(code.begin(), code.end(), [&](const std::string& f) { return map.shard_local.contains(f); }))
      continue;
    return protocol::with_hint(protocol::make_error(protocol::error_id::ddl_over_shards,
                                                    "TRUNCATE of a table with code of your own behind it"),
                               "Delete its rows, or list the table or its functions under sharding.shard_local if they "
                               "go by one shard's rows.");
  }
  return std::nullopt;
}

/// Where a view of unsharded tables belongs: on their shard. Nothing: it reads none.
std::optional<fixed_target> home_of_view(const sql::statement& s, const plan_context& context) {
  if (s.inner == nullptr) return std::nullopt;
  const sql::token_scan none;
  constant_marks unused{{}, none};
  analysis a;
  analyze(*s.inner, context, unused, a);
  std::optional<shard_index> home;
  bool apart = false;
  for (const table_use& use : a.uses) {
    if (use.table.where != placement::unsharded || use.table.chosen) continue;
    apart = apart || (home && *home != use.table.shard);
    home = use.table.shard;
  }
  if (!home) return std::nullopt;
  apart = apart || std::any_of(a.uses.begin(), a.uses.end(), [](const table_use& use) {
            return use.table.where == placement::sharded || use.table.where == placement::spread_view;
          });
  if (!apart) return fixed_target{to_shard{*home}};
  return refusal(protocol::with_hint(protocol::make_error(protocol::error_id::ddl_over_shards,
                                                          "CREATE VIEW of unsharded tables and tables of other shards"),
                                     "No shard has all of them: write its query where you need it."));
}

protocol::error_report refuse_computing() {
  auto error = protocol::with_hint(protocol::make_error(protocol::error_id::ddl_over_shards, "ALTER TABLE"),
                                   "Add the column without its default (for USING, another column), UPDATE the rows, "
                                   "and ALTER COLUMN ... SET DEFAULT.");
  error.detail = "It computes values for the rows that are there, and each shard would compute its own.";
  return error;
}

}  // namespace

std::optional<fixed_target> ddl_target(const sql::statement& s, std::string_view text, const plan_context& context) {
  if (s.temporary || s.unparsable_parts) return std::nullopt;
  const std::string tag = tag_of(s);
  const bool known =
      s.kind == kind::truncate || (s.kind == kind::ddl && std::find(alike.begin(), alike.end(), tag) != alike.end());
  if (!known || has_word(text, "concurrently")) return std::nullopt;
  if (tag == "ALTER TABLE" && computes(text, *context.schema)) {
    auto home = home_of(s.relations, context);
    return home && std::holds_alternative<to_shard>(home->target) ? std::move(home) : refusal(refuse_computing());
  }
  if (beyond_the_database(tag, text)) return std::nullopt;
  if (const std::string& why = context.schema->single_writer; !why.empty()) {
    auto error = protocol::make_error(protocol::error_id::ddl_over_shards, tag);
    error.detail = "No transaction can write to several shards: " + why + ".";
    return refusal(std::move(error));
  }
  if (tag == "ALTER SCHEMA" && has_word(text, "rename") && names_schema_of_sharded(text, *context.map)) {
    return refusal(protocol::with_hint(
        protocol::make_error(protocol::error_id::ddl_over_shards, "ALTER SCHEMA ... RENAME of one with sharded tables"),
        "Other tables would get their names, and their keys with them: move the tables one by one."));
  }
  if (tag.ends_with(" SCHEMA")) return schema_target(text, *context.map);
  const name_resolver names{context};
  if (s.kind == kind::truncate) {
    if (auto error = code_behind(s, names, *context.map)) return refusal(std::move(*error));
  }
  if (tag == "ALTER TABLE" && (has_word(text, "attach") || has_word(text, "inherit")) && keys_differ(s, names)) {
    return refusal(protocol::with_hint(
        protocol::make_error(protocol::error_id::ddl_over_shards,
                             "ALTER TABLE of tables whose rows go by different keys"),
        "Rows of the one would not be found by the other's key: make a partition and move the rows there."));
  }
  for (const sql::qualified_name& name : s.relations) {
    const resolved_table table = names.resolve(name);
    // Writers that are under way would go on by the old key.
    if (const auto told = tag == "COMMENT" ? declared_key(comment_of(text)) : std::nullopt;
        told && table.sharding != nullptr) {
      if (const auto key = key_columns(*told); key && *key == table.sharding->key) continue;
      return refusal(protocol::with_hint(
          protocol::make_error(protocol::error_id::ddl_over_shards,
                               "another key for table \"" + table.full_name + "\", which is sharded already,"),
          "Make another table with that key and move the rows there."));
    }
    const auto* key = changed_key(s, table, has_word(text, "using"));
    if (key == nullptr) continue;
    return refusal(
        protocol::with_hint(protocol::make_error(protocol::error_id::ddl_over_shards,
                                                 "ALTER TABLE of the sharding key \"" + key->name + "\""),
                            "Its rows would not stand where they belong: make another table and move the rows there."));
  }
  if (tag == "CREATE VIEW") {
    if (auto home = home_of_view(s, context)) return home;
  }
  return home_of(s.relations, context);
}

std::optional<fixed_target> home_of(const std::vector<sql::qualified_name>& relations, const plan_context& context) {
  const name_resolver names{context};
  std::optional<shard_index> home;
  std::size_t unsharded = 0;
  for (const sql::qualified_name& name : relations) {
    const resolved_table table = names.resolve(name);
    if (table.where != placement::unsharded || table.chosen) continue;
    if (home && *home != table.shard) return std::nullopt;
    home = table.shard;
    ++unsharded;
  }
  if (unsharded > 0) {
    if (unsharded != relations.size()) return std::nullopt;
    return fixed_target{to_shard{*home}};
  }
  return fixed_target{mirror_target(*context.map)};
}

namespace {

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool holds_key(const sql::unique_columns& columns, const sharded_table& table) {
  return std::all_of(table.key.begin(), table.key.end(), [&](const std::string& part) { return has(columns, part); });
}

/// What to do instead of making `uniques` of a table whose rows are there.
std::string way_to_uniqueness(const std::vector<sql::unique_columns>& uniques, const sharded_table& table) {
  const bool kept_apart = std::all_of(uniques.begin(), uniques.end(), [&](const sql::unique_columns& columns) {
    return holds_key(columns, table) || (columns.size() == 1 && has(table.unique, columns.front()));
  });
  if (kept_apart)
    return "It is listed as unique: make it with CREATE TABLE, or on each server, and have `pgbraid check --servers` "
           "look whether two shards have the same value.";
  std::string key;
  for (const std::string& part : table.key) key.append(key.empty() ? "\"" : ", \"").append(part).append("\"");
  return "Add " + key +
         " to its columns, or list the table under sharding.accept_unenforced if your application sees to it.";
}

}  // namespace

std::optional<protocol::error_report> unique_over_shards(const sql::statement& s, const plan_context& context) {
  if (s.uniques.empty() || s.relations.empty() || context.map->one_shard()) return std::nullopt;
  const resolved_table table = name_resolver{context}.resolve(s.relations.front());
  // One that is not known is new, and what is written to it will be judged: see plan::makes_unique for what only its
  // name is new of.
  if (table.sharding == nullptr || table.described == nullptr) return std::nullopt;
  if (context.map->accept_unenforced.contains(table.full_name)) return std::nullopt;
  const sharded_table& sharding = *table.sharding;
  if (std::all_of(s.uniques.begin(), s.uniques.end(),
                  [&](const sql::unique_columns& columns) { return holds_key(columns, sharding); }))
    return std::nullopt;
  auto error = protocol::with_hint(
      protocol::make_error(protocol::error_id::ddl_over_shards,
                           tag_of(s) + " for uniqueness without the sharding key of \"" + table.full_name + "\""),
      way_to_uniqueness(s.uniques, sharding));
  error.detail = "Each shard would look at its own rows only.";
  return error;
}

}  // namespace pgbraid::router
