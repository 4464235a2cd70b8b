// Circles of waits over several servers.
#include <catch2/catch.hpp>

#include "proxy/cluster/deadlock.hpp"

using namespace pgbraid::proxy;

namespace {

/// Transaction `session` has process 100 + session on shard 0 and 200 + session on shard 1.
waiting_transaction transaction(std::uint64_t session) {
  const auto n = static_cast<std::int32_t>(session);
  return {{0, session, 1}, {{0, 100 + n}, {1, 200 + n}}};
}

std::vector<std::uint64_t> sessions(const deadlock& found) {
  std::vector<std::uint64_t> out;
  for (const transaction_key& key : found.members) out.push_back(key.session);
  return out;
}

}  // namespace

TEST_CASE("two transactions that wait for each other on two shards", "[deadlock]") {
  const std::vector<waiting_transaction> both{transaction(1), transaction(2)};
  const std::vector<lock_wait> waits{{0, 101, 102, 10}, {1, 202, 201, 20}};
  const deadlock found = find_deadlock(both, waits);
  CHECK(sessions(found) == std::vector<std::uint64_t>{1, 2});
  CHECK(found.victim == both[1].key);
}

TEST_CASE("the youngest is the one whose first part is", "[deadlock]") {
  const std::vector<waiting_transaction> both{transaction(1), transaction(2)};
  const std::vector<lock_wait> waits{{0, 101, 102, 10}, {1, 202, 201, 20}, {1, 201, 0, 9}, {0, 102, 0, 5}};
  CHECK(find_deadlock(both, waits).victim == both[0].key);
}

TEST_CASE("waits without a circle, or with one that a server sees itself, are no deadlock of ours", "[deadlock]") {
  const std::vector<waiting_transaction> three{transaction(1), transaction(2), transaction(3)};
  CHECK(find_deadlock(three, {}).members.empty());
  CHECK(find_deadlock({}, {}).members.empty());
  const std::vector<lock_wait> chain{{0, 101, 102, 1}, {1, 202, 203, 2}};
  CHECK(find_deadlock(three, chain).members.empty());
  const std::vector<lock_wait> within{{0, 101, 102, 1}, {0, 102, 101, 2}};
  CHECK(find_deadlock(three, within).members.empty());
  // The same process number means another process on another shard.
  const std::vector<lock_wait> numbers{{0, 101, 102, 1}, {1, 102, 101, 2}};
  CHECK(find_deadlock(three, numbers).members.empty());
}

TEST_CASE("a circle may go through processes that nobody knows", "[deadlock]") {
  const std::vector<waiting_transaction> three{transaction(1), transaction(2), transaction(3)};
  const std::vector<lock_wait> waits{{0, 101, 900, 30}, {0, 900, 102, 99}, {1, 202, 901, 5}, {1, 901, 203, 99}, {0, 103, 101, 20}};
  const deadlock found = find_deadlock(three, waits);
  CHECK(sessions(found) == std::vector<std::uint64_t>{1, 2, 3});
  CHECK(found.victim == three[0].key);
}

TEST_CASE("a circle is found behind waits that lead into it", "[deadlock]") {
  const std::vector<waiting_transaction> three{transaction(1), transaction(2), transaction(3)};
  const std::vector<lock_wait> waits{{0, 101, 102, 1}, {0, 102, 103, 2}, {1, 203, 202, 3}};
  const deadlock found = find_deadlock(three, waits);
  CHECK(sessions(found) == std::vector<std::uint64_t>{2, 3});
  CHECK(found.victim == three[2].key);
}
