// Every mistake within databases, with its place and its text.
#include "example.hpp"

#include <catch2/catch.hpp>

using namespace pgbraid::config;
using namespace pgbraid::config::test;

namespace {

using texts = std::vector<std::string>;

struct mistake {
  std::string yaml;  ///< the database named d, from column 16 of line 2 on
  texts expected;
};

void check_mistakes(const std::vector<mistake>& table) {
  for (const mistake& m : table) {
    INFO(m.yaml);
    CHECK(told("auth: {method: trust}\ndatabases: {d: " + m.yaml + "}") == m.expected);
  }
}

/// A database of two shards whose `buckets` are these, 8 in all.
std::string with_buckets(const std::string& first, const std::string& second) {
  return "\n {shards: [\n {name: a, buckets: " + first + ", servers: [h]},\n {name: b, buckets: " + second +
         ", servers: [i]}],\n sharding: {buckets: 8}}";
}

/// A database of two shards with this under `sharding`, from column 13 of line 4 on.
std::string with_sharding(const std::string& sharding) {
  return "\n {shards: [{name: s0, servers: [h]}, {name: s1, servers: [i]}],\n sharding: {" + sharding + "}}";
}

}  // namespace

TEST_CASE("databases without servers") {
  CHECK(told("auth: {method: trust}\ndatabases:\n") == texts{"t:2:1: error: databases: at least one is needed"});
  CHECK(told("auth: {method: trust}\ndatabases: {}\n") == texts{"t:2:12: error: databases: at least one is needed"});
  check_mistakes({
      {"", {"t:2:13: error: databases.d: no servers are given; write servers, or shards and sharding"}},
      {"{}", {"t:2:13: error: databases.d: no servers are given; write servers, or shards and sharding"}},
      {"h", {"t:2:16: error: databases.d: expected a map, found \"h\""}},
      {"{servers: }", {"t:2:17: error: databases.d.servers: the list is empty"}},
      {"{servers: []}", {"t:2:26: error: databases.d.servers: the list is empty"}},
      {"{servers: h}", {"t:2:26: error: databases.d.servers: expected a list, found \"h\""}},
      {"{shards: []}", {"t:2:25: error: databases.d.shards: the list is empty"}},
      {"{servers: [h], shards: [{name: a, servers: [i]}]}",
       {"t:2:17: error: databases.d: servers and shards are both given; servers stand under their shard"}},
      {"{shards: [{name: a}]}", {"t:2:26: error: databases.d.shards[0]: servers is missing"}},
      {"{shards: [{servers: [h]}]}", {"t:2:26: error: databases.d.shards[0]: name is missing"}},
      {"{shards: [a]}", {"t:2:26: error: databases.d.shards[0]: expected a map, found \"a\""}},
      {"{shards: [{name: a, servers: []}]}", {"t:2:45: error: databases.d.shards[0].servers: the list is empty"}},
  });
}

TEST_CASE("servers") {
  check_mistakes({
      {"{servers: [\"h:x\"]}", {"t:2:27: error: databases.d.servers[0]: expected a port from 1 to 65535, found \"x\""}},
      {"{servers: [\"::1\"]}",
       {"t:2:27: error: databases.d.servers[0]: \"::1\" is ambiguous: write an IPv6 address in brackets, as "
        "[::1]:5432"}},
      {"{servers: [{port: 1}]}", {"t:2:27: error: databases.d.servers[0]: host is missing"}},
      {"{servers: [{host: \"h:1\"}]}",
       {"t:2:34: error: databases.d.servers[0].host: \"h:1\" names a port too; give it under port"}},
      {"{servers: [{host: h, weight: 0}]}",
       {"t:2:45: error: databases.d.servers[0].weight: expected a whole number from 1 to 1000, found \"0\""}},
      {"{servers: [{host: h, tls: require}]}", {}},
      {"{servers: [h], tls: {}}", {}},
      {"{servers: [{host: h, tls: always}]}",
       {"t:2:42: error: databases.d.servers[0].tls: expected disable, allow, prefer, require, verify-ca or "
        "verify-full, "
        "found \"always\""}},
      {"{servers: [h], tls: verify-ca}",
       {"t:2:36: error: databases.d.tls: ca is missing: nothing says whose certificates to believe"}},
      {"{servers: [h], tls: {mode: require, key: k}}",
       {"t:2:36: error: databases.d.tls: cert and key are given together or not at all"}},
      {"{servers: [[h]]}", {"t:2:27: error: databases.d.servers[0]: expected a text or a map, found a list"}},
      {"{servers: [h, \"h:5433\", \"h:5432\"]}",
       {"t:2:40: error: databases.d.servers[2]: h:5432 stands on line 2 already"}},
      {"{servers: [h, {host: h, dbname: other}]}",
       {"t:2:30: error: databases.d.servers[1]: h:5432 stands on line 2 already"}},
  });
}

