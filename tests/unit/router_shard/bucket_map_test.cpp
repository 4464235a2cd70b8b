// Building a map of buckets from ranges or from none, the mistakes it reports, and the way back to ranges.
#include "router/shard/bucket_map.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace pgbraid::router;

namespace {

using ranges_of_shards = std::vector<std::vector<bucket_range>>;

bucket_map_result build(std::uint32_t buckets, const ranges_of_shards& ranges) {
  std::vector<shard_buckets> shards;
  for (const auto& one : ranges) shards.push_back({std::string(1, static_cast<char>('a' + shards.size())), one});
  return build_bucket_map(buckets, shards);
}

std::vector<std::string> messages(std::uint32_t buckets, const ranges_of_shards& ranges) {
  const auto built = build(buckets, ranges);
  CHECK(built.map.owner.empty());
  std::vector<std::string> found;
  for (const auto& problem : built.problems)
    found.push_back((problem.shard ? std::string(1, static_cast<char>('a' + *problem.shard)) + ": " : std::string()) +
                    problem.message);
  return found;
}

using strings = std::vector<std::string>;

}  // namespace

TEST_CASE("an even split without ranges") {
  for (const std::uint32_t buckets : {1U, 2U, 16U, 4096U, 65536U})
    for (const std::size_t shards : {1U, 2U, 3U, 5U, 7U, 16U}) {
      if (shards > buckets) continue;
      CAPTURE(buckets, shards);
      const auto built = build(buckets, ranges_of_shards(shards));
      REQUIRE(built.problems.empty());
      REQUIRE(built.map.owner.size() == buckets);
      const auto owned = owned_ranges(built.map, shards);
      for (std::size_t i = 0; i < shards; ++i) {
        const auto first = static_cast<bucket_number>(i * buckets / shards);
        const auto last = static_cast<bucket_number>((i + 1) * buckets / shards - 1);
        CHECK(owned[i] == std::vector<bucket_range>{{first, last}});
      }
    }
}

TEST_CASE("three shards of 4096 buckets") {
  const auto owned = owned_ranges(build(4096, ranges_of_shards(3)).map, 3);
  CHECK(print_ranges(owned[0]) == "0-1364");
  CHECK(print_ranges(owned[1]) == "1365-2729");
  CHECK(print_ranges(owned[2]) == "2730-4095");
}

TEST_CASE("explicit ranges and the way back") {
  const ranges_of_shards ranges{{{0, 3}, {8, 9}}, {{4, 7}, {10, 15}}};
  const auto built = build(16, ranges);
  REQUIRE(built.problems.empty());
  CHECK(built.map.shard_of(0) == 0);
  CHECK(built.map.shard_of(7) == 1);
  CHECK(built.map.shard_of(9) == 0);
  CHECK(built.map.shard_of(15) == 1);
  CHECK(owned_ranges(built.map, 2) == ranges);
  CHECK(print_ranges(ranges[0]) == "0-3, 8-9");
  CHECK(print_ranges({}).empty());
}

TEST_CASE("ranges in any order and side by side become the fewest") {
  const auto built = build(16, {{{12, 15}, {0, 3}, {4, 4}}, {{5, 11}}});
  REQUIRE(built.problems.empty());
  CHECK(owned_ranges(built.map, 2) == ranges_of_shards{{{0, 4}, {12, 15}}, {{5, 11}}});
}

TEST_CASE("the printed ranges of an even split build the same map") {
  const auto even = build(4096, ranges_of_shards(7)).map;
  CHECK(build(4096, owned_ranges(even, 7)).map == even);
}

TEST_CASE("a shard without ranges among others owns nothing") {
  const auto built = build(8, {{{0, 7}}, {}});
  REQUIRE(built.problems.empty());
  CHECK(owned_ranges(built.map, 2)[1].empty());
}

TEST_CASE("mistakes in a map") {
  CHECK(messages(1000, {{}}) == strings{"the number of buckets must be a power of two up to 65536, not 1000"});
  CHECK(messages(131072, {{}}) == strings{"the number of buckets must be a power of two up to 65536, not 131072"});
  CHECK(messages(0, {{}}).size() == 2);
  CHECK(messages(16, {}) == strings{"there is no shard"});
  CHECK(messages(2, {{}, {}, {}}) == strings{"3 shards cannot share 2 buckets"});
  CHECK(messages(16, {{{0, 7}}, {{9, 15}}}) == strings{"bucket 8 is owned by no shard"});
  CHECK(messages(16, {{{1, 3}}, {{6, 15}}}) ==
        strings{"bucket 0 is owned by no shard", "buckets 4-5 are owned by no shard"});
  CHECK(messages(16, {{{0, 8}}, {{6, 15}}}) == strings{"b: bucket 6 is already owned by shard \"a\""});
  CHECK(messages(16, {{{0, 15}, {3, 3}}}) == strings{"a: bucket 3 is listed twice"});
  CHECK(messages(16, {{{0, 16}}}) == strings{"a: range 0-16 goes past the last bucket, 15"});
  CHECK(messages(16, {{{0, 15}}, {{9, 8}}}) == strings{"b: range 9-8 ends before it begins"});
  CHECK(messages(16, {{{0, 4294967295U}}}).size() == 1);
}

TEST_CASE("a ring moves about the buckets of the shard that comes or goes, and no others") {
  constexpr std::uint32_t buckets = 4096;
  const auto laid = [](std::vector<std::string> names) {
    std::vector<shard_buckets> shards;
    for (std::string& name : names) shards.push_back({std::move(name), {}});
    const bucket_map_result made = ring_map(buckets, shards);
    REQUIRE(made.problems.empty());
    return made.map.owner;
  };
  const std::vector<shard_index> three = laid({"a", "b", "c"}), four = laid({"a", "b", "c", "d"});
  std::size_t moved = 0;
  for (std::uint32_t bucket = 0; bucket < buckets; ++bucket) {
    if (three[bucket] == four[bucket]) continue;
    ++moved;
    CHECK(four[bucket] == 3);
  }
  // A quarter, give or take what a ring gives and takes.
  CHECK(moved > buckets / 4 * 8 / 10);
  CHECK(moved < buckets / 4 * 12 / 10);
  for (shard_index shard = 0; shard < 4; ++shard) {
    const auto own = static_cast<std::size_t>(std::count(four.begin(), four.end(), shard));
    CHECK(own > buckets / 4 * 8 / 10);
    CHECK(own < buckets / 4 * 12 / 10);
  }
  // By name: the order in which they are listed means nothing.
  const std::vector<shard_index> turned = laid({"d", "c", "b", "a"});
  for (std::uint32_t bucket = 0; bucket < buckets; ++bucket) CHECK(turned[bucket] == 3 - four[bucket]);
  const std::vector<shard_buckets> listed{{"a", {{0, 1}}}, {"b", {}}};
  CHECK(ring_map(buckets, listed).problems.size() == 1);
}
