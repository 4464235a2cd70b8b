// Circles of waits over several servers, in which clients of several instances take part.
#include <catch2/catch.hpp>

#include "proxy/cluster/deadlock.hpp"

#include <algorithm>

using namespace pgbraid::proxy;
using namespace std::chrono_literals;

namespace {

/// Transaction n has process 100 + n on shard 0 and 200 + n on shard 1. Higher numbers are younger.
blocked_transaction transaction(std::int32_t n) {
  return {std::to_string(n), 10 * n, {{0, 100 + n, 10 * n}, {1, 200 + n, 10 * n}}};
}

std::vector<blocked_transaction> transactions(std::int32_t count) {
  std::vector<blocked_transaction> out;
  for (std::int32_t n = 1; n <= count; ++n) out.push_back(transaction(n));
  return out;
}

/// All processes of `transactions` as servers list them, and these waits.
std::vector<lock_wait> activity(const std::vector<blocked_transaction>& transactions, std::vector<lock_wait> waits) {
  for (lock_wait& w : waits) w.xact_start = 10 * (w.waits % 100);
  for (const blocked_transaction& t : transactions) {
    for (const auto& part : t.parts) waits.push_back({part.shard, part.pid, 0, part.xact_start});
  }
  return waits;
}

using names = std::vector<std::string>;

}  // namespace

TEST_CASE("two transactions that wait for each other on two shards", "[deadlock]") {
  const auto both = transactions(2);
  const deadlock found = find_deadlock(both, activity(both, {{0, 101, 102}, {1, 202, 201}}));
  CHECK(found.members == names{"1", "2"});
  CHECK(found.victim == "2");
}

TEST_CASE("who is the youngest is what its own instance says, then the name", "[deadlock]") {
  auto both = transactions(2);
  const auto waits = activity(both, {{0, 101, 102}, {1, 202, 201}});
  both[1].began = 5;
  CHECK(find_deadlock(both, waits).victim == "1");
  both[0].began = 5;
  CHECK(find_deadlock(both, waits).victim == "2");
}

TEST_CASE("waits without a circle, or with one that a server sees itself, are no deadlock of ours", "[deadlock]") {
  const auto three = transactions(3);
  CHECK(find_deadlock(three, {}).members.empty());
  CHECK(find_deadlock({}, {}).members.empty());
  CHECK(find_deadlock(three, activity(three, {{0, 101, 102}, {1, 202, 203}})).members.empty());
  CHECK(find_deadlock(three, activity(three, {{0, 101, 102}, {0, 102, 101}})).members.empty());
  // The same process number means another process on another shard.
  CHECK(find_deadlock(three, activity(three, {{0, 101, 102}, {1, 102, 101}})).members.empty());
}

TEST_CASE("a circle may go through processes that nobody knows", "[deadlock]") {
  const auto three = transactions(3);
  const deadlock found = find_deadlock(
      three, activity(three, {{0, 101, 900}, {0, 900, 102}, {1, 202, 901}, {1, 901, 203}, {0, 103, 101}}));
  CHECK(found.members == names{"1", "2", "3"});
  CHECK(found.victim == "3");
}

TEST_CASE("who only waits for a circle is not part of it", "[deadlock]") {
  const auto four = transactions(4);
  const deadlock found =
      find_deadlock(four, activity(four, {{0, 101, 102}, {0, 102, 103}, {1, 203, 202}, {0, 104, 102}}));
  CHECK(found.members == names{"2", "3"});
  CHECK(found.victim == "3");
}

TEST_CASE("the order in which transactions and waits are told, and the numbers of shards, change nothing",
          "[deadlock]") {
  auto four = transactions(4);
  std::vector<lock_wait> waits{{0, 101, 102}, {1, 202, 201}, {0, 103, 104},
                               {1, 204, 203}, {1, 202, 203}, {0, 101, 104}};
  const deadlock found = find_deadlock(four, activity(four, waits));
  CHECK(found.victim == "4");
  do {
    auto turned = activity(four, waits);
    std::reverse(turned.begin(), turned.end());
    CHECK(find_deadlock(four, turned) == found);
  } while (
      std::next_permutation(four.begin(), four.end(), [](const auto& a, const auto& b) { return a.name < b.name; }));
  auto elsewhere = activity(four, waits);
  for (blocked_transaction& t : four) {
    for (auto& part : t.parts) part.shard = 7 - part.shard;
  }
  for (lock_wait& w : elsewhere) w.shard = 7 - w.shard;
  CHECK(find_deadlock(four, elsewhere) == found);
}