TEST_CASE("shards") {
  check_mistakes({
      {"{shards: [{name: a, servers: [h]}, {name: b, servers: [i]}]}",
       {"t:2:17: error: databases.d: several shards need sharding: say which tables are spread by which key"}},
      {"{sharding: {}, shards: [{name: a, servers: [h]}, {name: a, servers: [i]}]}",
       {"t:2:72: error: databases.d.shards[1].name: a shard named \"a\" stands on line 2 already"}},
      {"{sharding: {}, shards: [{name: a, servers: [h]}, {name: b, servers: [{host: h, dbname: d}]}]}",
       {"t:2:85: error: databases.d.shards[1].servers[0]: h:5432 holds shard \"a\" already; give another server or "
        "another dbname"}},
      {"{sharding: {buckets: 1}, shards: [{name: a, servers: [h]}, {name: b, servers: [i]}]}",
       {"t:2:27: error: databases.d.sharding.buckets: 1 buckets for 2 shards"}},
  });
}

TEST_CASE("buckets") {
  check_mistakes({
      {with_buckets("0-3", "5-7"), {"t:5:21: error: databases.d.shards[1].buckets: bucket 4 belongs to no shard"}},
      {with_buckets("0-2", "5-7"), {"t:5:21: error: databases.d.shards[1].buckets: buckets 3-4 belong to no shard"}},
      {with_buckets("1-3", "4-7"), {"t:4:21: error: databases.d.shards[0].buckets: bucket 0 belongs to no shard"}},
      {with_buckets("0-3", "4-6"), {"t:5:21: error: databases.d.shards[1].buckets: bucket 7 belongs to no shard"}},
      {with_buckets("4-6", "0-3"), {"t:4:21: error: databases.d.shards[0].buckets: bucket 7 belongs to no shard"}},
      {with_buckets("0-4", "4-7"),
       {"t:5:21: error: databases.d.shards[1].buckets: bucket 4 belongs to shard \"a\" already"}},
      {with_buckets("4-7", "0-4"),
       {"t:5:21: error: databases.d.shards[1].buckets: bucket 4 belongs to shard \"a\" already"}},
      {with_buckets("\"0-3,3\"", "4-7"), {"t:4:21: error: databases.d.shards[0].buckets: bucket 3 stands here twice"}},
      {with_buckets("0-3", "4-8"), {"t:5:21: error: databases.d.shards[1].buckets: 4-8 goes past the last bucket, 7"}},
      {with_buckets("0-3", "x"),
       {"t:5:21: error: databases.d.shards[1].buckets: expected bucket ranges as 0-2047, found \"x\""}},
      {with_buckets("0-3", "[4-5, {}]"),
       {"t:5:27: error: databases.d.shards[1].buckets: expected a bucket or a range as 0-2047, found a map"}},
      {with_buckets("0-3", "[]"),
       {"t:5:21: error: databases.d.shards[1].buckets: expected bucket ranges as 0-2047, found a list"}},
      {with_buckets("0-3", ""),
       {"t:5:12: error: databases.d.shards[1].buckets: expected bucket ranges as 0-2047, found nothing"}},
      {"{sharding: {}, shards: [{name: a, buckets: 0-2047, servers: [h]}, {name: b, servers: [i]}]}",
       {"t:2:82: error: databases.d.shards: buckets are given for some shards but not for this one"}},
      {"{shards: [{name: a, buckets: 0-4095, servers: [h]}]}",
       {"t:2:45: error: databases.d.shards[0].buckets: buckets have no meaning without sharding"}},
      {with_sharding("buckets: 3000"),
       {"t:4:22: error: databases.d.sharding.buckets: expected a power of two from 1 to 65536, found \"3000\""}},
      {with_sharding("buckets: 131072"),
       {"t:4:22: error: databases.d.sharding.buckets: expected a power of two from 1 to 65536, found \"131072\""}},
  });
}

