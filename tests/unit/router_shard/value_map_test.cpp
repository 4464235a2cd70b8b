// Ranges and lists of values: who owns a value, which shards an interval asks, and what is no rule.
#include "router/shard/value_map.hpp"

#include <catch2/catch.hpp>

using namespace pgbraid::router;

namespace {

value_rule ranges(std::optional<shard_index> others = std::nullopt) {
  return {true, {{0, std::nullopt, "100"}, {1, "100", "200"}, {2, "300", std::nullopt}}, others};
}

std::optional<shard_index> owner(const value_map& map, oid type, std::string_view value) {
  std::string bytes;
  REQUIRE(key_bytes(bytes, type, -1, 0, false, value, "UTC"));
  return map.shard_of(bytes);
}

value_bound bound(std::int64_t value, bool inclusive) {
  std::string bytes;
  REQUIRE(key_bytes(bytes, type_oid::int8, -1, 0, false, std::to_string(value), "UTC"));
  return {bytes, inclusive};
}

std::string problem_of(const value_rule& rule, oid type = type_oid::int8, std::int32_t modifier = -1) {
  std::string problem;
  CHECK(value_map::make(rule, type, modifier, problem) == nullptr);
  return problem;
}

}  // namespace

TEST_CASE("a range holds its beginning and not its end") {
  std::string problem;
  const auto map = value_map::make(ranges(), type_oid::int8, -1, problem);
  REQUIRE(map != nullptr);
  CHECK(owner(*map, type_oid::int8, "-9223372036854775808") == 0);
  CHECK(owner(*map, type_oid::int8, "99") == 0);
  CHECK(owner(*map, type_oid::int8, "100") == 1);
  CHECK(owner(*map, type_oid::int8, "199") == 1);
  CHECK(owner(*map, type_oid::int8, "200") == std::nullopt);
  CHECK(owner(*map, type_oid::int8, "299") == std::nullopt);
  CHECK(owner(*map, type_oid::int8, "300") == 2);
  const auto rest = value_map::make(ranges(shard_index{1}), type_oid::int8, -1, problem);
  CHECK(owner(*rest, type_oid::int8, "250") == 1);
}

TEST_CASE("an interval asks the shards of which it holds values") {
  std::string problem;
  const auto map = value_map::make(ranges(), type_oid::int8, -1, problem);
  const value_bound open;
  using shards = std::vector<shard_index>;
  CHECK(map->shards_between(open, open) == shards{0, 1, 2});
  CHECK(map->shards_between(bound(100, true), open) == shards{1, 2});
  CHECK(map->shards_between(open, bound(100, false)) == shards{0});
  CHECK(map->shards_between(open, bound(100, true)) == shards{0, 1});
  CHECK(map->shards_between(bound(120, true), bound(130, true)) == shards{1});
  CHECK(map->shards_between(bound(200, true), bound(299, true)).empty());
  CHECK(map->shards_between(bound(5, true), bound(4, true)).empty());
  CHECK(map->shards_between(bound(5, true), bound(5, false)).empty());
  const auto rest = value_map::make(ranges(shard_index{1}), type_oid::int8, -1, problem);
  CHECK(rest->shards_between(bound(200, true), bound(299, true)) == shards{1});
}

TEST_CASE("a list of values, in any spelling of the type") {
  std::string problem;
  const value_rule rule{
      false, {{0, "de", std::nullopt}, {1, "at", std::nullopt}, {1, "ch", std::nullopt}}, std::nullopt};
  const auto map = value_map::make(rule, type_oid::text, -1, problem);
  REQUIRE(map != nullptr);
  CHECK_FALSE(map->ranges());
  CHECK(owner(*map, type_oid::text, "de") == 0);
  CHECK(owner(*map, type_oid::text, "ch") == 1);
  CHECK(owner(*map, type_oid::text, "c") == std::nullopt);
  CHECK(owner(*map, type_oid::text, "de ") == std::nullopt);
  const auto padded = value_map::make(rule, type_oid::bpchar, 6, problem);
  CHECK(owner(*padded, type_oid::bpchar, "de ") == 0);
  const value_rule days{false, {{0, "2026-01-01", std::nullopt}}, std::nullopt};
  CHECK(owner(*value_map::make(days, type_oid::date, -1, problem), type_oid::date, "2026-01-01 ") == 0);
  const value_rule sums{false, {{0, "1.5", std::nullopt}, {1, "-2", std::nullopt}}, std::nullopt};
  const auto numbers = value_map::make(sums, type_oid::numeric, -1, problem);
  CHECK(owner(*numbers, type_oid::numeric, "1.50") == 0);
  CHECK(owner(*numbers, type_oid::numeric, " -2.0") == 1);
}

