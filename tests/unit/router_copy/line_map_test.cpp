#include <catch2/catch.hpp>

#include "router/copy/line_map.hpp"

using pgbraid::router::line_map;

TEST_CASE("lines of one server are found among the client's", "[copy]") {
  line_map lines;
  CHECK_FALSE(lines.find(1));
  lines.add(1, 3);
  lines.add(2, 4);
  lines.add(5, 12);  // a row of three lines
  CHECK(lines.find(1) == 3);
  CHECK(lines.find(2) == 4);
  CHECK(lines.find(5) == 12);
  CHECK(lines.find(4) == 11);
  CHECK_FALSE(lines.find(6));
  CHECK(lines.last() == 5);
}

TEST_CASE("only the newest lines are remembered", "[copy]") {
  line_map lines;
  constexpr std::uint64_t rows = 2'000'000;
  for (std::uint64_t i = 1; i <= rows; ++i) lines.add(i, i * 300);
  CHECK(lines.find(rows) == rows * 300);
  CHECK(lines.find(rows - 100'000) == (rows - 100'000) * 300);
  CHECK_FALSE(lines.find(1));
}
