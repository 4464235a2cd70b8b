// DDL over several shards; see definitions.hpp.
#include "router/plan/definitions.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>
#include <vector>

#include "router/plan/analysis.hpp"
#include "router/plan/clauses.hpp"
#include "router/plan/constants.hpp"
#include "router/plan/key_columns.hpp"
#include "router/plan/names.hpp"
#include "router/plan/statements.hpp"
#include "router/plan/targets.hpp"
#include "router/plan/time_words.hpp"
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

bool has_word(std::string_view text, std::string_view word) {
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t past = skip_quoted(text, i); past != i) {
      i = past;
    } else if (is_word_start(text[i])) {
      const std::size_t end = end_of_word(text, i);
      if (lower_word(text.substr(i, end - i)) == word) return true;
      i = end;
    } else {
      ++i;
    }
  }
  return false;
}

/// The word behind the first `on` outside quotes; "" without one.
std::string word_behind_on(std::string_view text) {
  bool next = false;
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t past = skip_quoted(text, i); past != i) {
      i = past;
    } else if (is_word_start(text[i])) {
      const std::size_t end = end_of_word(text, i);
      std::string word = lower_word(text.substr(i, end - i));
      if (next) return word;
      next = word == "on";
      i = end;
    } else {
      ++i;
    }
  }
  return {};
}

/// Of what all databases of a server share, or of a database as a whole: shards may be databases of one server, which
/// would wait for each other, and have other names on another.
bool beyond_the_database(const std::string& tag, std::string_view text) {
  if (tag != "COMMENT" && tag != "GRANT" && tag != "REVOKE") return false;
  const std::string about = word_behind_on(text);
  constexpr std::array<std::string_view, 6> shared{"database", "role", "tablespace", "parameter", "subscription", "large"};
  return std::find(shared.begin(), shared.end(), about) != shared.end();
}

/// The words that directly follow one another from `at` on, `count` of them at most; ends at anything else.
std::vector<std::string> words_at(std::string_view text, std::size_t at, std::size_t count) {
  std::vector<std::string> out;
  for (at = skip_blanks(text, at); out.size() < count && at < text.size() && is_word_start(text[at]);) {
    const std::size_t end = end_of_word(text, at);
    out.push_back(lower_word(text.substr(at, end - at)));
    at = skip_blanks(text, end);
  }
  return out;
}

/// ADD of anything but a constraint, or an identity for a column that is there.
bool adds_column(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t past = skip_quoted(text, i); past != i) {
      i = past;
    } else if (is_word_start(text[i])) {
      const std::size_t end = end_of_word(text, i);
      if (lower_word(text.substr(i, end - i)) == "add") {
        const std::vector<std::string> next = words_at(text, end, 4);
        const auto begins = [&](std::initializer_list<std::string_view> with) {
          return next.size() >= with.size() && std::equal(with.begin(), with.end(), next.begin());
        };
        if (!begins({"constraint"}) && !begins({"generated", "always", "as"}) &&
            !begins({"generated", "by", "default", "as"}))
          return true;
      }
      i = end;
    } else {
      ++i;
    }
  }
  return false;
}

/// Whether a word may stand in front of a parenthesis without being called.
bool takes_length(std::string_view word) {
  constexpr std::array<std::string_view, 14> types{"varchar", "varying", "char", "character", "bpchar",
                                                   "numeric", "decimal", "dec",  "timestamp", "timestamptz",
                                                   "time",    "timetz",  "bit",  "interval"};
  return std::find(types.begin(), types.end(), word) != types.end();
}

/// Whether a quoted text is the time, or is written in a way that is not looked into.
bool may_be_time(std::string_view text, std::size_t at, std::size_t past) {
  const bool plain = text[at] == '\'' && (at == 0 || !is_word_start(text[at - 1]));
  return !plain || is_word_of_time(text.substr(at + 1, past - at - 2));
}

