// One byte stream: the thin layer between pgbraid and the sockets of Asio, so that another way of doing I/O is a change here.
// Reads are asynchronous; sends are tried at once, and only what the kernel does not take waits for writability.
#pragma once

#include "proxy/worker/socket_calls.hpp"
#include "proxy/worker/tls_channel.hpp"

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

namespace pgbraid::proxy {

/// runs on: the worker whose io_context it was made with.
class channel {
 public:
  explicit channel(boost::asio::io_context& context) : socket_{context.get_executor()} {}
  explicit channel(stream_socket socket) : socket_{std::move(socket)} {}

  [[nodiscard]] stream_socket& socket() noexcept { return socket_; }
  [[nodiscard]] bool is_open() const noexcept { return socket_.is_open(); }
  /// Null on a connection that is not encrypted.
  [[nodiscard]] tls_stream* tls() const noexcept { return tls_.get(); }
  /// All that follows goes through `tls`, the handshake first, which is the caller's to lead.
  void encrypt(std::unique_ptr<tls_stream> tls) noexcept { tls_ = std::move(tls); }
  /// The TLS of a socket that is about to be released.
  [[nodiscard]] std::unique_ptr<tls_stream> release_tls() noexcept { return std::move(tls_); }

  /// handler(error_code, bytes)
  template <typename Handler>
  void async_read(char* data, std::size_t size, Handler&& handler) {
    if (tls_) return async_read_tls(socket_, *tls_, data, size, std::forward<Handler>(handler));
    socket_.async_read_some(boost::asio::buffer(data, size), std::forward<Handler>(handler));
  }
  /// handler(error_code)
  template <typename Handler>
  void async_wait_writable(Handler&& handler) {
    socket_.async_wait(boost::asio::socket_base::wait_write, std::forward<Handler>(handler));
  }

  /// Sends what the kernel takes now. Bytes sent, 0 if it takes none now, -1 if the connection is broken.
  [[nodiscard]] ssize_t send(const iovec* parts, std::size_t count) noexcept {
    if (tls_) return tls_->write(parts, count);
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts);
    message.msg_iovlen = count;
    while (true) {
      const ssize_t sent = count == 1 ? send_now(socket_.native_handle(), parts->iov_base, parts->iov_len)
                                      : ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent >= 0) return sent;
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
    }
  }
  [[nodiscard]] ssize_t send(std::string_view bytes) noexcept {
    const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    return send(&part, 1);
  }

  /// Reads what is there now. Bytes read, 0 if nothing is there now, -1 at the end or if the connection is broken.
  [[nodiscard]] ssize_t receive(char* data, std::size_t size) noexcept {
    if (tls_) return tls_->read(data, size);
    while (true) {
      const ssize_t got = receive_now(socket_.native_handle(), data, size);
      if (got > 0) return got;
      if (got < 0 && errno == EINTR) continue;
      return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : -1;
    }
  }

  /// The other side has closed, or broken the connection, and there is nothing left to read. Not for an encrypted channel.
  [[nodiscard]] bool at_end() noexcept {
    char byte;
    const ssize_t got = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
  }

  void close() noexcept {
    if (tls_ && socket_.is_open()) tls_->say_goodbye();
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

 private:
  stream_socket socket_;
  std::unique_ptr<tls_stream> tls_;
};

}  // namespace pgbraid::proxy
