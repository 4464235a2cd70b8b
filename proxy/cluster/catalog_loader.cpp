#include "proxy/cluster/catalog_loader.hpp"

#include "proxy/cluster/catalog_questions.hpp"
#include "proxy/cluster/catalog_sql.hpp"

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <vector>

namespace pgbraid::proxy {

namespace asio = boost::asio;

asio::awaitable<catalog_reading> read_catalog(pg_connection& connection, const router::topology& map,
                                              std::string known_token, std::chrono::milliseconds timeout) {
  catalog_reading reading;
  const char* const patience = known_token.empty() ? "" : "SET LOCAL lock_timeout = '300ms'; ";
  pg_answer answer = co_await connection.query(
      fmt::format("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {}{}", patience, reading_settings), {}, timeout);
  if (answer.ok()) answer = co_await connection.query(catalog_sql::token, {}, timeout);
  if (answer.ok() && !answer.rows.empty()) reading.token = answer.rows.front()[0].value_or("");
  if (answer.ok() && (reading.token.empty() || reading.token != known_token)) {
    catalog_answers answers;
    std::optional<std::vector<std::string>> tables;
    for (const catalog_question& q : catalog_questions()) {
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
  constexpr std::string_view lock_not_available = "55P03";
  reading.locked_out = answer.sqlstate == lock_not_available;
  if (connection.is_open()) {
    const pg_answer ended = co_await connection.query("COMMIT", {}, timeout);
    if (!ended.ok()) connection.close();
  }
  co_return reading;
}

}  // namespace pgbraid::proxy
