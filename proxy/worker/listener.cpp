#include "proxy/worker/listener.hpp"

#include "proxy/worker/dial.hpp"
#include "proxy/worker/worker.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace pgbraid::proxy {

namespace asio = boost::asio;

listener::listener(asio::io_context& context, shared_state& shared) : context_{context}, shared_{shared} {}

listener::~listener() { close(); }

std::string listener::open(const config::listen_options& options) {
  for (const std::string& host : options.hosts) {
    const bool tcp = !host.starts_with('/');
    auto at = std::make_unique<place>(place{acceptor{context_.get_executor()}, tcp, {}, {}});
    boost::system::error_code error;
    asio::generic::stream_protocol::endpoint endpoint;
    if (tcp) {
      const std::string address_text = host == "*" ? "0.0.0.0" : host == "localhost" ? "127.0.0.1" : host;
      const auto address = asio::ip::make_address(address_text, error);
      if (error) return fmt::format("listen.host \"{}\" is not an address", host);
      endpoint = asio::ip::tcp::endpoint{address, options.port};
      at->name = fmt::format("{}:{}", host, options.port);
    } else {
      at->file = unix_socket_path(host, options.port);
      at->name = at->file;
      // A socket file that nobody listens on is left from a process that did not end well.
      channel probe{context_};
      const asio::generic::stream_protocol::endpoint file = asio::local::stream_protocol::endpoint{at->file};
      probe.socket().open(file.protocol(), error);
      probe.socket().connect(file, error);
      if (!error) return fmt::format("{} is in use by another process", at->file);
      ::unlink(at->file.c_str());
      endpoint = file;
    }
    at->socket.open(endpoint.protocol(), error);
    if (!error && tcp) at->socket.set_option(asio::socket_base::reuse_address{true}, error);
    if (!error) at->socket.bind(endpoint, error);
    if (!error) at->socket.listen(static_cast<int>(options.backlog), error);
    if (!error) at->socket.non_blocking(true, error);
    if (error) {
      at->file.clear();
      return error == asio::error::address_in_use ? fmt::format("{} is in use by another process", at->name)
                                                  : fmt::format("cannot listen on {}: {}", at->name, error.message());
    }
    spdlog::info("listening on {}", at->name);
    places_.push_back(std::move(at));
  }
  return {};
}

void listener::start() {
  for (const auto& at : places_) accept(*at);
}

void listener::accept(place& at) {
  at.socket.async_wait(asio::socket_base::wait_read, [this, &at](const boost::system::error_code& error) {
    if (error) return;
    while (true) {
      const int descriptor = ::accept4(at.socket.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (descriptor >= 0) {
        const auto least = std::min_element(shared_.workers.begin(), shared_.workers.end(), [](const worker* a, const worker* b) { return a->load() < b->load(); });
        (*least)->add_client(descriptor, at.tcp);
        continue;
      }
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      // Out of descriptors: clients wait in the kernel's queue until some are free again.
      spdlog::error("cannot accept a client on {}: {}", at.name, std::system_category().message(errno));
      auto pause = std::make_shared<asio::steady_timer>(context_, std::chrono::milliseconds{200});
      pause->async_wait([this, &at, pause](const boost::system::error_code& stopped) {
        if (!stopped && at.socket.is_open()) accept(at);
      });
      return;
    }
    accept(at);
  });
}

void listener::close() {
  for (const auto& at : places_) {
    boost::system::error_code ignored;
    at->socket.close(ignored);
    if (!at->file.empty()) ::unlink(at->file.c_str());
    at->file.clear();
  }
}

}  // namespace pgbraid::proxy
