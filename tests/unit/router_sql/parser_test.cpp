// parse(): texts of several statements, errors and their positions, what is not understood.
#include "router/sql/parser.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "print.hpp"

using namespace pgbraid::router::sql;
using test::parsed;

namespace {

parse_failure failure_of(std::string_view text) {
  const parse_result result = parse(text);
  REQUIRE(std::holds_alternative<parse_failure>(result));
  return std::get<parse_failure>(result);
}

}  // namespace

TEST_CASE("a text is any number of statements") {
  CHECK(parsed("") == "");
  CHECK(parsed(" ;; ") == "");
  CHECK(parsed("-- only a comment") == "");
  CHECK(parsed("select 1 ; ; select 2") == "(select (targets 1)); (select (targets 2))");
  CHECK(parsed("begin; select 1; commit;") == "begin; (select (targets 1)); commit");
  CHECK(parsed("create function f() returns int begin atomic select 1; select 2; end") == "ddl CREATE FUNCTION");
}

TEST_CASE("errors are PostgreSQL's own, with its positions in characters") {
  CHECK(failure_of("select 1 from") == parse_failure{"syntax error at end of input", 14, false});
  CHECK(failure_of("select 1 1") == parse_failure{"syntax error at or near \"1\"", 10, false});
  CHECK(failure_of("select 'ä' 1") == parse_failure{"syntax error at or near \"1\"", 12, false});
  CHECK(failure_of("select 'abc") == parse_failure{"unterminated quoted string at or near \"'abc\"", 8, false});
  CHECK(failure_of("select 1; selec 2").position == 11);
  // Its grammar is version 15's: later syntax is an error like any other.
  CHECK_FALSE(failure_of("select json_object('a' value 1 returning jsonb)").too_complex);
  CHECK_FALSE(failure_of("select ?").too_complex);
}

TEST_CASE("texts that are no UTF-8 give an answer") {
  CHECK(parsed("select '\xe4', \xe4 from t") == "(select (targets '\xe4' \xe4) (from t))");
  CHECK(parsed("select \xff\xfe\xc3").starts_with("(select"));
  CHECK(failure_of("select '\xe4' 1 '\xf0'").position > 0);
}

TEST_CASE("names are cut to 63 bytes as the server cuts them") {
  CHECK(parsed("select " + std::string(70, 'a')) == "(select (targets " + std::string(63, 'a') + "))");
}

TEST_CASE("what our tree cannot hold is marked, in the statement and in all around it") {
  const auto statements = std::get<0>(parse("select xmlforest(a); select 1; prepare p as select set_config(new_value => '1', setting_name => 'a.b', is_local => true)"));
  REQUIRE(statements.size() == 3);
  CHECK(statements[0].unparsable_parts);
  CHECK_FALSE(statements[1].unparsable_parts);
  CHECK(statements[2].unparsable_parts);
  CHECK(statements[2].inner->unparsable_parts);
  CHECK(parsed("with x as (insert into t values (xmlforest(a))) select 1").ends_with("UNPARSABLE"));
  CHECK(parsed("copy (select xmlforest(a)) to stdout").ends_with("UNPARSABLE"));
  CHECK(parsed("select 1 from t where exists (select 1 order by xmlforest(a))").ends_with("UNPARSABLE"));
}

TEST_CASE("each constant tells its place") {
  const std::string text = "select 1, -2, - 3, 'x', E'y', b'1', null, true, a + 4";
  const auto statements = std::get<0>(parse(text));
  std::vector<std::string> places;
  for (const target& one : statements[0].select->targets)
    places.push_back(text.substr(static_cast<std::size_t>(one.value->location), 3));
  CHECK(places == std::vector<std::string>{"1, ", "-2,", "- 3", "'x'", "E'y", "b'1", "nul", "tru", "+ 4"});
}