/// Whether what stands behind the word DEFAULT, up to the next constraint or column, calls a function or is the time.
bool calls_in_default(std::string_view text, std::size_t at) {
  constexpr std::array<std::string_view, 11> calls{"current_date",    "current_time", "current_timestamp", "localtime",
                                                   "localtimestamp",  "current_user", "session_user",      "user",
                                                   "current_catalog", "current_role", "current_schema"};
  constexpr std::array<std::string_view, 5> ends{"check", "references", "constraint", "unique", "primary"};
  const auto among = [](const auto& words, const std::string& word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  const auto is_length = [](std::string_view list) {
    return list.find_first_not_of("0123456789, ()") == std::string_view::npos;
  };
  std::string before;
  int depth = 0;  // of brackets
  while (at < text.size() && (text[at] != ',' || depth > 0)) {
    if (const std::size_t past = skip_quoted(text, at); past != at) {
      const bool comment = text[at] == '-' || text[at] == '/';
      if (!comment && text[at] != '"' && may_be_time(text, at, past)) return true;
      if (text[at] == '"') before = "\"";
      at = past;
    } else if (is_word_start(text[at])) {
      const std::size_t end = end_of_word(text, at);
      const std::string word = lower_word(text.substr(at, end - at));
      at = end;
      if (among(calls, word)) return true;
      const std::vector<std::string> next = words_at(text, end, 1);
      const bool not_null = word == "not" && before != "is" && !next.empty() && next.front() == "null";
      if (among(ends, word) || not_null) return false;
      before = word;
    } else if (text[at] == '(') {
      const auto past = past_parentheses(text, at, text.size());
      if (!past || !takes_length(before) || !is_length(text.substr(at, *past - at))) return true;
      at = *past;
    } else {
      depth += text[at] == '[' ? 1 : text[at] == ']' ? -1 : 0;
      ++at;
    }
  }
  return false;
}

/// Whether something in a text with a generated column may be another value on each shard: functions are taken for
/// immutable that read tables, and tables have other numbers.
bool generates_differently(std::string_view text, const catalog& schema) {
  if (!has_word(text, "generated")) return false;
  if (has_word(text, "tableoid") || !schema.code_operators.empty()) return true;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t past = skip_quoted(text, i);
    const bool word = past == i && is_word_start(text[i]);
    const std::size_t end = word ? end_of_word(text, i) : past;
    if (end == i) {
      ++i;
      continue;
    }
    const std::size_t next = skip_blanks(text, end);
    const bool called = next < text.size() && text[next] == '(' && (word || text[i] == '"');
    const auto found =
        called && word ? schema.functions.find(lower_word(text.substr(i, end - i))) : schema.functions.end();
    if (called && (!word || (found != schema.functions.end() && found->second.any_user_code))) return true;
    i = end;
  }
  return false;
}

