// The topology file against the router's view, real catalogs, rows, and the topology before it.
#include "proxy/cluster/placement.hpp"
#include "proxy/cluster/reload.hpp"
#include "proxy/cluster/topology_view.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace pgbraid;
using namespace pgbraid::proxy;
using namespace std::chrono_literals;

namespace {

config::server server(std::uint16_t port) {
  config::server s;
  s.host = "127.0.0.1";
  s.port = port;
  return s;
}

config::database shop() {
  config::database d;
  d.name = "shop";
  for (int i = 0; i < 2; ++i) {
    config::shard& s = d.shards.emplace_back();
    s.name = i == 0 ? "s0" : "s1";
    s.servers = {server(static_cast<std::uint16_t>(6100 + i)), server(static_cast<std::uint16_t>(6110 + i))};
  }
  config::sharding& sharding = d.sharding.emplace();
  sharding.tables.resize(2);
  sharding.tables[0].name = "customers";
  sharding.tables[0].key = {"id"};
  sharding.tables[1].name = "sales.orders";
  sharding.tables[1].key = {"customer_id"};
  sharding.reference_tables = {"countries"};
  sharding.unsharded.resize(1);
  sharding.unsharded[0].name = "settings";
  sharding.unsharded[0].shard = "s1";
  sharding.accept_unenforced = {"customers"};
  return d;
}

router::catalog schema_with(const router::column& key, char kind = 'r') {
  router::catalog c;
  router::relation& r = c.relations["public.customers"];
  r.kind = kind;
  r.columns = {key};
  return c;
}

router::column column(const char* name, router::oid type) {
  router::column c;
  c.name = name;
  c.type = type;
  return c;
}

}  // namespace

TEST_CASE("the file's words become the router's") {
  const topology_view view = view_of(shop(), "shop");
  CHECK(view.errors.empty());
  CHECK(view.map.database == "shop");
  CHECK(view.map.tables.at("public.customers").key == std::vector<std::string>{"id"});
  CHECK(view.map.tables.contains("sales.orders"));
  CHECK(view.map.reference_tables.contains("public.countries"));
  CHECK(view.map.unsharded.at("public.settings") == 1);
  CHECK(view.map.accept_unenforced.contains("public.customers"));
  REQUIRE(view.map.buckets.owner.size() == 4096);
  CHECK(view.map.buckets.owner[2047] == 0);
  CHECK(view.map.buckets.owner[2048] == 1);
}

TEST_CASE("patterns of the file") {
  config::database d = shop();
  d.sharding->patterns.resize(2);
  d.sharding->patterns[0].tables = {"o*", "sales.?"};
  d.sharding->patterns[0].key = {"a", "b"};
  d.sharding->patterns[1].tables = {"*.*"};
  d.sharding->patterns[1].key = {"id"};
  topology_view view = view_of(d, "shop");
  CHECK(view.errors.empty());
  using pattern = router::table_pattern;
  CHECK(view.map.patterns ==
        std::vector<pattern>{{"public", "o*", {{"a", "b"}}}, {"sales", "?", {{"a", "b"}}}, {"*", "*", {{"id"}}}});
  CHECK(care_of(d, shop(), "shop") == reload_care::sample);
  d.sharding->patterns[0].function = config::shard_function::range;
  d.sharding->patterns[1].function = config::shard_function::lookup;
  view = view_of(d, "shop");
  CHECK(view.errors ==
        std::vector<std::string>{"pattern o*, sales.?: a key of several columns goes by buckets and nothing else",
                                 "pattern o*, sales.?: no shard lists ranges",
                                 "pattern *.*: sharding.lookup does not say in which table its key is looked up"});
}

TEST_CASE("columns of the file whose values are kept apart") {
  config::database d = shop();
  CHECK(view_of(d, "shop").map.tables.at("public.customers").unique.empty());
  d.sharding->tables[0].unique = {"email", "login"};
  d.sharding->patterns.resize(1);
  d.sharding->patterns[0] = {{"o*"}, {"id"}, {}, {"number"}, {}};
  const router::topology map = view_of(d, "shop").map;
  CHECK(map.tables.at("public.customers").unique == std::vector<std::string>{"email", "login"});
  CHECK(map.tables.at("sales.orders").unique.empty());
  REQUIRE(map.patterns.size() == 1);
  CHECK(map.patterns.front().sharding.unique == std::vector<std::string>{"number"});
  CHECK(care_of(shop(), d, "shop") == reload_care::sample);
}

TEST_CASE("contradictions of the file") {
  config::database d = shop();
  SECTION("an unknown shard") {
    d.sharding->unsharded[0].shard = "s9";
  }
  SECTION("ranges with a gap") {
    d.shards[0].buckets = {{0, 2000}};
    d.shards[1].buckets = {{2002, 4095}};
  }
  SECTION("another function") {
    d.sharding->function = config::shard_function::range;
  }
  SECTION("no shards") {
    d.shards.clear();
  }
  CHECK_FALSE(view_of(d, "shop").errors.empty());
}

