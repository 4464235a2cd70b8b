#include "proxy/cluster/catalog_merge.hpp"

#include "proxy/cluster/claimed_columns.hpp"
#include "proxy/cluster/table_facts.hpp"
#include "proxy/cluster/view_safety.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace pgbraid::proxy {

namespace {

using router::oid;

void add_worst(router::catalog& into, const router::catalog& other) {
  for (const auto& [name, traits] : other.functions) {
    const auto [place, added] = into.functions.emplace(name, traits);
    if (added) continue;
    router::function_traits& mine = place->second;
    mine.any_volatile |= traits.any_volatile;
    mine.any_stable |= traits.any_stable;
    mine.any_user_code |= traits.any_user_code;
    mine.any_aggregate |= traits.any_aggregate;
    mine.any_window |= traits.any_window;
    mine.any_set_returning |= traits.any_set_returning;
    mine.pg_catalog_only &= traits.pg_catalog_only;
  }
  for (const auto& [name, relation] : other.relations) {
    const auto mine = into.relations.find(name);
    if (mine == into.relations.end()) continue;
    mine->second.writes_spread |= relation.writes_spread;
    mine->second.row_security |= relation.row_security;
  }
  into.code_operators.insert(other.code_operators.begin(), other.code_operators.end());
  into.user_operators.insert(other.user_operators.begin(), other.user_operators.end());
  into.volatile_operators.insert(other.volatile_operators.begin(), other.volatile_operators.end());
  into.user_types.insert(other.user_types.begin(), other.user_types.end());
  into.code_types.insert(other.code_types.begin(), other.code_types.end());
  into.user_collations.insert(other.user_collations.begin(), other.user_collations.end());
  into.user_casts |= other.user_casts;
}

// The names of the user types that a type is made of, itself included.
void gather_types(const shard_catalog& shard, oid type, std::set<std::string>& names) {
  const auto found = shard.types.find(type);
  if (found == shard.types.end() || !names.insert(found->second.name).second) return;
  for (const oid part : found->second.parts) gather_types(shard, part, names);
}

std::string type_name(const shard_catalog& shard, oid type) {
  const auto found = shard.types.find(type);
  return found == shard.types.end() ? std::to_string(type) : found->second.name;
}

std::map<std::string, oid, std::less<>> types_by_name(const shard_catalog& shard) {
  std::map<std::string, oid, std::less<>> names;
  for (const auto& [id, type] : shard.types) names[type.name] = id;
  return names;
}

void compare_columns(const router::relation& a, const shard_catalog& first, const router::relation& b,
                     const shard_catalog& other, const std::string& where, std::vector<std::string>& warnings) {
  const auto same = [&](const router::column& x, const router::column& y) {
    return x.name == y.name && x.modifier == y.modifier && type_name(first, x.type) == type_name(other, y.type);
  };
  if (!std::equal(a.columns.begin(), a.columns.end(), b.columns.begin(), b.columns.end(), same)) {
    warnings.push_back(
        fmt::format("the columns of {}.{} on shard {} differ from those on the first shard", a.schema, a.name, where));
  }
}

// What holds of a column's order on one shard only is not relied on.
void agree_on_order(router::relation& a, const router::relation& b) {
  if (a.columns.size() != b.columns.size()) return;
  for (std::size_t i = 0; i < a.columns.size(); ++i) {
    a.columns[i].default_collation = a.columns[i].default_collation && b.columns[i].default_collation;
    a.columns[i].byte_order = a.columns[i].byte_order && b.columns[i].byte_order;
  }
}

// What a relation of one shard needs to be described alike by another: every type it is made of under the same OID.
void compare_types(router::relation& relation, const shard_catalog& owner, const std::string& owner_name,
                   const shard_catalog& other, const std::string& other_name) {
  const auto mine = types_by_name(owner), theirs = types_by_name(other);
  for (const router::column& column : relation.columns) {
    std::set<std::string> names;
    // Rows of a domain are described as its base type.
    gather_types(owner, column.base_type != 0 ? column.base_type : column.type, names);
    for (const std::string& name : names) {
      const auto own = mine.find(name), found = theirs.find(name);
      if (own == mine.end() || found == theirs.end() || found->second == own->second || relation.types_differ) continue;
      (names.size() == 1 ? relation.types_renumbered : relation.types_differ) = true;
      relation.types_differ_detail = fmt::format("type {} of column \"{}\" has OID {} on shard {} and {} on shard {}",
                                                 name, column.name, own->second, owner_name, found->second, other_name);
    }
  }
}

router::type_numbers renumbered(const shard_catalog& first, const shard_catalog& other) {
  router::type_numbers numbers;
  const auto known = types_by_name(first);
  for (const auto& [id, type] : other.types) {
    const auto found = known.find(type.name);
    if (found == known.end() || found->second == id) continue;
    numbers.to_first.emplace(id, found->second);
    numbers.from_first.emplace(found->second, id);
  }
  return numbers;
}

// Every shard draws the OIDs of what is created there for itself.
std::vector<router::type_numbers> numbers_of_types(const std::vector<std::shared_ptr<const shard_catalog>>& shards) {
  std::vector<router::type_numbers> all(shards.size());
  for (std::size_t i = 1; i < shards.size(); ++i) {
    if (shards[i]) all[i] = renumbered(*shards.front(), *shards[i]);
  }
  if (std::all_of(all.begin(), all.end(), [](const router::type_numbers& each) { return each.to_first.empty(); })) all.clear();
  return all;
}

void compare_shard(router::catalog& content, const shard_catalog& first, const shard_catalog& other,
                   const router::topology& map, const std::string& where, std::vector<std::string>& warnings) {
  const auto compare = [&](const std::string& table) {
    const auto own = content.relations.find(table);
    const auto found = other.content.relations.find(table);
    if (own == content.relations.end()) {
      if (found != other.content.relations.end()) {
        warnings.push_back(fmt::format("table {} exists on shard {} but not on the first shard", table, where));
      }
      return;
    }
    if (found == other.content.relations.end()) {
      warnings.push_back(fmt::format("table {} does not exist on shard {}", table, where));
      return;
    }
    compare_columns(own->second, first, found->second, other, where, warnings);
    agree_on_order(own->second, found->second);
    compare_types(own->second, first, map.shards.front(), other, where);
  };
  for (const auto& [table, key] : map.tables) compare(table);
  for (const std::string& table : map.reference_tables) compare(table);
}

// An unsharded table on another shard than the first is described by the shard where it lives.
void take_unsharded(router::catalog& content, const std::vector<std::shared_ptr<const shard_catalog>>& shards,
                    const router::topology& map) {
  for (const auto& [table, shard] : map.unsharded) {
    if (shard == 0 || shard >= shards.size() || !shards[shard]) continue;
    const auto found = shards[shard]->content.relations.find(table);
    if (found == shards[shard]->content.relations.end()) continue;
    router::relation& relation = content.relations[table] = found->second;
    compare_types(relation, *shards[shard], map.shards[shard], *shards.front(), map.shards.front());
  }
  for (const auto& [schema, shard] : map.schemas) {
    if (shard == 0 || shard >= shards.size() || !shards[shard]) continue;
    // What the first shard has in a schema of this name is nobody's.
    std::erase_if(content.relations, [&](const auto& entry) { return entry.second.schema == schema; });
    content.schemas.insert(schema);
    for (const auto& [name, found] : shards[shard]->content.relations) {
      if (found.schema != schema) continue;
      router::relation& relation = content.relations[name] = found;
      compare_types(relation, *shards[shard], map.shards[shard], *shards.front(), map.shards.front());
    }
  }
}

// Views of a schema that lives on another shard than the first.
template <typename Views>
void take_views_of_schemas(Views& views, const std::vector<std::shared_ptr<const shard_catalog>>& shards, const router::topology& map) {
  for (const auto& [schema, shard] : map.schemas) {
    if (shard == 0 || shard >= shards.size() || !shards[shard]) continue;
    const std::string prefix = schema + ".";
    std::erase_if(views, [&](const auto& entry) { return entry.first.starts_with(prefix); });
    for (const auto& [name, facts] : shards[shard]->views) {
      if (name.starts_with(prefix)) views.insert_or_assign(name, facts);
    }
  }
}

void take_findings(router::catalog& content, const findings_by_table& found,
                   std::vector<std::string> router::relation::*field) {
  for (const auto& [table, list] : found) {
    const auto relation = content.relations.find(table);
    if (relation == content.relations.end()) continue;
    std::vector<std::string>& into = relation->second.*field;
    into.insert(into.end(), list.begin(), list.end());
    std::sort(into.begin(), into.end());
    into.erase(std::unique(into.begin(), into.end()), into.end());
  }
}

// Of sharded tables, and of the one in which their keys are looked up: rows of all others are read where they stand. Of
// reference tables the primary key alone, by which a row is found in all copies. And the tables that each refers to.
void take_keys(router::catalog& content, const shard_catalog& first, const router::topology& map) {
  const std::string directory = map.directory ? map.directory->schema + "." + map.directory->table : std::string{};
  for (const constraint_facts& constraint : first.constraints) {
    const auto relation = content.relations.find(constraint.table);
    const bool copied = map.reference_tables.contains(constraint.table);
    const bool wanted = map.tables.contains(constraint.table) || copied || constraint.table == directory;
    if (constraint.kind == 'f' && relation != content.relations.end())
      relation->second.refers_to.push_back(constraint.foreign_table);
    if (constraint.kind == 'f' || relation == content.relations.end() || !wanted) continue;
    std::vector<std::string> columns;
    for (const constraint_facts::part& part : constraint.parts) {
      // What is excluded by another operator need not be alike.
      if (constraint.kind != 'x' || part.op == "=") columns.push_back(part.column.value_or(""));
    }
    if (constraint.kind == 'p') relation->second.primary_key = columns;
    if (!copied || constraint.table == directory) relation->second.unique_keys.push_back(std::move(columns));
  }
}

}  // namespace

