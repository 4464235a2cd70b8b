#include "proxy/session/find_password.hpp"

#include "proxy/worker/served_database.hpp"
#include "proxy/worker/worker.hpp"

#include <netinet/in.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <cstring>

namespace pgbraid::proxy {

namespace asio = boost::asio;
namespace p = protocol;

namespace {

/// An answer on its way from the control plane's thread.
struct pending_answer {
  explicit pending_answer(asio::io_context& context) : arrived{context, asio::steady_timer::time_point::max()} {}
  asio::steady_timer arrived;
  std::optional<password_answer> answer;
};

/// The servers of the first shard, which hold the roles: its primary first, then those that are usable.
std::vector<pg_login> servers_to_ask(const database_state& state, const config::monitor_options& monitor) {
  std::vector<pg_login> logins;
  if (state.shards.empty() || !state.config || state.config->shards.empty()) return logins;
  const shard_state& known = state.shards.front();
  const auto add = [&](std::size_t i) {
    const config::server& s = state.config->shards.front().servers[i];
    logins.push_back({s.host, s.port, s.dbname.empty() ? state.name : s.dbname, monitor.user, monitor.password, s.tls});
  };
  const std::size_t count = std::min(known.servers.size(), state.config->shards.front().servers.size());
  if (known.primary >= 0 && static_cast<std::size_t>(known.primary) < count)
    add(static_cast<std::size_t>(known.primary));
  for (std::size_t i = 0; i < count; ++i) {
    if (static_cast<int>(i) != known.primary && known.servers[i].usable) add(i);
  }
  return logins;
}

}  // namespace

asio::awaitable<std::optional<p::stored_password>> look_up_password(worker& owner, served_database& database,
                                                                    std::string user) {
  const std::string name = database.state().name;
  looked_up_passwords& kept = owner.shared().looked_up;
  if (auto found = kept.find(name, user, std::chrono::steady_clock::now())) co_return found;
  const auto pending = std::make_shared<pending_answer>(owner.context());
  password_question question;
  question.servers = servers_to_ask(database.state(), owner.options().monitor);
  question.query = owner.options().auth_query;
  question.user = user;
  question.timeout = owner.options().monitor.timeout;
  question.answered = [pending, &owner](const password_answer& answer) {
    asio::post(owner.context(), [pending, answer] {
      pending->answer = answer;
      pending->arrived.cancel();
    });
  };
  owner.shared().control_plane->look_up_password(name, std::move(question));
  boost::system::error_code ignored;
  while (!pending->answer) co_await pending->arrived.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  if (!pending->answer->error.empty()) {
    spdlog::warn("auth.query for user \"{}\" of database {} failed: {}", user, name, pending->answer->error);
    co_return std::nullopt;
  }
  if (!pending->answer->secret) co_return p::stored_password{};
  // A secret in plain text costs a PBKDF2.
  co_await asio::post(asio::bind_executor(owner.shared().slow_work.get_executor(), asio::use_awaitable));
  p::stored_password stored = p::make_stored_password(*pending->answer->secret);
  co_await asio::post(owner.context().get_executor(), asio::use_awaitable);
  kept.store(name, user, stored, std::chrono::steady_clock::now() + owner.options().auth_query_keep);
  co_return stored;
}

config::client_address address_of_client(const stream_socket& socket) {
  using family = config::client_address::family;
  config::client_address out;
  boost::system::error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return out;
  if (endpoint.protocol().family() == AF_INET) {
    sockaddr_in four{};
    std::memcpy(&four, endpoint.data(), std::min(sizeof four, endpoint.size()));
    out.kind = family::ipv4;
    std::memcpy(out.bytes.data(), &four.sin_addr, sizeof four.sin_addr);
  } else if (endpoint.protocol().family() == AF_INET6) {
    sockaddr_in6 six{};
    std::memcpy(&six, endpoint.data(), std::min(sizeof six, endpoint.size()));
    // An IPv4 address that came through an IPv6 socket is an IPv4 address.
    const bool mapped = IN6_IS_ADDR_V4MAPPED(&six.sin6_addr);
    out.kind = mapped ? family::ipv4 : family::ipv6;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&six.sin6_addr);
    std::copy(bytes + (mapped ? 12 : 0), bytes + 16, out.bytes.begin());
  }
  return out;
}

}  // namespace pgbraid::proxy
