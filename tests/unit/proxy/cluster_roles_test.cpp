// The judge of a shard: every way in which servers come, go and contradict each other.
#include "proxy/cluster/roles.hpp"

#include <catch2/catch.hpp>

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

using namespace pgbraid::proxy;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t system_id = 77;

steady_time at(std::chrono::milliseconds since) {
  return steady_time{} + since;
}

server_sample primary_sample(std::chrono::milliseconds when, std::uint64_t position, std::uint32_t timeline = 1) {
  server_sample s;
  s.answered = true;
  s.begin = at(when);
  s.system_identifier = system_id;
  s.timeline = timeline;
  s.position = s.flushed = position;
  return s;
}

server_sample replica_sample(std::chrono::milliseconds when, std::uint64_t position, std::uint32_t timeline = 1) {
  server_sample s = primary_sample(when, position, timeline);
  s.in_recovery = true;
  return s;
}

server_sample failure(std::string why = "connection refused") {
  server_sample s;
  s.failure = std::move(why);
  return s;
}

shard_roles pair(std::optional<std::uint64_t> max_bytes = {}, std::optional<std::chrono::milliseconds> max_time = {}) {
  return shard_roles({"shop/s0", {{"a", 1}, {"b", 3}}, max_bytes, max_time, {}});
}

