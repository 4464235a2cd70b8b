// Commands outside of transactions; see alone.hpp. Source: the manual's reference of SQL commands.
#include "router/plan/alone.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "router/plan/definitions.hpp"
#include "router/plan/statements.hpp"
#include "router/plan/targets.hpp"
#include "router/plan/words.hpp"

namespace pgbraid::router {

using kind = sql::statement_kind;

namespace {

template <std::size_t count>
bool listed(const std::array<std::string_view, count>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Done by each server to its own tables.
bool is_upkeep(std::string_view tag) {
  return tag == "CLUSTER" || tag.starts_with("REINDEX");
}

constexpr std::array<std::string_view, 2> indexes{"CREATE INDEX", "DROP INDEX"};
constexpr std::array<std::string_view, 8> of_servers{"CREATE DATABASE",    "DROP DATABASE",    "CREATE TABLESPACE",
                                                     "DROP TABLESPACE",    "ALTER SYSTEM",     "CREATE SUBSCRIPTION",
                                                     "ALTER SUBSCRIPTION", "DROP SUBSCRIPTION"};

}  // namespace

bool runs_alone(const sql::statement& s, std::string_view text) {
  if (s.kind == kind::vacuum || s.kind == kind::analyze) return true;
  if (s.kind != kind::ddl) return false;
  if (is_upkeep(s.tag) || listed(of_servers, s.tag)) return true;
  if (!listed(indexes, s.tag) && s.tag != "ALTER TABLE") return false;
  const std::vector<std::string> words = words_of(text);
  const bool concurrently = std::find(words.begin(), words.end(), "concurrently") != words.end();
  const bool detaches = std::find(words.begin(), words.end(), "detach") != words.end();
  return concurrently && (s.tag != "ALTER TABLE" || detaches);
}

fixed_target alone_target(const sql::statement& s, const plan_context& context) {
  if (context.map->one_shard()) return {to_shard{0}};
  const std::string tag = tag_of(s);
  const bool same = s.kind == kind::vacuum || s.kind == kind::analyze || is_upkeep(tag) || listed(indexes, tag);
  if (!same) return refusal(protocol::make_error(protocol::error_id::ddl_over_shards, tag));
  if (auto error = unique_over_shards(s, context)) return refusal(std::move(*error));
  if (auto home = home_of(s.relations, context)) return *home;
  return refusal(protocol::with_hint(
      protocol::make_error(protocol::error_id::ddl_over_shards, tag + " of tables that stand apart"),
      "Write a statement for each table."));
}

}  // namespace pgbraid::router