TEST_CASE("integers of all widths, in text and in binary, are one value") {
  std::string text, binary, narrow;
  REQUIRE(key_bytes(text, type_oid::int8, -1, type_oid::int4, false, "258", "UTC"));
  REQUIRE(key_bytes(binary, type_oid::int8, -1, 0, true, std::string_view{"\0\0\0\0\0\0\1\2", 8}, "UTC"));
  REQUIRE(key_bytes(narrow, type_oid::int8, -1, type_oid::int2, true, std::string_view{"\1\2", 2}, "UTC"));
  CHECK(text == binary);
  CHECK(text == narrow);
  std::string unused;
  CHECK_FALSE(key_bytes(unused, type_oid::int8, -1, type_oid::numeric, false, "1", "UTC"));
  CHECK_FALSE(key_bytes(unused, type_oid::int8, -1, 0, false, "x", "UTC"));
}

TEST_CASE("booleans are listed in any spelling, and come in binary too") {
  std::string problem;
  const value_rule rule{false, {{1, "true", std::nullopt}}, 2};
  const auto map = value_map::make(rule, type_oid::boolean, -1, problem);
  REQUIRE(map != nullptr);
  for (const char* yes : {"t", "TRUE", "on", " 1 "}) CHECK(owner(*map, type_oid::boolean, yes) == 1);
  for (const char* no : {"f", "no", "0"}) CHECK(owner(*map, type_oid::boolean, no) == 2);
  std::string bytes, others;
  REQUIRE(key_bytes(bytes, type_oid::boolean, -1, type_oid::boolean, true, "\1", "UTC"));
  CHECK(map->shard_of(bytes) == 1);
  REQUIRE(key_bytes(others, type_oid::boolean, -1, type_oid::boolean, true, std::string_view{"\0", 1}, "UTC"));
  CHECK(map->shard_of(others) == 2);
  CHECK_FALSE(key_bytes(others, type_oid::boolean, -1, 0, false, "maybe", "UTC"));
  CHECK(problem_of({false, {{0, "t", std::nullopt}, {1, "yes", std::nullopt}}, std::nullopt}, type_oid::boolean) ==
        "one value is listed twice");
}

TEST_CASE("what is no rule") {
  CHECK(problem_of({true, {{0, "1", "5"}, {1, "4", "9"}}, std::nullopt}) == "two ranges overlap");
  CHECK(problem_of({true, {{0, "1", std::nullopt}, {1, "4", "9"}}, std::nullopt}) == "two ranges overlap");
  CHECK(problem_of({true, {{0, std::nullopt, "5"}, {1, std::nullopt, "2"}}, std::nullopt}) == "two ranges overlap");
  CHECK(problem_of({true, {{0, "5", "5"}}, std::nullopt}) == "'5' to '5' holds no value");
  CHECK(problem_of({true, {{0, "x", std::nullopt}}, std::nullopt}) ==
        "'x' to the highest value cannot be read as a value of its type");
  CHECK(problem_of({false, {{0, "1", std::nullopt}, {1, "01", std::nullopt}}, std::nullopt}) ==
        "one value is listed twice");
  CHECK(problem_of({false, {{0, "1", std::nullopt}}, std::nullopt}, type_oid::numeric, 655366) ==
        "its type cannot be compared with what the topology lists");
}