bool logged(const std::vector<shard_event>& events, std::string_view words) {
  for (const shard_event& e : events) {
    if (e.text.find(words) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a primary and its replica are found") {
  shard_roles roles = pair();
  CHECK(roles.state().primary == -1);
  CHECK(roles.state().servers[1].weight == 3);
  CHECK_FALSE(roles.state().servers[0].usable);
  roles.take(0, primary_sample(0ms, 100));
  CHECK(roles.state().primary == -1);  // the other server has not been asked
  CHECK_FALSE(roles.settled());
  CHECK(roles.take(1, replica_sample(1ms, 100)));
  CHECK(roles.settled());
  CHECK(roles.state().primary == 0);
  CHECK(roles.state().servers[0].role == server_role::primary);
  CHECK(roles.state().servers[1].role == server_role::replica);
  CHECK(roles.state().servers[1].usable);
  const auto events = roles.take_events();
  CHECK(logged(events, "shard shop/s0: a is primary"));
  CHECK(logged(events, "shard shop/s0: b is a replica"));
  CHECK(roles.take_events().empty());
}

TEST_CASE("a replica becomes safe when it has replayed a sample, not before") {
  shard_roles roles = pair();
  roles.take(1, replica_sample(0ms, 50));
  roles.take(0, primary_sample(100ms, 100));
  CHECK(roles.state().servers[1].safe_until == steady_time::min());
  CHECK(roles.state().servers[1].lag_bytes == 50);
  CHECK_FALSE(roles.take(1, replica_sample(120ms, 100)));  // only positions moved
  CHECK(roles.state().servers[1].safe_until == at(100ms));
  CHECK(roles.state().servers[1].lag_bytes == 0);
  roles.take(0, primary_sample(300ms, 200));
  CHECK(roles.state().servers[1].safe_until == at(100ms));
  roles.take(1, replica_sample(320ms, 199));
  CHECK(roles.state().servers[1].safe_until == at(100ms));
  roles.take(1, replica_sample(520ms, 200));
  CHECK(roles.state().servers[1].safe_until == at(300ms));
  // Nothing was written: the primary's sample alone is enough.
  roles.take(0, primary_sample(700ms, 200));
  CHECK(roles.state().servers[1].safe_until == at(700ms));
}

TEST_CASE("a replica that restarted and shows less is not believed to be where it was") {
  shard_roles roles = pair();
  roles.take(1, replica_sample(0ms, 50));
  roles.take(0, primary_sample(100ms, 100));
  roles.take(0, primary_sample(300ms, 200));
  roles.take(1, replica_sample(320ms, 200));
  CHECK(roles.state().servers[1].safe_until == at(300ms));
  SECTION("seen as down in between") {
    roles.take(1, failure());
  }
  SECTION("restarted between two probes") {}
  roles.take(1, replica_sample(700ms, 120));
  CHECK(roles.state().servers[1].safe_until == at(100ms));
  roles.take(1, replica_sample(900ms, 20));
  CHECK(roles.state().servers[1].safe_until == steady_time::min());
}

TEST_CASE("a failed probe takes a server out at once") {
  shard_roles roles = pair();
  roles.take(0, primary_sample(0ms, 100));
  roles.take(1, replica_sample(1ms, 100));
  (void)roles.take_events();
  SECTION("a replica") {
    CHECK(roles.take(1, failure("timed out")));
    CHECK_FALSE(roles.state().servers[1].usable);
    CHECK(roles.state().servers[1].reason == "timed out");
    CHECK(roles.state().servers[1].safe_until == steady_time::min());
    CHECK(roles.state().primary == 0);
    CHECK(logged(roles.take_events(), "b is out: timed out"));
    CHECK(roles.take(1, replica_sample(900ms, 100)));
    CHECK(roles.state().servers[1].usable);
  }
  SECTION("the primary: reads go on") {
    CHECK(roles.take(0, failure()));
    CHECK(roles.state().primary == -1);
    CHECK(roles.state().servers[1].usable);
    CHECK(logged(roles.take_events(), "no primary: a is lost: connection refused"));
    roles.take(0, primary_sample(900ms, 100));
    CHECK(roles.state().primary == 0);
  }
}

TEST_CASE("promotion: the replica becomes primary and epochs start again") {
  shard_roles roles({"s", {{"a", 1}, {"b", 1}, {"c", 1}}, {}, {}, {}});
  roles.take(0, primary_sample(0ms, 100));
  roles.take(1, replica_sample(1ms, 100));
  roles.take(2, replica_sample(1ms, 100));
  CHECK(roles.state().servers[2].safe_until == at(0ms));
  roles.take(0, failure());
  roles.take(1, primary_sample(400ms, 150, 2));
  CHECK(roles.state().primary == 1);
  // c still follows the old timeline: its positions mean nothing on the new one.
  CHECK_FALSE(roles.state().servers[2].usable);
  roles.take(2, replica_sample(420ms, 180, 1));
  CHECK_FALSE(roles.state().servers[2].usable);
  CHECK(roles.state().servers[2].safe_until == steady_time::min());
  CHECK(roles.state().servers[2].reason.find("timeline") != std::string::npos);
  roles.take(2, replica_sample(600ms, 150, 2));
  CHECK(roles.state().servers[2].usable);
  CHECK(roles.state().servers[2].safe_until == at(400ms));

  SECTION("the old primary comes back as one, on its old timeline") {
    roles.take(0, primary_sample(900ms, 120, 1));
    CHECK(roles.state().primary == 1);
    CHECK_FALSE(roles.state().servers[0].usable);
    SECTION("and stays out while the new one is away") {
      roles.take(1, failure());
      roles.take(0, primary_sample(1100ms, 120, 1));
      CHECK(roles.state().primary == -1);
      CHECK_FALSE(roles.state().servers[0].usable);
      CHECK(roles.state().servers[0].role != server_role::primary);
    }
  }
  SECTION("the old primary comes back as a replica") {
    roles.take(0, replica_sample(900ms, 150, 2));
    CHECK(roles.state().servers[0].usable);
    CHECK(roles.state().servers[0].role == server_role::replica);
  }
}

TEST_CASE("two primaries") {
  SECTION("at start: no writes") {
    shard_roles roles = pair();
    roles.take(0, primary_sample(0ms, 100));
    roles.take(1, primary_sample(0ms, 100));
    CHECK(roles.state().primary == -1);
    CHECK_FALSE(roles.state().servers[0].usable);
    CHECK_FALSE(roles.state().servers[1].usable);
    CHECK(roles.state().servers[0].reason.find("no writes") != std::string::npos);
    const auto events = roles.take_events();
    REQUIRE(logged(events, "two primaries"));
    roles.take(0, primary_sample(200ms, 100));
    CHECK_FALSE(logged(roles.take_events(), "two primaries"));  // told once
    SECTION("until one leaves") {
      roles.take(1, failure());
      CHECK(roles.state().primary == 0);
    }
  }
  SECTION("later: the one that was primary stays while it answers") {
    shard_roles roles = pair();
    roles.take(0, primary_sample(0ms, 100));
    roles.take(1, replica_sample(0ms, 100));
    (void)roles.take_events();
    roles.take(1, primary_sample(200ms, 100, 2));
    CHECK(roles.state().primary == 0);
    CHECK_FALSE(roles.state().servers[1].usable);
    const auto events = roles.take_events();
    REQUIRE(logged(events, "two primaries"));
    CHECK(events.front().severity == shard_event::level::error);
    SECTION("and hands over when it does not") {
      roles.take(0, failure());
      CHECK(roles.state().primary == 1);
    }
  }
}

TEST_CASE("two primaries on one timeline: no writes, whoever was first") {
  shard_roles roles = pair();
  roles.take(0, primary_sample(0ms, 100));
  roles.take(1, replica_sample(0ms, 100));
  (void)roles.take_events();
  CHECK(roles.take(1, primary_sample(200ms, 100)));
  CHECK(roles.state().primary == -1);
  for (const server_state& server : roles.state().servers) {
    CHECK(server.role == server_role::unknown);
    CHECK(server.answers);
    CHECK_FALSE(server.usable);
    CHECK(server.reason.find("no writes") != std::string::npos);
  }
  const auto events = roles.take_events();
  REQUIRE(logged(events, "on one timeline"));
  CHECK(events.front().severity == shard_event::level::error);
  SECTION("until one of them is gone") {
    roles.take(1, failure());
    CHECK(roles.state().primary == 0);
    CHECK(roles.state().servers[0].usable);
  }
  SECTION("or is a replica again") {
    roles.take(1, replica_sample(400ms, 100));
    CHECK(roles.state().primary == 0);
  }
}

TEST_CASE("a primary of another cluster takes no lost primary's place") {
  shard_roles roles = pair();
  roles.take(0, primary_sample(0ms, 100));
  roles.take(1, failure());
  roles.take(0, failure());
  (void)roles.take_events();
  server_sample stranger = primary_sample(200ms, 100, 9);
  stranger.system_identifier = 78;
  roles.take(1, stranger);
  CHECK(roles.state().primary == -1);
  CHECK_FALSE(roles.state().servers[1].usable);
  CHECK(logged(roles.take_events(), "b is out: it is a primary of another cluster"));
  roles.take(0, primary_sample(400ms, 100));
  CHECK(roles.state().primary == 0);
}

TEST_CASE("a timeline's history is read as the server writes it") {
  const auto known =
      parse_timeline_history("1\t0/3000148\tno recovery target specified\n\n2\t16/B374D848\tbefore 2000-01-01\n");
  REQUIRE(known);
  CHECK(known->ancestors == std::vector<timeline_history::ancestor>{{1, 0x3000148}, {2, 0x16B374D848}});
  CHECK(known->end_of(2) == 0x16B374D848);
  CHECK_FALSE(known->end_of(3));
  CHECK(parse_timeline_history("# none\n")->ancestors.empty());
  CHECK(parse_timeline_history("")->ancestors.empty());
  for (const char* wrong : {"x\t0/1\t", "1\n", "1\t0-1\t\n", "1a\t0/1\n"}) {
    INFO(wrong);
    CHECK_FALSE(parse_timeline_history(wrong));
  }
}

TEST_CASE("a promoted server that lacks too much of the last primary's WAL") {
  shard_roles roles = pair();
  const std::optional<std::uint64_t> limit =
      GENERATE(std::optional<std::uint64_t>{}, std::optional<std::uint64_t>{49}, std::optional<std::uint64_t>{50});
  roles.change_max_loss(limit);
  roles.take(0, primary_sample(0ms, 200));
  roles.take(1, replica_sample(1ms, 150));
  roles.take(0, failure());
  (void)roles.take_events();
  server_sample promoted = primary_sample(400ms, 160, 2);
  SECTION("and its history says how much") {
    promoted.history = std::make_shared<const timeline_history>(timeline_history{{{1, 150}}});
    roles.take(1, promoted);
    CHECK(roles.state().primary == (limit && *limit < 50 ? -1 : 1));
    CHECK(logged(roles.take_events(), "lacks 50 bytes"));
    if (roles.state().primary < 0)
      CHECK(roles.state().servers[1].reason.find("failover.max_loss is 49") != std::string::npos);
  }
  SECTION("and nobody knows how much") {
    if (GENERATE(false, true))
      promoted.history = std::make_shared<const timeline_history>(timeline_history{{{7, 150}}});
    roles.take(1, promoted);
    CHECK(roles.state().primary == (limit ? -1 : 1));
    CHECK((logged(roles.take_events(), "failover.max_loss") || !limit));
  }
  SECTION("has it all, and is the primary at once") {
    promoted.history = std::make_shared<const timeline_history>(timeline_history{{{1, 210}}});
    roles.take(1, promoted);
    CHECK(roles.state().primary == 1);
    CHECK_FALSE(logged(roles.take_events(), "lacks"));
  }
}

TEST_CASE("whether a server answers, and how often a replica has gone back, are told") {
  shard_roles roles = pair();
  CHECK_FALSE(roles.state().servers[0].answers);
  roles.take(0, primary_sample(0ms, 100));
  roles.take(1, replica_sample(1ms, 100));
  CHECK(roles.state().servers[1].answers);
  CHECK(roles.state().servers[1].restarts == 0);
  roles.take(1, replica_sample(200ms, 40));
  CHECK(roles.state().servers[1].restarts == 1);
  roles.take(1, failure());
  CHECK_FALSE(roles.state().servers[1].answers);
}

TEST_CASE("a server of another cluster is no replica") {
  shard_roles roles = pair();
  roles.take(0, primary_sample(0ms, 100));
  server_sample stranger = replica_sample(0ms, 100);
  stranger.system_identifier = 78;
  roles.take(1, stranger);
  CHECK_FALSE(roles.state().servers[1].usable);
  CHECK(roles.state().servers[1].reason.find("system identifier") != std::string::npos);
  CHECK(roles.state().servers[1].safe_until == steady_time::min());
}

TEST_CASE("lag in bytes, with room between out and in") {
  shard_roles roles = pair(1000);
  roles.take(0, primary_sample(0ms, 10'000));
  roles.take(1, replica_sample(0ms, 9'000));
  CHECK(roles.state().servers[1].usable);
  roles.take(1, replica_sample(200ms, 8'999));
  CHECK_FALSE(roles.state().servers[1].usable);
  CHECK(roles.state().servers[1].role == server_role::replica);
  (void)roles.take_events();
  roles.take(1, replica_sample(400ms, 9'400));
  CHECK_FALSE(roles.state().servers[1].usable);
  CHECK(roles.take_events().empty());
  roles.take(1, replica_sample(600ms, 9'500));
  CHECK(roles.state().servers[1].usable);
  roles.take(1, replica_sample(800ms, 9'001));
  CHECK(roles.state().servers[1].usable);
}

TEST_CASE("lag in time") {
  shard_roles roles = pair({}, 1000ms);
  roles.take(0, primary_sample(0ms, 100));
  roles.take(1, replica_sample(20ms, 100));
  SECTION("an idle primary's replica is never behind") {
    for (auto t = 200ms; t < 60'000ms; t += 200ms) roles.take(0, primary_sample(t, 100));
    CHECK(roles.state().servers[1].usable);
  }
  SECTION("WAL that was never flushed does not make a replica late") {
    for (auto t = 200ms; t < 5'000ms; t += 200ms) {
      server_sample s = primary_sample(t, 150);
      s.flushed = 100;
      roles.take(0, s);
    }
    CHECK(roles.state().servers[1].usable);
    CHECK(roles.state().servers[1].safe_until == at(0ms));  // but what was inserted may have been committed
  }
  SECTION("one that stands still is out after the limit and back when it has caught up") {
    std::uint64_t lsn = 100;
    for (auto t = 200ms; t <= 1'200ms; t += 200ms) roles.take(0, primary_sample(t, lsn += 10));
    CHECK(roles.state().servers[1].usable);
    roles.take(0, primary_sample(1'400ms, lsn += 10));
    CHECK_FALSE(roles.state().servers[1].usable);
    roles.take(1, replica_sample(1'420ms, lsn));
    CHECK(roles.state().servers[1].usable);
  }
}

TEST_CASE("a judge that replaces another keeps who was primary") {
  shard_roles before = pair();
  before.take(0, primary_sample(0ms, 100));
  before.take(1, replica_sample(0ms, 100));
  shard_roles after({"shop/s0", {{"a", 5}, {"b", 6}}, {}, {}, {}});
  after.inherit(before);
  CHECK(after.take_events().empty());
  CHECK(after.state().primary == 0);
  CHECK(after.state().servers[0].weight == 5);
  after.take(1, primary_sample(200ms, 100, 2));
  CHECK(after.state().primary == 0);
}
