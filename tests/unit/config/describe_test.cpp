// describe(): what it prints, and that it reads back.
#include "example.hpp"

#include <catch2/catch.hpp>

using namespace pgbraid::config;
using namespace pgbraid::config::test;

namespace {

void check_round_trip(const std::string& yaml) {
  const load_result first = load_text(yaml, "t");
  INFO(yaml);
  REQUIRE(first.ok());
  const std::string text = describe(first.value);
  INFO(text);
  const load_result second = load_text(text, "t");
  CHECK(told(second) == told(text));
  REQUIRE(second.ok());
  CHECK(describe(second.value) == text);
}

}  // namespace

TEST_CASE("the example as understood") {
  CHECK(describe(load_example().value) == R"(listen:
  host: [127.0.0.1]
  port: 6432
  backlog: 1024
admin:
  users: [postgres]
  http: "127.0.0.1:9632"
workers: auto
auth:
  method: scram-sha-256
monitor:
  user: postgres
  password: "********"
  interval: 200ms
  timeout: 2s
  catalog_interval: 5s
  probe_rate: 50
users:
  app: {password: "********"}
databases:
  shop:
    shards:
      - name: s0
        buckets: 0-2047
        servers:
          - {host: 127.0.0.1, port: 6100, weight: 1}
          - {host: 127.0.0.1, port: 6110, weight: 1}
      - name: s1
        buckets: 2048-4095
        servers:
          - {host: 127.0.0.1, port: 6101, dbname: shop, weight: 1}
          - {host: 127.0.0.1, port: 6111, dbname: shop, weight: 2}
    sharding:
      function: postgres_hash
      buckets: 4096
      tables:
        customers: {key: id}
        orders: {key: customer_id}
      reference_tables: [countries]
      unsharded:
        settings: s0
      accept_unenforced: []
      shard_local: []
      sequence_blocks: 1
      check_placement: true
    reads:
      replicas: prefer
      max_lag: 16MB
      consistency: session
      snapshot: shard
      wait_for_replica: 0
      choose: least_outstanding
      treat_as_read: []
      treat_as_write: []
    commits:
      answer: finished
    pool:
      mode: transaction
      size: 20
      max_connections: 0
      reserve: 0
      reserve_after: 5s
      prepared_statements: 500
      idle_timeout: 10min
      lifetime: 1h
failover:
  hold: 10s
  max_held: 10000
  max_held_bytes: 64MB
limits:
  max_clients: 10000
  max_clients_per_user: 0
  max_clients_per_database: 0
  max_message: 64MB
  max_parse: 1MB
  max_statements: 10000
  max_gather: 64MB
  max_gather_total: 1GB
  max_notifications: 512kB
timeouts:
  login: 1min
  connect: 5s
  checkout: 2min
  query: 0
  transaction: 0
  idle_in_transaction: 0
  idle_client: 0
  shutdown: 1min
log:
  level: info
  connections: false
)");
}

TEST_CASE("what is described reads back to the same") {
  setenv("PGBRAID_MONITOR_PASSWORD", "watch", 1);
  check_round_trip(example());
  check_round_trip("databases: {d: {servers: [h, \"[::1]:1\", /tmp]}}");
  check_round_trip(
      "failover: {hold: 0, max_held: 3, max_held_bytes: 1kB, max_loss: 0B}\n"
      "databases: {d: {servers: [h, {host: i, drain: true}], reads: {choose: random}}}");
  check_round_trip("databases: {d: {servers: [h, {host: i, member: \"null\"}], discovery: patroni}}");
  check_round_trip(
      "databases: {d: {shards: [{name: s, servers: [h], discovery: {patroni: [\"[::1]:1\", k], etcd: e, scope: \"a b\", "
      "namespace: /}}], sharding: {tables: {t: {key: k}}}}}");
  check_round_trip(
      "auth: {method: trust}\nusers: {a: }\nworkers: 2\ndatabases: {\"*\": {shards: [{name: only, servers: [h]}]}}");
  check_round_trip(
      "listen: {tls: {mode: require, cert: a/b.crt, key: k, min_version: TLSv1.3}}\nauth: {method: trust}\n"
      "databases: {d: {servers: [h]}}");
  check_round_trip(
      "auth: {method: trust}\n"
      "databases: {d: {servers: [h, {host: i, tls: allow}], tls: {mode: verify-full, ca: c, cert: d, key: e}}}");
  check_round_trip(
      "auth: {query: \"SELECT a, b FROM c WHERE a = $1\", query_keep: 5s, rules: [{database: [d, e], user: \"a b\", "
      "address: [local, \"::1\"], tls: false, method: md5}, {method: reject}]}\n"
      "listen: {tls: {cert: a, key: k, ca: b}}\ndatabases: {d: {servers: [h]}}");
  check_round_trip(R"(auth: {method: trust}
listen: {host: ["::1", /tmp]}
databases:
  "a b: #":
    shards:
      - {name: "null", buckets: "0,2-3", servers: [h]}
      - {name: "- x", buckets: 1, servers: [{host: i, dbname: "with \" and \\"}]}
    sharding:
      buckets: 4
      tables: {'"Odd.Table"': {key: "Ключ"}}
      patterns: [{tables: "a.*", key: [b, "c d"]}, {tables: [e, "*.?"], key: f, function: consistent_hash, unique: g}]
      shard_local: ["f\tg"]
    reads: {max_lag: 0ms}
)");
}

TEST_CASE("no password is printed, whatever gave it") {
  const load_result r = load_text(
      "auth: {method: md5}\nmonitor: {password: hush1}\nusers: {a: hush2, b: {password: hush3}}\n"
      "databases: {d: {servers: [h]}}",
      "t");
  REQUIRE(r.ok());
  CHECK(describe(r.value).find("hush") == std::string::npos);
}
