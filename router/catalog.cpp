#include "router/catalog.hpp"

namespace pgbraid::router {

const relation* catalog::find_relation(std::string_view schema, std::string_view name) const {
  std::string full;
  full.reserve(schema.size() + name.size() + 1);
  full.append(schema).append(1, '.').append(name);
  const auto found = relations.find(full);
  return found == relations.end() ? nullptr : &found->second;
}

}  // namespace pgbraid::router
