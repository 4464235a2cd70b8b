// Replay epochs against a scripted clock: no write may be taken for replayed before it is.
#include "proxy/cluster/epochs.hpp"

#include <catch2/catch.hpp>

#include <utility>
#include <vector>

using namespace pgbraid::proxy;
using namespace std::chrono_literals;

namespace {

steady_time at(std::chrono::milliseconds since) {
  return steady_time{} + since;
}

}  // namespace

TEST_CASE("positions are read as PostgreSQL prints them") {
  CHECK(parse_lsn("0/0") == 0u);
  CHECK(parse_lsn("16/B374D848") == 0x16'B374D848u);
  CHECK(parse_lsn("FFFFFFFF/FFFFFFFF") == 0xFFFF'FFFF'FFFF'FFFFu);
  for (const char* bad : {"", "/", "0", "0/", "/0", "0/G", "0/0 ", "100000000/0", "-1/0", "0/0/0"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_lsn(bad));
  }
}

TEST_CASE("an insert position behind a page header rests at the page's start") {
  constexpr std::uint64_t segment = 16u << 20, block = 8192;
  CHECK(replayable(0x3000028, segment, block) == 0x3000000);  // 40 bytes into a segment
  CHECK(replayable(0x3002018, segment, block) == 0x3002000);  // 24 bytes into another page
  CHECK(replayable(0x3000018, segment, block) == 0x3000018);  // inside a segment's long header: not a place to rest
  CHECK(replayable(0x3002028, segment, block) == 0x3002028);  // 16 bytes of a record stand there
  CHECK(replayable(0x3002000, segment, block) == 0x3002000);
  CHECK(replayable(0x2000028, 32u << 20, block) == 0x2000000);
  CHECK(replayable(0x3000028, 32u << 20, block) == 0x3000028);  // no segment begins here
}

TEST_CASE("a replica is safe up to the last sample that it covers") {
  wal_history history;
  CHECK(history.covered_until(1000) == steady_time::min());
  history.add(at(100ms), 10);
  history.add(at(300ms), 20);
  history.add(at(500ms), 30);
  CHECK(history.covered_until(9) == steady_time::min());
  CHECK(history.covered_until(10) == at(100ms));
  CHECK(history.covered_until(19) == at(100ms));
  CHECK(history.covered_until(20) == at(300ms));
  CHECK(history.covered_until(1000) == at(500ms));
  CHECK(history.newest() == 30);
}

TEST_CASE("an idle primary moves the time and not the position") {
  wal_history history;
  history.add(at(100ms), 10);
  history.add(at(300ms), 10);
  history.add(at(500ms), 10);
  CHECK(history.size() == 1);
  CHECK(history.covered_until(10) == at(500ms));
  CHECK(history.behind(10) == 0ms);
  // Behind since the position was first seen, not since it was last seen.
  CHECK(history.behind(9) == 400ms);
}

TEST_CASE("how long a replica is behind counts from the first sample that it lacks") {
  wal_history history;
  history.add(at(100ms), 10);
  history.add(at(300ms), 20);
  history.add(at(900ms), 30);
  CHECK(history.behind(30) == 0ms);
  CHECK(history.behind(20) == 0ms);
  CHECK(history.behind(10) == 600ms);
  CHECK(history.behind(0) == 800ms);
}

TEST_CASE("a position that went back forgets what was before") {
  wal_history history;
  history.add(at(100ms), 10);
  history.add(at(200ms), 50);
  history.add(at(300ms), 40);
  CHECK(history.size() == 1);
  CHECK(history.covered_until(39) == steady_time::min());
  CHECK(history.covered_until(45) == at(300ms));
}

TEST_CASE("a full history stays bounded and never promises more") {
  wal_history history;
  std::vector<std::pair<steady_time, std::uint64_t>> all;
  for (int i = 0; i < 5000; ++i) {
    const auto begin = at(200ms * i);
    const auto lsn = static_cast<std::uint64_t>(100 * i + 100);
    history.add(begin, lsn);
    all.emplace_back(begin, lsn);
    CHECK(history.size() <= wal_history::max_samples);
  }
  for (std::uint64_t replayed = 0; replayed <= 500'100; replayed += 777) {
    steady_time truth = steady_time::min();
    for (const auto& [begin, lsn] : all) {
      if (lsn <= replayed) truth = begin;
    }
    CHECK(history.covered_until(replayed) <= truth);
  }
  // Near the end nothing has been thinned out.
  CHECK(history.covered_until(500'000) == all.back().first);
  CHECK(history.covered_until(499'999) == all[4998].first);
  // And old positions are still covered, if coarsely.
  CHECK(history.covered_until(480'000) != steady_time::min());
}
