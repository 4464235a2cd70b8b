#include "proxy/cluster/definition_drift.hpp"

#include "proxy/cluster/catalog_rows.hpp"
#include "proxy/cluster/definition_sql.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

namespace pgbraid::proxy {

namespace asio = boost::asio;

namespace {

std::string one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool blank = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!blank || !out.ends_with(' ')) out.push_back(blank ? ' ' : c);
  }
  return out;
}

/// Does `shard` have the relation that an object belongs to?
bool has_parent(const definition_map& shard, const std::string& parent) {
  if (parent.empty()) return true;
  constexpr const char* relations[] = {"table", "foreign table", "view", "materialized view", "sequence", "type"};
  return std::any_of(std::begin(relations), std::end(relations), [&](const char* kind) {
    return shard.contains(defined_object{kind, parent});
  });
}

}  // namespace

asio::awaitable<definition_reading> read_definitions(pg_connection& connection, const router::topology& map,
                                                     std::chrono::milliseconds timeout) {
  definition_reading out;
  std::vector<std::string> tables, schemas;
  for (const auto& [name, shard] : map.unsharded) tables.push_back(name);
  for (const auto& [name, shard] : map.schemas) schemas.push_back(name);
  pg_answer answer = co_await connection.query(
      "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path = pg_catalog; SET LOCAL jit = off; "
      "SET LOCAL datestyle = 'ISO, MDY'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL timezone = 'UTC'",
      {}, timeout);
  if (answer.ok()) {
    std::vector<std::string> parameters;
    parameters.push_back(array_literal(tables));
    parameters.push_back(array_literal(schemas));
    answer = co_await connection.query(catalog_sql::definitions, std::move(parameters), timeout);
  }
  out.error = answer.error;
  for (pg_row& row : answer.rows) {
    out.found[{row[0].value_or(""), row[1].value_or("")}] = {row[2].value_or(""), one_line(row[3].value_or(""))};
  }
  if (connection.is_open()) (void)co_await connection.query("ROLLBACK", {}, timeout);
  co_return out;
}

std::vector<std::string> differences(const std::vector<definition_map>& all, const std::vector<std::string>& shards) {
  std::set<defined_object> objects;
  for (const definition_map& shard : all) {
    for (const auto& [object, text] : shard) objects.insert(object);
  }
  std::vector<std::string> out;
  for (const defined_object& object : objects) {
    const definition* first = nullptr;
    std::vector<std::string> missing, texts;
    bool same = true;
    for (const definition_map& shard : all) {
      const auto found = shard.find(object);
      if (found == shard.end()) continue;
      if (first == nullptr) first = &found->second;
      same = same && found->second.text == first->text;
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto found = all[i].find(object);
      if (found != all[i].end()) {
        texts.push_back(fmt::format("\n  {}: {}", shards[i], found->second.text));
      } else if (has_parent(all[i], first->parent)) {
        missing.push_back(shards[i]);
      }
    }
    if (!missing.empty())
      out.push_back(fmt::format("{} {} is not on shard {}", object.kind, object.name, fmt::join(missing, ", ")));
    if (!same)
      out.push_back(
          fmt::format("{} {} is not the same on all shards:{}", object.kind, object.name, fmt::join(texts, "")));
  }
  return out;
}

}  // namespace pgbraid::proxy
