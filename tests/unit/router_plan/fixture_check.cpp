// The table tests' check, apart from the fixture that programs without Catch2 use too.
#include <catch2/catch.hpp>

#include "fixture.hpp"

namespace pgbraid::router::test {

void check(const world& w, const std::vector<expectation>& rows) {
  for (const expectation& row : rows) {
    std::string expected = row.expected;
    for (auto open = expected.find('{'); open != std::string::npos; open = expected.find('{', open)) {
      const auto close = expected.find('}', open);
      const std::int64_t key = std::stoll(expected.substr(open + 1, close - open - 1));
      expected.replace(open, close - open + 1, w.map.shards[shard_of(w.map, key)]);
    }
    const std::string told = w.told(row.sql);
    INFO(row.sql << "\n  got: " << told << "\n  expected: " << expected);
    if (expected == gathered) {
      CHECK(told.find(" gathered (") != std::string::npos);
    } else if (expected.ends_with("...")) {
      CHECK(told.substr(0, expected.size() - 3) == expected.substr(0, expected.size() - 3));
    } else {
      CHECK(told == expected);
    }
  }
}

}  // namespace pgbraid::router::test
