#include "proxy/cluster/table_facts.hpp"

#include "proxy/cluster/claimed_columns.hpp"
#include "router/unsharded.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pgbraid::proxy {

namespace {

const router::column* find_column(const router::catalog& content, std::string_view table, std::string_view name) {
  const auto relation = content.relations.find(table);
  if (relation == content.relations.end()) return nullptr;
  for (const router::column& c : relation->second.columns) {
    if (c.name == name) return &c;
  }
  return nullptr;
}

bool is_integer(router::oid type) {
  namespace t = router::type_oid;
  return type == t::int2 || type == t::int4 || type == t::int8;
}

bool is_text(router::oid type) {
  return type == router::type_oid::text || type == router::type_oid::varchar;
}

// Equal values of the two types have the same hash.
bool same_hash(const router::column* a, const router::column* b) {
  if (a == nullptr || b == nullptr) return false;
  return a->type == b->type || (is_integer(a->type) && is_integer(b->type)) || (is_text(a->type) && is_text(b->type));
}

bool contains_key(const constraint_facts& constraint, const std::vector<std::string>& key) {
  return std::all_of(key.begin(), key.end(), [&](const std::string& column) {
    return std::any_of(constraint.parts.begin(), constraint.parts.end(), [&](const constraint_facts::part& part) {
      return part.column == column && (constraint.kind != 'x' || part.op == "=");
    });
  });
}

std::string describe(const constraint_facts& constraint) {
  switch (constraint.kind) {
    case 'p':
      return fmt::format("primary key \"{}\"", constraint.name);
    case 'x':
      return fmt::format("exclusion constraint \"{}\"", constraint.name);
    case 'f':
      return fmt::format("foreign key \"{}\"", constraint.name);
    case 'i':
      return fmt::format("unique index \"{}\"", constraint.name);
    default:
      return fmt::format("unique constraint \"{}\"", constraint.name);
  }
}

// Why a foreign key of a sharded table does not hold over the shards; "" when it does.
std::string judge_sharded_reference(const constraint_facts& constraint, const std::vector<std::string>& key,
                                    const router::catalog& content, const router::topology& map) {
  if (map.reference_tables.contains(constraint.foreign_table)) return {};
  const auto own = map.tables.find(constraint.table), target = map.tables.find(constraint.foreign_table);
  if (target == map.tables.end()) {
    return fmt::format("{} refers to {}, which is neither a reference table nor sharded", describe(constraint),
                       constraint.foreign_table);
  }
  // Column by column, in the key's order.
  const std::vector<std::string>& other = target->second.key;
  bool tied = key.size() == other.size() && own->second.function == target->second.function;
  for (std::size_t i = 0; tied && i < key.size(); ++i) {
    tied = std::any_of(constraint.parts.begin(), constraint.parts.end(), [&](const constraint_facts::part& part) {
      return part.column == key[i] && part.foreign_column == other[i];
    });
    tied = tied && same_hash(find_column(content, constraint.table, key[i]), find_column(content, constraint.foreign_table, other[i]));
  }
  if (tied) return {};
  return fmt::format("{} does not tie the sharding key to that of {}", describe(constraint), constraint.foreign_table);
}

void tidy(findings_by_table& found) {
  for (auto& [table, list] : found) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
  }
}

}  // namespace

findings_by_table unenforced(const shard_catalog& shard, const router::topology& map) {
  findings_by_table found;
  for (const constraint_facts& constraint : shard.constraints) {
    const auto sharded = map.tables.find(constraint.table);
    if (sharded != map.tables.end()) {
      const std::vector<std::string>& key = sharded->second.key;
      std::string reason;
      if (constraint.kind == 'f') {
        reason = judge_sharded_reference(constraint, key, shard.content, map);
      } else if (!contains_key(constraint, key) && !is_on_listed_column(constraint, sharded->second)) {
        reason = fmt::format("{} does not contain the sharding key", describe(constraint));
      }
      if (!reason.empty()) found[constraint.table].push_back(std::move(reason));
      continue;
    }
    if (constraint.kind != 'f' || map.reference_tables.contains(constraint.foreign_table)) continue;
    const auto own = router::home_of_unsharded(map, constraint.table),
               other = router::home_of_unsharded(map, constraint.foreign_table);
    if (own && other && *own == *other) continue;
    found[constraint.table].push_back(fmt::format("{} refers to {}, which does not stand whole beside it",
                                                  describe(constraint), constraint.foreign_table));
    if (map.tables.contains(constraint.foreign_table)) {
      found[constraint.foreign_table].push_back(fmt::format(
          "{} of {} refers to it from rows that may stand on other shards", describe(constraint), constraint.table));
    }
  }
  for (const auto& [table, columns] : listed_columns(shard, map)) {
    for (const listed_column& each : columns) {
      if (!each.problem.empty()) found[table].push_back(each.problem);
    }
  }
  for (const sequence_facts& sequence : shard.sequences) {
    if (router::home_of_unsharded(map, sequence.table)) continue;
    // Numbers are drawn on the first shard for all of them.
    const router::column* c = find_column(shard.content, sequence.table, sequence.column);
    if (c != nullptr && !c->draws.empty() && !c->default_of_moment) continue;
    found[sequence.table].push_back(
        fmt::format("column \"{}\" draws its default from a sequence of each shard", sequence.column));
  }
  tidy(found);
  return found;
}

