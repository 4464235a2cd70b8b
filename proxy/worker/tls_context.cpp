#include "proxy/worker/tls_context.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
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

/// Authorities whose certificates are believed.
bool believe(SSL_CTX* context, const std::string& authorities, std::string& error) {
  if (!readable(authorities, error)) return false;
  ERR_clear_error();
  if (SSL_CTX_load_verify_file(context, authorities.c_str()) == 1) return true;
  error = failure(authorities);
  return false;
}

/// visit(database, settings) for each server that may be reached by TLS.
template <typename Visit>
void for_each_server_tls(const config::topology& topology, const Visit& visit) {
  for (const config::database& database : topology.databases) {
    for (const config::shard& shard : database.shards) {
      for (const config::server& server : shard.servers) {
        if (server.tls.mode != config::server_tls_mode::disable) visit(database, server.tls);
      }
    }
  }
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
  if (!settings.ca.empty()) {
    if (!believe(c, settings.ca, error)) return nullptr;
    SSL_CTX_set_client_CA_list(c, SSL_load_client_CA_file(settings.ca.c_str()));
    // Who has a certificate shows it; who has none may have another way to log in.
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, nullptr);
  }
  return made;
}

tls_context_ptr tls_context::for_servers(const config::server_tls& settings, std::string& error) {
  std::shared_ptr<tls_context> made{new tls_context};
  SSL_CTX* c = made->context_.get();
  if (!settings.cert.empty() && !use_certificate(c, settings.cert, settings.key, error)) return nullptr;
  // As libpq has it, `require` with an authority at hand verifies.
  if (settings.mode >= config::server_tls_mode::require && !settings.ca.empty()) {
    if (!believe(c, settings.ca, error)) return nullptr;
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, nullptr);
  }
  made->verify_host_ = settings.mode == config::server_tls_mode::verify_full;
  return made;
}

std::unique_ptr<tls_stream> tls_context::connect(int descriptor, const std::string& host) const {
  ssl_ptr ssl{SSL_new(context_.get())};
  if (!ssl) throw std::bad_alloc{};
  X509_VERIFY_PARAM* wanted = SSL_get0_param(ssl.get());
  unsigned char bytes[16];
  const bool address =
      ::inet_pton(AF_INET, host.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, host.c_str(), bytes) == 1;
  // Addresses are not told by SNI, RFC 6066.
  if (!address) SSL_set_tlsext_host_name(ssl.get(), host.c_str());
  if (verify_host_) {
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const int set = address ? X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str())
                            : X509_VERIFY_PARAM_set1_host(wanted, host.c_str(), 0);
    if (set != 1) throw std::bad_alloc{};
  }
  SSL_set_connect_state(ssl.get());
  return std::make_unique<tls_stream>(std::move(ssl), descriptor, std::string{});
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
  for_each_server_tls(topology, [&](const config::database& database, const config::server_tls& tls) {
    if (made->servers.contains(tls)) return;
    std::string error;
    if (auto context = tls_context::for_servers(tls, error)) {
      made->servers.emplace(tls, std::move(context));
    } else {
      errors.push_back(fmt::format("databases.{}.tls: {}", database.name, error));
    }
  });
  return made;
}

std::vector<std::string> tls_files(const config::topology& topology) {
  std::vector<std::string> files;
  const auto add = [&files](const std::string& file) {
    if (!file.empty() && std::find(files.begin(), files.end(), file) == files.end()) files.push_back(file);
  };
  if (topology.listen.tls.offered()) {
    for (const auto* file : {&topology.listen.tls.cert, &topology.listen.tls.key, &topology.listen.tls.ca}) add(*file);
  }
  for_each_server_tls(topology, [&](const config::database&, const config::server_tls& tls) {
    for (const auto* file : {&tls.cert, &tls.key, &tls.ca}) add(*file);
  });
  return files;
}

}  // namespace pgbraid::proxy
