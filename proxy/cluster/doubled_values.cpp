#include "proxy/cluster/doubled_values.hpp"

#include "proxy/cluster/catalog_rows.hpp"
#include "router/plan/gather_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

namespace pgbraid::proxy {

namespace asio = boost::asio;

namespace {

constexpr int rows_at_once = 5'000;
constexpr std::size_t looked_at_twice = 1'000;
constexpr std::size_t told = 5;

// Bytes are compared here as the server has ordered them: in its own encoding. Policies must not hide rows.
constexpr const char* begin =
    "SET search_path = pg_catalog; SET row_security = off; SET statement_timeout = 0; "
    "SELECT set_config('client_encoding', current_setting('server_encoding'), false); BEGIN READ ONLY; ";

std::vector<std::string> first_column(std::vector<pg_row> rows) {
  std::vector<std::string> out;
  for (pg_row& row : rows) out.push_back(std::move(row[0]).value_or(""));
  return out;
}

/// The values that several shards have, as far as they were seen at their times, or `report.error`.
asio::awaitable<value_merge> merge_values(std::vector<std::unique_ptr<pg_connection>>& shards, std::string from,
                                          std::string column, std::chrono::milliseconds timeout,
                                          doubled_report& report) {
  value_merge merge(shards.size(), looked_at_twice);
  const std::string declare = fmt::format(
      "{0}DECLARE held NO SCROLL CURSOR FOR SELECT {1}::text FROM {2} WHERE {1} IS NOT NULL ORDER BY {1}::text COLLATE "
      "\"C\"",
      begin, column, from);
  const std::string fetch = fmt::format("FETCH {} FROM held", rows_at_once);
  const auto failed = [&](std::size_t shard, const pg_answer& answer) {
    report.failed = shard;
    report.error = answer.error;
    return !answer.ok();
  };
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const pg_answer answer = co_await shards[i]->query(declare, {}, timeout);
    if (failed(i, answer)) co_return merge;
  }
  while (const auto shard = merge.wants()) {
    pg_answer answer = co_await shards[*shard]->query(fetch, {}, timeout);
    if (failed(*shard, answer)) co_return merge;
    merge.take(*shard, first_column(std::move(answer.rows)));
  }
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const pg_answer answer = co_await shards[i]->query("COMMIT", {}, timeout);
    if (failed(i, answer)) co_return merge;
  }
  co_return merge;
}

}  // namespace

std::optional<std::size_t> value_merge::wants() const {
  const auto empty =
      std::find_if(streams_.begin(), streams_.end(), [](const stream& s) { return s.values.empty() && !s.ended; });
  if (empty == streams_.end()) return std::nullopt;
  return static_cast<std::size_t>(empty - streams_.begin());
}

void value_merge::take(std::size_t shard, std::vector<std::string> portion) {
  stream& into = streams_[shard];
  into.ended = portion.empty();
  std::move(portion.begin(), portion.end(), std::back_inserter(into.values));
  while (!wants()) {
    const std::string* lowest = nullptr;
    for (const stream& s : streams_) {
      if (!s.values.empty() && (lowest == nullptr || s.values.front() < *lowest)) lowest = &s.values.front();
    }
    if (lowest == nullptr) return;
    const std::string value = *lowest;
    std::size_t on = 0;
    for (stream& s : streams_) {
      if (s.values.empty() || s.values.front() != value) continue;
      s.values.pop_front();
      ++on;
    }
    if (on < 2) continue;
    ++count_;
    if (doubled_.size() < most_) doubled_.push_back(value);
  }
}

asio::awaitable<doubled_report> find_doubled_values(std::vector<std::unique_ptr<pg_connection>>& shards,
                                                    std::string schema, std::string table, std::string column,
                                                    std::chrono::milliseconds timeout) {
  doubled_report report;
  const std::string from = router::quote_identifier(schema) + "." + router::quote_identifier(table);
  const std::string quoted = router::quote_identifier(column);
  const value_merge merge = co_await merge_values(shards, from, quoted, timeout, report);
  if (!report.error.empty() || merge.doubled().empty()) co_return report;
  // The shards were not read at the same moment: what is doubled still is.
  std::map<std::string, std::vector<std::size_t>> again;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    std::vector<std::string> parameters(1, array_literal(merge.doubled()));
    pg_answer answer = co_await shards[i]->query(
        fmt::format("SELECT {0}::text FROM {1} WHERE {0}::text = ANY ($1::text[])", quoted, from),
        std::move(parameters), timeout);
    report.failed = i;
    report.error = answer.error;
    if (!answer.ok()) co_return report;
    for (std::string& value : first_column(std::move(answer.rows))) again[std::move(value)].push_back(i);
  }
  report.more = merge.count() - merge.doubled().size();
  for (auto& [value, where] : again) {
    if (where.size() < 2) continue;
    if (report.found.size() < told) {
      report.found.push_back({value, std::move(where)});
    } else {
      ++report.more;
    }
  }
  co_return report;
}

}  // namespace pgbraid::proxy
