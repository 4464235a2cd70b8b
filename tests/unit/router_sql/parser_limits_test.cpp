// Very long and very deep statements: an answer or too_complex, never a crash. Each runs on a thread of its own with a
// stack of known size.
#include <pthread.h>

#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "router/sql/parser.hpp"
#include "visit.hpp"

using namespace pgbraid::router::sql;

namespace {

void on_stack_of(std::size_t bytes, const std::function<void()>& work) {
  pthread_attr_t attributes;
  REQUIRE(pthread_attr_init(&attributes) == 0);
  REQUIRE(pthread_attr_setstacksize(&attributes, bytes) == 0);
  pthread_t thread;
  const auto run = [](void* argument) -> void* {
    (*static_cast<const std::function<void()>*>(argument))();
    release_parser_of_this_thread();
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, run, const_cast<std::function<void()>*>(&work)) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

std::string repeated(std::string_view piece, std::size_t times) {
  std::string out;
  out.reserve(piece.size() * times);
  for (std::size_t i = 0; i < times; ++i) out += piece;
  return out;
}

enum class outcome { parsed, too_complex, refused };

/// Parses, walks and destroys the tree on an 8 MB stack.
outcome outcome_of(const std::string& text) {
  outcome out = outcome::refused;
  on_stack_of(std::size_t{8} << 20, [&] {
    const parse_result result = parse(text);
    if (const auto* failure = std::get_if<parse_failure>(&result)) {
      out = failure->too_complex ? outcome::too_complex : outcome::refused;
      return;
    }
    out = outcome::parsed;
    for (const statement& one : std::get<0>(result)) test::for_each_expr(one, [](const expr&) {});
  });
  return out;
}

struct shape {
  const char* what;
  const char* before;
  const char* piece;
  const char* middle;
  const char* closing;
  const char* after;

  [[nodiscard]] std::string of(std::size_t times) const {
    return before + repeated(piece, times) + middle + repeated(closing, times) + after;
  }
};

/// Grows by one level with each piece.
const std::vector<shape> deep_shapes = {
    {"sum", "select 1", "+1", "", "", ""},
    {"concatenation", "select a", "||b", "", "", " from t"},
    {"casts", "select a", "::int", "", "", " from t"},
    {"null tests", "select a", " is null", "", "", " from t"},
    {"truth tests", "select a", " is true", "", "", " from t"},
    {"collations", "select a", " collate \"C\"", "", "", " from t"},
    {"prefix operators", "select ", "@ ", "a", "", " from t"},
    {"nots", "select ", "not ", "a", "", " from t"},
    {"unions", "select 1", " union all select 1", "", "", ""},
    {"joins", "select * from t", " cross join t", "", "", ""},
};

/// Nests, so that the grammar's own stack grows.
const std::vector<shape> nested_shapes = {
    {"calls", "select ", "f(", "1", ")", ""},
    {"scalar subqueries", "select ", "(select ", "1", ")", ""},
    {"subqueries in FROM", "", "select * from (", "select 1", ") s", ""},
    {"and-or", "select ", "a and (b or ", "c", ")", " from t"},
    {"cases", "select ", "case when a then b else ", "c", " end", " from t"},
    {"rows", "select ", "row(", "1, 2", ", 3)", ""},
    {"rows on the left", "select ", "(", "1", ", 2)", ""},
    {"arrays", "select array", "[", "1", "]", ""},
    {"in lists", "select ", "a in (", "1", ")", " from t"},
    {"right sums", "select ", "1 + (a * ", "1", ")", " from t"},
    {"with", "", "with x as (", "select 1", ") select 1", ""},
    {"joins to the right", "select * from ", "t join (", "t", " cross join t) on true", ""},
    {"exists", "select ", "exists (select 1 where ", "true", ")", ""},
    {"windows", "select ", "sum(", "1", ") over (order by 1)", ""},
    {"time zones", "select a", " at time zone 'UTC'", "", "", " from t"},
    {"filters", "select ", "sum(1) filter (where ", "true", ")", ""},
    {"grouping sets", "select 1 group by ", "grouping sets (", "a", ")", ""},
};

}  // namespace

TEST_CASE("chains of some thousand terms parse, longer ones are too complex") {
  for (const shape& s : deep_shapes) {
    CAPTURE(s.what);
    CHECK(outcome_of(s.of(3000)) == outcome::parsed);
    CHECK(outcome_of(s.of(5000)) == outcome::too_complex);
    CHECK(outcome_of(s.of(20000)) == outcome::too_complex);
  }
}

TEST_CASE("nesting has a limit") {
  for (const shape& s : nested_shapes) {
    CAPTURE(s.what);
    CHECK(outcome_of(s.of(100)) == outcome::parsed);
    CHECK(outcome_of(s.of(2000)) == outcome::too_complex);
    CHECK(outcome_of(s.of(100000)) == outcome::too_complex);
  }
}

TEST_CASE("parentheses alone make no depth, but the grammar's own stack ends") {
  const shape parentheses = {"parentheses", "select ", "(", "1", ")", ""};
  CHECK(outcome_of(parentheses.of(2000)) == outcome::parsed);
  CHECK(outcome_of(parentheses.of(100000)) == outcome::too_complex);
  // The stack is used up before the missing half is noticed.
  CHECK(outcome_of("select " + repeated("(", 1000000)) == outcome::too_complex);
}

TEST_CASE("a million terms and more") {
  CHECK(outcome_of("select 1" + repeated("+1", 3000000)) == outcome::too_complex);
  CHECK(outcome_of("select " + repeated("- ", 1000000) + "a") == outcome::too_complex);
  CHECK(outcome_of("select 1" + repeated(" union select 1", 200000)) == outcome::too_complex);
}

TEST_CASE("long flat lists parse") {
  const std::size_t many = 100000;
  CHECK(outcome_of("select * from t where a in (1" + repeated(",1", many) + ")") == outcome::parsed);
  CHECK(outcome_of("insert into t values (1)" + repeated(",(1)", many)) == outcome::parsed);
  CHECK(outcome_of("select * from t where a = 1" + repeated(" or a = 1", many)) == outcome::parsed);
  CHECK(outcome_of("select * from t where a = 1" + repeated(" and a = 1", many)) == outcome::parsed);
  CHECK(outcome_of("select 1" + repeated(",1", many)) == outcome::parsed);
  CHECK(outcome_of("select f(1" + repeated(",1", many) + ")") == outcome::parsed);
  CHECK(outcome_of("select 1" + repeated(";select 1", many)) == outcome::parsed);
  CHECK(outcome_of("select '" + repeated("x", many * 100) + "'") == outcome::parsed);
}

TEST_CASE("the deepest tree that is given out leaves most of an 8 MB stack free") {
  // As many levels of the reader's own recursion as it allows, each the start of a chain.
  const std::string text = "select " + repeated("f(1+1+1+1+1+", 490) + "1" + repeated(")", 490);
  bool parsed = false;
  on_stack_of(std::size_t{3} << 20, [&] {
    const parse_result result = parse(text);
    parsed = result.index() == 0;
  });
  CHECK(parsed);
  parsed = false;
  on_stack_of(std::size_t{3} << 20, [&] {
    const parse_result result = parse("select 1" + repeated("+1", 3900));
    parsed = result.index() == 0;
  });
  CHECK(parsed);
}

TEST_CASE("threads parse side by side and again after a release") {
  std::vector<std::thread> threads;
  std::vector<int> good(4, 0);
  for (int& count : good)
    threads.emplace_back([&count] {
      for (int round = 0; round < 50; ++round) {
        if (parse("select a from t where b = 1").index() == 0) ++count;
        if (parse("select a from").index() == 1) ++count;
        if (round % 10 == 0) release_parser_of_this_thread();
      }
      release_parser_of_this_thread();
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(good == std::vector<int>(4, 100));
}
