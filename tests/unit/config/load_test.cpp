// Good files: what each form means.
#include "example.hpp"

#include <catch2/catch.hpp>

#include <cstdio>
#include <fstream>

using namespace pgbraid::config;
using namespace pgbraid::config::test;
using namespace std::chrono_literals;

namespace {

using texts = std::vector<std::string>;

/// A topology whose one database has these servers, in trust.
load_result with_servers(const std::string& list) {
  return load_text("auth: {method: trust}\ndatabases: {d: {servers: " + list + "}}\n", "t");
}

}  // namespace

TEST_CASE("the example loads, and warns only of what is not there yet") {
  const load_result r = load_example();
  CHECK(told(r) ==
        texts{"t:6:3: warning: admin.http has no effect yet"});
  REQUIRE(r.ok());
  const topology& t = r.value;
  CHECK(t.file == "shop.yaml");
  CHECK(t.listen.hosts == texts{"127.0.0.1"});
  CHECK(t.listen.port == 6432);
  CHECK(t.admin.users == texts{"postgres"});
  CHECK(t.admin.http == host_port{"127.0.0.1", 9632});
  CHECK(t.workers == 0);
  CHECK(t.auth == auth_method::scram_sha_256);
  CHECK(t.monitor.user == "postgres");
  CHECK(t.monitor.password == "watch");
  REQUIRE(t.users.size() == 1);
  CHECK(t.users[0].name == "app");
  CHECK(t.users[0].password == "secret");
  CHECK(t.users[0].where == position{12, 3});
  REQUIRE(t.databases.size() == 1);
  const database& d = t.databases[0];
  CHECK(d.name == "shop");
  CHECK(d.where == position{14, 3});
  REQUIRE(d.shards.size() == 2);
  CHECK(d.shards[0].name == "s0");
  REQUIRE(d.shards[0].servers.size() == 2);
  CHECK(d.shards[0].servers[1].host == "127.0.0.1");
  CHECK(d.shards[0].servers[1].port == 6110);
  CHECK(d.shards[0].servers[1].dbname.empty());
  CHECK(d.shards[0].servers[1].where == position{17, 37});
  REQUIRE(d.shards[1].servers.size() == 2);
  CHECK(d.shards[1].servers[1].dbname == "shop");
  CHECK(d.shards[1].servers[0].weight == 1);
  CHECK(d.shards[1].servers[1].weight == 2);
  REQUIRE(d.sharding);
  CHECK(d.sharding->function == shard_function::postgres_hash);
  CHECK(d.sharding->buckets == 4096);
  CHECK(d.sharding->check_placement);
  REQUIRE(d.sharding->tables.size() == 2);
  CHECK(d.sharding->tables[1].name == "orders");
  CHECK(d.sharding->tables[1].key == std::vector<std::string>{"customer_id"});
  CHECK(d.sharding->reference_tables == texts{"countries"});
  REQUIRE(d.sharding->unsharded.size() == 1);
  CHECK(d.sharding->unsharded[0].name == "settings");
  CHECK(d.sharding->unsharded[0].shard == "s0");
  CHECK(d.reads.replicas == replica_policy::prefer);
  CHECK(d.reads.max_lag.bytes == 16u << 20);
  CHECK_FALSE(d.reads.max_lag.time);
  CHECK(d.reads.consistency == consistency::session);
  CHECK(d.pool.mode == pool_mode::transaction);
  CHECK(d.pool.size == 20);
  CHECK(bucket_ranges(d) == std::vector<std::vector<bucket_range>>{{{0, 2047}}, {{2048, 4095}}});
}

TEST_CASE("servers alone are one shard named default, without sharding") {
  const load_result r = with_servers(
      R"(["127.0.0.1:5433", "[::1]:5434", "/var/run/postgresql", "/var/run/postgresql:5435", db.example.org])");
  CHECK(told(r).empty());
  REQUIRE(r.value.databases.size() == 1);
  const database& d = r.value.databases[0];
  CHECK_FALSE(d.sharding);
  REQUIRE(d.shards.size() == 1);
  CHECK(d.shards[0].name == "default");
  std::vector<host_port> found;
  for (const server& s : d.shards[0].servers) found.push_back({s.host, s.port});
  CHECK(found == std::vector<host_port>{{"127.0.0.1", 5433},
                                        {"::1", 5434},
                                        {"/var/run/postgresql", 5432},
                                        {"/var/run/postgresql", 5435},
                                        {"db.example.org", 5432}});
}

