// A pattern stands in for scan(): it may know less, never more.
#include <catch2/catch.hpp>

#include <string>
#include <utility>
#include <vector>

#include "router/sql/text_pattern.hpp"

using namespace pgbraid::router::sql;

namespace {

token_scan scanned(const std::string& text) {
  token_scan out;
  scan(text, out);
  return out;
}

/// Whether `other` is recognised by the pattern of `text`; if so, that it is what scan() makes of it.
bool recognised(const std::string& text, const std::string& other) {
  const token_scan first = scanned(text);
  text_pattern pattern;
  token_scan matched;
  if (!pattern.remember(text, first) || !pattern.matches(other, matched)) return false;
  const token_scan second = scanned(other);
  CHECK(second.key == first.key);
  CHECK(matched.valid);
  CHECK(matched.constants == second.constants);
  CHECK(matched.ascii == second.ascii);
  CHECK(matched.has_backslash == second.has_backslash);
  CHECK(matched.many_statements == second.many_statements);
  return true;
}

}  // namespace

TEST_CASE("texts that differ in plain constants are recognised") {
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"select 1", "select 1"},
      {"select 1", "select 999999999"},
      {"select a from t where b = 17;", "select a from t where b = 4;"},
      {"select 1;select 2", "select 3;select 45"},
      {"select '' , 5", "select 'a longer one' , 0"},
      {"insert into t values (1, 'a', 'b')", "insert into t values (100, 'x y', '')"},
      {"select -1", "select -20"},
      {"select N'a'", "select N'b'"},
      {"select 1..2", "select 10..20"},
      {"select 1.5, -2.25", "select 12345.678901, -0.0"},
      {"select 5 -- 6\n, 7", "select 8 -- 6\n, 9"},
  };
  for (const auto& [text, other] : pairs) {
    CAPTURE(text, other);
    CHECK(recognised(text, other));
  }
}

TEST_CASE("what may be another token is left to scan()") {
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"select 1", "select 2147483648"},
      {"select 1", "select 0000000001"},
      {"select 1", "select 1.5"},
      {"select 1", "select 1e5"},
      {"select 1", "select 1a"},
      {"select 1", "select a"},
      {"select 1", "select "},
      {"select 1", "select"},
      {"select 1", "select 1 "},
      {"select 1", "select 1;"},
      {"select 1", "select .5"},
      {"select 1", "select '1'"},
      {"select '1'", "select 1"},
      {"select 'a'", "select 'it''s'"},
      {"select 'a'", "select 'a"},
      {"select 'a'", "select '"},
      {"select 'a'", "select 'a\\b'"},
      {"select 'a'", "select '\xc3\xa4'"},
      {"select 'a'", "select 'a'\n'b'"},
      {"select 'a'\n'b'", "select 'a'\n'c'"},
      {"select 'a', 1", "select 'a'', 1"},
      {"select 5 -- 6\n, 7", "select 5 -- 7\n, 7"},
      {"select e'a'", "select e'b'"},
      {"select $$a$$", "select $$b$$"},
      {"select x'1'", "select x'2'"},
      {"select 1.5", "select 1"},
      {"select 1.5", "select 1."},
      {"select 1.5", "select .5"},
      {"select 1.5", "select 1.5e3"},
      {"select 1.5", "select 1.5a"},
      {"select 1.5e3", "select 2.5e3"},
      {"select .5", "select .6"},
      {"select 1.5.5", "select 17.25.5"},
      {"select 1.", "select 2."},
      {"select a", "select a"},
      {"select '\xc3\xa4'", "select 'a'"},
  };
  for (const auto& [text, other] : pairs) {
    CAPTURE(text, other);
    CHECK_FALSE(recognised(text, other));
  }
  std::string with_nul = "select 'a'";
  with_nul[8] = '\0';
  CHECK_FALSE(recognised("select 'a'", with_nul));
}

TEST_CASE("what cannot be remembered leaves what was") {
  text_pattern pattern;
  REQUIRE(pattern.remember("select 1", scanned("select 1")));
  CHECK_FALSE(pattern.remember("select 1e5", scanned("select 1e5")));
  CHECK_FALSE(pattern.remember("select 'open", scanned("select 'open")));
  const std::string large = "select 1" + std::string(text_pattern::max_bytes, ' ');
  CHECK_FALSE(pattern.remember(large, scanned(large)));
  token_scan out;
  CHECK(pattern.matches("select 2", out));
}
