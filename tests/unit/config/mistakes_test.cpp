// Every mistake outside of databases, with its place and its text.
#include "example.hpp"

#include <catch2/catch.hpp>

#include <fstream>

using namespace pgbraid::config;
using namespace pgbraid::config::test;

namespace {

using texts = std::vector<std::string>;

struct mistake {
  std::string yaml;  ///< stands after a good `databases` on line 1 and a good `auth` on line 2
  texts expected;
};

void check_mistakes(const std::vector<mistake>& table) {
  for (const mistake& m : table) {
    INFO(m.yaml);
    CHECK(told("databases: {d: {servers: [h]}}\nauth: {method: trust}\n" + m.yaml) == m.expected);
  }
}

}  // namespace

TEST_CASE("unknown keys name the nearest known one") {
  check_mistakes({
      {"listne: {}", {"t:3:1: error: unknown key \"listne\"; did you mean \"listen\"?"}},
      {"listen:\n  prot: 1", {"t:4:3: error: unknown key \"prot\" in listen; did you mean \"port\"?"}},
      {"limits: {max-clients: 1}",
       {"t:3:10: error: unknown key \"max-clients\" in limits; did you mean \"max_clients\"?"}},
      {"size: 3", {"t:3:1: error: unknown key \"size\"; there is a databases.*.pool.size"}},
      {"log: {colour: red}", {"t:3:7: error: unknown key \"colour\" in log; known here: level, connections"}},
  });
}

TEST_CASE("every mistake is told, in the order of the file") {
  CHECK(told("listen: {prot: 1, port: x}\nworkers: many\ndatabase: {}\nlog: {level: loud}\n") ==
        texts{"t: warning: no users are given, and auth.method is not trust: nobody can log in",
              "t:1:1: error: databases is missing",
              "t:1:10: error: unknown key \"prot\" in listen; did you mean \"port\"?",
              "t:1:25: error: listen.port: expected a whole number from 1 to 65535, found \"x\"",
              "t:2:10: error: workers: expected auto or a whole number from 1 to 256, found \"many\"",
              "t:3:1: error: unknown key \"database\"; did you mean \"databases\"?",
              "t:4:14: error: log.level: expected debug, info, warning or error, found \"loud\""});
}

TEST_CASE("wrong kinds say what was expected and what was found") {
  check_mistakes({
      {"listen: 6432", {"t:3:9: error: listen: expected a map, found \"6432\""}},
      {"listen: [a]", {"t:3:9: error: listen: expected a map, found a list"}},
      {"listen: {port: [1]}", {"t:3:16: error: listen.port: expected a whole number from 1 to 65535, found a list"}},
      {"listen: {port: }", {"t:3:10: error: listen.port: expected a whole number from 1 to 65535, found nothing"}},
      {"listen: {port: 65536}",
       {"t:3:16: error: listen.port: expected a whole number from 1 to 65535, found \"65536\""}},
      {"listen: {port: 0x10}", {"t:3:16: error: listen.port: expected a whole number from 1 to 65535, found \"0x10\""}},
      {"listen: {host: {a: b}}", {"t:3:16: error: listen.host: expected a text or a list of texts, found a map"}},
      {"listen: {host: [{a: b}]}", {"t:3:17: error: listen.host[0]: expected a text, found a map"}},
      {"workers: 0", {"t:3:10: error: workers: expected auto or a whole number from 1 to 256, found \"0\""}},
      {"log: {connections: maybe}", {"t:3:20: error: log.connections: expected true or false, found \"maybe\""}},
      {"log: {level: inof}",
       {"t:3:14: error: log.level: expected debug, info, warning or error, found \"inof\"; did you mean \"info\"?"}},
      {"limits: {max_message: 64}", {"t:3:23: error: limits.max_message: \"64\" needs a unit: B, kB, MB, GB or TB"}},
      {"limits: {max_message: 2GB}",
       {"t:3:23: error: limits.max_message: expected a size from 8kB to 1GB, found \"2GB\""}},
      {"timeouts: {login: 5m}", {"t:3:19: error: timeouts.login: unknown unit \"m\": use ms, s, min, h or d"}},
      {"timeouts: {login: 2d}", {"t:3:19: error: timeouts.login: expected a time from 100ms to 1h, found \"2d\""}},
      {"users: [app]", {"t:3:8: error: users: expected a map of names, found a list"}},
      {"monitor: {user: \"\"}", {"t:3:17: error: monitor.user: the text is empty"}},
      {"admin: {http: \"9632\", users: postgres}",
       {"t:3:9: warning: admin.http has no effect yet",
        "t:3:15: error: admin.http: expected an address as host:port, found \"9632\"",
        "t:3:30: error: admin.users: expected a list of texts, found \"postgres\""}},
  });
  CHECK(told("[a]") == texts{"t: warning: no users are given, and auth.method is not trust: nobody can log in",
                             "t:1:1: error: expected a map of keys, found a list"});
  CHECK(told("") == texts{"t: error: the file is empty: databases is missing"});
  CHECK(told("# nothing\n") == texts{"t: error: the file is empty: databases is missing"});
}