TEST_CASE("sharding") {
  check_mistakes({
      {with_sharding("lookup: {key: k, shard: s}"), {"t:4:21: error: databases.d.sharding.lookup: table is missing"}},
      {with_sharding("lookup: {table: t, key: k, shard: s, max_age: soon}"),
       {"t:4:59: error: databases.d.sharding.lookup.max_age: expected a number with a unit, as 200ms, found \"soon\""}},
      {with_sharding("default_shard: nowhere"),
       {"t:4:28: error: databases.d.sharding.default_shard: there is no shard \"nowhere\""}},
      {with_sharding("function: postgres_hsh"),
       {"t:4:23: error: databases.d.sharding.function: expected postgres_hash, consistent_hash, range, list, lookup or "
        "schema, found \"postgres_hsh\"; did you mean \"postgres_hash\"?"}},
      {with_sharding("tables: {t: k}"), {"t:4:25: error: databases.d.sharding.tables.t: expected a map, found \"k\""}},
      {with_sharding("tables: {t: {}}"), {"t:4:25: error: databases.d.sharding.tables.t: key is missing"}},
      {with_sharding("tables: {t: {kye: a}}"),
       {"t:4:25: error: databases.d.sharding.tables.t: key is missing",
        "t:4:26: error: unknown key \"kye\" in databases.d.sharding.tables.t; did you mean \"key\"?"}},
      {with_sharding("tables: {t: {key: [a, b, a]}}"),
       {"t:4:22: error: databases.d.sharding.tables.t.key: column a stands twice"}},
      {with_sharding("tables: {t: {key: []}}"), {"t:4:31: error: databases.d.sharding.tables.t.key: it has no column"}},
      {with_sharding("tables: {t: {key: {}}}"),
       {"t:4:31: error: databases.d.sharding.tables.t.key: expected a text or a list of texts, found a map"}},
      {with_sharding("tables: {t: {key: a, unique: [b, c, b]}, u: {key: a, unique: []}, v: {key: [a, b], unique: a}}"),
       {"t:4:22: error: databases.d.sharding.tables.t.unique: column b stands twice",
        "t:4:74: error: databases.d.sharding.tables.u.unique: it has no column"}},
      {with_sharding("tables: {t: {key: a, unique: [b, a]}}"),
       {"t:4:22: error: databases.d.sharding.tables.t.unique: column a is the key: equal values stand on one shard, "
        "where a constraint sees to it"}},
      {with_sharding("patterns: [{tables: t, key: a, unique: a}]"),
       {"t:4:24: error: databases.d.sharding.patterns[0].unique: column a is the key: equal values stand on one shard, "
        "where a constraint sees to it"}},
      {with_sharding("unsharded: {t: {unique: a}}"),
       {"t:4:28: error: databases.d.sharding.unsharded.t: expected a text, found a map"}},
      {with_sharding("patterns: {t: {key: a}}"),
       {"t:4:23: error: databases.d.sharding.patterns: expected a list, found a map"}},
      {with_sharding("patterns: [{tables: t}]"), {"t:4:24: error: databases.d.sharding.patterns[0]: key is missing"}},
      {with_sharding("patterns: [{table: t, key: k}]"),
       {"t:4:24: error: databases.d.sharding.patterns[0]: tables is missing",
        "t:4:25: error: unknown key \"table\" in databases.d.sharding.patterns[0]; did you mean \"tables\"?"}},
      {with_sharding("patterns: [{tables: [], key: [a, a]}, {tables: a.b.c, key: []}]"),
       {"t:4:24: error: databases.d.sharding.patterns[0].key: column a stands twice",
        "t:4:33: error: databases.d.sharding.patterns[0].tables: it has no name",
        "t:4:51: error: databases.d.sharding.patterns[1].tables: \"a.b.c\" is neither a table nor a schema and a table",
        "t:4:72: error: databases.d.sharding.patterns[1].key: it has no column"}},
      {with_sharding("patterns: [{tables: t, key: k, function: rnge}]"),
       {"t:4:54: error: databases.d.sharding.patterns[0].function: expected postgres_hash, consistent_hash, range, "
        "list or "
        "lookup, found \"rnge\"; did you mean \"range\"?"}},
      {with_sharding("tables: {t: {key: a}}, reference_tables: [u, t]"),
       {"t:4:58: error: databases.d.sharding.reference_tables: table t stands under tables on line 4 already"}},
      {with_sharding("tables: {t: {key: a}, public.t: {key: a}}"),
       {"t:4:35: error: databases.d.sharding.tables: table public.t stands under tables on line 4 already"}},
      {with_sharding("reference_tables: [u], unsharded: {u: s0}"),
       {"t:4:48: error: databases.d.sharding.unsharded: table u stands under reference_tables on line 4 already"}},
      {with_sharding("reference_tables: u"),
       {"t:4:31: error: databases.d.sharding.reference_tables: expected a list of texts, found \"u\""}},
      {with_sharding("unsharded: {u: s3}"),
       {"t:4:28: error: databases.d.sharding.unsharded.u: there is no shard \"s3\"; did you mean \"s0\"?"}},
      {with_sharding("unsharded: {u: elsewhere}"),
       {"t:4:28: error: databases.d.sharding.unsharded.u: there is no shard \"elsewhere\""}},
      {with_sharding("unsharded: {u: }"),
       {"t:4:25: error: databases.d.sharding.unsharded.u: expected a text, found nothing"}},
      {with_sharding("tables: {t: {key: a}}, accept_unenforced: [t, tt]"),
       {"t:4:59: warning: databases.d.sharding.accept_unenforced: tt is no table of this sharding"}},
      {with_sharding("check_placement: perhaps"),
       {"t:4:30: error: databases.d.sharding.check_placement: expected true or false, found \"perhaps\""}},
  });
}

