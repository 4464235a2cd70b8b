// scan(): which texts share a key, which must not, where constants stand, and what is no text at all.
#include "router/sql/tokenizer.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "reference_scan.hpp"

using namespace pgbraid::router::sql;

namespace {

token_scan scanned(std::string_view text) {
  token_scan out;
  scan(text, out);
  return out;
}

std::vector<std::string> slices(std::string_view text) {
  std::vector<std::string> out;
  for (const constant_position& constant : scanned(text).constants)
    out.emplace_back(text.substr(constant.offset, constant.length));
  return out;
}

}  // namespace

TEST_CASE("texts that differ only in constants, case of words, blanks and comments share a key") {
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"select 1", "select 2147483647"},
      {"select 0001", "select 00000000000000000001"},
      {"select 2147483648", "select 9223372036854775807"},
      {"select 9223372036854775808", "select 99999999999999999999999999"},
      {"select 1.5", "select .5e-3"},
      {"select 1.", "select 1e10"},
      {"select 'a'", "select 'it''s'"},
      {"select 'a'", "select 'a'\n'b'"},
      {"select 'a'", "select 'a' -- why\n -- not\n 'b'"},
      {"select E'a'", "select e'\\''"},
      {"select B'1'", "select b''"},
      {"select X'1'", "select x'ff'"},
      {"select U&'a'", "select u&'\\0061'"},
      {"select $$a$$", "select $tag$ $$ $tag2$ $tag$"},
      {"select N'a'", "select n'b'"},
      {"SELECT A FROM T", "select a from t"},
      {"select  a\t\n\r\f from t ", " select a from t"},
      {"select a/* c */from t", "select a from t"},
      {"select a /* /* nested */ c */ from t -- end", "select a from t"},
      {"select a--c\nfrom t", "select a from t"},
      {"select -1", "select -2"},
      {"select 1;", "select 2;"},
      {"a+/*x*/+b", "a+ +b"},
      {"a+--x\n+b", "a+ +b"},
      {"select ä, Ä from t", "SELECT ä, Ä FROM t"},
  };
  for (const auto& [left, right] : pairs) {
    CAPTURE(left, right);
    const token_scan a = scanned(left), b = scanned(right);
    REQUIRE(a.valid);
    REQUIRE(b.valid);
    CHECK(a.normalized == b.normalized);
    CHECK(a.key == b.key);
  }
}

TEST_CASE("texts that the grammar can tell apart have different keys") {
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"select 1", "select 1.0"},
      {"select 1", "select '1'"},
      {"select 1", "select 2147483648"},
      {"select 9223372036854775807", "select 9223372036854775808"},
      {"select 'a'", "select E'a'"},
      {"select 'a'", "select $$a$$"},
      {"select 'a'", "select N'a'"},
      {"select N 'a'", "select N'a'"},
      {"select E 'a'", "select E'a'"},
      {"select B'1'", "select X'1'"},
      {"select 'a' 'b'", "select 'a'\n'b'"},
      {"select 1", "select ?"},
      {"select 1", "select $1"},
      {"select $1", "select $2"},
      {"select 1 ? 2", "select 1 2 3"},
      {"select \"A\"", "select \"a\""},
      {"select \"a b\"", "select a b"},
      {"select \"a  b\"", "select \"a b\""},
      {"select \"a--b\"", "select \"a\""},
      {"select U&\"a\"", "select U & \"a\""},
      {"select a, b", "select a b"},
      {"select a:b", "select a: b"},
      {"select a <> b", "select a < > b"},
      {"select a || b", "select a | | b"},
      {"select @-1", "select @ -1"},
      {"values (1), (2)", "values (1)"},
      {"select a in (1, 2)", "select a in (1, 2, 3)"},
      {"select 1;", "select 1"},
      {"select ä", "select Ä"},
      {"select a\xc2\xa0 from t", "select a from t"},
      {"select 'a'", "select a"},
      {"select 1 ..2", "select 1 .2"},
  };
  for (const auto& [left, right] : pairs) {
    CAPTURE(left, right);
    const token_scan a = scanned(left), b = scanned(right);
    REQUIRE(a.valid);
    REQUIRE(b.valid);
    CHECK(a.normalized != b.normalized);
    CHECK_FALSE(a.key == b.key);
  }
}