TEST_CASE("a process that has begun another transaction since is somebody else's", "[deadlock]") {
  auto both = transactions(2);
  const auto waits = activity(both, {{0, 101, 102}, {1, 202, 201}});
  both[1].parts[0].xact_start = 19;
  CHECK(find_deadlock(both, waits).members.empty());
}

TEST_CASE("what is told by shards becomes transactions", "[deadlock]") {
  const std::vector<blocked_transaction> parts{{"b", 5, {{0, 1, 5}}}, {"c", 7, {{0, 2, 7}}}, {"b", 4, {{1, 1, 9}}}};
  const auto all = with_joined({transaction(1)}, parts);
  REQUIRE(all.size() == 3);
  CHECK(all[0].name == "1");
  CHECK(all[1].name == "b");
  CHECK(all[1].began == 4);
  CHECK(all[1].parts == std::vector<blocked_transaction::part>{{0, 1, 5}, {1, 1, 9}});
  CHECK(all[2].parts.size() == 1);
}

TEST_CASE("whether what is ours waits for what is not, directly or behind others", "[deadlock]") {
  const auto three = transactions(3);
  CHECK_FALSE(waits_for_others(three, 2, activity(three, {{0, 101, 102}, {1, 203, 201}})));
  CHECK(waits_for_others(three, 2, activity(three, {{0, 101, 102}, {1, 202, 203}})));
  CHECK(waits_for_others(three, 1, activity(three, {{0, 101, 900}, {0, 900, 103}})));
  CHECK_FALSE(waits_for_others(three, 3, activity(three, {{0, 101, 102}})));
  CHECK_FALSE(waits_for_others(three, 0, activity(three, {{0, 101, 102}})));
}

namespace {

const std::chrono::steady_clock::time_point start{};

/// Seen at `start` with processes 1 on shard 0 and 2 on shard 1.
waiting_transaction seen(std::uint64_t session) {
  return {{3, session, 9}, {{0, 1}, {1, 2}}, start};
}

}  // namespace

TEST_CASE("blocked is who waits for a lock on one of its shards", "[deadlock]") {
  const std::vector<waiting_transaction> one{seen(7)};
  std::vector<process_sample> samples{{0, 1, 500, 800ms, false, start + 100ms},
                                      {1, 2, 400, 900ms, false, start + 100ms}};
  CHECK(blocked_of(one, samples, "i").empty());
  CHECK(blocked_of(one, {}, "i").empty());
  samples[0].blocked = true;
  const auto found = blocked_of(one, samples, "i");
  REQUIRE(found.size() == 1);
  CHECK(found[0].name == name_of("i", one[0].key));
  CHECK(found[0].began == 400);
  CHECK(found[0].parts == std::vector<blocked_transaction::part>{{0, 1, 500}, {1, 2, 400}});
}

TEST_CASE("a process whose transaction is younger than the look at the session is not the session's any more",
          "[deadlock]") {
  const std::vector<waiting_transaction> one{seen(7)};
  std::vector<process_sample> samples{{0, 1, 500, 99ms, true, start + 100ms}, {1, 2, 400, 900ms, false, start + 100ms}};
  CHECK(blocked_of(one, samples, "i").empty());
  // The other part alone would make the transaction younger, or older, than it is.
  samples[1].blocked = true;
  CHECK(blocked_of(one, samples, "i").empty());
  samples.erase(samples.begin());
  CHECK(blocked_of(one, samples, "i").empty());
}

TEST_CASE("no two transactions have one name", "[deadlock]") {
  CHECK(name_of("i", {1, 23, 4}) != name_of("i", {12, 3, 4}));
  CHECK(name_of("i", {1, 2, 3}) != name_of("i", {1, 2, 4}));
  CHECK(name_of("i", {1, 2, 3}) != name_of("j", {1, 2, 3}));
}