TEST_CASE("reads and pool") {
  check_mistakes({
      {"{servers: [h], reads: {wait_for_replica: 11s}}",
       {"t:2:57: error: databases.d.reads.wait_for_replica: expected a time from 0 to 10s, found \"11s\""}},
      {"{servers: [h], reads: {max_lag: lots}}",
       {"t:2:48: error: databases.d.reads.max_lag: expected none, a size as 16MB, or a time as 5s, found \"lots\""}},
      {"{servers: [h], reads: {max_lag: 16}}",
       {"t:2:48: error: databases.d.reads.max_lag: expected none, a size as 16MB, or a time as 5s, found \"16\""}},
      {"{servers: [h], reads: {max_lag: 0.1ms}}",
       {"t:2:48: error: databases.d.reads.max_lag: \"0.1ms\" is not a whole number of milliseconds"}},
      {"{servers: [h], reads: {treat_as_read: [f, g], treat_as_write: [g]}}",
       {"t:2:79: error: databases.d.reads.treat_as_write: g is under treat_as_read too"}},
      {"{servers: [h], pool: {mode: session}, reads: {replicas: require}}",
       {"t:2:44: error: databases.d.pool.mode: a session that keeps one connection keeps the primary's; reads.replicas "
        "cannot be require"}},
      {"{servers: [h], reads: {snapshot: consistent, replicas: require}}",
       {"t:2:38: error: databases.d.reads.snapshot: consistent reads of several shards go to primaries; reads.replicas "
        "cannot be "
        "require"}},
      {"{servers: [h], reads: {consistency: global}, commits: {answer: decided}}",
       {"t:2:79: error: databases.d.commits.answer: with decided a session may miss what another has been told; "
        "reads.consistency cannot be global"}},
      {"{servers: [h], commits: {answer: soon}}",
       {"t:2:49: error: databases.d.commits.answer: expected finished or decided, found \"soon\""}},
      {"{servers: [h], pool: {size: 0}}",
       {"t:2:44: error: databases.d.pool.size: expected a whole number from 1 to 10000, found \"0\""}},
      {"{servers: [h], pol: {size: 1}}", {"t:2:31: error: unknown key \"pol\" in databases.d; did you mean \"pool\"?"}},
  });
}
