// Connecting to a server, with TLS as its settings ask. Source: the manual's chapters "SSL Session Encryption" of the
// protocol and "SSL Support" of libpq, whose modes are taken.
#pragma once

#include "proxy/backend/pool.hpp"
#include "proxy/worker/channel.hpp"
#include "proxy/worker/worker.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace pgbraid::proxy {

/// How one attempt at a connection is encrypted.
enum class encryption : std::uint8_t { none, if_offered, needed };

/// The attempts that the endpoint's mode allows, in order; a later one only if the server, or its TLS, refused the one
/// before.
[[nodiscard]] std::vector<encryption> attempts_at(const server_endpoint& endpoint);

/// What is wrong with a server's TLS: none is offered, the handshake failed, its certificate is not believed.
class tls_failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Connects `io`, which is not open. Throws system_error, or tls_failure.
/// runs on: the owner's thread.
boost::asio::awaitable<void> dial_server(worker& owner, channel& io, server_endpoint endpoint, encryption how);

}  // namespace pgbraid::proxy
