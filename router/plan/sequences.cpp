// The home of sequences; see sequences.hpp. Source: the manual's chapter "Sequence Manipulation Functions".
#include "router/plan/sequences.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "router/plan/words.hpp"
#include "router/unsharded.hpp"

namespace pgbraid::router {

namespace {

using homes = std::map<std::string, shard_index, std::less<>>;

/// By "schema.name", where columns of unsharded tables draw from sequences.
homes homes_of_unsharded(const plan_context& context) {
  homes out;
  for (const auto& [name, table] : context.schema->relations) {
    const auto home = home_of_unsharded(*context.map, name);
    if (!home) continue;
    for (const column& c : table.columns) {
      const std::size_t begin = c.draws.find('\'');
      const std::size_t end = begin == std::string::npos ? begin : c.draws.find('\'', begin + 1);
      if (end == std::string::npos) continue;
      const auto names = names_in(std::string_view{c.draws}.substr(begin + 1, end - begin - 1));
      if (names.size() == 2) out.emplace(names[0] + "." + names[1], *home);
    }
  }
  return out;
}

const sql::expr* without_casts(const sql::expr* e) {
  while (e != nullptr && e->kind == sql::expr_kind::cast) e = e->children.empty() ? nullptr : e->children[0].get();
  return e;
}

const sql::expr* argument_of(const sql::expr& call) {
  return call.children.empty() ? nullptr : without_casts(call.children[0].get());
}

/// The name that a constant holds, as regclass reads it; empty where it is none, or may be read in another way.
std::vector<std::string> name_of(const sql::expr* e) {
  const bool text = e != nullptr && e->kind == sql::expr_kind::constant && e->constant == sql::constant_kind::string;
  return text ? names_in(e->text) : std::vector<std::string>{};
}

/// Where what is named is: one of `unsharded`, or on the designated shard.
std::optional<shard_index> home_of_name(const std::vector<std::string>& name, const homes& unsharded,
                                        const plan_context& context) {
  if (name.empty() || name.size() > 2) return std::nullopt;
  if (name.size() == 2) {
    const auto found = unsharded.find(name[0] + "." + name[1]);
    return found == unsharded.end() ? designated_shard : found->second;
  }
  for (const std::string& schema : context.search_path) {
    if (const auto found = unsharded.find(schema + "." + name[0]); found != unsharded.end()) return found->second;
    if (context.schema->find_relation(schema, name[0]) != nullptr) break;
  }
  return designated_shard;
}

/// pg_get_serial_sequence('table', 'column'): where that table is.
std::optional<shard_index> home_of_column(const sql::expr& call, const plan_context& context) {
  const sql::expr* inner = argument_of(call);
  const bool asks = inner != nullptr && inner->kind == sql::expr_kind::call && !inner->name.empty() &&
                    inner->name.back() == "pg_get_serial_sequence";
  if (!asks) return std::nullopt;
  homes tables;
  for (const auto& [name, table] : context.schema->relations) {
    if (const auto home = home_of_unsharded(*context.map, name)) tables.emplace(name, *home);
  }
  return home_of_name(name_of(argument_of(*inner)), tables, context);
}

}  // namespace

bool sequences_elsewhere(const plan_context& context) {
  const homes unsharded = homes_of_unsharded(context);
  return std::any_of(unsharded.begin(), unsharded.end(),
                     [](const auto& entry) { return entry.second != designated_shard; });
}

std::optional<shard_index> home_of_sequences(const analysis& a, const plan_context& context) {
  if (!sequences_elsewhere(context)) return designated_shard;
  const homes unsharded = homes_of_unsharded(context);
  std::optional<shard_index> home;
  for (const sql::expr* call : a.draws) {
    const std::string& function = call->name.back();
    if (function == "lastval") continue;  // the session knows where that was
    const std::vector<std::string> name = name_of(argument_of(*call));
    auto found = name.empty() ? home_of_column(*call, context) : home_of_name(name, unsharded, context);
    // What a connection to another shard has drawn, it may have drawn for somebody else.
    if (found && *found != designated_shard && function == "currval") found.reset();
    if (!found || (home && *home != *found)) return std::nullopt;
    home = found;
  }
  return home.value_or(designated_shard);
}

bool draws_elsewhere(const analysis& a, const plan_context& context) {
  const bool by_name =
      std::any_of(a.draws.begin(), a.draws.end(), [](const sql::expr* call) { return call->name.back() == "nextval"; });
  if (by_name && home_of_sequences(a, context).value_or(designated_shard) != designated_shard) return true;
  return std::any_of(a.uses.begin(), a.uses.end(), [&](const table_use& use) {
    const bool inserts = use.role == table_role::insert || (use.role != table_role::read && a.merge != nullptr);
    if (!inserts || use.table.where != placement::unsharded || use.table.shard == designated_shard) return false;
    if (use.table.described == nullptr) return true;
    const std::vector<column>& columns = use.table.described->columns;
    return std::any_of(columns.begin(), columns.end(), [](const column& c) { return !c.draws.empty(); });
  });
}

}  // namespace pgbraid::router
