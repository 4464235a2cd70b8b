#include "proxy/cluster/catalog_loader.hpp"

#include "proxy/cluster/catalog_sql.hpp"
#include "proxy/cluster/pattern_tables.hpp"

#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace pgbraid::proxy {

namespace asio = boost::asio;

namespace {

struct question {
  const char* sql;
  std::vector<pg_row> catalog_answers::*answer;
  bool about_tables = false;  ///< takes the named tables as $1
};

constexpr question questions[] = {
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
    {catalog_sql::collations, &catalog_answers::collations},
    {catalog_sql::user_casts, &catalog_answers::user_casts},
    {catalog_sql::role_settings, &catalog_answers::role_settings},
    {catalog_sql::server_settings, &catalog_answers::server_settings},
    {catalog_sql::views, &catalog_answers::views},
    {catalog_sql::view_functions, &catalog_answers::view_functions},
    {catalog_sql::constraints, &catalog_answers::constraints, true},
    {catalog_sql::sequences, &catalog_answers::sequences, true},
    {catalog_sql::user_code, &catalog_answers::user_code, true},
};

// `answers`: what is known of relations and columns.
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

}  // namespace

asio::awaitable<catalog_reading> read_catalog(pg_connection& connection, const router::topology& map,
                                              std::string known_token, std::chrono::milliseconds timeout) {
  catalog_reading reading;
  // Definitions are printed in full only when nothing but pg_catalog is in the search path, and their constants so that
  // every session reads them alike. JIT would cost more than the whole reading.
  pg_answer answer = co_await connection.query(
      "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path = pg_catalog; SET LOCAL jit = off; "
      "SET LOCAL datestyle = 'ISO, MDY'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL extra_float_digits = 3", {},
      timeout);
  if (answer.ok()) answer = co_await connection.query(catalog_sql::token, {}, timeout);
  if (answer.ok() && !answer.rows.empty()) reading.token = answer.rows.front()[0].value_or("");
  if (answer.ok() && (reading.token.empty() || reading.token != known_token)) {
    catalog_answers answers;
    std::optional<std::vector<std::string>> tables;
    for (const question& q : questions) {
      if (q.about_tables && !tables) tables = named_tables(map, answers);
      if (q.about_tables && tables->empty()) continue;
      std::vector<std::string> parameters;
      if (q.about_tables) parameters.push_back(array_literal(*tables));
      answer = co_await connection.query(q.sql, std::move(parameters), timeout);
      if (!answer.ok()) break;
      answers.*q.answer = std::move(answer.rows);
    }
    if (answer.ok()) reading.shard = std::make_shared<const shard_catalog>(read_catalog(answers));
  }
  reading.error = answer.error;
  if (connection.is_open()) {
    const pg_answer ended = co_await connection.query("COMMIT", {}, timeout);
    if (!ended.ok()) connection.close();
  }
  co_return reading;
}

}  // namespace pgbraid::proxy
