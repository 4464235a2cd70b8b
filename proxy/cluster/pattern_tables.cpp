#include "proxy/cluster/pattern_tables.hpp"

#include "proxy/cluster/topology_view.hpp"
#include "router/plan/key_columns.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace pgbraid::proxy {

namespace {

bool has_column(const router::relation& relation, const std::string& name) {
  return std::any_of(relation.columns.begin(), relation.columns.end(),
                     [&](const router::column& c) { return c.name == name; });
}

const router::column& column_of(const router::relation& relation, const std::string& name) {
  return *std::find_if(relation.columns.begin(), relation.columns.end(),
                       [&](const router::column& c) { return c.name == name; });
}

bool is_listed(const router::topology& listed, const std::string& name, const router::relation& relation) {
  return listed.tables.contains(name) || listed.reference_tables.contains(name) || listed.unsharded.contains(name) ||
         listed.schemas.contains(relation.schema);
}

bool may_be_meant(const router::topology& listed, const shard_catalog& shard, const std::string& name,
                  const router::relation& relation) {
  const bool own =
      relation.schema == "pg_catalog" || relation.schema == "information_schema" || relation.schema == "pgbraid";
  const bool table = (relation.kind == 'r' || relation.kind == 'p') && relation.persistence != 't';
  return table && !own && !is_listed(listed, name, relation) && !shard.heirs.contains(name);
}

/// Why the key of a comment can be none; "" if it can.
std::string problem_of_key(const router::topology& listed, const router::sharded_table& table) {
  if (table.key.empty()) return "its comment names no key";
  if (table.key.size() > 1 && table.function != router::shard_function::hash)
    return "a key of several columns goes by buckets and nothing else";
  if (table.function == router::shard_function::lookup && !listed.directory) return "no table says where its keys are";
  return {};
}

/// What keeps the table from being sharded as it is meant to be; "" if nothing does.
std::string problem_of(const router::topology& listed, const std::vector<seen_shard>& shards, const std::string& name,
                       const std::vector<std::map<std::string, router::sharded_table>>& meant) {
  const router::sharded_table* wanted = nullptr;
  const router::relation* described = nullptr;
  std::size_t on = 0;  // the shard that it is held against
  for (std::size_t i = 0; i < shards.size(); ++i) {
    if (!shards[i].catalog) continue;
    const auto& relations = shards[i].catalog->content.relations;
    const auto found = relations.find(name);
    if (found == relations.end()) return fmt::format("it does not exist on shard {}", listed.shards[i]);
    const auto own = meant[i].find(name);
    if (own == meant[i].end()) return fmt::format("on shard {} it has not the same key", listed.shards[i]);
    if (wanted != nullptr && !(*wanted == own->second))
      return fmt::format("on shards {} and {} its key is not the same", listed.shards[on], listed.shards[i]);
    if (std::string problem = problem_of_key(listed, own->second); !problem.empty()) return problem;
    if (std::vector<std::string> problems = problems_of_table(listed, shards[i].catalog->content, name, own->second);
        !problems.empty())
      return problems.front();
    for (const std::string& part : own->second.key) {
      if (described == nullptr) break;
      const router::column &first = column_of(*described, part), &here = column_of(found->second, part);
      if (first.type != here.type || first.modifier != here.modifier || first.deterministic != here.deterministic)
        return fmt::format("its column \"{}\" has another type on shard {} than on shard {}", part, listed.shards[i],
                           listed.shards[on]);
    }
    if (wanted == nullptr) on = i;
    wanted = &own->second;
    described = &found->second;
    if (shards[i].rows == nullptr) continue;
    const auto rows = shards[i].rows->find(name);
    const bool looked = rows != shards[i].rows->end() && rows->second.as == found->second && rows->second.by == *wanted;
    if (!looked) return fmt::format("its rows on shard {} have not been looked at yet", listed.shards[i]);
    if (!rows->second.problem.empty()) return rows->second.problem;
  }
  return {};
}

}  // namespace

bool fits_pattern(std::string_view name, std::string_view pattern) noexcept {
  std::size_t at = 0, p = 0;
  std::size_t star = std::string_view::npos, from = 0;  // the last *, and where what follows it was tried
  while (at < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = at;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[at])) {
      ++p;
      // One character, not one byte.
      do ++at;
      while (pattern[p - 1] == '?' && at < name.size() && (static_cast<unsigned char>(name[at]) & 0xC0) == 0x80);
    } else if (star != std::string_view::npos) {
      p = star + 1;
      at = ++from;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

std::map<std::string, router::sharded_table> tables_of_patterns(const router::topology& listed,
                                                                const shard_catalog& shard) {
  std::map<std::string, router::sharded_table> out;
  if ((listed.patterns.empty() && shard.declared.empty()) || listed.one_shard()) return out;
  for (const auto& [name, relation] : shard.content.relations) {
    if (!may_be_meant(listed, shard, name, relation)) continue;
    const auto said = shard.declared.find(name);
    if (const auto key = said == shard.declared.end() ? std::nullopt : router::declared_key(said->second)) {
      out.emplace(name,
                  router::sharded_table{router::key_columns(*key).value_or(std::vector<std::string>{}), listed.usual});
      continue;
    }
    const auto pattern = std::find_if(
        listed.patterns.begin(), listed.patterns.end(), [&, &relation = relation](const router::table_pattern& p) {
          return fits_pattern(relation.schema, p.schema) && fits_pattern(relation.name, p.table) &&
                 std::all_of(p.sharding.key.begin(), p.sharding.key.end(),
                             [&](const std::string& part) { return has_column(relation, part); });
        });
    if (pattern == listed.patterns.end()) continue;
    router::sharded_table& sharding = out.emplace(name, pattern->sharding).first->second;
    std::erase_if(sharding.unique,
                  [&, &relation = relation](const std::string& c) { return !has_column(relation, c); });
  }
  return out;
}

router::topology with_pattern_tables(const router::topology& listed, const std::vector<seen_shard>& shards) {
  router::topology map = listed;
  if (listed.one_shard()) return map;
  std::vector<std::map<std::string, router::sharded_table>> meant(shards.size());
  std::map<std::string, router::sharded_table> all;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    if (!shards[i].catalog) continue;
    meant[i] = tables_of_patterns(listed, *shards[i].catalog);
    all.insert(meant[i].begin(), meant[i].end());
  }
  for (const auto& [name, sharding] : all) {
    std::string problem = problem_of(listed, shards, name, meant);
    if (problem.empty()) {
      map.tables.emplace(name, sharding);
    } else {
      map.unfit.emplace(name, std::move(problem));
    }
  }
  return map;
}

}  // namespace pgbraid::proxy
