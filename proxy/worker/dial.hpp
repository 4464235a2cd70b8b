// Connecting a channel to a host and port, a Unix-socket directory included; a coroutine.
#pragma once

#include "proxy/worker/channel.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace pgbraid::proxy {

/// Resolves (off the worker's thread where a name needs it), connects, sets TCP_NODELAY. Throws system_error.
/// runs on: the worker whose io_context it is given.
boost::asio::awaitable<void> dial(boost::asio::io_context& context, channel& io, std::string host, std::uint16_t port);

/// The TLS handshake of a channel that has just been given its TLS. Throws system_error; after error::fault,
/// io.tls()->reason() says what TLS did not like.
boost::asio::awaitable<void> shake_hands(channel& io);

/// Reads what is there, at least one byte. Throws system_error, eof at the end.
boost::asio::awaitable<std::size_t> receive_some(channel& io, char* data, std::size_t size);

/// Sends all of `bytes`. Throws system_error.
boost::asio::awaitable<void> send_all(channel& io, std::string_view bytes);

/// The file of a PostgreSQL Unix socket in `directory`.
[[nodiscard]] std::string unix_socket_path(std::string_view directory, std::uint16_t port);

}  // namespace pgbraid::proxy
