// What a command defines, and so what plans no longer hold; see definitions.hpp.
#include <algorithm>
#include <array>
#include <string>

#include "router/plan/definition_words.hpp"
#include "router/plan/definitions.hpp"
#include "router/plan/names.hpp"
#include "router/plan/words.hpp"

namespace pgbraid::router {

using kind = sql::statement_kind;

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