TEST_CASE("each constant is found with all its bytes") {
  const std::vector<std::pair<std::string, std::vector<std::string>>> rows = {
      {"select abalance from a where aid = 12345;", {"12345"}},
      {"select -5, - 5, a-1, a -1.5, +.5", {"5", "5", "1", "1.5", ".5"}},
      {"select 1e10, 1.e5, .5E+3, 1..2, 1...5", {"1e10", "1.e5", ".5E+3", "1", "2", "1", ".5"}},
      {"select 'a''b', E'a\\'b''c', e'\\\\'", {"'a''b'", "E'a\\'b''c'", "e'\\\\'"}},
      {"select 'a'\n  'b', 'c' 'd'", {"'a'\n  'b'", "'c'", "'d'"}},
      {"select 'a'-- x\n'b'", {"'a'-- x\n'b'"}},
      {"select 'a' /* x */ \n'b'", {"'a'", "'b'"}},
      {"select E'a\\n'\n'b\\n'", {"E'a\\n'\n'b\\n'"}},
      {"select b'10', X'1F', n'x', U&'\\0061'", {"b'10'", "X'1F'", "'x'", "U&'\\0061'"}},
      {"select b'1''0'", {"b'1'", "'0'"}},
      {"select $$a$b$$, $x$ $$ $y$ $x$, $1, a$$b", {"$$a$b$$", "$x$ $$ $y$ $x$"}},
      {"select \"1\", \"a\"\"2\", t1, a.b1, /* 3 */ 4 -- 5", {"4"}},
      {"select a=-1, a<>-2, a@>'{}'", {"1", "2", "'{}'"}},
      {"select array[1,2][3:4], '2020-01-01'::date, 10::int", {"1", "2", "3", "4", "'2020-01-01'", "10"}},
      {"select xn'a', ab'1', _e'x'", {"'a'", "'1'", "'x'"}},
      {"select 1$$a$$", {"1", "$$a$$"}},
      {"select b'1' -- c\n'0''1', E'a' -- c\n'\\'', 'b'", {"b'1' -- c\n'0'", "'1'", "E'a' -- c\n'\\''", "'b'"}},
      {"", {}},
  };
  for (const auto& [text, expected] : rows) {
    CAPTURE(text);
    CHECK(scanned(text).valid);
    CHECK(slices(text) == expected);
    CHECK(test::disagreement(text) == "");
  }
}

TEST_CASE("what cannot be cut into tokens has no key") {
  for (const std::string& text : std::vector<std::string>{"select 'a",
                                                          "select \"a",
                                                          "select \"\"",
                                                          "select E'a\\'",
                                                          "select $$a$",
                                                          "select $a$b$c$",
                                                          "select /* a",
                                                          "select /* /* a */",
                                                          "select 123abc",
                                                          "select 1e",
                                                          "select 1e+",
                                                          "select 1.5x",
                                                          "select 1_000",
                                                          "select 0x1F",
                                                          "select $1a",
                                                          "select $",
                                                          "select $a",
                                                          "select {a}",
                                                          "select \\d",
                                                          "select a\vb",
                                                          "select a\x01",
                                                          "select b'1",
                                                          "select U&'a",
                                                          "select U&\"a",
                                                          "select 'a'\n'b",
                                                          "select U&\"d!0061\" UESCAPE '!'",
                                                          "select e'",
                                                          "select n'",
                                                          "select 1" + std::string(64, '%') + "2"}) {
    CAPTURE(text);
    const token_scan found = scanned(text);
    CHECK_FALSE(found.valid);
    CHECK(found.constants.empty());
  }
  const token_scan nul = scanned(std::string_view("select 'a\0b'", 13));
  CHECK_FALSE(nul.valid);
}