TEST_CASE("listen.host") {
  check_mistakes({
      {"listen: {host: []}", {"t:3:16: error: listen.host: the list is empty: nobody could connect"}},
      {"listen: {host: [a, \"*\"]}",
       {"t:3:20: error: listen.host: \"*\" is no address: write 0.0.0.0 and \"::\" for all"}},
      {"listen: {host: [a, a]}", {"t:3:20: error: listen.host: a stands here twice"}},
      {"listen: {host: \"a:6432\"}", {"t:3:16: error: listen.host: \"a:6432\" names a port too; give it under port"}},
      {"listen: {host: \"\"}", {"t:3:16: error: listen.host: the text is empty"}},
  });
}

TEST_CASE("listen.tls") {
  check_mistakes({
      {"listen: {tls: {}}", {"t:3:15: error: listen.tls: cert and key are missing"}},
      {"listen: {tls: {mode: disable}}", {}},
      {"listen: {tls: {cert: c, key: k}}", {}},
      {"listen: {tls: {cert: c}}", {"t:3:15: error: listen.tls: cert and key are given together or not at all"}},
      {"listen: {tls: {mode: prefer, cert: c, key: k}}",
       {"t:3:22: error: listen.tls.mode: expected disable, allow or require, found \"prefer\""}},
  });
}

TEST_CASE("a server's own TLS replaces its database's") {
  const load_result r = load_text(
      "auth: {method: trust}\ndatabases: {d: {servers: [h, {host: i, tls: {mode: verify-full, ca: a}}], "
      "tls: {mode: require, cert: c, key: k}}}",
      "/conf/t.yaml");
  REQUIRE(r.ok());
  const auto& servers = r.value.databases.front().shards.front().servers;
  CHECK(servers[0].tls == server_tls{server_tls_mode::require, "", "/conf/c", "/conf/k"});
  CHECK(servers[1].tls == server_tls{server_tls_mode::verify_full, "/conf/a", "", ""});
}

TEST_CASE("files of listen.tls stand beside the topology") {
  const load_result r = load_text(
      "auth: {method: trust}\nlisten: {tls: {cert: c, key: /k}}\ndatabases: {d: {servers: [h]}}", "/conf/t.yaml");
  REQUIRE(r.ok());
  CHECK(r.value.listen.tls.cert == "/conf/c");
  CHECK(r.value.listen.tls.key == "/k");
  CHECK(r.value.listen.tls.offered());
}

