// What a plan relies on; see reliance.hpp.
#include "router/plan/reliance.hpp"

namespace pgbraid::router {

bool names_by_columns(const sql::statement& s, const analysis& a) {
  if (a.not_understood || a.merge != nullptr) return true;
  if (s.insert != nullptr && s.insert->columns.empty()) return true;
  return a.uses.size() > 1 && a.bare_names;
}

bool stays_by_columns(const plan& p) {
  if (p.staged || p.draws || p.merge != nullptr || p.explain != nullptr) return true;
  if (const auto* keyed = std::get_if<keyed_target>(&p.where)) return p.by_columns || !keyed->gather.empty();
  const route_target& target = std::get<fixed_target>(p.where).target;
  if (std::holds_alternative<to_gather>(target)) return true;
  const bool whole = std::holds_alternative<to_shard>(target) || std::holds_alternative<to_any>(target);
  return p.by_columns && !whole;
}

}  // namespace pgbraid::router
