// What holds on one shard only, and what code runs behind a table: constraints and functions as rows of the catalog.
#include "proxy/cluster/table_facts.hpp"

#include <catch2/catch.hpp>

using namespace pgbraid;
using namespace pgbraid::proxy;

namespace {

using part = constraint_facts::part;

router::topology shop() {
  router::topology map;
  map.shards = {"s0", "s1"};
  map.tables = {{"public.customers", {{"id"}}}, {"public.orders", {{"customer_id"}}}};
  map.tables["public.sales"].key = {"tenant", "region"};
  map.tables["public.lines"].key = {"owner", "place"};
  map.reference_tables = {"public.countries"};
  map.unsharded = {{"public.settings", 0}, {"public.flags", 0}, {"public.far", 1}};
  return map;
}

shard_catalog with_columns() {
  shard_catalog shard;
  const auto table = [&](const char* name, std::vector<std::pair<const char*, router::oid>> columns) {
    router::relation& r = shard.content.relations[std::string{"public."} + name];
    for (const auto& [column, type] : columns) {
      router::column c;
      c.name = column;
      c.type = type;
      r.columns.push_back(std::move(c));
    }
  };
  namespace t = router::type_oid;
  table("customers", {{"id", t::int4}, {"country", t::text}});
  table("orders", {{"customer_id", t::int8}, {"id", t::uuid}});
  table("sales", {{"tenant", t::text}, {"region", t::int4}});
  table("lines", {{"place", t::int8}, {"owner", t::varchar}});
  return shard;
}

std::vector<std::string> judged(constraint_facts constraint) {
  shard_catalog shard = with_columns();
  const std::string table = constraint.table;
  shard.constraints.push_back(std::move(constraint));
  const auto found = unenforced(shard, shop());
  const auto entry = found.find(table);
  return entry == found.end() ? std::vector<std::string>{} : entry->second;
}

constraint_facts of(char kind, std::string table, std::vector<part> parts, std::string foreign = {}) {
  return {std::move(table), kind, "c", std::move(foreign), std::move(parts)};
}

}  // namespace

TEST_CASE("unique constraints hold over the shards only with the key") {
  using list = std::vector<std::string>;
  for (const char kind : {'p', 'u', 'i'}) {
    CAPTURE(kind);
    CHECK(judged(of(kind, "public.orders", {{"customer_id", {}, {}}, {"id", {}, {}}})).empty());
    CHECK(judged(of(kind, "public.orders", {{"id", {}, {}}})).size() == 1);
    CHECK(judged(of(kind, "public.orders", {{std::nullopt, {}, {}}})).size() == 1);
  }
  CHECK(judged(of('p', "public.orders", {{"id", {}, {}}})) ==
        list{"primary key \"c\" does not contain the sharding key"});
  CHECK(judged(of('i', "public.orders", {{"id", {}, {}}})) ==
        list{"unique index \"c\" does not contain the sharding key"});
  // Reference and unsharded tables stand whole on each of their shards.
  CHECK(judged(of('p', "public.countries", {{"code", {}, {}}})).empty());
  CHECK(judged(of('p', "public.settings", {{"name", {}, {}}})).empty());
}

TEST_CASE("constraints over a key of several columns need all of them") {
  CHECK(judged(of('p', "public.sales", {{"region", {}, {}}, {"id", {}, {}}, {"tenant", {}, {}}})).empty());
  CHECK(judged(of('p', "public.sales", {{"tenant", {}, {}}, {"id", {}, {}}})).size() == 1);
  CHECK(judged(of('f', "public.lines", {{"place", "region", {}}, {"owner", "tenant", {}}}, "public.sales")).empty());
  CHECK(judged(of('f', "public.lines", {{"owner", "tenant", {}}}, "public.sales")).size() == 1);
  CHECK(judged(of('f', "public.lines", {{"place", "tenant", {}}, {"owner", "region", {}}}, "public.sales")).size() == 1);
  CHECK(judged(of('f', "public.lines", {{"owner", "id", {}}}, "public.customers")).size() == 1);
}

TEST_CASE("exclusion constraints hold only where the key is compared for equality") {
  CHECK(judged(of('x', "public.orders", {{"customer_id", {}, "="}, {"id", {}, "&&"}})).empty());
  CHECK(judged(of('x', "public.orders", {{"customer_id", {}, "&&"}})).size() == 1);
  CHECK(judged(of('x', "public.orders", {{"id", {}, "="}})).size() == 1);
}