TEST_CASE("auth.rules") {
  const std::vector<mistake> table = {
      {"auth: {rules: []}", {"t:2:15: error: auth.rules: the list is empty: nobody could log in"}},
      {"auth: {rules: [{user: a}]}", {"t:2:16: error: auth.rules[0]: method is missing"}},
      {"auth: {rules: [{address: 10.0.0.0/33, method: reject}]}",
       {"t:2:26: error: auth.rules[0].address: expected an address, a network as 10.0.0.0/8, or local, found "
        "\"10.0.0.0/33\""}},
      {"auth: {rules: [{address: [], method: reject}]}", {"t:2:26: error: auth.rules[0].address: the list is empty"}},
      {"auth: {rules: [{user: [], method: reject}]}", {"t:2:23: error: auth.rules[0].user: the list is empty"}},
      {"auth: {rules: [{user: [a, all], method: reject}]}",
       {"t:2:23: error: auth.rules[0].user: \"all\" is no name here; a key that is left out fits everybody"}},
      {"auth: {rules: [{method: cert}]}",
       {"t: warning: method cert is used, and listen.tls.ca is not given: nobody can log in by a certificate"}},
  };
  for (const mistake& m : table) {
    INFO(m.yaml);
    CHECK(told("databases: {d: {servers: [h]}}\n" + m.yaml + "\nusers: {a: b}") == m.expected);
  }
  const load_result r = load_text(
      "auth: {rules: [{database: d, user: [a, b], address: [\"::1\", 10.1.2.3/8, local], tls: true, method: cert}, "
      "{method: reject}]}\nlisten: {tls: {cert: c, key: k, ca: a}}\ndatabases: {d: {servers: [h]}}",
      "t");
  REQUIRE(r.findings.empty());
  REQUIRE(r.value.access.size() == 2);
  const access_rule& first = r.value.access.front();
  CHECK(first.databases == texts{"d"});
  CHECK(first.users == texts{"a", "b"});
  CHECK(first.tls == true);
  CHECK(first.method == auth_method::cert);
  REQUIRE(first.addresses.size() == 3);
  CHECK(to_string(first.addresses[0]) == "::1/128");
  CHECK(to_string(first.addresses[1]) == "10.0.0.0/8");
  CHECK(to_string(first.addresses[2]) == "local");
  CHECK(r.value.access.back().method == auth_method::reject);
  CHECK_FALSE(r.value.access.back().tls);
}

TEST_CASE("networks") {
  std::string why;
  const auto address = [&](std::string_view text) { return parse_network(text, why)->base; };
  const auto holds = [&](std::string_view net, std::string_view host) {
    return parse_network(net, why)->contains(address(host));
  };
  CHECK(holds("10.0.0.0/8", "10.255.0.1"));
  CHECK_FALSE(holds("10.0.0.0/8", "11.0.0.1"));
  CHECK(holds("192.168.7.0/25", "192.168.7.127"));
  CHECK_FALSE(holds("192.168.7.0/25", "192.168.7.128"));
  CHECK(holds("0.0.0.0/0", "8.8.8.8"));
  CHECK_FALSE(holds("0.0.0.0/0", "::1"));
  CHECK(holds("fd00::/7", "fc00::1"));
  CHECK_FALSE(holds("fd00::/8", "fc00::1"));
  CHECK(holds("127.0.0.1", "127.0.0.1"));
  CHECK_FALSE(holds("127.0.0.1", "127.0.0.2"));
  CHECK(holds("local", "local"));
  CHECK_FALSE(holds("0.0.0.0/0", "local"));
  for (const char* wrong : {"", "10.0.0", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "::1/129", "localhost", "*"}) {
    INFO(wrong);
    CHECK_FALSE(parse_network(wrong, why));
  }
}

TEST_CASE("what is not built yet stops the start where it could change answers or security, else it warns") {
  check_mistakes({
      {"admin: {http: 127.0.0.1:9632}", {"t:3:9: warning: admin.http has no effect yet"}},
  });
}

