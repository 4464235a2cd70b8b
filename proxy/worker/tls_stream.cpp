#include "proxy/worker/tls_stream.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace pgbraid::proxy {

void free_ssl::operator()(ssl_st* ssl) const noexcept {
  SSL_free(ssl);
}

/// Where OpenSSL reads and writes: its own socket BIO would raise SIGPIPE and knows nothing of bytes read before.
struct tls_stream::transport {
  int descriptor;
  std::string early;
  std::size_t early_taken = 0;
  bool ended = false;

  static int read(BIO* bio, char* data, int size) {
    auto& self = *static_cast<transport*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (self.early_taken < self.early.size()) {
      const std::size_t count = std::min(static_cast<std::size_t>(size), self.early.size() - self.early_taken);
      std::memcpy(data, self.early.data() + self.early_taken, count);
      self.early_taken += count;
      if (self.early_taken == self.early.size()) std::string{}.swap(self.early), self.early_taken = 0;
      return static_cast<int>(count);
    }
    const ssize_t got = ::recv(self.descriptor, data, static_cast<std::size_t>(size), MSG_DONTWAIT);
    if (got == 0) self.ended = true;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) BIO_set_retry_read(bio);
    return static_cast<int>(got);
  }

  static int write(BIO* bio, const char* data, int size) {
    auto& self = *static_cast<transport*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const ssize_t sent = ::send(self.descriptor, data, static_cast<std::size_t>(size), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) BIO_set_retry_write(bio);
    return static_cast<int>(sent);
  }

  static long control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_EOF) return static_cast<transport*>(BIO_get_data(bio))->ended ? 1 : 0;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }

  static BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "pgbraid socket");
      BIO_meth_set_read(m, read);
      BIO_meth_set_write(m, write);
      BIO_meth_set_ctrl(m, control);
      return m;
    }();
    return made;
  }
};

tls_stream::tls_stream(ssl_ptr ssl, int descriptor, std::string early)
    : transport_{std::make_unique<transport>(transport{descriptor, std::move(early), 0, false})}, ssl_{std::move(ssl)} {
  BIO* bio = BIO_new(transport::method());
  BIO_set_data(bio, transport_.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
}

tls_stream::~tls_stream() = default;

// The failure of the operation that has just given `result`.
std::string tls_stream::describe_failure(int result) const {
  const long verified =
      SSL_get_verify_mode(ssl_.get()) == SSL_VERIFY_NONE ? X509_V_OK : SSL_get_verify_result(ssl_.get());
  if (verified != X509_V_OK) return X509_verify_cert_error_string(verified);
  const unsigned long code = ERR_peek_error();
  if (code != 0) {
    const char* text = ERR_reason_error_string(code);
    return text != nullptr ? text : "unknown error of the TLS library";
  }
  const int kind = SSL_get_error(ssl_.get(), result);
  if (transport_->ended || kind == SSL_ERROR_ZERO_RETURN) return "connection closed";
  return errno != 0 ? std::strerror(errno) : "connection lost";
}

tls_stream::handshake_step tls_stream::handshake() {
  ERR_clear_error();
  errno = 0;
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    standing_ = true;
    return handshake_step::done;
  }
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return handshake_step::want_read;
    case SSL_ERROR_WANT_WRITE:
      return handshake_step::want_write;
    default:
      reason_ = describe_failure(result);
      return handshake_step::failed;
  }
}

ssize_t tls_stream::read(char* data, std::size_t size) {
  std::size_t total = 0;
  want_ = tls_want::read;
  // A record is at most 16 kB: all that has been taken from the socket is given at once. More may be in the socket, but
  // asking for it when there is none would cost a call to the kernel for each message.
  while (total < size && (total == 0 || SSL_has_pending(ssl_.get()) == 1)) {
    std::size_t got = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(ssl_.get(), data + total, size - total, &got);
    if (result == 1) {
      total += got;
      continue;
    }
    const int kind = SSL_get_error(ssl_.get(), result);
    if (kind == SSL_ERROR_WANT_READ) break;
    if (kind == SSL_ERROR_WANT_WRITE) {
      want_ = tls_want::write;
      break;
    }
    // The peer's last bytes come before its end, which the next read meets again.
    if (kind != SSL_ERROR_ZERO_RETURN) {
      reason_ = describe_failure(result);
      standing_ = false;
    }
    if (total == 0) return -1;
    break;
  }
  return static_cast<ssize_t>(total);
}

