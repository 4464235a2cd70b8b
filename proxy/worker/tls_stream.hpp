// TLS on one connection, beneath a channel: OpenSSL on a non-blocking descriptor, without a buffer of its own.
// Source: the manual pages SSL_read(3), SSL_write(3) and SSL_CTX_set_mode(3) of OpenSSL 3.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct ssl_st;

namespace pgbraid::proxy {

struct free_ssl {
  void operator()(ssl_st* ssl) const noexcept;
};
using ssl_ptr = std::unique_ptr<ssl_st, free_ssl>;

/// What TLS waits for before it can go on.
enum class tls_want : std::uint8_t { read, write };

/// runs on: one thread at a time; may be moved to another together with its descriptor, which its channel owns.
class tls_stream {
 public:
  /// `early`: what was read from the descriptor before TLS was known to begin; taken before anything else.
  tls_stream(ssl_ptr ssl, int descriptor, std::string early);
  ~tls_stream();
  tls_stream(const tls_stream&) = delete;
  tls_stream& operator=(const tls_stream&) = delete;

  enum class handshake_step : std::uint8_t { done, want_read, want_write, failed };
  [[nodiscard]] handshake_step handshake();
  /// After `failed`, or a read that gave -1: why, in words for a log or an error; "" for an orderly end.
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

  /// Bytes read, 0 if there are none now, -1 at the end or if the connection is broken. After 0, `want()` says what to
  /// wait for: the answer to a change of keys may have to be written first.
  [[nodiscard]] ssize_t read(char* data, std::size_t size);
  /// Bytes sent, 0 if the kernel takes none now, -1 if the connection is broken. What was not sent must be offered
  /// again from its beginning, with at least as many bytes.
  [[nodiscard]] ssize_t write(const iovec* parts, std::size_t count);
  [[nodiscard]] tls_want want() const noexcept { return want_; }
  /// Bytes have been taken from the socket that read() has not given out.
  [[nodiscard]] bool holds_bytes() const noexcept;
  /// Tells the peer that nothing follows, if that can be sent at once.
  void say_goodbye() noexcept;

  /// The application protocol that was agreed upon (ALPN), "" for none.
  [[nodiscard]] std::string_view application_protocol() const noexcept;
  /// "TLSv1.3".
  [[nodiscard]] std::string_view version() const noexcept;
  /// The peer presented a certificate; it is one that was believed.
  [[nodiscard]] bool has_peer_certificate() const noexcept;
  /// The common name in it, "" if there is none or it is not one text.
  [[nodiscard]] std::string peer_common_name() const;
  /// The channel binding tls-server-end-point (RFC 5929): the digest of the server's certificate, ours or the peer's.
  /// Empty if it has none (Ed25519).
  [[nodiscard]] std::string server_end_point() const;

 private:
  struct transport;
  [[nodiscard]] ssize_t write_one(const char* data, std::size_t size);
  [[nodiscard]] std::string describe_failure(int result) const;

  std::unique_ptr<transport> transport_;
  ssl_ptr ssl_;
  std::string reason_;
  tls_want want_ = tls_want::read;
  bool standing_ = false;  ///< the handshake is done and nothing has failed since
};

}  // namespace pgbraid::proxy
