// The socket of a connection: Asio's, and a way to hand its reactor an operation of our own.
#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/detail/reactor.hpp>
#include <boost/asio/detail/reactor_op.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>

namespace pgbraid::proxy {

using io_executor = boost::asio::io_context::executor_type;

/// runs on: the worker whose io_context it was made with.
class stream_socket : public boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol, io_executor> {
 public:
  using basic_stream_socket::basic_stream_socket;

  /// Starts `operation` as a read: it is performed when there is something to read, at once if the last read left
  /// something behind. It must live until it is complete.
  void start_read(boost::asio::detail::reactor_op& operation) {
    auto& state = impl_.get_implementation();
    reactor_->start_op(boost::asio::detail::reactor::read_op, state.socket_, state.reactor_data_, &operation, false,
                       true);
  }

 private:
  boost::asio::detail::reactor* reactor_ =
      &boost::asio::use_service<boost::asio::detail::reactor>(get_executor().context());
};

}  // namespace pgbraid::proxy