TEST_CASE("flags say what a text holds") {
  struct row {
    std::string text;
    bool ascii, backslash, many;
  };
  for (const row& r : std::vector<row>{
           {"select 1", true, false, false},
           {"select 1;", true, false, false},
           {"select 1;;  ; -- end", true, false, false},
           {"select 1; select 2", true, false, true},
           {"; select 2", true, false, true},
           {"select ';', \";\", $$;$$ /* ; */ -- ; x", true, false, false},
           {"select 'a\\b'", true, true, false},
           {"select 12345678 -- \\", true, true, false},
           {"select 'ä'", false, false, false},
           {"select 1 /* 12345678ä */", false, false, false},
           {"select 1; \"x\"", true, false, true},
           {"select 1; 'x'", true, false, true},
       }) {
    CAPTURE(r.text);
    const token_scan found = scanned(r.text);
    CHECK(found.valid);
    CHECK(found.ascii == r.ascii);
    CHECK(found.has_backslash == r.backslash);
    CHECK(found.many_statements == r.many);
  }
}

TEST_CASE("a scan leaves nothing of the one before") {
  token_scan reused;
  for (const std::string text : {"select 1; select 'a\\b' from ä where b = 3", "select 2", "select 'open", "select 'x'",
                                 "a", "select 1.5 from a_longer_table_than_before where x = 'y' and z = 3"}) {
    scan(text, reused);
    const token_scan fresh = scanned(text);
    CAPTURE(text);
    CHECK(reused.valid == fresh.valid);
    CHECK(reused.key == fresh.key);
    CHECK(reused.normalized == fresh.normalized);
    CHECK(reused.constants == fresh.constants);
    CHECK(reused.many_statements == fresh.many_statements);
    CHECK(reused.has_backslash == fresh.has_backslash);
    CHECK(reused.ascii == fresh.ascii);
  }
}

TEST_CASE("no byte behind the text is read") {
  // Exact heap buffers, so that a sanitizer sees an overread; every prefix of a text with all kinds of tokens.
  const std::string text =
      "select -1.5e+3,E'a\\'b'\n-- c\n'd',$x$y$x$,U&'a',b'1',n'z',\"q\"\"r\",$1,a<=b,c::d,e..f /* g */ -- h";
  for (std::size_t length = 0; length <= text.size(); ++length) {
    const std::vector<char> exact(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(length));
    const std::string_view prefix(exact.data(), exact.size());
    CAPTURE(length);
    CHECK(test::disagreement(prefix) == "");
  }
}

TEST_CASE("comments for pgbraid are part of the key, wherever they stand") {
  const auto key = [&](std::string_view text) { return scanned(text).key; };
  CHECK(key("select 1 /* pgbraid: shard=a */") != key("select 1"));
  CHECK(key("select 1 /* pgbraid: shard=a */") != key("select 1 /* pgbraid: shard=b */"));
  CHECK(key("select 1 /* pgbraid: shard=a */") == key("/*  pgbraid: shard=a */select 1"));
  CHECK(key("select 1 /* not pgbraid: shard=a */") == key("select 1"));
  const std::string text = "-- pgbraid: a=1\nselect/*pgbraid:b=2*/ 1 --pgbraid:";
  const token_scan found = scanned(text);
  REQUIRE(found.valid);
  REQUIRE(found.hints.size() == 3);
  CHECK(text.substr(found.hints[0].offset, found.hints[0].length) == " a=1");
  CHECK(text.substr(found.hints[1].offset, found.hints[1].length) == "b=2");
  CHECK(found.hints[2].length == 0);
  CHECK(found.normalized.size() <= text.size());
  CHECK(scanned("--pgbraid:").normalized.size() == 1);
  CHECK(scanned("select 1").hints.empty());
}
