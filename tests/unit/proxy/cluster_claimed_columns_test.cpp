// Columns that are listed as unique: what a shard must have so that their values can be kept apart over all of them.
#include "proxy/cluster/catalog_merge.hpp"
#include "proxy/cluster/claim_function.hpp"
#include "proxy/cluster/claimed_columns.hpp"
#include "proxy/cluster/doubled_values.hpp"
#include "proxy/cluster/table_facts.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace pgbraid;
using namespace pgbraid::proxy;

namespace {

namespace t = router::type_oid;
using list = std::vector<std::string>;

router::topology listing(std::vector<std::string> unique) {
  router::topology map;
  map.shards = {"s0", "s1"};
  map.tables["public.users"].key = {"tenant"};
  map.tables["public.users"].unique = std::move(unique);
  return map;
}

constraint_facts unique_over(const char* column, char kind = 'u') {
  return {"public.users", kind, "users_" + std::string{column} + "_key", {}, {{column, {}, {}}}};
}

/// Users by tenant, of which email, login and number could be unique.
shard_catalog users() {
  shard_catalog shard;
  router::relation& users = shard.content.relations["public.users"];
  for (const auto& [name, type] : std::vector<std::pair<const char*, router::oid>>{
           {"tenant", t::int8}, {"email", t::text}, {"login", t::varchar}, {"number", t::int4}}) {
    router::column column;
    column.name = name;
    column.type = type;
    users.columns.push_back(std::move(column));
  }
  shard.constraints = {unique_over("email"), unique_over("login", 'i'), unique_over("number", 'p')};
  return shard;
}

router::column& email_of(shard_catalog& shard) {
  return shard.content.relations["public.users"].columns[1];
}

/// What is found of the table where `email` is listed.
list found_in(const shard_catalog& shard) {
  const auto found = unenforced(shard, listing({"email"}));
  const auto entry = found.find("public.users");
  list out;
  for (const std::string& each : entry == found.end() ? list{} : entry->second) {
    if (is_about_listed_column(each)) out.push_back(each);
  }
  return out;
}

list problem(const std::string& of_email) {
  return {"column \"email\" is listed as unique, but " + of_email};
}

router::relation merged_users(const shard_catalog& first, const shard_catalog& other, const router::topology& map) {
  return merge_catalogs({std::make_shared<const shard_catalog>(first), std::make_shared<const shard_catalog>(other)},
                        map)
      .content.relations["public.users"];
}

}  // namespace

TEST_CASE("listed columns with a constraint of their own are claimed") {
  const router::topology map = listing({"number", "email", "login"});
  const router::relation merged = merged_users(users(), users(), map);
  CHECK(merged.unenforced.empty());
  CHECK(merged.claimed == std::vector<router::claimed_column>{{"number", "users_number_key"},
                                                              {"email", "users_email_key"},
                                                              {"login", "users_login_key"}});
  CHECK(lists_unique(map));
}

TEST_CASE("what is not listed is judged as ever") {
  const router::relation merged = merged_users(users(), users(), listing({"email"}));
  CHECK(merged.unenforced == list{"primary key \"users_number_key\" does not contain the sharding key",
                                  "unique index \"users_login_key\" does not contain the sharding key"});
  CHECK(merged.claimed == std::vector<router::claimed_column>{{"email", "users_email_key"}});
  CHECK_FALSE(lists_unique(listing({})));
}

TEST_CASE("a listed column needs a constraint over it alone") {
  shard_catalog shard = users();
  SECTION("none") {
    shard.constraints.clear();
  }
  SECTION("over two columns") {
    shard.constraints.front().parts.push_back({"login", {}, {}});
  }
  SECTION("over an expression") {
    shard.constraints.front().parts.front().column.reset();
  }
  SECTION("that excludes") {
    shard.constraints.front().kind = 'x';
    shard.constraints.front().parts.front().op = "=";
  }
  CHECK(found_in(shard) == problem("has no unique constraint of its own"));
}

TEST_CASE("a listed column's constraint keeps any two values apart") {
  shard_catalog shard = users();
  shard.constraints.front().peculiar = "is partial";
  CHECK(found_in(shard) == problem("\"users_email_key\" is partial"));
  // One beside it does not help: what it says need not be the same.
  constraint_facts second = unique_over("email");
  second.name = "another";
  shard.constraints.push_back(second);
  CHECK(found_in(shard) == problem("\"users_email_key\" is partial"));
  shard.constraints.front().peculiar.clear();
  CHECK(found_in(shard).empty());
}

TEST_CASE("a listed column's values are written alike where they are equal, and come from statements") {
  shard_catalog shard = users();
  router::column& email = email_of(shard);
  SECTION("missing") {
    email.name = "mail";
    CHECK(found_in(shard) == problem("does not exist"));
  }
  SECTION("of other types") {
    for (const router::oid type : {t::numeric, t::bpchar, t::timestamptz, router::oid{16500}}) {
      CAPTURE(type);
      email.type = type;
      CHECK(found_in(shard) == problem("its type is none of smallint, integer, bigint, text, varchar and uuid"));
    }
  }
  SECTION("by another order") {
    email.deterministic = false;
    CHECK(found_in(shard) == problem("its collation is not deterministic"));
  }
  SECTION("generated") {
    email.generated = true;
    CHECK(found_in(shard) == problem("the server gives its values"));
  }
  SECTION("an identity") {
    email.identity = true;
    CHECK(found_in(shard) == problem("the server gives its values"));
  }
  SECTION("from a sequence") {
    email.draws = "nextval('s'::regclass)";
    CHECK(found_in(shard) == problem("its default draws from a sequence"));
  }
}

