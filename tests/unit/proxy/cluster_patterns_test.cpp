// Tables that patterns of the topology mean: names, columns, and shards that must agree.
#include "proxy/cluster/pattern_tables.hpp"

#include "proxy/cluster/recent_definitions.hpp"
#include "router/shard/bucket_map.hpp"

#include <catch2/catch.hpp>

using namespace pgbraid;
using namespace pgbraid::proxy;
using namespace std::chrono_literals;
namespace t = router::type_oid;

namespace {

using columns = std::vector<std::pair<const char*, router::oid>>;

struct two_shards {
  two_shards() {
    listed.shards = {"s0", "s1"};
    listed.tables = {{"public.orders", {{"id"}}}};
    listed.reference_tables = {"public.countries"};
    listed.unsharded = {{"public.settings", 0}};
    listed.schemas = {{"tenant", 1}};
    mean("public", "pair*", {"a", "b"});
    mean("public", "*", {"customer_id"});
    for (auto& shard : shards) shard = std::make_shared<shard_catalog>();
  }
  void mean(const char* schema, const char* table, std::vector<std::string> key) {
    listed.patterns.push_back({schema, table, {std::move(key)}});
  }
  router::relation& add(std::size_t shard, const std::string& name, const columns& with, char kind = 'r') {
    router::relation& r = shards[shard]->content.relations[name];
    r.schema = name.substr(0, name.find('.'));
    r.name = name.substr(name.find('.') + 1);
    r.kind = kind;
    for (const auto& [column, type] : with) {
      router::column& c = r.columns.emplace_back();
      c.name = column;
      c.type = type;
    }
    return r;
  }
  void add_everywhere(const std::string& name, const columns& with, char kind = 'r') {
    for (std::size_t i = 0; i < 2; ++i) add(i, name, with, kind);
  }
  [[nodiscard]] router::topology seen(const looked_tables* rows = nullptr) const {
    return with_pattern_tables(listed, {{shards[0], rows}, {shards[1], rows}});
  }
  [[nodiscard]] std::string unfit(const std::string& name, const looked_tables* rows = nullptr) const {
    const router::topology map = seen(rows);
    const auto found = map.unfit.find(name);
    CHECK(map.tables.contains(name) == (found == map.unfit.end()));
    return found == map.unfit.end() ? "" : found->second;
  }

  router::topology listed;
  std::shared_ptr<shard_catalog> shards[2];
};

}  // namespace

TEST_CASE("columns of a pattern that a table lacks are none of its") {
  two_shards s;
  s.listed.patterns.back().sharding.unique = {"email", "customer_id"};
  s.add_everywhere("public.people", {{"customer_id", t::int4}, {"email", t::text}});
  s.add_everywhere("public.notes", {{"customer_id", t::int4}});
  const router::topology map = s.seen();
  CHECK(map.tables.at("public.people").unique == std::vector<std::string>{"email", "customer_id"});
  CHECK(map.tables.at("public.notes").unique == std::vector<std::string>{"customer_id"});
}

TEST_CASE("names fit patterns") {
  const auto fits = [](std::string_view name, std::string_view pattern) { return fits_pattern(name, pattern); };
  CHECK(fits("orders", "orders"));
  CHECK(fits("orders", "*"));
  CHECK(fits("orders", "o*s"));
  CHECK(fits("orders", "*r*r*"));
  CHECK(fits("orders", "orders*"));
  CHECK(fits("orders", "o?ders"));
  CHECK(fits("Zoë", "Zo?"));
  CHECK(fits("", "*"));
  CHECK_FALSE(fits("orders", "order"));
  CHECK_FALSE(fits("order", "orders"));
  CHECK_FALSE(fits("orders", "o?s"));
  CHECK_FALSE(fits("orders", "*x*"));
  CHECK_FALSE(fits("orders", "Orders"));
  CHECK_FALSE(fits("", "?"));
  CHECK_FALSE(fits("a_b", "a%b"));
}

TEST_CASE("the first pattern that fits decides, and lists come first") {
  two_shards w;
  w.add_everywhere("public.t", {{"customer_id", t::int8}});
  w.add_everywhere("public.pairs", {{"a", t::text}, {"b", t::int4}, {"customer_id", t::int8}});
  w.add_everywhere("public.pair", {{"a", t::text}, {"customer_id", t::int8}});
  for (const char* other :
       {"public.orders", "public.countries", "public.settings", "tenant.t", "elsewhere.t", "pg_catalog.t", "pgbraid.t"})
    w.add_everywhere(other, {{"id", t::int8}, {"customer_id", t::int8}});
  w.mean("*", "t", {"customer_id"});
  w.add_everywhere("public.none", {{"id", t::int8}});
  w.add_everywhere("public.v", {{"customer_id", t::int8}}, 'v');
  w.add_everywhere("public.part", {{"customer_id", t::int8}});
  for (const auto& shard : w.shards) shard->heirs = {"public.part"};
  const router::topology map = w.seen();
  CHECK(map.unfit.empty());
  std::vector<std::string> names;
  for (const auto& [name, table] : map.tables) names.push_back(name);
  CHECK(names == std::vector<std::string>{"elsewhere.t", "public.orders", "public.pair", "public.pairs", "public.t"});
  CHECK(map.tables.at("public.orders").key == std::vector<std::string>{"id"});
  CHECK(map.tables.at("public.pairs").key == std::vector<std::string>{"a", "b"});
  CHECK(map.tables.at("public.pair").key == std::vector<std::string>{"customer_id"});
}

