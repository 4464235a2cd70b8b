// The home of sequences; see sequences.hpp. Source: the manual's chapter "Sequence Manipulation Functions".
#include "router/plan/sequences.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <string_view>

namespace pgbraid::router {

namespace {

using homes = std::map<std::string, shard_index, std::less<>>;

/// By "schema.name", where columns of unsharded tables draw from sequences.
homes homes_of_unsharded(const plan_context& context) {
  homes out;
  for (const auto& [name, shard] : context.map->unsharded) {
    const auto table = context.schema->relations.find(name);
    if (table == context.schema->relations.end()) continue;
    for (const column& c : table->second.columns) {
      const std::size_t begin = c.draws.find('\'');
      const std::size_t end = begin == std::string::npos ? begin : c.draws.find('\'', begin + 1);
      if (end != std::string::npos) out.emplace(c.draws.substr(begin + 1, end - begin - 1), shard);
    }
  }
  return out;
}

/// The constant that a call names its sequence by; nullptr where that is anything else.
const sql::expr* name_in(const sql::expr& call) {
  if (call.children.empty()) return nullptr;
  const sql::expr* e = call.children[0].get();
  while (e != nullptr && e->kind == sql::expr_kind::cast) e = e->children.empty() ? nullptr : e->children[0].get();
  const bool text = e != nullptr && e->kind == sql::expr_kind::constant && e->constant == sql::constant_kind::string;
  return text ? e : nullptr;
}

std::optional<shard_index> home_of_name(std::string_view name, const homes& unsharded, const plan_context& context);

/// pg_get_serial_sequence('table', 'column'): where that table is.
std::optional<shard_index> home_of_column(const sql::expr& call, const plan_context& context) {
  const sql::expr* inner = call.children.empty() ? nullptr : call.children[0].get();
  if (inner == nullptr || inner->kind != sql::expr_kind::call || inner->name.empty() || inner->children.empty() ||
      inner->name.back() != "pg_get_serial_sequence")
    return std::nullopt;
  const sql::expr* name = name_in(*inner);
  if (name == nullptr) return std::nullopt;
  std::string_view table = name->text;
  const bool quoted = table.size() > 2 && table.front() == '"' && table.back() == '"';
  if (quoted) table = table.substr(1, table.size() - 2);
  if (table.find('"') != std::string_view::npos || (quoted && table.find('.') != std::string_view::npos))
    return std::nullopt;
  homes tables;
  for (const auto& [unsharded, shard] : context.map->unsharded) tables.emplace(unsharded, shard);
  return home_of_name(table, tables, context);
}

std::optional<shard_index> home_of_name(std::string_view name, const homes& unsharded, const plan_context& context) {
  // What is quoted may be spelled in more than one way.
  if (name.find('"') != std::string_view::npos) return std::nullopt;
  std::string folded;
  for (const char c : name) folded += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (folded.find('.') != std::string::npos) {
    const auto found = unsharded.find(folded);
    return found == unsharded.end() ? designated_shard : found->second;
  }
  for (const std::string& schema : context.search_path) {
    if (const auto found = unsharded.find(schema + "." + folded); found != unsharded.end()) return found->second;
    if (context.schema->find_relation(schema, folded) != nullptr) break;
  }
  return designated_shard;
}

}  // namespace

std::optional<shard_index> home_of_sequences(const analysis& a, const plan_context& context) {
  const homes unsharded = homes_of_unsharded(context);
  const bool one_home = std::all_of(unsharded.begin(), unsharded.end(),
                                    [](const auto& entry) { return entry.second == designated_shard; });
  if (one_home) return designated_shard;
  std::optional<shard_index> home;
  for (const sql::expr* call : a.draws) {
    if (call->name.back() == "lastval") continue;  // the session knows where that was
    const sql::expr* name = name_in(*call);
    const auto found = name != nullptr ? home_of_name(name->text, unsharded, context) : home_of_column(*call, context);
    if (!found || (home && *home != *found)) return std::nullopt;
    home = found;
  }
  return home.value_or(designated_shard);
}

bool draws_elsewhere(const analysis& a, const plan_context& context) {
  if (!a.draws.empty() && home_of_sequences(a, context).value_or(designated_shard) != designated_shard) return true;
  return std::any_of(a.uses.begin(), a.uses.end(), [](const table_use& use) {
    if (use.role == table_role::read || use.table.where != placement::unsharded || use.table.shard == designated_shard)
      return false;
    if (use.table.described == nullptr) return true;
    const std::vector<column>& columns = use.table.described->columns;
    return std::any_of(columns.begin(), columns.end(), [](const column& c) { return !c.draws.empty(); });
  });
}

}  // namespace pgbraid::router
