#include "proxy/cluster/own_catalog.hpp"

#include "proxy/cluster/catalog_merge.hpp"
#include "proxy/cluster/catalog_questions.hpp"
#include "proxy/cluster/catalog_sql.hpp"
#include "proxy/cluster/pattern_tables.hpp"
#include "proxy/cluster/snapshot.hpp"
#include "proxy/cluster/topology_view.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace pgbraid::proxy {

namespace {

// What the client has set would have definitions printed in another way. The servers tell of what they report when a
// text is over, and by then it is as it was. To print a definition takes a lock of its table, which another transaction
// that redefines it may have; such a one must not be waited for longer than deadlocks are.
std::string prologue() {
  return std::string{"SAVEPOINT pgbraid_definitions; SET LOCAL lock_timeout = '2s'; "} + reading_settings;
}
constexpr const char* epilogue = "ROLLBACK TO SAVEPOINT pgbraid_definitions; RELEASE SAVEPOINT pgbraid_definitions";

// "schema.name" of tables that this transaction has made: their system columns, which no ALTER touches, are no older
// than it, and it has locked them.
constexpr const char* young_tables = R"(
SELECT n.nspname || '.' || c.relname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = -6
 WHERE c.relkind IN ('r', 'p') AND age(a.xmin) <= 0
   AND EXISTS (SELECT FROM pg_locks l WHERE l.relation = c.oid AND l.pid = pg_backend_pid() AND l.mode = 'AccessExclusiveLock'))";

constexpr std::string_view table_parameter = "$1::text[]";

std::string joined(const std::vector<std::string>& statements) {
  std::string out;
  for (const std::string& each : statements) out.append(each).append(";\n");
  return out;
}

std::string about(std::string sql, const std::vector<std::string>& tables) {
  std::string literal = "'";
  for (const char c : array_literal(tables)) literal.append(c == '\'' ? 2 : 1, c);
  literal.append("'::text[]");
  for (std::size_t at = 0; (at = sql.find(table_parameter, at)) != std::string::npos; at += literal.size())
    sql.replace(at, table_parameter.size(), literal);
  return sql;
}

// The first text has a token in front, the second one behind.
void take(catalog_answers& into, const answered_text& rows, bool about_tables) {
  std::size_t at = about_tables ? 0 : 1;
  for (const catalog_question& q : catalog_questions()) {
    if (q.of_defaults || q.about_tables != about_tables) continue;
    if (at < rows.size()) into.*q.answer = rows[at];
    ++at;
  }
}

const std::string* only_value(const answered_text& rows, std::size_t statement) {
  if (statement >= rows.size() || rows[statement].size() != 1 || rows[statement].front().size() != 1) return nullptr;
  return rows[statement].front().front() ? &*rows[statement].front().front() : nullptr;
}

const std::string* token_before(const own_definitions::reading& server) {
  return only_value(server.first, 0);
}
const std::string* token_behind(const own_definitions::reading& server) {
  return server.second.empty() ? nullptr : only_value(server.second, server.second.size() - 1);
}

std::set<std::string, std::less<>> young_of(const own_definitions::reading& server) {
  std::set<std::string, std::less<>> out;
  if (server.second.size() < 2) return out;
  for (const answered_row& row : server.second[server.second.size() - 2]) out.insert(row.front().value_or(""));
  return out;
}

}  // namespace

own_catalog::own_catalog(std::shared_ptr<const router::topology> listed,
                         std::vector<std::shared_ptr<const shard_catalog>> shards)
    : listed_{std::move(listed)}, shards_{std::move(shards)} {}

std::string own_catalog::first_text() const {
  std::vector<std::string> statements{prologue(), catalog_sql::token};
  for (const catalog_question& q : catalog_questions()) {
    if (!q.about_tables && !q.of_defaults) statements.emplace_back(q.sql);
  }
  statements.emplace_back(epilogue);
  return joined(statements);
}

std::string own_catalog::second_text(const answered_text& first) const {
  catalog_answers answers;
  take(answers, first, false);
  const std::vector<std::string> tables = named_tables(*listed_, answers);
  std::vector<std::string> statements{prologue()};
  for (const catalog_question& q : catalog_questions()) {
    if (q.about_tables) statements.push_back(about(q.sql, tables));
  }
  for (const char* last : {young_tables, catalog_sql::token, epilogue}) statements.emplace_back(last);
  return joined(statements);
}

bool own_catalog::moved_between(const reading& server) const {
  const std::string *before = token_before(server), *behind = token_behind(server);
  return before == nullptr || behind == nullptr || *before != *behind;
}

std::shared_ptr<const database_state> own_catalog::see(const database_state& published,
                                                       const std::vector<std::optional<reading>>& shards,
                                                       const is_made& made, steady_time began) const {
  std::vector<std::shared_ptr<const shard_catalog>> read = shards_;
  read.resize(listed_->shards.size());
  std::vector<std::set<std::string, std::less<>>> young;
  for (std::size_t i = 0; i < read.size() && i < shards.size(); ++i) {
    if (!shards[i]) continue;
    catalog_answers answers;
    take(answers, shards[i]->first, false);
    take(answers, shards[i]->second, true);
    read[i] = std::make_shared<const shard_catalog>(read_catalog(answers));
    young.push_back(young_of(*shards[i]));
  }
  if (!read.front() || !published.schema || young.empty()) return nullptr;
  const bool all = young.size() == read.size();
  std::vector<seen_shard> seen;
  for (const auto& shard : read) seen.push_back({shard, nullptr});
  router::topology map = with_pattern_tables(*listed_, seen);
  // Nobody has looked at the rows of a table that is meant to be sharded since a moment ago. One that this transaction
  // has made has those alone that were placed by the map.
  std::erase_if(map.tables, [&](const auto& table) {
    if (listed_->tables.contains(table.first)) return false;
    const auto known = published.map->tables.find(table.first);
    if (known != published.map->tables.end() && known->second == table.second) return false;
    const bool is_new = all && made(bare_name(table.first)) &&
                        std::all_of(young.begin(), young.end(), [&](const auto& s) { return s.contains(table.first); });
    if (!is_new) map.unfit.emplace(table.first, "its rows have not been looked at yet");
    return !is_new;
  });
  merged_catalog merged = merge_catalogs(read, map);
  router::catalog& content = merged.content;
  content.version = published.schema->version;
  content.single_writer = published.schema->single_writer;
  content.no_claims = published.schema->no_claims;
  content.default_isolation = published.schema->default_isolation;
  content.default_read_only = published.schema->default_read_only;
  content.default_search_path = published.schema->default_search_path;
  content.defaults = published.schema->defaults;
  auto state = std::make_shared<database_state>(published);
  if (const std::vector<std::string> against = contradictions(map, content); !against.empty()) {
    state->served = false;
    state->reason = against.front();
  }
  state->schema_as_of = all ? began : std::min(began, published.schema_as_of);
  state->map = std::make_shared<const router::topology>(std::move(map));
  state->schema = std::make_shared<const router::catalog>(std::move(content));
  return state;
}

}  // namespace pgbraid::proxy
