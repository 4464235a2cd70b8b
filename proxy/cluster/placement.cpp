#include "proxy/cluster/placement.hpp"

#include "proxy/cluster/catalog_rows.hpp"
#include "router/plan/gather_text.hpp"
#include "router/shard/hash.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <utility>

namespace pgbraid::proxy {

namespace asio = boost::asio;

namespace {

constexpr double wanted_rows = 10'000;
constexpr int most_rows = 50'000;
constexpr int rows_at_once = 10'000;

// Tables that exist here, quoted for use in SQL, the key's column likewise and its type, and an estimate of the rows
// with all partitions: what ANALYZE counted, or eighty to a page that was never analysed.
constexpr const char* tables_sql = R"(
WITH RECURSIVE tree AS (
  SELECT c.oid, c.oid AS root FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname || '.' || c.relname = ANY ($1::text[]) AND c.relkind IN ('r', 'p')
  UNION SELECT i.inhrelid, t.root FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid),
sizes AS (
  SELECT t.root, sum(CASE WHEN c.reltuples >= 0 AND c.relpages > 0
                          THEN c.reltuples * greatest(1, pg_relation_size(c.oid) / 8192.0 / c.relpages)
                          ELSE pg_relation_size(c.oid) / 8192.0 * 80 END) AS rows
    FROM tree t JOIN pg_class c ON c.oid = t.oid GROUP BY 1)
SELECT n.nspname || '.' || c.relname, quote_ident(n.nspname) || '.' || quote_ident(c.relname), s.rows::float8,
       a.attname, quote_ident(a.attname), a.atttypid, a.atttypmod
  FROM sizes s JOIN pg_class c ON c.oid = s.root JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY 1)";

struct keyed_table {
  std::string name, quoted_name;
  std::vector<placed_column> key;
  double rows = 0;
};

template <typename Number>
Number number(const std::optional<std::string>& text) {
  Number value{};
  if (text) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

// Those whose key has all its columns here.
std::vector<keyed_table> read_tables(const std::vector<pg_row>& rows, const router::topology& map) {
  std::vector<keyed_table> tables;
  for (const auto& [name, listed] : map.tables) {
    keyed_table table;
    table.name = name;
    for (const std::string& part : listed.key) {
      const auto row = std::find_if(rows.begin(), rows.end(), [&](const pg_row& r) { return r[0] == name && r[3] == part; });
      if (row == rows.end()) break;
      table.quoted_name = (*row)[1].value_or("");
      table.rows = std::strtod((*row)[2].value_or("0").c_str(), nullptr);
      table.key.push_back({part, (*row)[4].value_or(""), number<router::oid>((*row)[5]), number<std::int32_t>((*row)[6])});
    }
    if (table.key.size() == listed.key.size()) tables.push_back(std::move(table));
  }
  return tables;
}

std::string first_misplaced(const router::topology& map, router::shard_index shard, const keyed_table& table,
                            const std::vector<pg_row>& rows) {
  const placed_column& first = table.key.front();
  router::column key;
  key.type = first.type;
  key.modifier = first.modifier;
  std::string problem;
  const auto values = router::values_of(map, map.tables.find(table.name)->second, key, problem);
  if (!problem.empty()) return fmt::format("the key {} of {}: {}", first.name, table.name, problem);
  std::vector<std::string> found;
  for (const pg_row& row : rows) {
    if (values != nullptr && values->looks_up() && row[0]) {
      // Behind the key stands what the table says of it.
      const std::optional<std::string>& home = row[1];
      const std::string owner = home ? *home : values->others() ? map.shards[*values->others()] : std::string{};
      if (owner == map.shards[shard]) continue;
      return fmt::format("{} has a row with {} = '{}' on shard {}, which {}", table.name, first.name, *row[0],
                         map.shards[shard],
                         owner.empty() ? std::string{"no shard owns"} : fmt::format("belongs on shard {}", owner));
    }
    found.clear();
    for (std::size_t i = 0; i < table.key.size() && row[i]; ++i) found.push_back(*row[i]);
    if (found.size() < table.key.size()) continue;
    std::string sentence = judge_key(map, shard, table.name, table.key, found, values.get());
    if (!sentence.empty()) return sentence;
  }
  return {};
}

asio::awaitable<std::string> check_table(pg_connection& connection, const router::topology& map,
                                         router::shard_index shard, placement_depth depth, const keyed_table& table,
                                         std::chrono::milliseconds timeout, std::vector<std::string>& misplaced) {
  std::string columns;
  for (const placed_column& each : table.key) columns += (columns.empty() ? "" : ", ") + each.quoted_name;
  std::string from = fmt::format("SELECT {} FROM {}", columns, table.quoted_name);
  if (map.directory && map.tables.find(table.name)->second.function == router::shard_function::lookup) {
    const router::lookup_rule& rule = *map.directory;
    from = fmt::format("SELECT {0}, (SELECT d.{1} FROM {2}.{3} d WHERE d.{4} = t.{0}) FROM {5} t", columns,
                       router::quote_identifier(rule.shard), router::quote_identifier(rule.schema),
                       router::quote_identifier(rule.table), router::quote_identifier(rule.key), table.quoted_name);
  }
  const double percentage = sample_percentage(table.rows);
  if (depth == placement_depth::sample) {
    const std::string sampled =
        percentage >= 100 ? from : fmt::format("{} TABLESAMPLE SYSTEM ({:.6f})", from, percentage);
    const pg_answer answer = co_await connection.query(fmt::format("{} LIMIT {}", sampled, most_rows), {}, timeout);
    if (!answer.ok()) co_return answer.error;
    std::string sentence = first_misplaced(map, shard, table, answer.rows);
    if (!sentence.empty()) misplaced.push_back(std::move(sentence));
    co_return std::string{};
  }
  pg_answer answer = co_await connection.query("DECLARE placement NO SCROLL CURSOR FOR " + from, {}, timeout);
  while (answer.ok()) {
    answer = co_await connection.query(fmt::format("FETCH {} FROM placement", rows_at_once), {}, timeout);
    if (!answer.ok() || answer.rows.empty()) break;
    std::string sentence = first_misplaced(map, shard, table, answer.rows);
    if (sentence.empty()) continue;
    misplaced.push_back(std::move(sentence));
    break;
  }
  if (answer.ok()) answer = co_await connection.query("CLOSE placement", {}, timeout);
  co_return answer.error;
}

}  // namespace

double sample_percentage(double rows) noexcept {
  return rows <= wanted_rows ? 100.0 : std::max(1e-6, 100.0 * wanted_rows / rows);
}

std::string judge_key(const router::topology& map, router::shard_index shard, std::string_view table,
                      std::span<const placed_column> key, std::span<const std::string> found,
                      const router::value_map* values) {
  const auto shown = [&] {
    std::string out;
    for (std::size_t i = 0; i < key.size(); ++i) fmt::format_to(std::back_inserter(out), "{}{} = '{}'", i == 0 ? "" : ", ", key[i].name, found[i]);
    return out;
  };
  const auto unreadable = [&] { return fmt::format("the key {} of {} on shard {} cannot be read", shown(), table, map.shards[shard]); };
  if (values != nullptr) {
    std::string bytes;
    if (!router::key_bytes(bytes, key[0].type, key[0].modifier, 0, false, found[0], "UTC")) return unreadable();
    const auto owner = values->shard_of(bytes);
    if (owner == shard) return {};
    return fmt::format("{} has a row with {} on shard {}, which {}", table, shown(), map.shards[shard],
                       owner ? fmt::format("belongs on shard {}", map.shards[*owner]) : "no shard owns");
  }
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const auto own = router::partition_hash_text(key[i].type, key[i].modifier, 0, found[i], "UTC");
    if (!own) return unreadable();
    hash = router::combined_hash(hash, *own);
  }
  const router::bucket_number bucket = router::bucket_of(hash, static_cast<std::uint32_t>(map.buckets.owner.size()));
  const router::shard_index owner = map.buckets.shard_of(bucket);
  if (owner == shard) return {};
  return fmt::format("{} has a row with {} on shard {}, which belongs on shard {} (bucket {})", table, shown(),
                     map.shards[shard], map.shards[owner], bucket);
}