TEST_CASE("a server's map takes an IPv6 address and a socket directory as they are") {
  const load_result r = with_servers("[{host: \"::1\"}, {host: /tmp, port: 6000}]");
  CHECK(told(r).empty());
  REQUIRE(r.value.databases[0].shards[0].servers.size() == 2);
  CHECK(r.value.databases[0].shards[0].servers[0].host == "::1");
  CHECK(r.value.databases[0].shards[0].servers[1].port == 6000);
}

TEST_CASE("without users only trust lets anyone in, and that is told") {
  CHECK(told("databases: {d: {servers: [h]}}") ==
        texts{"t: warning: no users are given, and auth.method is not trust: nobody can log in"});
  CHECK(load_text("databases: {d: {servers: [h]}}", "t").ok());
  CHECK(with_servers("[h]").findings.empty());
}

TEST_CASE("listen.host is one text or a list") {
  const auto hosts = [](const std::string& value) {
    const load_result r =
        load_text("auth: {method: trust}\nlisten: {host: " + value + "}\ndatabases: {d: {servers: [h]}}", "t");
    CHECK(told(r).empty());
    return r.value.listen.hosts;
  };
  CHECK(hosts("0.0.0.0") == texts{"0.0.0.0"});
  CHECK(hosts("[127.0.0.1, \"::1\", /tmp]") == texts{"127.0.0.1", "::1", "/tmp"});
  CHECK(hosts("\"[::1]\"") == texts{"::1"});
}

TEST_CASE("users: a text alone is the password; the star stands for all others; trust needs none") {
  const load_result r = load_text("auth: {method: md5}\nusers: {a: x, b: {password: 1234}, \"*\": md5" +
                                      std::string(32, 'a') + "}\ndatabases: {\"*\": {servers: [h]}}",
                                  "t");
  CHECK(told(r).empty());
  REQUIRE(r.value.users.size() == 3);
  CHECK(r.value.users[0].password == "x");
  CHECK(r.value.users[1].password == "1234");
  CHECK(r.value.users[2].name == "*");
  CHECK(r.value.databases[0].name == "*");
  CHECK(told("auth: {method: trust}\nusers: {a: , b: {}}\ndatabases: {d: {servers: [h]}}").empty());
}

TEST_CASE("a stored SCRAM secret is taken as it is") {
  const std::string secret =
      "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2E=$" + std::string(43, 'A') + "=:" + std::string(43, 'B') + "=";
  const load_result r = load_text("users: {a: " + secret + "}\ndatabases: {d: {servers: [h]}}", "t");
  CHECK(told(r).empty());
  CHECK(r.value.users[0].password == secret);
}

TEST_CASE("passwords come from files and from the environment") {
  const std::string folder = testing_folder();
  std::ofstream(folder + "/secret") << "from the file\n";
  std::ofstream(folder + "/t.yaml")
      << "users: {a: {password_file: secret}, b: {password_env: PGBRAID_TEST_B}, c: {password_file: " << folder
      << "/secret}}\ndatabases: {d: {servers: [h]}}\n";
  setenv("PGBRAID_TEST_B", "from the environment", 1);
  const load_result r = load_file(folder + "/t.yaml");
  CHECK(told(r).empty());
  REQUIRE(r.value.users.size() == 3);
  CHECK(r.value.users[0].password == "from the file");
  CHECK(r.value.users[1].password == "from the environment");
  CHECK(r.value.users[2].password == "from the file");
  unsetenv("PGBRAID_TEST_B");
}

