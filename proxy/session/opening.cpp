#include "proxy/session/opening.hpp"

#include "proxy/worker/dial.hpp"
#include "proxy/worker/worker.hpp"

#include <spdlog/spdlog.h>

#include <utility>
#include <variant>

namespace pgbraid::proxy {

namespace asio = boost::asio;
namespace p = protocol;
using protocol::error_id;

namespace {

/// How TLS begins: the type of a handshake's record. A startup packet begins with the zero of its length.
constexpr char tls_handshake = 0x16;

bool over_tcp(channel& io) {
  boost::system::error_code error;
  return io.socket().local_endpoint(error).protocol().family() != AF_UNIX;
}

asio::awaitable<void> more(channel& io, std::string& unread) {
  char buffer[4096];
  const std::size_t bytes = co_await receive_some(io, buffer, sizeof buffer);
  unread.append(buffer, bytes);
}

/// TLS from here on. `early`: its first bytes, if they have been read.
asio::awaitable<void> encrypt(worker& owner, channel& io, const tls_context& context, std::string early) {
  io.encrypt(context.accept(io.socket().native_handle(), std::move(early)));
  try {
    co_await shake_hands(io);
  } catch (const boost::system::system_error&) {
    if (owner.options().log.connections) spdlog::info("client refused: TLS handshake failed: {}", io.tls()->reason());
    throw;
  }
}

}  // namespace

asio::awaitable<std::optional<p::startup_message>> open_connection(worker& owner, channel& io, std::string& unread) {
  const auto tls = over_tcp(io) ? owner.shared().tls()->clients : nullptr;
  p::startup_message startup;
  // Each kind of encryption may be asked for once, as the server has it.
  for (int requests = 0;; ++requests) {
    if (unread.empty()) co_await more(io, unread);
    if (tls && requests == 0 && unread.front() == tls_handshake) {
      co_await encrypt(owner, io, *tls, std::exchange(unread, std::string{}));
      if (io.tls()->application_protocol().empty()) {
        throw refused{p::make_error(error_id::protocol_violation,
                                    "TLS was begun without asking for it and without ALPN \"postgresql\"")};
      }
      continue;
    }
    p::startup_packet packet;
    p::startup_result result;
    while ((result = p::decode_startup(unread, packet)).status == p::frame_status::incomplete) co_await more(io, unread);
    if (result.status != p::frame_status::complete) throw refused{p::make_error(error_id::protocol_violation, result.reason)};
    unread.erase(0, result.length);
    if (const auto* cancel = std::get_if<p::cancel_request>(&packet)) {
      owner.forward_cancel(cancel->pid, cancel->key);
      co_return std::nullopt;
    }
    if (auto* message = std::get_if<p::startup_message>(&packet)) {
      startup = std::move(*message);
      break;
    }
    if (requests >= 2) throw refused{p::make_error(error_id::protocol_violation, "too many encryption requests")};
    const bool begin_tls = tls && io.tls() == nullptr && std::holds_alternative<p::ssl_request>(packet);
    // What came along was not encrypted: taken for what TLS brings, it would let somebody in between speak for the client.
    if (begin_tls && !unread.empty()) {
      throw refused{p::make_error(error_id::protocol_violation, "received unencrypted data after SSL request")};
    }
    const std::string answer = begin_tls ? "S" : "N";
    co_await send_all(io, answer);
    if (begin_tls) co_await encrypt(owner, io, *tls, std::string{});
  }
  if (tls && io.tls() == nullptr && owner.options().listen.tls.mode == config::client_tls_mode::require) {
    throw refused{p::make_error(error_id::tls_required)};
  }
  if (startup.major != p::protocol_major) {
    throw refused{p::make_error(error_id::unsupported_protocol, startup.major, startup.minor)};
  }
  if (p::needs_negotiation(startup)) {
    std::string bytes;
    p::encode_negotiate_protocol_version(bytes, startup);
    co_await send_all(io, bytes);
  }
  co_return startup;
}

}  // namespace pgbraid::proxy