TEST_CASE("foreign keys of sharded tables") {
  CHECK(judged(of('f', "public.customers", {{"country", "code", {}}}, "public.countries")).empty());
  // int8 refers to int4: equal values hash alike.
  CHECK(judged(of('f', "public.orders", {{"customer_id", "id", {}}}, "public.customers")).empty());
  CHECK(judged(of('f', "public.orders", {{"id", "id", {}}}, "public.customers")).size() == 1);
  CHECK(judged(of('f', "public.orders", {{"customer_id", "country", {}}}, "public.customers")).size() == 1);
  CHECK(judged(of('f', "public.orders", {{"id", "id", {}}}, "public.unlisted")).size() == 1);
  CHECK(judged(of('f', "public.orders", {{"id", "id", {}}}, "public.settings")).size() == 1);
}

TEST_CASE("foreign keys between key types whose hashes differ do not hold") {
  shard_catalog shard = with_columns();
  shard.content.relations["public.orders"].columns[0].type = router::type_oid::uuid;
  shard.constraints.push_back(of('f', "public.orders", {{"customer_id", "id", {}}}, "public.customers"));
  CHECK(unenforced(shard, shop()).contains("public.orders"));
}

TEST_CASE("foreign keys of tables that are not sharded") {
  CHECK(judged(of('f', "public.countries", {{"a", "b", {}}}, "public.countries")).empty());
  CHECK(judged(of('f', "public.countries", {{"a", "id", {}}}, "public.customers")).size() == 1);
  CHECK(judged(of('f', "public.settings", {{"a", "b", {}}}, "public.countries")).empty());
  CHECK(judged(of('f', "public.settings", {{"a", "b", {}}}, "public.flags")).empty());
  CHECK(judged(of('f', "public.settings", {{"a", "b", {}}}, "public.far")).size() == 1);
  // The sharded side is told too: deleting there reaches rows that stand elsewhere.
  shard_catalog shard = with_columns();
  shard.constraints.push_back(of('f', "public.countries", {{"a", "id", {}}}, "public.customers"));
  CHECK(unenforced(shard, shop()).contains("public.customers"));
}

TEST_CASE("a sequence of each shard is no sequence of the table") {
  shard_catalog shard;
  shard.sequences = {{"public.orders", "id"}, {"public.settings", "id"}};
  const auto found = unenforced(shard, shop());
  REQUIRE(found.contains("public.orders"));
  CHECK(found.find("public.orders")->second ==
        std::vector<std::string>{"column \"id\" draws its default from a sequence of each shard"});
  CHECK_FALSE(found.contains("public.settings"));  // it stands on one shard alone
}

TEST_CASE("a sequence that is known is drawn from on the first shard") {
  shard_catalog shard = with_columns();
  shard.sequences = {{"public.orders", "id"}};
  router::column& id = shard.content.relations["public.orders"].columns[1];
  id.draws = "nextval('public.orders_id_seq'::regclass)";
  CHECK(unenforced(shard, shop()).empty());
  id.default_of_moment = true;  // with the time in it, it is another matter
  CHECK(unenforced(shard, shop()).contains("public.orders"));
}

TEST_CASE("code behind a table, unless it is listed") {
  router::topology map = shop();
  shard_catalog shard;
  shard.code = {{"public.orders", "trigger \"t\"", "audit.log_it", false, {}},
                {"public.orders", "trigger \"u\"", "audit.log_it", false, {}},
                {"public.orders", "rule \"r\"", std::nullopt, false, {}}};
  const auto list = [&] { return user_code(shard, map)["public.orders"]; };
  CHECK(list() == std::vector<std::string>{"audit.log_it", "rule \"r\""});
  SECTION("by its full name") {
    map.shard_local = {"audit.log_it"};
    CHECK(list() == std::vector<std::string>{"rule \"r\""});
  }
  SECTION("by its bare name") {
    map.shard_local = {"log_it"};
    CHECK(list() == std::vector<std::string>{"rule \"r\""});
  }
  SECTION("not by another's") {
    map.shard_local = {"public.log_it", "it"};
    CHECK(list().size() == 2);
  }
}

