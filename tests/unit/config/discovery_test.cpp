// discovery: what each form means, and every mistake in it with its place and its text.
#include "example.hpp"

#include <catch2/catch.hpp>

using namespace pgbraid::config;
using namespace pgbraid::config::test;

namespace {

using texts = std::vector<std::string>;
using places = std::vector<host_port>;

/// The topology of one database that says this after line 1.
load_result with_database(const std::string& lines) {
  return load_text("auth: {method: trust}\ndatabases:\n  d:\n" + lines, "t");
}

discovery only(const load_result& r) {
  REQUIRE(told(r).empty());
  REQUIRE(r.value.databases.front().shards.front().discovery);
  return *r.value.databases.front().shards.front().discovery;
}

}  // namespace

TEST_CASE("discovery: patroni asks at every server's host, once") {
  const discovery d =
      only(with_database("    servers: [\"a:5432\", \"b:5433\", \"b:5434\"]\n    discovery: patroni\n"));
  CHECK(d.patroni == places{{"a", 8008}, {"b", 8008}});
  CHECK(d.etcd.empty());
}

TEST_CASE("discovery says where Patroni and etcd are, with their usual ports") {
  const discovery d = only(with_database(
      "    servers: [{host: a, member: pg1}, b]\n"
      "    discovery: {patroni: [a, \"b:8009\", \"[::1]\"], etcd: \"e:1\", scope: main, namespace: /x/y/}\n"));
  CHECK(d.patroni == places{{"a", 8008}, {"b", 8009}, {"::1", 8008}});
  CHECK(d.etcd == places{{"e", 1}});
  CHECK(d.scope == "main");
  CHECK(d.name_space == "x/y");
  CHECK(only(with_database("    servers: [a]\n    discovery: {etcd: [e], scope: s}\n")).name_space == "service");
  CHECK(
      only(with_database("    servers: [a]\n    discovery: {etcd: [e], scope: s, namespace: /}\n")).name_space.empty());
}

TEST_CASE("each shard has its own discovery, and patroni alone holds for all") {
  const load_result r = with_database(
      "    discovery: patroni\n"
      "    shards: [{name: s0, servers: [a]}, {name: s1, servers: [b], discovery: {patroni: c}}]\n"
      "    sharding: {tables: {t: {key: k}}}\n");
  REQUIRE(told(r).empty());
  const auto& shards = r.value.databases.front().shards;
  CHECK(shards[0].discovery->patroni == places{{"a", 8008}});
  CHECK(shards[1].discovery->patroni == places{{"c", 8008}});
}

TEST_CASE("mistakes in discovery have their place") {
  const auto said = [](const std::string& discovery) {
    return told(with_database("    servers: [a]\n    discovery: " + discovery + "\n"));
  };
  CHECK(
      said("consul") ==
      texts{"t:5:16: error: databases.d.discovery: expected patroni, or a map with patroni or etcd, found \"consul\""});
  CHECK(said("{scope: x}") == texts{"t:5:16: error: databases.d.discovery: neither patroni nor etcd is given"});
  CHECK(
      said("{etcd: [e]}") ==
      texts{"t:5:23: error: databases.d.discovery.etcd: Patroni's record is found there by its scope; give scope too"});
  CHECK(said("{patroni: [/tmp]}") ==
        texts{"t:5:27: error: databases.d.discovery.patroni[0]: expected host:port, found the directory /tmp"});
  CHECK(said("{patroni: [\"a:x\"]}").size() == 1);
  CHECK(said("{patroin: a}") ==
        texts{"t:5:16: error: databases.d.discovery: neither patroni nor etcd is given",
              "t:5:17: error: unknown key \"patroin\" in databases.d.discovery; did you mean \"patroni\"?"});
  CHECK(told(with_database("    servers: [/tmp]\n    discovery: patroni\n")).size() == 1);
  CHECK(
      told(with_database("    discovery: {patroni: a}\n    shards: [{name: s, servers: [a]}]\n")) ==
      texts{"t:4:16: error: databases.d.discovery: each shard has addresses of its own; they stand under their shard"});
}