TEST_CASE("instances behind one balancer have numbers of their own") {
  check_mistakes({
      {"instances: {own: 1, peers: [{instance: 2, address: \"h:1\"}, {instance: 2, address: \"i:1\"}]}",
       {"t:3:60: error: instances.peers: 2 is the number of another instance"}},
      {"instances: {own: 1, peers: [{instance: 1, address: \"h:1\"}]}",
       {"t:3:29: error: instances.peers: 1 is the number of another instance"}},
  });
}

TEST_CASE("passwords") {
  unsetenv("PGBRAID_TEST_UNSET");
  setenv("PGBRAID_TEST_EMPTY", "", 1);
  setenv("PGBRAID_TEST_CUT", "SCRAM-SHA-256$4096:c2Fs", 1);
  check_mistakes({
      {"monitor: {password_env: PGBRAID_TEST_UNSET}",
       {"t:3:25: error: monitor.password_env: the environment variable PGBRAID_TEST_UNSET is not set"}},
      {"users: {a: {password_env: PGBRAID_TEST_EMPTY}}",
       {"t:3:27: error: users.a.password_env: the environment variable PGBRAID_TEST_EMPTY is empty"}},
      {"users: {a: {password_file: /nonexistent/secret}}",
       {"t:3:28: error: users.a.password_file: cannot read /nonexistent/secret: No such file or directory"}},
      {"users: {a: {password_file: /}}", {"t:3:28: error: users.a.password_file: cannot read /: Is a directory"}},
      {"users: {a: {password: b, password_env: C}}",
       {"t:3:40: error: users.a.password_env: password is given too: one of them is enough"}},
      {"users: {a: {password: [hush]}}", {"t:3:23: error: users.a.password: expected a text, found a list"}},
      {"users: {a: {pasword: hush}}",
       {"t:3:13: error: unknown key \"pasword\" in users.a; did you mean \"password\"?"}},
      {"users: {a: {password_env: PGBRAID_TEST_CUT}}",
       {"t:3:27: error: users.a.password_env: this stored secret is not whole: expected "
        "SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>"}},
      {"users: {a: \"x\\ny\"}", {"t:3:12: error: users.a: a password is one line"}},
      {"users: {a: \"\"}", {"t:3:12: error: users.a: the password is empty"}},
      {"users: {\"\": b}", {"t:3:9: error: users: a name is empty"}},
  });
  const std::string folder = testing_folder();
  std::ofstream(folder + "/empty") << "\n";
  std::ofstream(folder + "/long") << std::string(5000, 'x');
  check_mistakes({
      {"users: {a: {password_file: " + folder + "/empty}}",
       {"t:3:28: error: users.a.password_file: " + folder + "/empty is empty"}},
      {"users: {a: {password_file: " + folder + "/long}}",
       {"t:3:28: error: users.a.password_file: " + folder + "/long is longer than 4096 bytes"}},
  });
}

TEST_CASE("a user that could never log in") {
  const auto with = [](const std::string& method, const std::string& user) {
    return told("databases: {d: {servers: [h]}}\nauth: {method: " + method + "}\nusers: {a: " + user + "}");
  };
  const std::string md5 = "md5" + std::string(32, '0');
  CHECK(with("md5", "{}") ==
        texts{"t:3:9: error: users.a: no password is given; give one, or set auth.method to trust"});
  CHECK(with("scram-sha-256", md5) ==
        texts{"t:3:9: error: users.a: an md5 secret cannot be used with auth.method scram-sha-256"});
  CHECK(with("md5", md5).empty());
  CHECK(with("trust", "{}").empty());
}

TEST_CASE("findings and files as text") {
  CHECK(to_string({finding::level::error, {3, 4}, "x"}, "f.yaml") == "f.yaml:3:4: error: x");
  CHECK(to_string({finding::level::warning, {}, "x"}, "f.yaml") == "f.yaml: warning: x");
  CHECK(told(load_file("/nonexistent.yaml")) == texts{"t: error: cannot be read: No such file or directory"});
  CHECK(told(load_file("/")) == texts{"t: error: cannot be read: Is a directory"});
}
