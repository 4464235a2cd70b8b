// Which attempts the modes of TLS allow, and which connections are alike.
#include "proxy/backend/dial_server.hpp"

#include <catch2/catch.hpp>

using namespace pgbraid;
using namespace pgbraid::proxy;
using config::server_tls_mode;

namespace {

server_endpoint endpoint(server_tls_mode mode, std::string host = "db1") {
  server_endpoint made;
  made.host = std::move(host);
  made.database = "d";
  made.user = "u";
  made.tls.mode = mode;
  return made;
}

}  // namespace

TEST_CASE("attempts at a connection, as libpq's modes have them") {
  using enum encryption;
  using attempts = std::vector<encryption>;
  CHECK(attempts_at(endpoint(server_tls_mode::disable)) == attempts{none});
  CHECK(attempts_at(endpoint(server_tls_mode::allow)) == attempts{none, needed});
  CHECK(attempts_at(endpoint(server_tls_mode::prefer)) == attempts{if_offered, none});
  for (const server_tls_mode mode :
       {server_tls_mode::require, server_tls_mode::verify_ca, server_tls_mode::verify_full}) {
    CHECK(attempts_at(endpoint(mode)) == attempts{needed});
    CHECK(attempts_at(endpoint(mode, "/var/run/postgresql")) == attempts{none});
  }
}

TEST_CASE("connections made under other TLS settings are other connections") {
  const server_endpoint plain = endpoint(server_tls_mode::disable);
  server_endpoint other = plain;
  CHECK(other.key() == plain.key());
  other.tls.mode = server_tls_mode::require;
  CHECK(other.key() != plain.key());
  server_endpoint certified = other;
  certified.tls.ca = "ca";
  CHECK(certified.key() != other.key());
}