asio::awaitable<placement_report> check_placement(pg_connection& connection, const router::topology& map,
                                                  router::shard_index shard, placement_depth depth,
                                                  std::chrono::milliseconds timeout) {
  placement_report report;
  if (map.one_shard() || map.tables.empty()) co_return report;
  // Keys are hashed as the server stores them: in its own encoding, dates as ISO. Policies must not hide rows.
  pg_answer answer = co_await connection.query(
      "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path = pg_catalog; SET LOCAL row_security = "
      "off; "
      "SET LOCAL DateStyle = 'ISO, MDY'; SET LOCAL TimeZone = 'UTC'; "
      "SELECT set_config('client_encoding', current_setting('server_encoding'), true)",
      {}, timeout);
  if (answer.ok()) {
    std::vector<std::string> names;
    for (const auto& [name, table] : map.tables) names.push_back(name);
    std::vector<std::string> parameters(1, array_literal(names));
    answer = co_await connection.query(tables_sql, std::move(parameters), timeout);
  }
  report.error = answer.error;
  if (answer.ok()) {
    const std::vector<keyed_table> tables = read_tables(answer.rows, map);
    for (const auto& [name, listed] : map.tables) {
      const auto known =
          std::find_if(tables.begin(), tables.end(), [&](const keyed_table& t) { return t.name == name; });
      if (known == tables.end()) {
        report.warnings.push_back(
            fmt::format("shard {} has no table {} with a column \"{}\"", map.shards[shard], name, fmt::join(listed.key, "\", \"")));
        continue;
      }
      const std::string failed = co_await check_table(connection, map, shard, depth, *known, timeout, report.misplaced);
      if (failed.empty()) continue;
      report.error = fmt::format("the rows of {} on shard {} cannot be read: {}", name, map.shards[shard], failed);
      break;
    }
  }
  if (connection.is_open()) {
    const pg_answer ended = co_await connection.query("COMMIT", {}, timeout);
    if (!ended.ok()) connection.close();
  }
  co_return report;
}

}  // namespace pgbraid::proxy
