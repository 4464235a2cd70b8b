// Reading from an encrypted socket: TLS is asked first, since it may hold bytes while the socket has none, then the
// socket is waited for.
#pragma once

#include "proxy/worker/stream_socket.hpp"
#include "proxy/worker/tls_stream.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace pgbraid::proxy {

[[nodiscard]] inline boost::asio::socket_base::wait_type wait_for(tls_want want) noexcept {
  return want == tls_want::read ? boost::asio::socket_base::wait_read : boost::asio::socket_base::wait_write;
}

/// Waits until TLS gives bytes; `handler(error_code, bytes)` is never called from within. Socket and stream outlive it.
template <typename Handler>
void wait_and_read_tls(stream_socket& socket, tls_stream& tls, char* data, std::size_t size, Handler handler) {
  auto ready = [&socket, &tls, data, size, handler = std::move(handler)](boost::system::error_code error) mutable {
    // A socket that has been closed meanwhile may have given its descriptor's number to somebody else.
    if (!error && !socket.is_open()) error = boost::asio::error::operation_aborted;
    if (error) return handler(error, std::size_t{0});
    const ssize_t got = tls.read(data, size);
    if (got == 0) return wait_and_read_tls(socket, tls, data, size, std::move(handler));
    if (got < 0) return handler(boost::asio::error::eof, std::size_t{0});
    handler(error, static_cast<std::size_t>(got));
  };
  socket.async_wait(wait_for(tls.want()), std::move(ready));
}

/// As wait_and_read_tls, with what is there already.
template <typename Handler>
void async_read_tls(stream_socket& socket, tls_stream& tls, char* data, std::size_t size, Handler&& handler) {
  const ssize_t got = tls.read(data, size);
  if (got == 0)
    return wait_and_read_tls<std::decay_t<Handler>>(socket, tls, data, size, std::forward<Handler>(handler));
  const boost::system::error_code error = got < 0 ? boost::asio::error::eof : boost::system::error_code{};
  boost::asio::post(socket.get_executor(),
                    [error, got, handler = std::decay_t<Handler>(std::forward<Handler>(handler))]() mutable {
                      handler(error, got < 0 ? std::size_t{0} : static_cast<std::size_t>(got));
                    });
}

}  // namespace pgbraid::proxy