/// ALTER TABLE computes values for the rows that are there, which may be others on each shard. A new default of a
/// column that is there computes nothing.
bool computes(std::string_view text, const catalog& schema) {
  if (!has_word(text, "using") && !adds_column(text)) return false;
  constexpr std::array<std::string_view, 8> values{"using",       "identity", "serial",  "bigserial",
                                                   "smallserial", "serial2",  "serial4", "serial8"};
  const auto stands = [&](std::string_view word) { return has_word(text, word); };
  if (std::any_of(values.begin(), values.end(), stands) || generates_differently(text, schema)) return true;
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t past = skip_quoted(text, i); past != i) {
      i = past;
    } else if (is_word_start(text[i])) {
      const std::size_t end = end_of_word(text, i);
      if (lower_word(text.substr(i, end - i)) == "default" && calls_in_default(text, end)) return true;
      i = end;
    } else {
      ++i;
    }
  }
  return false;
}

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
/// none.
const sql::changed_column* changed_key(const sql::statement& s, const resolved_table& table) {
  if (table.sharding == nullptr || table.described == nullptr) return nullptr;
  constexpr std::array<std::string_view, 6> integers{"int2", "int4", "int8", "smallint", "integer", "bigint"};
  const auto among = [](const auto& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  for (const sql::changed_column& each : s.changed) {
    const auto& key = table.sharding->key;
    if (std::find(key.begin(), key.end(), each.name) == key.end()) continue;
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

}  // namespace

namespace {

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

/// What stands between the first quote and the last.
std::string_view comment_of(std::string_view text) {
  const std::size_t open = text.find('\''), close = text.rfind('\'');
  return open == close ? std::string_view{} : text.substr(open + 1, close - open - 1);
}

}  // namespace

std::optional<fixed_target> ddl_target(const sql::statement& s, std::string_view text, const plan_context& context) {
  if (s.temporary || s.unparsable_parts) return std::nullopt;
  const std::string tag = tag_of(s);
  const bool known =
      s.kind == kind::truncate || (s.kind == kind::ddl && std::find(alike.begin(), alike.end(), tag) != alike.end());
  if (!known || has_word(text, "concurrently")) return std::nullopt;
  if (tag == "ALTER TABLE" && computes(text, *context.schema)) return std::nullopt;
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
    const auto* key = changed_key(s, table);
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

namespace {

/// Whether ALTER TABLE leaves alone what is stored by default and what runs behind a write. A domain has defaults.
bool of_columns_alone(const sql::statement& s, const catalog& schema) {
  const auto own = [&](const std::string& type) { return schema.user_types.contains(type); };
  return s.columns_alone && std::none_of(s.new_types.begin(), s.new_types.end(), own);
}

bool changes_key(const sql::statement& s, const resolved_table& table) {
  if (table.sharding == nullptr) return false;
  const auto& key = table.sharding->key;
  return std::any_of(s.changed.begin(), s.changed.end(), [&](const sql::changed_column& each) {
    return std::find(key.begin(), key.end(), each.name) != key.end();
  });
}

/// Names in no plan what it goes by: types, what an extension brings, what an index has kept unique, a schema's name, a
/// sequence behind a default, a function that takes the name of a built-in one or of another that there is: it may be
/// behind a view, a default or a check.
bool concerns_anything(const sql::statement& s, std::string_view text, const std::string& tag, const catalog& schema) {
  constexpr std::array<std::string_view, 6> kinds{" TYPE",   " DOMAIN",   " EXTENSION",
                                                  " SCHEMA", " SEQUENCE", " AGGREGATE"};
  const auto of_kind = [&](std::string_view k) { return tag.ends_with(k); };
  if (tag == "DROP INDEX" || std::any_of(kinds.begin(), kinds.end(), of_kind)) return true;
  // What hangs on that may be of any table.
  if ((tag.starts_with("DROP ") || tag.starts_with("ALTER ")) && has_word(text, "cascade")) return true;
  return std::any_of(s.routines.begin(), s.routines.end(), [&](const sql::qualified_name& routine) {
    if (routine.empty()) return false;
    return schema.functions.contains(std::string_view{routine.back()});
  });
}

/// What the catalog knows of functions, and of what hangs on a table.
void note_altered(const sql::statement& s, std::string_view text, const catalog& schema, plan& out) {
  if (concerns_anything(s, text, out.tag, schema)) out.alters.emplace_back(anything);
  for (const sql::qualified_name& routine : s.routines) {
    if (!routine.empty()) out.alters.push_back(routine.back() + "()");
  }
  if (!s.routines.empty()) out.alters.emplace_back(any_function);
  const bool unique = out.tag == "CREATE INDEX" && s.unique;
  const bool behind = out.tag.ends_with(" TRIGGER") || out.tag.ends_with(" RULE") || out.tag.ends_with(" POLICY");
  if ((!unique && !behind) || s.relations.empty()) return;
  if (!s.relations.front().empty()) out.alters.push_back(s.relations.front().back());
  out.alters_all = behind;
}

}  // namespace

void note_defined(const sql::statement& s, std::string_view text, const plan_context& context, plan& out) {
  if (s.kind != kind::ddl || s.temporary || context.map->one_shard()) return;
  const name_resolver names{context};
  note_altered(s, text, *context.schema, out);
  out.makes_unique = !s.uniques.empty();
  // Where these live, the topology's file alone says.
  const auto settled = [&](const sql::qualified_name& name) {
    const resolved_table table = names.resolve(name);
    return table.where == placement::reference || (table.where == placement::unsharded && !table.chosen) ||
           table.where == placement::system || (s.if_not_exists && table.described != nullptr);
  };
  const bool declared = out.tag == "COMMENT" && has_word(text, "table");
  const bool told = declared && text.find("pgbraid") != std::string_view::npos;
  constexpr std::array<std::string_view, 4> made{"CREATE TABLE", "CREATE VIEW", "DROP TABLE", "DROP VIEW"};
  const bool makes = std::find(made.begin(), made.end(), out.tag) != made.end();
  const bool alters = out.tag == "ALTER TABLE" || out.tag == "ALTER VIEW";
  if (!makes && !alters && !declared) return;
  const bool drops = out.tag.starts_with("DROP");
  const bool behind = !declared && !(alters && of_columns_alone(s, *context.schema));
  // Behind the first come those that it refers to.
  const std::size_t count = drops ? s.relations.size() : std::min<std::size_t>(s.relations.size(), 1);
  for (std::size_t i = 0; i < count; ++i) {
    const sql::qualified_name& name = s.relations[i];
    if (name.empty()) continue;
    const resolved_table table = names.resolve(name);
    // Rows may be placed by values as the key's new type has them.
    out.alters_all =
        out.alters_all || (behind && (table.where != placement::unsharded || table.chosen)) || changes_key(s, table);
    if (!settled(name)) {
      out.defines.push_back(name.back());
    } else if (!declared && table.described == nullptr) {
      out.alters.emplace_back(anything);  // it is new: within its transaction there is nothing else to go by
    } else if (!declared && !s.if_not_exists) {
      out.alters.push_back(name.back());
    }
  }
  if (out.defines.empty()) return;
  const bool renames = !s.name.empty();
  if (renames) out.defines.push_back(s.name);
  out.remakes = renames || (alters && has_word(text, "schema")) || told || makes;
}

}  // namespace pgbraid::router
