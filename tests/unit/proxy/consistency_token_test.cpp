// Consistency tokens as text, and the marks of tables that were written to.
#include "proxy/session/consistency_token.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <chrono>

#include "proxy/session/write_marks.hpp"

using namespace pgbraid::proxy;
using namespace std::chrono_literals;

TEST_CASE("a token is what it was written from") {
  consistency_token token;
  CHECK(to_text(token).empty());
  CHECK(parse_token("") == consistency_token{});
  demand(token, {0x6a3f'0000'1234'5678, 3, 0x16'B374'D848});
  CHECK(to_text(token) == "pgb1.6a3f000012345678-3-16b374d848.5ee27d77");
  demand(token, {7, 0xFFFF'FFFF, 0xFFFF'FFFF'FFFF'FFFF});
  demand(token, {0xFFFF'FFFF'FFFF'FFFF, 1, 0});
  REQUIRE(token.size() == 3);
  CHECK(token.front().system_identifier == 7);
  CHECK(parse_token(to_text(token)) == token);
}

TEST_CASE("of two demands on one cluster the later counts") {
  consistency_token token;
  demand(token, {5, 1, 200});
  demand(token, {5, 1, 100});
  CHECK(token == consistency_token{{5, 1, 200}});
  demand(token, {5, 2, 150});
  demand(token, {5, 1, 900});
  CHECK(token == consistency_token{{5, 2, 150}});
  demand(token, {5, 2, 151});
  REQUIRE(position_in(token, 5) != nullptr);
  CHECK(position_in(token, 5)->lsn == 151);
  CHECK(position_in(token, 4) == nullptr);
  CHECK(position_in(token, 6) == nullptr);
}

TEST_CASE("whatever else reads like a token is none") {
  consistency_token token;
  demand(token, {0x6a3f'0000'1234'5678, 3, 0x16'B374'D848});
  demand(token, {7, 1, 0x1000});
  const std::string text = to_text(token);
  for (std::size_t size = 1; size < text.size(); ++size) {
    INFO(text.substr(0, size));
    CHECK_FALSE(parse_token(text.substr(0, size)));
  }
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (const char other : {'0', '1', 'f', 'F', '-', '_', '.', ' ', '\0', 'g', '\xff'}) {
      std::string changed = text;
      changed[at] = other;
      INFO(changed);
      CHECK(parse_token(changed).has_value() == (changed == text));
    }
  }
  for (const char* const bad :
       {"0", "pgb1.", "pgb1..", "pgb1.--.811c9dc5", "pgb2.7-1-1000.00000000", "16/B374D848", " ", "NULL", "''"}) {
    INFO(bad);
    CHECK_FALSE(parse_token(bad));
  }
  CHECK_FALSE(parse_token(text + text));
  CHECK_FALSE(parse_token(" " + text));
  CHECK_FALSE(parse_token(std::string(70'000, 'a')));
}

TEST_CASE("marks tell when a table was last written to") {
  const steady_time began{1s}, early{2s}, late{3s};
  write_marks marks{began};
  const std::uint64_t s0 = write_marks::seed_of("shop", "s0"), s1 = write_marks::seed_of("shop", "s1");
  const std::array<std::uint32_t, 2> both{11, 12};
  const auto of = [&](std::uint64_t seed, std::uint32_t table) { return marks.last(seed, std::array{table}); };
  CHECK(s0 != s1);
  CHECK(write_marks::seed_of("shop", "s0") == s0);
  CHECK(write_marks::seed_of("shops", "0") != s0);
  CHECK(of(s0, 11) == began);
  CHECK(marks.last_of_all(s0) == began);

  marks.wrote(s0, 11, late);
  marks.wrote(s0, 11, early);
  CHECK(of(s0, 11) == late);
  CHECK(of(s0, 12) == began);
  CHECK(of(s1, 11) == began);
  CHECK(marks.last(s0, both) == late);
  CHECK(marks.last_of_all(s0) == late);
  CHECK(marks.last_of_all(s1) == began);

  CHECK(marks.last_definition(s0) == began);
  marks.defined(s0, early);
  CHECK(marks.last_definition(s0) == early);
  CHECK(marks.last_definition(s1) == began);
  CHECK(of(s0, 12) == began);

  marks.wrote_anything(s1, early);
  CHECK(of(s1, 11) == early);
  CHECK(of(s1, 999) == early);
  CHECK(marks.last(s1, {}) == early);
  CHECK(of(s0, 12) == began);
}
