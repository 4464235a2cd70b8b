#include "proxy/cluster/catalog_questions.hpp"

#include "proxy/cluster/catalog_sql.hpp"
#include "proxy/cluster/pattern_tables.hpp"

#include <set>

namespace pgbraid::proxy {

namespace {

constexpr catalog_question questions[] = {
    {catalog_sql::schemas, &catalog_answers::schemas},
    {catalog_sql::relations, &catalog_answers::relations},
    {catalog_sql::heirs, &catalog_answers::heirs},
    {catalog_sql::declared, &catalog_answers::declared},
    {catalog_sql::columns, &catalog_answers::columns},
    {catalog_sql::functions, &catalog_answers::functions},
    {catalog_sql::bodies, &catalog_answers::bodies},
    {catalog_sql::row_triggers, &catalog_answers::row_triggers},
    {catalog_sql::operators, &catalog_answers::operators},
    {catalog_sql::types, &catalog_answers::types},
    {catalog_sql::domain_checks, &catalog_answers::domain_checks},
    {catalog_sql::collations, &catalog_answers::collations},
    {catalog_sql::user_casts, &catalog_answers::user_casts},
    {catalog_sql::role_settings, &catalog_answers::role_settings, false, true},
    {catalog_sql::server_settings, &catalog_answers::server_settings, false, true},
    {catalog_sql::views, &catalog_answers::views},
    {catalog_sql::view_functions, &catalog_answers::view_functions},
    {catalog_sql::constraints, &catalog_answers::constraints, true},
    {catalog_sql::sequences, &catalog_answers::sequences, true},
    {catalog_sql::user_code, &catalog_answers::user_code, true},
};

}  // namespace

std::span<const catalog_question> catalog_questions() noexcept {
  return questions;
}

std::vector<std::string> named_tables(const router::topology& map, const catalog_answers& answers) {
  std::set<std::string> names(map.reference_tables.begin(), map.reference_tables.end());
  if (!map.patterns.empty() || !answers.declared.empty()) {
    for (const auto& [name, table] : tables_of_patterns(map, read_catalog(answers, false))) names.insert(name);
  }
  for (const auto& [name, table] : map.tables) names.insert(name);
  for (const auto& [name, shard] : map.unsharded) names.insert(name);
  if (!map.schemas.empty()) {
    for (const auto& [name, relation] : read_catalog(answers, false).content.relations) {
      if (map.schemas.contains(relation.schema) && (relation.kind == 'r' || relation.kind == 'p')) names.insert(name);
    }
  }
  return {names.begin(), names.end()};
}

}  // namespace pgbraid::proxy