TEST_CASE("buckets: one range, several, numbers, a list") {
  const auto of = [](const std::string& first, const std::string& second) {
    const load_result r =
        load_text("auth: {method: trust}\ndatabases: {d: {shards: [{name: a, buckets: " + first +
                      ", servers: [h]}, {name: b, buckets: " + second + ", servers: [i]}], sharding: {buckets: 8}}}",
                  "t");
    CHECK(told(r).empty());
    return bucket_ranges(r.value.databases.at(0));
  };
  using ranges = std::vector<std::vector<bucket_range>>;
  CHECK(of("0-3", "4-7") == ranges{{{0, 3}}, {{4, 7}}});
  CHECK(of("7", "0-6") == ranges{{{7, 7}}, {{0, 6}}});
  CHECK(of("\"0-1, 4-5\"", "\"2-3,6-7\"") == ranges{{{0, 1}, {4, 5}}, {{2, 3}, {6, 7}}});
  CHECK(of("[0-1, 5, \"6,7\"]", "[2-4]") == ranges{{{0, 1}, {5, 5}, {6, 6}, {7, 7}}, {{2, 4}}});
}

TEST_CASE("an even split covers every bucket once, however many shards there are") {
  for (const unsigned shards : {1u, 2u, 3u, 5u, 7u, 8u}) {
    database d;
    d.sharding.emplace();
    d.sharding->buckets = 8;
    d.shards.resize(shards);
    std::uint32_t next = 0;
    for (const auto& ranges : bucket_ranges(d)) {
      REQUIRE(ranges.size() == 1);
      CHECK(ranges[0].first == next);
      CHECK(ranges[0].last >= ranges[0].first);
      next = ranges[0].last + 1;
    }
    CHECK(next == 8);
  }
}

TEST_CASE("every number and time reaches its struct") {
  const load_result r = load_text(R"(listen: {port: 1, backlog: 2}
zone: here
workers: 3
auth: {method: password}
monitor: {user: m, password: p, dbname: w, interval: 10ms, timeout: 11ms, catalog_interval: 1s, probe_rate: 14}
users: {a: b, u: {password: c, max_clients: 11, max_server_connections: 12}}
limits: {max_clients: 4, max_clients_per_user: 13, max_clients_per_database: 14, max_message: 8kB, max_parse: 2 KiB, max_statements: 5}
timeouts: {login: 1s, connect: 2s, checkout: 3s, shutdown: 0, query: 4s, transaction: 5s, idle_in_transaction: 6s, idle_client: 7s}
log: {level: debug, connections: yes}
databases:
  d:
    servers: [{host: h, port: 7, weight: 8, dbname: e, zone: there}]
    reads: {replicas: off, max_lag: 5s, consistency: eventual, wait_for_replica: 20ms, treat_as_read: [f], treat_as_write: [g]}
    commits: {answer: decided}
    pool: {size: 9, prepared_statements: 10, idle_timeout: 1.5s, max_connections: 15, reserve: 16, reserve_after: 8s, lifetime: 9s}
    max_clients: 17
)",
                                  "t");
  CHECK(told(r).empty());
  const topology& t = r.value;
  CHECK(t.listen.port == 1);
  CHECK(t.listen.backlog == 2);
  CHECK(t.workers == 3);
  CHECK(t.auth == auth_method::password);
  CHECK(t.monitor.user == "m");
  CHECK(t.monitor.password == "p");
  CHECK(t.monitor.dbname == "w");
  CHECK(t.monitor.interval == 10ms);
  CHECK(t.monitor.timeout == 11ms);
  CHECK(t.monitor.catalog_interval == 1s);
  CHECK(t.monitor.probe_rate == 14);
  CHECK(t.limits.max_clients == 4);
  CHECK(t.limits.max_message == 8192);
  CHECK(t.limits.max_parse == 2048);
  CHECK(t.limits.max_statements == 5);
  CHECK(t.timeouts.login == 1s);
  CHECK(t.timeouts.connect == 2s);
  CHECK(t.timeouts.checkout == 3s);
  CHECK(t.timeouts.shutdown == 0s);
  CHECK(t.timeouts.query == 4s);
  CHECK(t.timeouts.transaction == 5s);
  CHECK(t.timeouts.idle_in_transaction == 6s);
  CHECK(t.timeouts.idle_client == 7s);
  CHECK(t.users.at(1).max_clients == 11);
  CHECK(t.users.at(1).max_server_connections == 12);
  CHECK(t.limits.max_clients_per_user == 13);
  CHECK(t.limits.max_clients_per_database == 14);
  CHECK(t.log.level == log_level::debug);
  CHECK(t.log.connections);
  const database& d = t.databases.at(0);
  CHECK(d.shards.at(0).servers.at(0).port == 7);
  CHECK(d.shards.at(0).servers.at(0).weight == 8);
  CHECK(d.shards.at(0).servers.at(0).dbname == "e");
  CHECK(t.zone == "here");
  CHECK(d.shards.at(0).servers.at(0).zone == "there");
  CHECK(d.reads.wait_for_replica == 20ms);
  CHECK(d.commits.answer == commit_answer::decided);
  CHECK(d.reads.replicas == replica_policy::off);
  CHECK(d.reads.max_lag.time == 5s);
  CHECK(d.reads.consistency == consistency::eventual);
  CHECK(d.reads.treat_as_read == texts{"f"});
  CHECK(d.reads.treat_as_write == texts{"g"});
  CHECK(d.pool.size == 9);
  CHECK(d.pool.prepared_statements == 10);
  CHECK(d.pool.idle_timeout == 1500ms);
  CHECK(d.pool.max_connections == 15);
  CHECK(d.pool.reserve == 16);
  CHECK(d.pool.reserve_after == 8s);
  CHECK(d.pool.lifetime == 9s);
  CHECK(d.max_clients == 17);
}

