// Access rules: which one decides, and that it is the first.
#include "proxy/session/access.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace pgbraid;
using namespace pgbraid::proxy;
using config::auth_method;

namespace {

config::topology with_rules(const std::string& rules) {
  const config::load_result loaded = config::load_text(
      "auth: {method: password, rules: [" + rules + "]}\nusers: {a: b}\ndatabases: {d: {servers: [h]}}", "t");
  REQUIRE(loaded.ok());
  return loaded.value;
}

config::client_address at(std::string_view text) {
  std::string why;
  return config::parse_network(text, why)->base;
}

}  // namespace

TEST_CASE("without rules the one method holds for all") {
  config::topology topology;
  topology.auth = auth_method::md5;
  CHECK(access_method(topology, {"d", "u", at("local"), false}) == auth_method::md5);
}

TEST_CASE("the first rule that fits decides") {
  const config::topology t = with_rules(
      "{user: root, address: local, method: trust}, {user: root, method: reject}, "
      "{database: [d, e], tls: true, method: scram-sha-256}, {address: 10.0.0.0/8, tls: false, method: md5}");
  struct row {
    access_request request;
    auth_method expected;
  };
  const row rows[] = {
      {{"d", "root", at("local"), false}, auth_method::trust},
      {{"d", "root", at("10.0.0.1"), true}, auth_method::reject},
      {{"d", "app", at("10.0.0.1"), true}, auth_method::scram_sha_256},
      {{"e", "app", at("::1"), true}, auth_method::scram_sha_256},
      {{"e", "app", at("::1"), false}, auth_method::reject},
      {{"f", "app", at("10.0.0.1"), true}, auth_method::reject},
      {{"f", "app", at("10.0.0.1"), false}, auth_method::md5},
      {{"f", "app", at("11.0.0.1"), false}, auth_method::reject},
      {{"f", "app", at("local"), false}, auth_method::reject},
  };
  for (const row& r : rows) {
    INFO(r.request.database << ' ' << r.request.user << ' ' << config::to_string(r.request.from) << ' '
                            << r.request.tls);
    CHECK(access_method(t, r.request) == r.expected);
  }
}

TEST_CASE("names are compared whole and as they are") {
  const config::topology t = with_rules("{user: app, method: trust}");
  for (const char* other : {"", "ap", "app2", "App", "*", "all"}) {
    INFO(other);
    CHECK(access_method(t, {"d", other, at("local"), false}) == auth_method::reject);
  }
}
