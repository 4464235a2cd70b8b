#include "proxy/worker/dial.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

namespace pgbraid::proxy {

namespace asio = boost::asio;

std::string unix_socket_path(std::string_view directory, std::uint16_t port) { return fmt::format("{}/.s.PGSQL.{}", directory, port); }

asio::awaitable<void> dial(asio::io_context& context, channel& io, std::string host, std::uint16_t port) {
  if (host.starts_with('/')) {
    const asio::generic::stream_protocol::endpoint endpoint = asio::local::stream_protocol::endpoint{unix_socket_path(host, port)};
    co_await io.socket().async_connect(endpoint, asio::use_awaitable);
    co_return;
  }
  std::vector<asio::ip::tcp::endpoint> candidates;
  boost::system::error_code error;
  if (const auto address = asio::ip::make_address(host, error); !error) {
    candidates.emplace_back(address, port);
  } else {
    asio::ip::basic_resolver<asio::ip::tcp, io_executor> resolver{context.get_executor()};
    const auto found = co_await resolver.async_resolve(host, std::to_string(port), asio::use_awaitable);
    for (const auto& entry : found) candidates.push_back(entry.endpoint());
  }
  boost::system::error_code last = asio::error::host_not_found;
  for (const auto& candidate : candidates) {
    try {
      const asio::generic::stream_protocol::endpoint endpoint = candidate;
      co_await io.socket().async_connect(endpoint, asio::use_awaitable);
      last = {};
      break;
    } catch (const boost::system::system_error& failed) {
      last = failed.code();
      if (last == asio::error::operation_aborted) break;
      io.close();
    }
  }
  if (last) throw boost::system::system_error{last};
  io.socket().set_option(asio::ip::tcp::no_delay{true});
  io.socket().set_option(asio::socket_base::keep_alive{true});
}

asio::awaitable<void> shake_hands(channel& io) {
  using step = tls_stream::handshake_step;
  while (true) {
    const step now = io.tls()->handshake();
    if (now == step::done) co_return;
    if (now == step::failed) throw boost::system::system_error{asio::error::fault};
    const auto what = now == step::want_read ? asio::socket_base::wait_read : asio::socket_base::wait_write;
    co_await io.socket().async_wait(what, asio::use_awaitable);
    if (!io.is_open()) throw boost::system::system_error{asio::error::operation_aborted};
  }
}

asio::awaitable<std::size_t> receive_some(channel& io, char* data, std::size_t size) {
  while (true) {
    const ssize_t got = io.receive(data, size);
    if (got > 0) co_return static_cast<std::size_t>(got);
    if (got < 0) throw boost::system::system_error{asio::error::eof};
    co_await io.socket().async_wait(io.tls() == nullptr ? asio::socket_base::wait_read : wait_for(io.tls()->want()),
                                    asio::use_awaitable);
    if (!io.is_open()) throw boost::system::system_error{asio::error::operation_aborted};
  }
}

asio::awaitable<void> send_all(channel& io, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = io.send(bytes);
    if (sent < 0) throw boost::system::system_error{asio::error::broken_pipe};
    bytes.remove_prefix(static_cast<std::size_t>(sent));
    if (bytes.empty()) break;
    co_await io.socket().async_wait(asio::socket_base::wait_write, asio::use_awaitable);
    if (!io.is_open()) throw boost::system::system_error{asio::error::operation_aborted};
  }
}

}  // namespace pgbraid::proxy
