#include "proxy/worker/tls_context.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <new>
#include <string_view>

namespace pgbraid::proxy {
namespace {

// The protocol's name in ALPN, as its length and its letters.
constexpr std::string_view alpn_name = "\x0apostgresql";

int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* length, const unsigned char* offered,
                    unsigned offered_length, void*) {
  unsigned char* out = nullptr;
  const auto* ours = reinterpret_cast<const unsigned char*>(alpn_name.data());
  if (SSL_select_next_proto(&out, length, ours, static_cast<unsigned>(alpn_name.size()), offered, offered_length) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = out;
  return SSL_TLSEXT_ERR_OK;
}

// A key that is protected by a password would have OpenSSL ask for it on the terminal.
int no_password(char*, int, int, void*) {
  return -1;
}

std::string failure(std::string_view file) {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return fmt::format("{}: {}", file, reason == nullptr ? "cannot be used" : reason);
}

bool readable(const std::string& file, std::string& error) {
  errno = 0;
  if (std::ifstream{file}.good()) return true;
  error = fmt::format("{}: {}", file, std::strerror(errno == 0 ? ENOENT : errno));
  return false;
}

/// Certificate and private key, which must belong together.
bool use_certificate(SSL_CTX* context, const std::string& certificate, const std::string& key, std::string& error) {
  if (!readable(certificate, error) || !readable(key, error)) return false;
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1) {
    error = failure(certificate);
    return false;
  }
  SSL_CTX_set_default_passwd_cb(context, no_password);
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    error = failure(key);
    return false;
  }
  return true;
}

}  // namespace

void tls_context::free_context::operator()(ssl_ctx_st* context) const noexcept {
  SSL_CTX_free(context);
}

tls_context::tls_context() : context_{SSL_CTX_new(TLS_method())} {
  if (!context_) throw std::bad_alloc{};
  SSL_CTX* c = context_.get();
  SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  // Nothing is resumed: sessions live long, and tickets would have to be shared by all instances and renewed.
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(c, 0);
  // The protocol says itself when it is over (Terminate): an end without a farewell of TLS cuts nothing off unseen.
  SSL_CTX_set_options(
      c, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
  SSL_CTX_set_read_ahead(c, 1);
}

tls_context_ptr tls_context::for_clients(const config::client_tls& settings, std::string& error) {
  std::shared_ptr<tls_context> made{new tls_context};
  SSL_CTX* c = made->context_.get();
  if (!use_certificate(c, settings.cert, settings.key, error)) return nullptr;
  if (settings.min_version == config::tls_version::tls_1_3) SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION);
  SSL_CTX_set_options(c, SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_alpn_select_cb(c, choose_protocol, nullptr);
  return made;
}

std::unique_ptr<tls_stream> tls_context::accept(int descriptor, std::string early) const {
  ssl_ptr ssl{SSL_new(context_.get())};
  if (!ssl) throw std::bad_alloc{};
  SSL_set_accept_state(ssl.get());
  return std::make_unique<tls_stream>(std::move(ssl), descriptor, std::move(early));
}

std::shared_ptr<const tls_contexts> load_tls(const config::topology& topology, std::vector<std::string>& errors) {
  auto made = std::make_shared<tls_contexts>();
  if (topology.listen.tls.offered()) {
    std::string error;
    made->clients = tls_context::for_clients(topology.listen.tls, error);
    if (!made->clients) errors.push_back("listen.tls: " + error);
  }
  return made;
}

std::vector<std::string> tls_files(const config::topology& topology) {
  std::vector<std::string> files;
  if (topology.listen.tls.offered()) files = {topology.listen.tls.cert, topology.listen.tls.key};
  return files;
}

}  // namespace pgbraid::proxy
