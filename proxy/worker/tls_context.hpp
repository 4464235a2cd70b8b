// OpenSSL contexts made of the topology's TLS settings: certificates, keys, versions. Immutable; a reload makes new
// ones.
#pragma once

#include "config/config.hpp"
#include "proxy/worker/tls_stream.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

struct ssl_ctx_st;

namespace pgbraid::proxy {

class tls_context;
using tls_context_ptr = std::shared_ptr<const tls_context>;

/// runs on: any thread.
class tls_context {
 public:
  /// For connections of clients. Null, and `error` says why, if a file cannot be read or does not fit the others.
  [[nodiscard]] static tls_context_ptr for_clients(const config::client_tls& settings, std::string& error);

  /// For connections to servers. Null as above.
  [[nodiscard]] static tls_context_ptr for_servers(const config::server_tls& settings, std::string& error);

  /// The server's side of a client's connection.
  [[nodiscard]] std::unique_ptr<tls_stream> accept(int descriptor, std::string early) const;
  /// Our side of a connection to a server: `host` is its name or address, as the topology has it.
  [[nodiscard]] std::unique_ptr<tls_stream> connect(int descriptor, const std::string& host) const;

 private:
  struct free_context {
    void operator()(ssl_ctx_st* context) const noexcept;
  };
  tls_context();

  std::unique_ptr<ssl_ctx_st, free_context> context_;
  bool verify_host_ = false;
};

/// All contexts of one topology.
struct tls_contexts {
  tls_context_ptr clients;  ///< null: clients are offered no TLS
  std::map<config::server_tls, tls_context_ptr> servers;
};

/// Reads every file that the topology names. What is wrong with them is added to `errors`.
/// runs on: any thread; reads files.
[[nodiscard]] std::shared_ptr<const tls_contexts> load_tls(const config::topology& topology,
                                                           std::vector<std::string>& errors);

/// The files that load_tls reads.
[[nodiscard]] std::vector<std::string> tls_files(const config::topology& topology);

}  // namespace pgbraid::proxy