TEST_CASE("a listed column stands in a plain table") {
  shard_catalog shard = users();
  SECTION("partitioned") {
    shard.content.relations["public.users"].kind = 'p';
  }
  SECTION("a partition") {
    shard.heirs = {"public.users"};
  }
  CHECK(found_in(shard) == problem("its table has partitions, or is one"));
}

TEST_CASE("nothing gives a listed column another value than the one that is written") {
  shard_catalog shard = users();
  shard.code = {{"public.users", "trigger \"t\"", "public.f", false, {}, true}};
  SECTION("a trigger that is not known") {
    CHECK(found_in(shard) == problem("trigger \"t\" may give it another value"));
  }
  SECTION("one that assigns other columns") {
    shard.row_triggers["public.f"].assigned = {"login"};
    CHECK(found_in(shard).empty());
  }
  SECTION("one that assigns it") {
    shard.row_triggers["public.f"].assigned = {"email", "login"};
    CHECK(found_in(shard) == problem("trigger \"t\" may give it another value"));
  }
  SECTION("one that assigns the row") {
    shard.row_triggers["public.f"].whole_row = true;
    CHECK(found_in(shard) == problem("trigger \"t\" may give it another value"));
  }
  SECTION("one that comes afterwards") {
    shard.code.front().gives_row = false;
    CHECK(found_in(shard).empty());
  }
  SECTION("one of another table") {
    shard.code.front().table = "public.orders";
    CHECK(found_in(shard).empty());
  }
  SECTION("a rule") {
    shard.code = {{"public.users", "rule \"r\"", std::nullopt, false, {}}};
    CHECK(found_in(shard) == problem("rule \"r\" may give it another value"));
  }
  SECTION("a foreign key, by what it does") {
    shard.code.clear();
    shard.constraints.push_back({"public.users", 'f', "fk", "public.people", {{"email", "email", {}}}});
    CHECK(found_in(shard).empty());
    shard.constraints.back().peculiar = "changes its own columns";
    CHECK(found_in(shard) == problem("foreign key \"fk\" may give it another value"));
    shard.constraints.back().parts.front().column = "login";
    CHECK(found_in(shard).empty());
  }
}

TEST_CASE("all shards agree on a listed column") {
  const router::topology map = listing({"email"});
  shard_catalog other = users();
  SECTION("one lacks the constraint") {
    other.constraints.erase(other.constraints.begin());
    for (const router::relation& merged : {merged_users(users(), other, map), merged_users(other, users(), map)}) {
      CHECK(merged.claimed.empty());
      CHECK(std::count(merged.unenforced.begin(), merged.unenforced.end(),
                       problem("has no unique constraint of its own").front()) == 1);
    }
  }
  SECTION("another name is no matter") {
    other.constraints.front().name = "another";
    CHECK(merged_users(users(), other, map).claimed.front().constraint == "users_email_key");
  }
  SECTION("another type") {
    email_of(other).type = t::varchar;
    const router::relation merged = merged_users(users(), other, map);
    CHECK(merged.claimed.empty());
    CHECK(std::count(merged.unenforced.begin(), merged.unenforced.end(),
                     problem("has another type on shard s1").front()) == 1);
  }
  SECTION("a shard without the table has no values") {
    other.content.relations.clear();
    CHECK(merged_users(users(), other, map).claimed.size() == 1);
  }
  SECTION("one shard needs nothing of pgbraid") {
    router::topology alone = map;
    alone.shards = {"s0"};
    const auto merged = merge_catalogs({std::make_shared<const shard_catalog>(users())}, alone);
    CHECK(merged.content.relations.at("public.users").claimed.empty());
    CHECK_FALSE(lists_unique(alone));
  }
}

TEST_CASE("patterns of names as the servers have them") {
  CHECK(like_pattern("users") == "users");
  CHECK(like_pattern("app_*.?") == "app\\_%._");
  CHECK(like_pattern("50%\\") == "50\\%\\\\");
}

TEST_CASE("values on several shards are found in the order of their bytes") {
  const std::vector<list> shards{{"a", "b", "b\xC3\xA4", "z"}, {"B", "b", "z"}, {"b\xC3\xA4", "y", "z"}};
  for (const std::size_t portion : {1, 2, 10}) {
    CAPTURE(portion);
    value_merge merge(shards.size(), 2);
    std::vector<std::size_t> given(shards.size());
    while (const auto shard = merge.wants()) {
      const list& all = shards[*shard];
      std::size_t& from = given[*shard];
      const std::size_t to = std::min(all.size(), from + portion);
      merge.take(*shard,
                 list(all.begin() + static_cast<std::ptrdiff_t>(from), all.begin() + static_cast<std::ptrdiff_t>(to)));
      from = to;
    }
    CHECK(given == std::vector<std::size_t>{4, 3, 3});
    CHECK(merge.doubled() == list{"b", "b\xC3\xA4"});
    CHECK(merge.count() == 3);
  }
}
