// The session's machine with reads over gathered rows: what becomes of failures between its steps.
#include <catch2/catch.hpp>

#include "machine_script.hpp"

using namespace pgbraid::proxy::test;

namespace {

struct asked_servers {
  std::string combiner, other;
};

/// Rows of both servers are asked for, of which the first is to put them together.
asked_servers count_names(machine_script& t, bool in_transaction) {
  if (in_transaction) {
    t.client("Q(BEGIN) Q(SELECT name FROM customers)");
    for (const char* server : {"s0", "s1"}) t.server(server, "C(BEGIN) Z(T) T(name) C(SELECT 0) Z(T)");
    (void)t.asked("s0");
    (void)t.asked("s1");
    (void)t.told();
  }
  t.client("Q(SELECT count(DISTINCT name) FROM customers)");
  const bool first = t.asked("s0").size() > t.asked("s1").size();
  return {first ? "s0" : "s1", first ? "s1" : "s0"};
}

}  // namespace

TEST_CASE("a server is lost that was to put gathered rows together", "[gather]") {
  machine_script t{two_shards()};
  const bool in_transaction = GENERATE(false, true);
  const auto [combiner, other] = count_names(t, in_transaction);
  const std::string ready = in_transaction ? " Z(T)" : " Z(I)";
  t.server(combiner, "1 T(count) 1 2 C(SELECT 0)" + ready);
  (void)t.leases();
  t.lose(combiner);
  if (in_transaction) {
    t.server(other, "1 2 C(SELECT 0)" + ready);
    CHECK(t.told() == "E(08006) Z(E)");
    return;
  }
  // Nothing of it has been told: it is asked anew.
  CHECK(t.told().empty());
  CHECK(t.leases().find("@" + combiner) != std::string::npos);
  CHECK(t.asked(combiner).find("count(DISTINCT name)") != std::string::npos);
}

TEST_CASE("gathered rows come out with other columns than the statement has", "[gather]") {
  machine_script t{two_shards()};
  const bool in_transaction = GENERATE(false, true);
  const auto [combiner, other] = count_names(t, in_transaction);
  const std::string ready = in_transaction ? " Z(T)" : " Z(I)";
  t.server(combiner, "1 T(count) 1 2 C(SELECT 0)" + ready);
  t.server(other, "1 2 C(SELECT 0)" + ready);
  t.server(combiner, "1 2 T(another) D(1) D(2) C(SELECT 2)" + ready);
  CHECK(t.told() == (in_transaction ? "E(XX000) Z(E)" : "E(XX000) Z(I)"));
}

TEST_CASE("what is wrong with a statement is told before what another server's rows come upon", "[gather]") {
  machine_script t{two_shards()};
  const auto [combiner, other] = count_names(t, false);
  const std::string code = GENERATE(as<std::string>{}, "22012", "42804");
  t.server(other, "1 2 E(" + code + ") Z(I)");
  CHECK(t.told().empty());
  SECTION("it is wrong") {
    t.server(combiner, "E(42702) Z(I)");
    CHECK(t.told() == "E(42702) Z(I)");
  }
  SECTION("it is right") {
    t.server(combiner, "1 T(count)");
    CHECK(t.told() == "E(" + code + ")");
    t.server(combiner, "1 2 D(1) C(SELECT 1) Z(I)");
    CHECK(t.told() == "Z(I)");
  }
  t.client("Q(SELECT 1)");
  CHECK((t.asked("s0") + t.asked("s1")).find("SELECT 1") != std::string::npos);
}
