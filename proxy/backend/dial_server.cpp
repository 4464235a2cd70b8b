#include "proxy/backend/dial_server.hpp"

#include "protocol/startup.hpp"
#include "proxy/worker/dial.hpp"

namespace pgbraid::proxy {

namespace asio = boost::asio;

namespace {

/// The context of these settings. One that the topology in force no longer has is made for the moment.
tls_context_ptr context_of(worker& owner, const config::server_tls& settings) {
  const auto known = owner.shared().tls();
  if (const auto found = known->servers.find(settings); found != known->servers.end()) return found->second;
  std::string error;
  auto made = tls_context::for_servers(settings, error);
  if (!made) throw tls_failure{error};
  return made;
}

}  // namespace

std::vector<encryption> attempts_at(const server_endpoint& endpoint) {
  using enum encryption;
  if (endpoint.host.starts_with('/')) return {none};
  switch (endpoint.tls.mode) {
    case config::server_tls_mode::disable:
      return {none};
    case config::server_tls_mode::allow:
      return {none, needed};
    case config::server_tls_mode::prefer:
      return {if_offered, none};
    default:
      return {needed};
  }
}

asio::awaitable<void> dial_server(worker& owner, channel& io, server_endpoint endpoint, encryption how) {
  co_await dial(owner.context(), io, endpoint.host, endpoint.port);
  if (how == encryption::none) co_return;
  std::string request;
  protocol::encode_ssl_request(request);
  co_await send_all(io, request);
  // One byte and no more: what somebody in between puts behind it must meet TLS, not our reading.
  char answer = 0;
  (void)co_await receive_some(io, &answer, 1);
  if (answer == 'N' && how == encryption::if_offered) co_return;
  if (answer != 'S') throw tls_failure{"the server offers no TLS"};
  io.encrypt(context_of(owner, endpoint.tls)->connect(io.socket().native_handle(), endpoint.host));
  try {
    co_await shake_hands(io);
  } catch (const boost::system::system_error& error) {
    if (error.code() != asio::error::fault) throw;
    throw tls_failure{"TLS with the server failed: " + io.tls()->reason()};
  }
}

}  // namespace pgbraid::proxy