TEST_CASE("one database of one server may be a shard beside another database of it; anchors save typing") {
  CHECK(told(R"(auth: {method: trust}
databases:
  a: &a
    shards:
      - {name: x, servers: [{host: h, dbname: x}]}
      - {name: y, servers: [{host: h, dbname: y}]}
    sharding: {tables: {t: {key: k}}, accept_unenforced: [public.t], check_placement: false}
  b: *a
)")
            .empty());
}

TEST_CASE("sections whose lines are commented out count as left out") {
  CHECK(told("auth: {method: trust}\nlisten:\npool_free: &x 1\n").size() == 2);  // the two mistakes are of other kinds
  CHECK(
      told("auth: {method: trust}\nlisten:\nlimits:\nusers:\ndatabases: {d: {servers: [h], pool: , reads: }}").empty());
}

TEST_CASE("ranges, values and schemas of shards, and tables with a function of their own") {
  const load_result r = load_text(R"(databases:
  shop:
    shards:
      - {name: a, ranges: [{to: 2026-07-01}, {from: 2027-01-01, to: 2028-01-01}], values: [de, "01"], servers: [h]}
      - {name: b, ranges: [{from: 2028-01-01}], values: [at], schemas: [tenant_a, tenant_b], servers: [i]}
    sharding:
      function: range
      default_shard: b
      tables: {events: {key: day}, branches: {key: country, function: list}, orders: {key: id, function: postgres_hash}}
)", "t");
  REQUIRE(r.value.databases.size() == 1);
  const database& d = r.value.databases.front();
  using range = value_range;
  CHECK(d.shards[0].ranges == std::vector<range>{{std::nullopt, "2026-07-01"}, {"2027-01-01", "2028-01-01"}});
  CHECK(d.shards[1].ranges == std::vector<range>{{"2028-01-01", std::nullopt}});
  CHECK(d.shards[0].values == std::vector<std::string>{"de", "01"});
  CHECK(d.shards[1].values == std::vector<std::string>{"at"});
  CHECK(d.shards[1].schemas == std::vector<std::string>{"tenant_a", "tenant_b"});
  REQUIRE(d.sharding);
  CHECK(d.sharding->function == shard_function::range);
  CHECK(d.sharding->default_shard == "b");
  REQUIRE(d.sharding->tables.size() == 3);
  for (const sharded_table& table : d.sharding->tables) {
    CHECK(table.function.value_or(shard_function::range) == (table.name == "events" ? shard_function::range : table.name == "branches" ? shard_function::list : shard_function::postgres_hash));
  }
  // What is told of it is read back alike.
  const load_result again = load_text(describe(r.value), "t");
  REQUIRE(again.value.databases.size() == 1);
  CHECK(again.value.databases.front().shards[0].ranges == d.shards[0].ranges);
  CHECK(again.value.databases.front().shards[1].schemas == d.shards[1].schemas);
  CHECK(again.value.databases.front().sharding->default_shard == "b");
}
