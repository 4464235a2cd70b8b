// The tables that a write to reference tables reads; see copy_locks.hpp.
#include "router/plan/copy_locks.hpp"

#include <algorithm>
#include <set>

#include "router/plan/gather_text.hpp"

namespace pgbraid::router {
namespace {

/// Reference tables that a relation is or, being a view, reads.
void add_tables(const resolved_table& table, const topology& map, std::set<std::string>& out) {
  if (map.reference_tables.contains(table.full_name)) out.insert(table.full_name);
  if (table.described == nullptr) return;
  for (const std::string& below : table.described->view_relations) {
    if (map.reference_tables.contains(below)) out.insert(below);
  }
}

}  // namespace

std::string locks_of_copies(const analysis& a, const plan_context& context) {
  if (!a.mirrored) return {};
  std::set<std::string> read, written;
  for (const table_use& use : a.uses) {
    add_tables(use.table, *context.map, use.role == table_role::read ? read : written);
    // How many rows a write in WITH has changed, nobody is told.
    const bool changes = use.role == table_role::update || use.role == table_role::delete_;
    if (changes && !a.levels[use.level].top) add_tables(use.table, *context.map, read);
  }
  std::string out;
  for (const std::string& name : read) {
    const std::size_t dot = name.find('.');
    out += (out.empty() ? "LOCK TABLE " : "; LOCK TABLE ") + quote_identifier(name.substr(0, dot)) + "." +
           quote_identifier(name.substr(dot + 1));
    // Two who both write it must not share the lock: each would wait for the other's to be let go.
    out += written.contains(name) ? " IN SHARE ROW EXCLUSIVE MODE" : " IN SHARE MODE";
  }
  return out;
}

}  // namespace pgbraid::router
