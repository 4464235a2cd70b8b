#include "proxy/cluster/password_lookup.hpp"

#include "proxy/cluster/spawn.hpp"

#include <fmt/format.h>

#include <utility>

namespace pgbraid::proxy {

namespace asio = boost::asio;

password_answer read_password_answer(const pg_answer& said, const std::string& user) {
  if (!said.ok()) return {{}, said.error};
  if (said.rows.empty()) return {};
  if (said.rows.size() > 1) return {{}, "it gives more than one row"};
  const pg_row& row = said.rows.front();
  if (row.size() != 2) return {{}, fmt::format("it gives {} columns instead of a name and a secret", row.size())};
  // A query that forgets its parameter would let everybody in as whoever comes first.
  if (row[0] != user) return {{}, fmt::format("it gives \"{}\" for user \"{}\"", row[0].value_or(""), user)};
  return {row[1], {}};
}

void password_lookup::ask(const std::string& database, password_question question) {
  std::shared_ptr<asker>& known = askers_[database];
  if (!known) known = std::make_shared<asker>(context_);
  known->waiting.push_back(std::move(question));
  if (known->running) return;
  known->running = true;
  spawn(context_, serve(known));
}

void password_lookup::stop() {
  for (const auto& [database, asker] : askers_) {
    asker->stopped = true;
    asker->waiting.clear();
    asker->connection.interrupt();
  }
}

asio::awaitable<void> password_lookup::serve(std::shared_ptr<asker> self) {
  while (!self->waiting.empty()) {
    const password_question question = std::move(self->waiting.front());
    self->waiting.pop_front();
    const password_answer answer = co_await ask_one(*self, question);
    if (self->stopped) break;
    question.answered(answer);
    const auto same = [&](const password_question& other) {
      const bool alike = other.user == question.user && other.query == question.query;
      if (alike) other.answered(answer);
      return alike;
    };
    std::erase_if(self->waiting, same);
  }
  self->connection.close();
  self->running = false;
}

asio::awaitable<password_answer> password_lookup::ask_one(asker& self, const password_question& question) {
  std::string error = "no server is known to be usable";
  for (std::size_t i = 0; !self.connection.is_open() && i < question.servers.size(); ++i) {
    error = co_await self.connection.connect(question.servers[i], question.timeout);
    if (self.stopped) co_return password_answer{{}, "stopped"};
  }
  if (!self.connection.is_open()) co_return password_answer{{}, error};
  std::vector<std::string> parameters;
  parameters.push_back(question.user);
  const pg_answer said = co_await self.connection.query(question.query, std::move(parameters), question.timeout);
  co_return read_password_answer(said, question.user);
}

}  // namespace pgbraid::proxy
