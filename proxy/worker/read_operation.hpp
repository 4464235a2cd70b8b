// The read of a connection, an operation of Asio's reactor of our own. Asio's would ask the kernel once more, after
// each message, for bytes that are not there, and takes memory for each read. A read that gives less than there was
// room for has emptied the socket, and epoll tells of what comes next. Source: epoll(7), "Do I need to continuously
// read/write a file descriptor".
#pragma once

#include "proxy/worker/socket_calls.hpp"
#include "proxy/worker/stream_socket.hpp"

#include <boost/asio/error.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <cerrno>
#include <cstddef>
#include <utility>

namespace pgbraid::proxy {

/// Reads for an `Owner` that has on_read(error_code, bytes); it is kept until the read is over. One at a time. An end
/// of the connection that arrives together with the last bytes is not told: the owner must look for it
/// (channel::at_end()). runs on: the socket's worker.
template <typename Owner>
class read_operation final : public boost::asio::detail::reactor_op {
 public:
  read_operation() : reactor_op{boost::system::error_code{}, &receive, &complete} {}

  void start(Owner& owner, stream_socket& socket, char* data, std::size_t size) {
    owner_ = &owner;
    descriptor_ = socket.native_handle();
    data_ = data;
    size_ = size;
    ec_.clear();
    bytes_transferred_ = 0;
    socket.start_read(*this);
  }

 private:
  static status receive(reactor_op* base) {
    auto& self = *static_cast<read_operation*>(base);
    while (true) {
      const ssize_t got = receive_now(self.descriptor_, self.data_, self.size_);
      if (got > 0) {
        self.bytes_transferred_ = static_cast<std::size_t>(got);
        return self.bytes_transferred_ < self.size_ ? done_and_exhausted : done;
      }
      if (got == 0) {
        self.ec_ = boost::asio::error::eof;
        return done;
      }
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return not_done;
      self.ec_.assign(errno, boost::system::system_category());
      return done;
    }
  }

  // `scheduler`: null when the io_context goes with the operation still in it.
  static void complete(void* scheduler, boost::asio::detail::scheduler_operation* base,
                       const boost::system::error_code&, std::size_t) {
    auto& self = *static_cast<read_operation*>(base);
    // From here on it may be started anew, or be gone with its owner.
    const boost::intrusive_ptr<Owner> owner = std::move(self.owner_);
    const boost::system::error_code error = self.ec_;
    const std::size_t bytes = self.bytes_transferred_;
    if (scheduler != nullptr) owner->on_read(error, bytes);
  }

  boost::intrusive_ptr<Owner> owner_;
  int descriptor_ = -1;
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace pgbraid::proxy
