#include "proxy/worker/dial.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

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

asio::awaitable<void> send_all(channel& io, std::string_view bytes) {
  co_await asio::async_write(io.socket(), asio::buffer(bytes.data(), bytes.size()), asio::use_awaitable);
}

}  // namespace pgbraid::proxy