TEST_CASE("contradictions of a catalog") {
  const router::topology map = view_of(shop(), "shop").map;
  CHECK(contradictions(map, {}).empty());  // no table, no reason: statements fail by themselves
  CHECK(contradictions(map, schema_with(column("id", router::type_oid::int4))).empty());
  CHECK(contradictions(map, schema_with(column("id", router::type_oid::int4), 'p')).empty());
  CHECK(contradictions(map, schema_with(column("id", router::type_oid::int4), 'v')).size() == 1);
  CHECK(contradictions(map, schema_with(column("no", router::type_oid::int4))).size() == 1);
  CHECK(contradictions(map, schema_with(column("id", router::type_oid::bytea))).size() == 1);
  router::column loose = column("id", router::type_oid::text);
  loose.deterministic = false;
  CHECK(contradictions(map, schema_with(loose)).size() == 1);
}

TEST_CASE("a key is judged by its bucket's owner") {
  const router::topology map = view_of(shop(), "shop").map;
  const auto judge_id = [&](router::shard_index shard, const char* table, const std::string& value) {
    const std::vector<placed_column> key{{"id", "id", router::type_oid::int4}};
    return judge_key(map, shard, table, key, std::vector<std::string>{value});
  };
  int homes = 0;
  for (int id = 1; id <= 100; ++id) {
    const std::string value = std::to_string(id);
    const bool on_first = judge_id(0, "public.customers", value).empty();
    const bool on_second = judge_id(1, "public.customers", value).empty();
    CHECK(on_first != on_second);
    homes += on_first ? 1 : 0;
  }
  CHECK(homes > 25);
  CHECK(homes < 75);
  std::string sentence;
  for (const router::shard_index shard : {0, 1}) {
    sentence += judge_id(shard, "public.customers", "7");
  }
  CHECK(sentence.find("public.customers has a row with id = '7' on shard s") == 0);
  CHECK(sentence.find("belongs on shard s") != std::string::npos);
  CHECK(judge_id(0, "t", "seven").find("cannot be read") != std::string::npos);
}

TEST_CASE("large tables are sampled") {
  CHECK(sample_percentage(0) == 100.0);
  CHECK(sample_percentage(10'000) == 100.0);
  CHECK(sample_percentage(20'000) == Approx(50.0));
  CHECK(sample_percentage(1e9) == Approx(0.001));
}

TEST_CASE("how carefully a topology is replaced") {
  const config::database before = shop();
  config::database after = shop();
  const auto care = [&] { return care_of(before, after, "shop"); };
  CHECK(care() == reload_care::unchanged);
  SECTION("pool sizes are of no concern here") {
    after.pool.size = 99;
    CHECK(care() == reload_care::unchanged);
  }
  SECTION("lists that move no row") {
    after.sharding->reference_tables.push_back("currencies");
    CHECK(care() == reload_care::gentle);
  }
  SECTION("limits of lag") {
    after.reads.max_lag.bytes = 5;
    CHECK(care() == reload_care::gentle);
  }
  SECTION("weights") {
    after.shards[0].servers[1].weight = 4;
    CHECK(care() == reload_care::gentle);
  }
  SECTION("draining") {
    after.shards[0].servers[1].drain = true;
    CHECK(care() == reload_care::unchanged);
  }
  SECTION("a replica more") {
    after.shards[0].servers.push_back(server(6120));
    CHECK(care() == reload_care::gentle);
  }
  SECTION("another table") {
    after.sharding->tables[0].key = {"country"};
    CHECK(care() == reload_care::sample);
  }
  SECTION("explicit ranges that say the same") {
    after.shards[0].buckets = {{0, 2047}};
    after.shards[1].buckets = {{2048, 4095}};
    CHECK(care() == reload_care::unchanged);
  }
  SECTION("a bucket moves") {
    after.shards[0].buckets = {{0, 2046}};
    after.shards[1].buckets = {{2047, 4095}};
    CHECK(care() == reload_care::whole);
    after.sharding->check_placement = false;
    CHECK(care() == reload_care::gentle);
  }
  SECTION("shards change places") {
    std::swap(after.shards[0].servers, after.shards[1].servers);
    CHECK(care() == reload_care::whole);
  }
  SECTION("a shard on other servers altogether") {
    after.shards[1].servers = {server(6200)};
    CHECK(care() == reload_care::whole);
  }
  SECTION("one shard has nothing to check") {
    after.shards.pop_back();
    after.sharding.reset();
    CHECK(care() == reload_care::gentle);
  }
}

TEST_CASE("a drained server keeps its role and is chosen for nothing") {
  config::shard listed = shop().shards[0];
  shard_state state;
  state.servers.resize(2);
  state.servers[0].role = server_role::primary;
  state.servers[1].role = server_role::replica;
  for (server_state& each : state.servers) each.usable = true;
  state.primary = 0;
  SECTION("a replica") {
    listed.servers[1].drain = true;
    take_out_drained(listed, state);
    CHECK(state.primary == 0);
    CHECK(state.servers[0].usable);
    CHECK_FALSE(state.servers[0].drained);
    CHECK(state.servers[1].drained);
    CHECK_FALSE(state.servers[1].usable);
    CHECK(state.servers[1].role == server_role::replica);
    CHECK(state.servers[1].reason == "it is being drained");
  }
  SECTION("the primary") {
    listed.servers[0].drain = true;
    take_out_drained(listed, state);
    CHECK(state.primary == -1);
    CHECK(state.servers[0].role == server_role::primary);
    CHECK(state.servers[1].usable);
  }
}
