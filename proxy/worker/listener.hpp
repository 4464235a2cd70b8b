// Accepts clients and hands each to the worker that has the fewest.
#pragma once

#include "config/config.hpp"
#include "proxy/worker/shared_state.hpp"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>

#include <string>
#include <vector>

namespace pgbraid::proxy {

/// runs on: the main thread's io_context.
class listener {
 public:
  listener(boost::asio::io_context& context, shared_state& shared);
  ~listener();

  /// Binds every address; clients may connect and wait from here on. Returns what went wrong, "" if nothing did.
  [[nodiscard]] std::string open(const config::listen_options& options);
  /// Lets the clients in.
  void start();
  /// No new clients from here on.
  void close();

 private:
  using acceptor = boost::asio::basic_socket_acceptor<boost::asio::generic::stream_protocol, boost::asio::io_context::executor_type>;
  struct place {
    acceptor socket;
    bool tcp;
    std::string file;   ///< of a Unix socket, to be removed at the end
    std::string name;
  };

  void accept(place& at);

  boost::asio::io_context& context_;
  shared_state& shared_;
  std::vector<std::unique_ptr<place>> places_;
};

}  // namespace pgbraid::proxy