merged_catalog merge_catalogs(const std::vector<std::shared_ptr<const shard_catalog>>& shards,
                              const router::topology& map) {
  merged_catalog merged;
  const shard_catalog& first = *shards.front();
  router::catalog& content = merged.content;
  content = first.content;
  for (std::size_t i = 1; i < shards.size(); ++i) {
    if (!shards[i]) continue;
    add_worst(content, shards[i]->content);
    compare_shard(content, first, *shards[i], map, map.shards[i], merged.warnings);
  }
  content.types = numbers_of_types(shards);
  take_unsharded(content, shards, map);
  for (const auto& shard : shards) {
    if (!shard || map.one_shard()) continue;
    take_findings(content, unenforced(*shard, map), &router::relation::unenforced);
    take_findings(content, user_code(*shard, map), &router::relation::user_code);
    take_findings(content, policy_code(*shard, map), &router::relation::policy_code);
    take_findings(content, row_code(*shard), &router::relation::row_code);
    take_findings(content, timed_code(*shard, map), &router::relation::timed_code);
  }
  if (!map.one_shard()) take_claimed(content, shards, map);
  take_keys(content, first, map);
  auto views = first.views;
  take_views_of_schemas(views, shards, map);
  for (const auto& [name, facts] : views) {
    if (const auto view = content.relations.find(name); view != content.relations.end()) view->second.definition = facts.definition;
  }
  judge_views(content, views);
  std::sort(merged.warnings.begin(), merged.warnings.end());
  return merged;
}

}  // namespace pgbraid::proxy