TEST_CASE("triggers that look at their row alone stand in nobody's way where the row stays the same everywhere") {
  router::topology map = shop();
  shard_catalog shard;
  shard.code = {{"public.orders", "trigger \"t\"", "public.touch", false, {}}};
  const std::string key = map.tables.at("public.orders").key.front();
  const auto stands = [&](const row_trigger& trigger) {
    shard.row_triggers["public.touch"] = trigger;
    return user_code(shard, map).empty();
  };
  row_trigger trigger;
  trigger.assigned = {"note"};
  CHECK(stands(trigger));
  CHECK(timed_code(shard, map).empty());
  CHECK(row_code(shard)["public.orders"] == std::vector<std::string>{"public.touch"});
  trigger.told_time = trigger.by_chance = true;
  CHECK(stands(trigger));
  CHECK(timed_code(shard, map)["public.orders"] == std::vector<std::string>{"public.touch"});
  map.shard_local = {"touch"};
  CHECK(timed_code(shard, map).empty());
  map.shard_local.clear();
  trigger.assigned.insert(key);
  CHECK_FALSE(stands(trigger));
  trigger.assigned.clear();
  trigger.whole_row = true;
  CHECK_FALSE(stands(trigger));
  // A check that calls another function of that name.
  shard.row_triggers["public.touch"] = {};
  CHECK(user_code(shard, map).empty());
  shard.code.front().what = "constraint \"c\"";
  CHECK_FALSE(user_code(shard, map).empty());
  shard.code.front().what = "trigger \"t\"";
  shard.row_triggers["public.touch"] = trigger;
  shard.code.front().table = "public.countries";
  map.reference_tables = {"public.countries"};
  CHECK_FALSE(stands(trigger));
  CHECK(stands(row_trigger{{"note"}, true, false, false}));
}

TEST_CASE("what decides which rows of a table are read") {
  router::topology map = shop();
  shard_catalog shard = with_columns();
  for (const char* name : {"countries", "settings", "flags", "far"})
    shard.content.relations[std::string{"public."} + name].name = name;
  const auto reads = [&](const std::string& table, const std::string& read) {
    shard.code = {{table, "policy \"p\"", std::nullopt, true, read}};
    const auto found = policy_code(shard, map);
    CHECK(user_code(shard, map) == found);
    return found.contains(table);
  };
  CHECK(reads("public.orders", "public.customers"));
  CHECK(reads("public.orders", "public.settings"));
  CHECK(reads("public.orders", "public.unlisted"));
  CHECK(reads("public.orders", "pg_catalog"));
  CHECK(reads("public.countries", "public.orders"));
  CHECK(reads("public.settings", "public.far"));
  CHECK_FALSE(reads("public.orders", "public.countries"));
  CHECK_FALSE(reads("public.settings", "public.countries"));
  CHECK_FALSE(reads("public.settings", "public.flags"));
  SECTION("a schema that is one shard's is as good as a list of its tables") {
    map.schemas = {{"tenants", 1}};
    for (const char* name : {"tenants.docs", "tenants.people"}) shard.content.relations[name].name = name;
    CHECK_FALSE(reads("tenants.docs", "tenants.people"));
    CHECK_FALSE(reads("tenants.docs", "public.far"));
    CHECK(reads("tenants.docs", "public.settings"));
    CHECK(reads("tenants.docs", "public.orders"));
    shard.constraints = {of('f', "tenants.docs", {{"a", "b", {}}}, "tenants.people")};
    CHECK(unenforced(shard, map).empty());
    shard.constraints = {of('f', "tenants.docs", {{"a", "b", {}}}, "public.orders")};
    CHECK(unenforced(shard, map).contains("tenants.docs"));
  }
  SECTION("a table that shows some of its rows is not whole") {
    shard.content.relations["public.countries"].row_security = true;
    CHECK(reads("public.orders", "public.countries"));
  }
  SECTION("functions of policies, unless they are listed or proved to read nothing; triggers run for writes alone") {
    shard.code = {{"public.orders", "policy \"p\"", "public.tenant", true, {}},
                  {"public.orders", "policy \"p\"", "public.sees", true, {}},
                  {"public.orders", "policy \"p\"", "public.promised", true, {}},
                  {"public.orders", "trigger \"t\"", "public.note", false, {}}};
    map.shard_local = {"promised"};
    shard.content.functions["tenant"].any_user_code = false;
    shard.content.functions["sees"].any_user_code = true;
    CHECK(policy_code(shard, map)["public.orders"] == std::vector<std::string>{"public.sees"});
    CHECK(user_code(shard, map)["public.orders"] == std::vector<std::string>{"public.note", "public.sees"});
  }
}