TEST_CASE("shards that disagree") {
  two_shards w;
  w.add(0, "public.first", {{"customer_id", t::int8}});
  w.add(1, "public.second", {{"customer_id", t::int8}});
  w.add(0, "public.types", {{"customer_id", t::int8}});
  w.add(1, "public.types", {{"customer_id", t::int4}});
  w.add(0, "public.columns", {{"customer_id", t::int8}});
  w.add(1, "public.columns", {{"id", t::int8}});
  w.add(0, "public.pairs", {{"customer_id", t::int8}, {"a", t::text}});
  w.add(1, "public.pairs", {{"customer_id", t::int8}, {"a", t::text}, {"b", t::int4}});
  w.add_everywhere("public.json", {{"customer_id", 114}});
  CHECK(w.unfit("public.first") == "it does not exist on shard s1");
  CHECK(w.unfit("public.second") == "it does not exist on shard s0");
  CHECK(w.unfit("public.types") == "its column \"customer_id\" has another type on shard s1 than on shard s0");
  CHECK(w.unfit("public.columns") == "on shard s1 it has not the same key");
  CHECK(w.unfit("public.pairs") == "on shards s0 and s1 its key is not the same");
  CHECK(w.unfit("public.json") == "the key \"customer_id\" of public.json has a type that cannot be a sharding key");
  SECTION("a shard that has not been read has no say") {
    w.shards[1] = nullptr;
    CHECK(w.unfit("public.first").empty());
    CHECK(w.unfit("public.types").empty());
  }
}

TEST_CASE("a table's own comment comes before patterns") {
  two_shards w;
  w.add_everywhere("public.t", {{"customer_id", t::int8}, {"name", t::text}});
  w.add_everywhere("elsewhere.t", {{"a", t::int8}, {"b", t::text}});
  w.add_everywhere("public.orders", {{"id", t::int8}, {"name", t::text}});
  const auto say = [&](const char* table, const char* comment) {
    for (const auto& shard : w.shards) shard->declared[table] = comment;
  };
  say("public.t", "pgbraid: key=name");
  say("elsewhere.t", "pgbraid: key=(b, a)");
  say("public.orders", "pgbraid: key=name");
  const router::topology map = w.seen();
  CHECK(map.tables.at("public.t").key == std::vector<std::string>{"name"});
  CHECK(map.tables.at("elsewhere.t").key == std::vector<std::string>{"b", "a"});
  CHECK(map.tables.at("public.orders").key == std::vector<std::string>{"id"});
  say("public.t", "pgbraid: key");
  CHECK(w.unfit("public.t") == "its comment names no key");
  say("public.t", "pgbraid: key=x");
  CHECK(w.unfit("public.t") == "sharded table public.t has no column \"x\" to be its key");
  w.listed.usual = router::shard_function::lookup;
  say("public.t", "pgbraid: key=name");
  CHECK(w.unfit("public.t") == "no table says where its keys are");
  CHECK(w.unfit("elsewhere.t") == "a key of several columns goes by buckets and nothing else");
  w.listed.usual = router::shard_function::hash;
  w.shards[1]->declared.clear();
  CHECK(w.unfit("public.t") == "on shards s0 and s1 its key is not the same");
  CHECK(w.unfit("elsewhere.t") == "on shard s1 it has not the same key");
}

TEST_CASE("rows must have been looked at") {
  two_shards w;
  w.add_everywhere("public.t", {{"customer_id", t::int8}});
  looked_tables rows;
  CHECK(w.unfit("public.t", &rows) == "its rows on shard s0 have not been looked at yet");
  rows["public.t"] = {w.shards[0]->content.relations["public.t"], {{"name"}}, {}};
  CHECK(w.unfit("public.t", &rows) == "its rows on shard s0 have not been looked at yet");
  rows["public.t"].by.key = {"customer_id"};
  rows["public.t"].problem = "a row stands elsewhere";
  CHECK(w.unfit("public.t", &rows) == "a row stands elsewhere");
  rows["public.t"].problem.clear();
  CHECK(w.unfit("public.t", &rows).empty());
}

TEST_CASE("definitions are remembered by bare names") {
  recent_definitions known;
  const steady_time start{1h};
  CHECK(known.latest() == steady_time::min());
  known.note({"t", "u"}, start);
  known.note({"u"}, start + 2s);
  known.note({"t"}, start - 1s);
  CHECK(known.latest() == start + 2s);
  CHECK(known.latest("public.t") == start);
  CHECK(known.latest("u") == start + 2s);
  CHECK(known.latest("v") == steady_time::min());
}