// Sent, -1 broken; less than `size`: the kernel takes no more now.
ssize_t tls_stream::write_one(const char* data, std::size_t size) {
  std::size_t total = 0;
  while (total < size) {
    std::size_t sent = 0;
    ERR_clear_error();
    const int result = SSL_write_ex(ssl_.get(), data + total, size - total, &sent);
    if (result == 1) {
      total += sent;
      continue;
    }
    // Renegotiation is off, so a write never waits for the peer.
    if (SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_WRITE) break;
    standing_ = false;
    return -1;
  }
  return static_cast<ssize_t>(total);
}

ssize_t tls_stream::write(const iovec* parts, std::size_t count) {
  if (!standing_) return -1;
  if (count == 1) return write_one(static_cast<const char*>(parts->iov_base), parts->iov_len);
  // Small parts share records: each record costs a send.
  std::array<char, 16 * 1024> joined;
  std::size_t filled = 0, total = 0;
  const auto flush = [&]() -> bool {
    const ssize_t sent = write_one(joined.data(), filled);
    if (sent > 0) total += static_cast<std::size_t>(sent);
    const bool whole = sent >= 0 && static_cast<std::size_t>(sent) == filled;
    filled = 0;
    return whole;
  };
  for (std::size_t i = 0; i < count; ++i) {
    const char* data = static_cast<const char*>(parts[i].iov_base);
    std::size_t left = parts[i].iov_len;
    while (left > 0) {
      const std::size_t taken = std::min(left, joined.size() - filled);
      std::memcpy(joined.data() + filled, data, taken);
      filled += taken;
      data += taken;
      left -= taken;
      if (filled == joined.size() && !flush()) return standing_ ? static_cast<ssize_t>(total) : -1;
    }
  }
  if (filled > 0) (void)flush();
  return standing_ ? static_cast<ssize_t>(total) : -1;
}

bool tls_stream::holds_bytes() const noexcept {
  return SSL_has_pending(ssl_.get()) == 1 || transport_->early_taken < transport_->early.size();
}

void tls_stream::say_goodbye() noexcept {
  if (!standing_) return;
  standing_ = false;
  ERR_clear_error();
  (void)SSL_shutdown(ssl_.get());
}

std::string_view tls_stream::application_protocol() const noexcept {
  const unsigned char* name = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &length);
  return {reinterpret_cast<const char*>(name), length};
}

std::string_view tls_stream::version() const noexcept {
  return SSL_get_version(ssl_.get());
}

bool tls_stream::has_peer_certificate() const noexcept {
  return SSL_get0_peer_certificate(ssl_.get()) != nullptr;
}

std::string tls_stream::peer_common_name() const {
  const X509* certificate = SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr) return {};
  const X509_NAME* subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  // Of two names one cannot say which is meant.
  if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) return {};
  unsigned char* text = nullptr;
  const int length = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (length < 0) return {};
  std::string name{reinterpret_cast<const char*>(text), static_cast<std::size_t>(length)};
  OPENSSL_free(text);
  // A NUL within would make it end elsewhere for others who read it.
  return name.find('\0') == name.npos ? name : std::string{};
}

std::string tls_stream::server_end_point() const {
  const X509* certificate =
      SSL_is_server(ssl_.get()) != 0 ? SSL_get_certificate(ssl_.get()) : SSL_get0_peer_certificate(ssl_.get());
  int digest_id = NID_undef;
  if (certificate == nullptr ||
      X509_get_signature_info(const_cast<X509*>(certificate), &digest_id, nullptr, nullptr, nullptr) != 1)
    return {};
  // The hash of the certificate's own signature; RFC 5929 raises MD5 and SHA-1 to SHA-256.
  const EVP_MD* digest = digest_id == NID_md5 || digest_id == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(digest_id);
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (digest == nullptr || X509_digest(certificate, digest, bytes, &length) != 1) return {};
  return {reinterpret_cast<const char*>(bytes), length};
}

}  // namespace pgbraid::proxy
