#include "proxy/cluster/waiting_table.hpp"

#include "proxy/cluster/pg_number.hpp"

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace pgbraid::proxy {

namespace asio = boost::asio;

namespace {

constexpr const char* is_there = "SELECT to_regclass('pgbraid.waiting') IS NOT NULL";

// Times are microseconds since 1970. What the connection of a lost instance has written does not count for long, even
// if the server has not noticed its loss. A new snapshot shows rows of connections that were there before them, so who
// is missing among the processes, which are read afterwards, has gone.
constexpr const char* exchange_sql = R"(
WITH live AS MATERIALIZED (SELECT pid, backend_start, query_start FROM pg_stat_activity),
teller AS MATERIALIZED (SELECT pid, backend_start FROM live
  WHERE pid <> pg_backend_pid() AND query_start > clock_timestamp() - interval '5 seconds'),
me AS MATERIALIZED (SELECT pid, backend_start FROM live WHERE pid = pg_backend_pid()),
ours AS MATERIALIZED (SELECT * FROM unnest($1::text[], $2::int8[], $3::int4[], $4::int8[]) AS o
  (transaction, began, pid, xact_start)),
kept AS MATERIALIZED (SELECT transaction, began, w.pid, xact_start FROM pgbraid.waiting w JOIN me ON (w.teller, w.teller_start) = (me.pid, me.backend_start)),
gone AS (DELETE FROM pgbraid.waiting w WHERE (teller, teller_start) NOT IN (SELECT pid, backend_start FROM teller)
  AND (transaction, began, pid, xact_start, teller, teller_start) NOT IN (SELECT ours.*, me.* FROM ours, me)),
fresh AS (INSERT INTO pgbraid.waiting (transaction, began, pid, xact_start, teller, teller_start)
  SELECT ours.*, me.* FROM ours, me
  WHERE (transaction, began, ours.pid, xact_start) NOT IN (SELECT * FROM kept))
SELECT transaction, began, w.pid, xact_start FROM pgbraid.waiting w
  JOIN teller ON (w.teller, w.teller_start) = (teller.pid, teller.backend_start))";

// Names and numbers need no quoting.
std::vector<std::string> arrays_of(const std::vector<blocked_transaction>& ours, router::shard_index shard) {
  std::vector<std::string> arrays(4, "{");
  const auto add = [&arrays](std::size_t which, const auto& value) {
    fmt::format_to(std::back_inserter(arrays[which]), "{}{}", arrays[which].size() > 1 ? "," : "", value);
  };
  for (const blocked_transaction& t : ours) {
    for (const auto& part : t.parts) {
      if (part.shard != shard) continue;
      add(0, t.name);
      add(1, t.began);
      add(2, part.pid);
      add(3, part.xact_start);
    }
  }
  for (std::string& array : arrays) array += '}';
  return arrays;
}

}  // namespace

asio::awaitable<std::string> make_waiting_table(pg_connection& connection, std::chrono::milliseconds timeout) {
  pg_answer there = co_await connection.query(is_there, {}, timeout);
  if (!there.ok()) co_return there.error;
  if (!there.rows.empty() && there.rows.front()[0] == "t") co_return std::string{};
  const pg_answer made = co_await connection.query(
      "CREATE UNLOGGED TABLE pgbraid.waiting (transaction text NOT NULL, began int8 NOT NULL, pid int4 NOT NULL, "
      "xact_start int8 NOT NULL, teller int4 NOT NULL, teller_start timestamptz NOT NULL)",
      {}, timeout);
  if (made.ok() || !connection.is_open()) co_return made.error;
  // Another instance may have made it at the same time.
  there = co_await connection.query(is_there, {}, timeout);
  const bool by_another = there.ok() && !there.rows.empty() && there.rows.front()[0] == "t";
  co_return by_another ? std::string{} : made.error;
}

asio::awaitable<waiting_listing> exchange_waiting(pg_connection& connection, router::shard_index shard,
                                                  const std::vector<blocked_transaction>& ours,
                                                  std::chrono::milliseconds timeout) {
  waiting_listing out;
  pg_answer answer = co_await connection.query(exchange_sql, arrays_of(ours, shard), timeout);
  out.error = std::move(answer.error);
  for (const pg_row& row : answer.rows) {
    out.others.push_back({row[0].value_or(""),
                          pg_number<std::int64_t>(row[1]),
                          {{shard, pg_number<std::int32_t>(row[2]), pg_number<std::int64_t>(row[3])}}});
  }
  co_return out;
}

}  // namespace pgbraid::proxy
