#include "proxy/apply/shard_sessions.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace pgbraid::proxy::apply {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::hours no_limit{24 * 365};

asio::awaitable<void> log_in(pg_connection& connection, pg_login login, std::chrono::milliseconds timeout,
                             std::string& trouble) {
  trouble = co_await connection.connect(std::move(login), timeout);
}

asio::awaitable<void> ask(pg_connection& connection, std::string sql, std::vector<std::string> parameters,
                          pg_answer& answer) {
  answer = co_await connection.query(std::move(sql), std::move(parameters), no_limit);
}

}  // namespace

std::vector<std::string> shard_sessions::connect(std::vector<pg_login> logins, std::chrono::milliseconds timeout) {
  std::vector<std::string> troubles(logins.size());
  for (std::size_t i = 0; i < logins.size(); ++i) {
    connections_.push_back(std::make_unique<pg_connection>(context_));
    asio::co_spawn(context_, log_in(*connections_.back(), std::move(logins[i]), timeout, troubles[i]), asio::detached);
  }
  finish();
  return troubles;
}

std::vector<pg_answer> shard_sessions::run(std::span<const shard_command> commands) {
  std::vector<pg_answer> answers(commands.size());
  for (std::size_t i = 0; i < commands.size(); ++i) {
    asio::co_spawn(context_, ask(*connections_[commands[i].shard], commands[i].sql, {}, answers[i]), asio::detached);
  }
  finish();
  return answers;
}

pg_answer shard_sessions::run(router::shard_index shard, std::string sql, std::vector<std::string> parameters) {
  pg_answer answer;
  asio::co_spawn(context_, ask(*connections_[shard], std::move(sql), std::move(parameters), answer), asio::detached);
  finish();
  return answer;
}

void shard_sessions::finish() {
  context_.run();
  context_.restart();
}

}  // namespace pgbraid::proxy::apply
