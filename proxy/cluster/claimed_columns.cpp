#include "proxy/cluster/claimed_columns.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgbraid::proxy {

namespace {

constexpr std::string_view listed_but = " is listed as unique, but ";

/// Types whose equal values are written alike.
bool has_one_text(router::oid type) {
  namespace t = router::type_oid;
  return type == t::int2 || type == t::int4 || type == t::int8 || type == t::text || type == t::varchar ||
         type == t::uuid;
}

bool may_be_unique(const constraint_facts& constraint) {
  return constraint.kind == 'p' || constraint.kind == 'u' || constraint.kind == 'i';
}

bool is_on_column(const constraint_facts& constraint, std::string_view column) {
  return may_be_unique(constraint) && constraint.parts.size() == 1 && constraint.parts.front().column == column;
}

/// What could give the column another value than the one that is written; "" if nothing does.
std::string changer_of(const shard_catalog& shard, const std::string& table, const std::string& column) {
  for (const code_facts& code : shard.code) {
    if (code.table != table) continue;
    if (code.what.starts_with("rule ")) return code.what;
    if (!code.gives_row || !code.function) continue;
    const auto known = shard.row_triggers.find(*code.function);
    const bool leaves_it =
        known != shard.row_triggers.end() && !known->second.whole_row && !known->second.assigned.contains(column);
    if (!leaves_it) return code.what;
  }
  for (const constraint_facts& constraint : shard.constraints) {
    if (constraint.table != table || constraint.kind != 'f' || constraint.peculiar.empty()) continue;
    const bool has_column = std::any_of(constraint.parts.begin(), constraint.parts.end(),
                                        [&](const constraint_facts::part& part) { return part.column == column; });
    if (has_column) return fmt::format("foreign key \"{}\"", constraint.name);
  }
  return {};
}

/// What is wrong with the column itself.
std::string problem_of_column(const router::column& column) {
  if (!has_one_text(column.type)) return "its type is none of smallint, integer, bigint, text, varchar and uuid";
  if (!column.deterministic) return "its collation is not deterministic";
  if (column.generated || column.identity) return "the server gives its values";
  if (!column.draws.empty()) return "its default draws from a sequence";
  return {};
}

/// Takes the constraint that keeps the column's values apart on the shard, or says why none does.
std::string problem_of_constraints(const shard_catalog& shard, const std::string& table, listed_column& column) {
  for (const constraint_facts& constraint : shard.constraints) {
    if (constraint.table != table || !is_on_column(constraint, column.column)) continue;
    if (!constraint.peculiar.empty()) return fmt::format("\"{}\" {}", constraint.name, constraint.peculiar);
    if (column.constraint.empty()) column.constraint = constraint.name;
  }
  return column.constraint.empty() ? "has no unique constraint of its own" : "";
}

std::string problem_of(const shard_catalog& shard, const std::string& table, const router::relation& relation,
                       listed_column& listed) {
  const auto column = std::find_if(relation.columns.begin(), relation.columns.end(),
                                   [&](const router::column& c) { return c.name == listed.column; });
  if (column == relation.columns.end()) return "does not exist";
  if (relation.kind != 'r' || shard.heirs.contains(table)) return "its table has partitions, or is one";
  if (std::string problem = problem_of_column(*column); !problem.empty()) return problem;
  if (std::string problem = problem_of_constraints(shard, table, listed); !problem.empty()) return problem;
  const std::string changer = changer_of(shard, table, listed.column);
  return changer.empty() ? "" : changer + " may give it another value";
}

std::string sentence(std::string_view column, std::string_view problem) {
  return fmt::format("column \"{}\"{}{}", column, listed_but, problem);
}

const router::column* find_column(const shard_catalog& shard, const std::string& table, const std::string& name) {
  const auto relation = shard.content.relations.find(table);
  if (relation == shard.content.relations.end()) return nullptr;
  const std::vector<router::column>& columns = relation->second.columns;
  const auto found =
      std::find_if(columns.begin(), columns.end(), [&](const router::column& c) { return c.name == name; });
  return found == columns.end() ? nullptr : &*found;
}

/// A table that is not there yet, or no more, has no values: who claims one is told.
bool fits(const listed_by_table& there, const std::string& table, const std::string& column) {
  const auto found = there.find(table);
  return found == there.end() || std::any_of(found->second.begin(), found->second.end(), [&](const listed_column& c) {
           return c.column == column && c.problem.empty();
         });
}

}  // namespace

listed_by_table listed_columns(const shard_catalog& shard, const router::topology& map) {
  listed_by_table out;
  for (const auto& [table, sharding] : map.tables) {
    const auto relation = shard.content.relations.find(table);
    if (relation == shard.content.relations.end()) continue;
    for (const std::string& name : sharding.unique) {
      listed_column& listed = out[table].emplace_back();
      listed.column = name;
      const std::string problem = problem_of(shard, table, relation->second, listed);
      if (!problem.empty()) listed.problem = sentence(name, problem);
    }
  }
  return out;
}

bool is_on_listed_column(const constraint_facts& constraint, const router::sharded_table& table) {
  return std::any_of(table.unique.begin(), table.unique.end(),
                     [&](const std::string& column) { return is_on_column(constraint, column); });
}

void take_claimed(router::catalog& content, const std::vector<std::shared_ptr<const shard_catalog>>& shards,
                  const router::topology& map) {
  const shard_catalog& first = *shards.front();
  for (const auto& [table, columns] : listed_columns(first, map)) {
    const auto relation = content.relations.find(table);
    if (relation == content.relations.end()) continue;
    for (const listed_column& each : columns) {
      if (each.problem.empty()) relation->second.claimed.push_back({each.column, each.constraint});
    }
  }
  for (std::size_t i = 1; i < shards.size(); ++i) {
    if (!shards[i]) continue;
    const auto there = listed_columns(*shards[i], map);
    for (auto& [table, relation] : content.relations) {
      std::erase_if(relation.claimed, [&, &table = table, &relation = relation](const router::claimed_column& own) {
        if (!fits(there, table, own.column)) return true;
        const router::column *here = find_column(first, table, own.column),
                             *same = find_column(*shards[i], table, own.column);
        if (here == nullptr || same == nullptr || here->type == same->type) return false;
        relation.unenforced.push_back(sentence(own.column, fmt::format("has another type on shard {}", map.shards[i])));
        std::sort(relation.unenforced.begin(), relation.unenforced.end());
        return true;
      });
    }
  }
}

bool is_about_listed_column(std::string_view finding) {
  return finding.starts_with("column \"") && finding.find(listed_but) != std::string_view::npos;
}

bool lists_unique(const router::topology& map) noexcept {
  if (map.one_shard()) return false;
  return std::any_of(map.tables.begin(), map.tables.end(),
                     [](const auto& table) { return !table.second.unique.empty(); }) ||
         std::any_of(map.patterns.begin(), map.patterns.end(),
                     [](const router::table_pattern& pattern) { return !pattern.sharding.unique.empty(); });
}

}  // namespace pgbraid::proxy