bool listed_shard_local(const router::topology& map, std::string_view function) {
  if (map.shard_local.contains(function)) return true;
  const std::size_t dot = function.rfind('.');
  return dot != std::string_view::npos && map.shard_local.contains(function.substr(dot + 1));
}

namespace {

// It reads no table and calls nothing that might; see judge_functions.
bool proved_harmless(const router::catalog& content, std::string_view function) {
  const std::size_t dot = function.rfind('.');
  if (dot == std::string_view::npos) return false;
  const auto known = content.functions.find(function.substr(dot + 1));
  return known != content.functions.end() && !known->second.any_user_code;
}

// Each shard that has the table has all rows of `read` too, and shows them to whom it shows them anywhere.
bool stands_whole_beside(const std::string& table, const std::string& read, const router::catalog& content,
                         const router::topology& map) {
  const auto relation = content.relations.find(read);
  if (relation == content.relations.end() || relation->second.row_security || relation->second.kind == 'v')
    return false;
  if (map.reference_tables.contains(read)) return true;
  const auto own = router::home_of_unsharded(map, table), other = router::home_of_unsharded(map, read);
  return own && other && *own == *other;
}

// The rows of `table` become the same, and stand where they belong, whichever shards these triggers run on.
bool stays_in_its_row(const row_trigger& trigger, const std::string& table, const router::topology& map) {
  if (map.reference_tables.contains(table)) return !trigger.told_time && !trigger.by_chance;
  const auto sharded = map.tables.find(table);
  if (sharded == map.tables.end()) return true;
  const std::vector<std::string>& key = sharded->second.key;
  return !trigger.whole_row && std::none_of(key.begin(), key.end(), [&](const std::string& column) {
    return trigger.assigned.contains(column);
  });
}

/// What is known of the function, where a trigger calls it: another of that name may have arguments.
const row_trigger* trigger_of(const shard_catalog& shard, const code_facts& code) {
  if (!code.function || !code.what.starts_with("trigger ")) return nullptr;
  const auto found = shard.row_triggers.find(*code.function);
  return found == shard.row_triggers.end() ? nullptr : &found->second;
}

findings_by_table code_behind(const shard_catalog& shard, const router::topology& map, bool policies_alone) {
  findings_by_table found;
  for (const code_facts& code : shard.code) {
    if ((policies_alone && !code.policy) || listed_shard_local(map, code.table)) continue;
    if (code.function) {
      const row_trigger* const trigger = trigger_of(shard, code);
      const bool harmless = trigger != nullptr ? stays_in_its_row(*trigger, code.table, map)
                                               : proved_harmless(shard.content, *code.function);
      if (!listed_shard_local(map, *code.function) && !harmless) found[code.table].push_back(*code.function);
    } else if (code.reads.empty() || !stands_whole_beside(code.table, code.reads, shard.content, map)) {
      found[code.table].push_back(code.what);
    }
  }
  tidy(found);
  return found;
}

}  // namespace

findings_by_table user_code(const shard_catalog& shard, const router::topology& map) {
  return code_behind(shard, map, false);
}

findings_by_table row_code(const shard_catalog& shard) {
  findings_by_table found;
  for (const code_facts& code : shard.code) {
    if (trigger_of(shard, code) != nullptr) found[code.table].push_back(*code.function);
  }
  tidy(found);
  return found;
}

findings_by_table timed_code(const shard_catalog& shard, const router::topology& map) {
  findings_by_table found;
  for (const code_facts& code : shard.code) {
    const row_trigger* const trigger = trigger_of(shard, code);
    if (trigger == nullptr || !trigger->told_time || !map.tables.contains(code.table)) continue;
    if (!listed_shard_local(map, code.table) && !listed_shard_local(map, *code.function))
      found[code.table].push_back(*code.function);
  }
  tidy(found);
  return found;
}

findings_by_table policy_code(const shard_catalog& shard, const router::topology& map) {
  return code_behind(shard, map, true);
}

}  // namespace pgbraid::proxy
