// Keys that are looked up: what is kept in mind, for how long, and what one statement knows.
#include "proxy/session/key_lookup.hpp"

#include <catch2/catch.hpp>

using namespace pgbraid;
using namespace pgbraid::proxy;
using namespace std::chrono_literals;
using kind = router::known_key::kind;

namespace {

const steady_time start{std::chrono::hours{1}};

router::wanted_key wanted(const std::string& key) {
  return {key, key, false, router::type_oid::text};
}

}  // namespace

TEST_CASE("a key is kept in mind until it is too old, or its table has changed") {
  key_cache cache{10, 100ms};
  cache.keep("ann", 1, start);
  CHECK(cache.find("ann", start - 1ms, start + 99ms) == router::shard_index{1});
  CHECK_FALSE(cache.find("ann", start - 1ms, start + 100ms));
  cache.keep("ann", 1, start);
  // A change that ended at the very moment may have come after the answer.
  CHECK_FALSE(cache.find("ann", start, start));
  CHECK(cache.size() == 0);
}

TEST_CASE("those asked for longest ago make room") {
  key_cache cache{2, 1h};
  cache.keep("ann", 1, start);
  cache.keep("bob", 2, start);
  CHECK(cache.find("ann", start - 1ms, start));
  cache.keep("carl", 3, start);
  CHECK(cache.size() == 2);
  CHECK_FALSE(cache.find("bob", start - 1ms, start));
  CHECK(cache.find("ann", start - 1ms, start) == router::shard_index{1});
  CHECK(cache.find("carl", start - 1ms, start) == router::shard_index{3});
}

TEST_CASE("an earlier answer does not replace a later one") {
  key_cache cache{2, 1h};
  cache.keep("ann", 1, start + 1ms);
  cache.keep("ann", 2, start);
  CHECK(cache.find("ann", start - 1ms, start + 1ms) == router::shard_index{1});
  cache.keep("ann", 3, start + 2ms);
  CHECK(cache.find("ann", start - 1ms, start + 2ms) == router::shard_index{3});
}

TEST_CASE("nothing is kept where nothing may be") {
  key_cache none{0, 1h}, ageless{10, 0ms};
  none.keep("ann", 1, start);
  ageless.keep("ann", 1, start);
  CHECK(none.size() + ageless.size() == 0);
}

TEST_CASE("a statement's own answers") {
  const auto cache = std::make_shared<key_cache>(10, std::chrono::milliseconds{1h});
  key_lookup lookup;
  lookup.begin(cache, start - 1ms, start);
  CHECK(lookup.find("ann").is == kind::unknown);
  for (const char* key : {"ann", "bob", "ann", "carl", "dora"}) lookup.want(wanted(key));
  REQUIRE(lookup.wanted().size() == 4);
  lookup.ask(cache, start);
  lookup.answer(0, router::shard_index{2});
  lookup.answer(1, std::nullopt);
  lookup.answer(3, router::shard_index{1});
  lookup.answer(3, router::shard_index{2});
  lookup.answer(9, router::shard_index{2});
  lookup.answered();
  lookup.begin(nullptr, start, start);
  CHECK(lookup.find("ann").is == kind::shard);
  CHECK(lookup.find("ann").shard == 2);
  CHECK(lookup.find("bob").is == kind::unclear);
  CHECK(lookup.find("carl").is == kind::absent);
  CHECK(lookup.find("dora").is == kind::unclear);
  lookup.forget();
  CHECK(lookup.find("ann").is == kind::unknown);
  // What is listed nowhere may be listed in a moment.
  lookup.begin(cache, start - 1ms, start);
  CHECK(lookup.find("ann").is == kind::shard);
  CHECK(lookup.find("carl").is == kind::unknown);
}

TEST_CASE("all rows make a list of values") {
  std::string problem;
  const auto rule = router::value_map::looked_up(router::shard_index{3}, router::type_oid::int4, -1, problem);
  REQUIRE(rule != nullptr);
  key_lookup lookup;
  CHECK(lookup.whole(*rule, router::type_oid::int4, -1) == nullptr);
  lookup.add_row("5", router::shard_index{1});
  lookup.add_row("-7", router::shard_index{2});
  lookup.whole_answered();
  const auto whole = lookup.whole(*rule, router::type_oid::int4, -1);
  REQUIRE(whole != nullptr);
  const auto owner = [&](const char* value) {
    std::string bytes;
    REQUIRE(router::key_bytes(bytes, router::type_oid::int4, -1, 0, false, value, "UTC"));
    return whole->shard_of(bytes);
  };
  CHECK(owner("5") == router::shard_index{1});
  CHECK(owner("-7") == router::shard_index{2});
  CHECK(owner("6") == router::shard_index{3});
  lookup.add_row("8", std::nullopt);
  CHECK(lookup.whole(*rule, router::type_oid::int4, -1) == nullptr);
}

TEST_CASE("a numeric key is the same by whatever type it is told") {
  const auto bytes_of = [](router::oid from, bool binary, std::string_view value) {
    std::string out;
    REQUIRE(router::key_bytes(out, router::type_oid::numeric, -1, from, binary, value, "UTC"));
    return out;
  };
  const std::string five = bytes_of(0, false, "5");
  CHECK(bytes_of(router::type_oid::int8, false, "5") == five);
  CHECK(bytes_of(router::type_oid::int8, true, std::string_view{"\0\0\0\0\0\0\0\5", 8}) == five);
  CHECK(bytes_of(router::type_oid::int4, true, std::string_view{"\0\0\0\5", 4}) == five);
  CHECK(bytes_of(router::type_oid::int2, true, std::string_view{"\0\7", 2}) != five);
}

TEST_CASE("what cannot be looked up") {
  std::string problem;
  CHECK(router::value_map::looked_up({}, router::type_oid::boolean, -1, problem) != nullptr);
  CHECK(router::value_map::looked_up({}, router::type_oid::timestamp, 3, problem) == nullptr);
  CHECK(router::value_map::looked_up({}, router::type_oid::numeric, 65540, problem) == nullptr);
  CHECK(router::value_map::looked_up({}, router::type_oid::varchar, 24, problem) != nullptr);
}
