#include "proxy/session/replication.hpp"

#include "protocol/backend.hpp"
#include "proxy/worker/dial.hpp"
#include "proxy/worker/served_database.hpp"
#include "proxy/worker/worker.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <memory>

namespace pgbraid::proxy {

namespace asio = boost::asio;
namespace p = protocol;

namespace {

constexpr std::size_t buffer_size = 32 * 1024;

}  // namespace

replication_relay::replication_relay(session_ptr client, server_endpoint endpoint, dedicated_connection server)
    : client_{std::move(client)}, endpoint_{std::move(endpoint)}, server_{std::move(server)} {
  client_->relay_ = this;
}

replication_relay::~replication_relay() {
  client_->relay_ = nullptr;
}

std::string replication_relay::welcome() const {
  std::string bytes;
  for (const auto& [name, value] : server_.welcome.parameters) p::encode_parameter_status(bytes, name, value);
  p::encode_backend_key_data(bytes, {client_->owner().cancel_pid(client_->id()), client_->cancel_key()});
  p::encode_ready_for_query(bytes, p::transaction_status::idle);
  return bytes;
}

void replication_relay::end() {
  server_.io.close();
  client_->close();
}

asio::awaitable<void> replication_relay::copy(channel& from, channel& to) {
  const auto buffer = std::make_unique_for_overwrite<char[]>(buffer_size);
  try {
    while (true) {
      const std::size_t bytes = co_await receive_some(from, buffer.get(), buffer_size);
      co_await send_all(to, {buffer.get(), bytes});
    }
  } catch (const boost::system::system_error&) {
    end();
  }
}

asio::awaitable<void> replication_relay::run(std::string unread) {
  using namespace asio::experimental::awaitable_operators;
  try {
    co_await send_all(server_.io, unread);
  } catch (const boost::system::system_error&) {
    end();
    co_return;
  }
  co_await (copy(client_->io_, server_.io) && copy(server_.io, client_->io_));
}

asio::awaitable<replication_result> open_replication(session_ptr client, served_database& database, std::string user,
                                                     p::parameter_list startup) {
  if (database.state().shards.size() != 1) {
    co_return p::make_error(p::error_id::replication_over_shards, database.state().name);
  }
  p::error_report refusal;
  const chosen_server chosen = database.choose(0, false, {}, user, refusal);
  if (chosen.pool == nullptr) co_return refusal;
  const server_endpoint endpoint = chosen.pool->endpoint();
  std::erase_if(startup, [](const auto& parameter) {
    return parameter.first == "user" || parameter.first == "database" || p::is_protocol_option(parameter.first);
  });
  dedicated_connection server = co_await open_dedicated(client->owner(), endpoint, std::move(startup));
  if (server.failure && server.server_error.empty()) co_return *server.failure;
  if (server.failure) co_return server.server_error;
  co_return std::make_shared<replication_relay>(std::move(client), endpoint, std::move(server));
}

void replication_relay::cancel() {
  if (server_.welcome.key.pid == 0) return;
  worker& owner = client_->owner();
  asio::co_spawn(
      owner.context(),
      owner.send_cancel(endpoint_, server_.io.tls() != nullptr, server_.welcome.key.pid, server_.welcome.key.key),
      asio::detached);
}

}  // namespace pgbraid::proxy
