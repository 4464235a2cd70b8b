// The judge of a shard with Patroni's word beside the servers' own answers: who is fenced, and what holds when nobody
// can be asked.
#include "proxy/cluster/roles.hpp"

#include <catch2/catch.hpp>

#include <string_view>
#include <vector>

using namespace pgbraid::proxy;
using namespace std::chrono_literals;

namespace {

using kind = leader_word::kind;

steady_time at(std::chrono::milliseconds since) {
  return steady_time{} + since;
}

server_sample primary(std::chrono::milliseconds when, std::uint32_t timeline = 1) {
  server_sample s;
  s.answered = true;
  s.begin = at(when);
  s.system_identifier = 77;
  s.timeline = timeline;
  s.position = s.flushed = 100;
  return s;
}

server_sample replica(std::chrono::milliseconds when, std::uint32_t timeline = 1) {
  server_sample s = primary(when, timeline);
  s.in_recovery = true;
  return s;
}

server_sample silence() {
  server_sample s;
  s.failure = "connection refused";
  return s;
}

leader_word word(kind said, int server = -1, std::chrono::milliseconds asked = 1h) {
  return {said, server, server == 0 ? "pg1" : server == 1 ? "pg2" : "", at(asked)};
}

shard_roles pair() {
  return shard_roles({"shop/s0", {{"a", 1}, {"b", 1}}, {}, {}, {}});
}

// a is primary and b its replica, by their own word and Patroni's.
shard_roles standing() {
  shard_roles roles = pair();
  roles.take_leader(word(kind::named, 0));
  roles.take(0, primary(0ms));
  roles.take(1, replica(1ms));
  REQUIRE(roles.state().primary == 0);
  (void)roles.take_events();
  return roles;
}

bool logged(const std::vector<shard_event>& events, std::string_view words) {
  for (const shard_event& e : events) {
    if (e.text.find(words) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("nobody is primary before Patroni has been asked") {
  shard_roles roles = pair();
  roles.take_leader(word(kind::awaited));
  roles.take(0, primary(0ms));
  roles.take(1, replica(1ms));
  CHECK_FALSE(roles.settled());
  CHECK(roles.state().primary == -1);
  CHECK(roles.state().servers[0].reason == "waiting for Patroni's first answer");
  CHECK_FALSE(logged(roles.take_events(), "waiting"));
  SECTION("and then it is whom Patroni names") {
    CHECK(roles.take_leader(word(kind::named, 0)));
    CHECK(roles.settled());
    CHECK(roles.state().primary == 0);
  }
  SECTION("or, when Patroni cannot be reached, who answers as one") {
    CHECK(roles.take_leader(word(kind::unreachable)));
    CHECK(roles.settled());
    CHECK(roles.state().primary == 0);
  }
}

TEST_CASE("a server that Patroni does not name is no primary, though it answers as one") {
  shard_roles roles = pair();
  roles.take_leader(word(kind::named, 1));
  roles.take(0, primary(0ms));
  roles.take(1, replica(1ms));
  CHECK(roles.state().primary == -1);
  CHECK(roles.state().servers[0].role == server_role::unknown);
  CHECK_FALSE(roles.state().servers[0].usable);
  CHECK(logged(roles.take_events(), "a is out: it answers as primary, and by Patroni the leader is pg2"));
  CHECK(roles.leader_in_doubt());
}

TEST_CASE("the leader that Patroni names takes over from one that still answers as primary") {
  shard_roles roles = standing();
  // Its own word does not do: the one that is known stays, unless Patroni names another.
  roles.take(1, primary(300ms, 2));
  CHECK(roles.state().primary == 0);
  CHECK(roles.state().servers[1].reason == "it answers as primary, and by Patroni the leader is pg1");
  roles.take_leader(word(kind::named, 1));
  CHECK(roles.state().primary == 1);
  CHECK(roles.state().timeline == 2);
  CHECK(roles.leader_in_doubt());  // a still answers as one
  CHECK(roles.state().servers[0].reason == "it answers as primary, and by Patroni the leader is pg2");
  roles.take(0, replica(600ms, 2));
  CHECK_FALSE(roles.leader_in_doubt());
  CHECK(roles.state().servers[0].usable);
}

TEST_CASE("a lease that has run out leaves no primary, and the next leader is one when it answers as one") {
  shard_roles roles = standing();
  CHECK(roles.take_leader(word(kind::vacant)));
  CHECK(roles.state().primary == -1);
  CHECK(
      logged(roles.take_events(), "no primary: a is lost: it answers as primary, and by Patroni nobody is the leader"));
  roles.take_leader(word(kind::named, 1));
  CHECK(roles.state().primary == -1);
  CHECK(roles.state().servers[1].usable);  // for reads, as before
  roles.take(1, primary(500ms, 2));
  CHECK(roles.state().primary == 1);
}

TEST_CASE("without Patroni the servers' answers decide as they do without discovery") {
  shard_roles roles = standing();
  CHECK_FALSE(roles.take_leader(word(kind::unreachable)));
  CHECK(roles.state().primary == 0);
  roles.take(1, primary(300ms, 2));
  CHECK(roles.state().primary == 0);
  roles.take(0, silence());
  CHECK(roles.state().primary == 1);
}

TEST_CASE("who was not the leader when Patroni was last heard stays out until it comes on another timeline") {
  shard_roles roles = standing();
  roles.take_leader(word(kind::vacant));
  roles.take_leader(word(kind::unreachable));
  roles.take(0, primary(400ms));
  CHECK(roles.state().primary == -1);
  CHECK(roles.state().servers[0].reason.find("was not the leader when Patroni was last heard") != std::string::npos);
  SECTION("another server that is promoted is none of this") {
    roles.take(1, primary(500ms, 2));
    CHECK(roles.state().primary == 1);
  }
  SECTION("on a new timeline it may be primary again") {
    roles.take(0, primary(500ms, 2));
    CHECK(roles.state().primary == 0);
  }
  SECTION("Patroni may name it again") {
    roles.take_leader(word(kind::named, 0));
    CHECK(roles.state().primary == 0);
    roles.take_leader(word(kind::unreachable));
    CHECK(roles.state().primary == 0);
  }
}

TEST_CASE("an answer of Patroni's that is older than a promotion says nothing against it") {
  shard_roles roles = standing();
  roles.take(0, silence());
  roles.take(1, primary(500ms, 2));
  CHECK(roles.state().primary == -1);  // not named yet
  roles.take_leader(word(kind::named, 0, 400ms));
  roles.take_leader(word(kind::unreachable));
  CHECK(roles.state().primary == 1);
}

TEST_CASE("two primaries on one timeline leave none, whomever Patroni names") {
  shard_roles roles = standing();
  roles.take(1, primary(300ms));
  CHECK(roles.state().primary == -1);
  CHECK(logged(roles.take_events(), "two primaries"));
}

TEST_CASE("the leader must be fit to be primary like any other") {
  shard_roles roles = standing();
  SECTION("it is on an older timeline than the last primary") {
    roles.take(0, primary(200ms, 3));
    roles.take_leader(word(kind::named, 1));
    roles.take(1, primary(300ms, 2));
    CHECK(roles.state().primary == -1);
    CHECK(roles.state().servers[1].reason.find("older than timeline 3") != std::string::npos);
  }
  SECTION("it is of another cluster") {
    server_sample stranger = primary(300ms, 2);
    stranger.system_identifier = 78;
    roles.take_leader(word(kind::named, 1));
    roles.take(1, stranger);
    CHECK(roles.state().primary == -1);
  }
}

TEST_CASE("a leader that is none of the shard's servers leaves no primary") {
  shard_roles roles = standing();
  roles.take_leader({kind::named, -1, "pg9 (h:1), none of the servers listed", at(1h)});
  CHECK(roles.state().primary == -1);
  CHECK(logged(roles.take_events(), "none of the servers listed"));
}

TEST_CASE("under another topology Patroni's word is asked for anew") {
  const shard_roles before = standing();
  shard_roles roles = pair();
  roles.take_leader(word(kind::awaited));
  roles.inherit(before);
  CHECK_FALSE(roles.settled());
  roles.take(0, primary(300ms));
  CHECK(roles.state().primary == -1);
  roles.take_leader(word(kind::named, 0));
  CHECK(roles.state().primary == 0);
}
