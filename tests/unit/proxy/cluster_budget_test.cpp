#include "proxy/cluster/probe_budget.hpp"

#include <catch2/catch.hpp>

using pgbraid::proxy::probe_budget;
using pgbraid::proxy::steady_time;
using namespace std::chrono_literals;

namespace {

const steady_time start{1h};

// How many questions out of turn there were, asked whenever they might be, beside one of the interval every `interval`.
int asked_in(std::chrono::milliseconds time, unsigned rate, std::chrono::milliseconds interval) {
  probe_budget budget{rate};
  int asked = 0;
  for (auto at = 0ms; at < time; ++at) {
    if (at % interval == 0ms) budget.spend(start + at);
    if (budget.ready_at() > start + at) continue;
    budget.spend(start + at);
    ++asked;
  }
  return asked;
}

}  // namespace

TEST_CASE("questions out of turn have what the interval's leave of the rate") {
  CHECK(asked_in(10s, 100, 20ms) == Approx(500).margin(15));
  CHECK(asked_in(10s, 100, 10s) == Approx(1000).margin(15));
  CHECK(asked_in(10s, 1000, 20ms) == Approx(9500).margin(150));
}

TEST_CASE("an interval that uses up the rate leaves nothing for others") {
  CHECK(asked_in(10s, 100, 5ms) == Approx(0).margin(15));
}

TEST_CASE("without a rate nothing is asked out of turn") {
  probe_budget budget{0};
  CHECK(budget.ready_at() == steady_time::max());
  budget.spend(start);
  CHECK(budget.ready_at() == steady_time::max());
}

TEST_CASE("a new rate holds at once") {
  probe_budget budget{1};
  for (int i = 0; i < 10; ++i) budget.spend(start);
  CHECK(budget.ready_at() > start);
  budget.change_rate(10);
  CHECK(budget.ready_at() <= start);
}

TEST_CASE("what was not asked for long ago is not made up for") {
  probe_budget budget{100};
  budget.spend(start);
  int at_once = 0;
  while (budget.ready_at() <= start + 1min) {
    budget.spend(start + 1min);
    ++at_once;
  }
  CHECK(at_once <= 11);
}
