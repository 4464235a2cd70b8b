#include "proxy/cluster/recovery.hpp"

#include "proxy/cluster/own_schema.hpp"

#include <utility>

namespace pgbraid::proxy {

namespace asio = boost::asio;

asio::awaitable<std::string> make_commit_record_table(pg_connection& connection, std::chrono::milliseconds timeout) {
  const pg_answer there =
      co_await connection.query("SELECT to_regclass('pgbraid.commit_gate') IS NOT NULL", {}, timeout);
  if (!there.ok()) co_return there.error;
  if (!there.rows.empty() && there.rows.front()[0] == "t") co_return std::string{};
  const pg_answer made = co_await connection.query(
      "BEGIN; " + std::string{lock_own_schema} +
          "CREATE SCHEMA IF NOT EXISTS pgbraid; CREATE TABLE IF NOT EXISTS pgbraid.commit_record (id uuid PRIMARY KEY, "
          "committed boolean NOT NULL, "
          "at timestamptz NOT NULL DEFAULT now()); "
          "CREATE TABLE IF NOT EXISTS pgbraid.commit_gate (empty boolean); "
          "GRANT USAGE ON SCHEMA pgbraid TO PUBLIC; GRANT INSERT ON pgbraid.commit_record TO PUBLIC; "
          "GRANT UPDATE ON pgbraid.commit_gate TO PUBLIC; COMMIT",
      {}, timeout);
  if (made.ok() || !connection.is_open()) co_return made.error;
  (void)co_await connection.query("ROLLBACK", {}, timeout);
  co_return made.error;
}

asio::awaitable<doubtful_listing> list_doubtful(pg_connection& connection, std::chrono::milliseconds timeout) {
  doubtful_listing out;
  const pg_answer answer = co_await connection.query(
      "SELECT gid, prepared < now() - interval '3 seconds', owner, "
      "to_char(prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') FROM pg_prepared_xacts "
      "WHERE database = current_database() AND starts_with(gid, 'pgbraid_') ORDER BY prepared, gid",
      {}, timeout);
  out.error = answer.error;
  for (const pg_row& row : answer.rows) {
    auto part = parse_prepared_id(row[0].value_or(""));
    if (!part) continue;
    out.any = true;
    if (row[1] != "t") continue;
    out.told.push_back({part->id, row[2].value_or(""), row[3].value_or("")});
    out.parts.push_back(std::move(*part));
  }
  co_return out;
}

asio::awaitable<std::optional<bool>> was_committed(pg_connection& connection, std::string record,
                                                   std::chrono::milliseconds timeout) {
  const std::vector<std::string> about(1, record);
  // One who asks and waits for the server's synchronous replicas stays there when the time-out here is over: one is
  // enough.
  pg_answer answer = co_await connection.query(
      "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'SyncRep' AND "
      "application_name = current_setting('application_name')",
      {}, timeout);
  if (!answer.ok() || !answer.rows.empty()) co_return std::nullopt;
  // Waits for a transaction that has written the record and not ended yet, but not for long.
  answer = co_await connection.query(
      "SET lock_timeout = '2s'; SET client_min_messages = warning; SELECT set_config('synchronous_commit', 'on', "
      "false) "
      "WHERE current_setting('synchronous_commit') <> ALL ('{on,remote_apply}')",
      {}, timeout);
  if (!answer.ok()) co_return std::nullopt;
  // What is visible may not have come to the replicas yet, and is lost with the server then: a record that is there is
  // written again, since only what writes waits for them.
  answer = co_await connection.query(
      "INSERT INTO pgbraid.commit_record AS known (id, committed) VALUES ($1::uuid, false) "
      "ON CONFLICT (id) DO UPDATE SET committed = known.committed RETURNING committed",
      about, timeout);
  if (!answer.ok() || answer.rows.size() != 1 || connection.is_unreplicated()) co_return std::nullopt;
  co_return answer.rows.front()[0] == "t";
}

asio::awaitable<std::string> finish_part(pg_connection& connection, std::string id, bool commit,
                                         std::chrono::milliseconds timeout) {
  const pg_answer answer =
      co_await connection.query((commit ? "COMMIT PREPARED '" : "ROLLBACK PREPARED '") + id + "'", {}, timeout);
  constexpr std::string_view undefined_object = "42704";
  co_return answer.sqlstate == undefined_object ? std::string{} : answer.error;
}

asio::awaitable<void> forget_old_records(pg_connection& connection, std::chrono::milliseconds timeout) {
  (void)co_await connection.query("DELETE FROM pgbraid.commit_record WHERE at < now() - interval '1 day'", {}, timeout);
}

}  // namespace pgbraid::proxy
