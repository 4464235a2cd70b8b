// Who gets which bytes of copied data, and what is said of rows that nobody can be given.
#include <catch2/catch.hpp>

#include "router/copy/copy_splitter.hpp"
#include "tests/unit/router_plan/fixture.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;
using pgbraid::protocol::error_id;

namespace {

struct bench {
  std::shared_ptr<const topology> map = std::make_shared<topology>(demo_topology(2));
  literal_context literals;
  std::shared_ptr<copy_layout> layout = std::make_shared<copy_layout>();
  std::string a = std::to_string(keys_on(*map, 0, 1).front()), b = std::to_string(keys_on(*map, 1, 1).front());
  std::size_t max_row = 1000;

  bench() {
    layout->table = "public.customers";
    layout->relation = "customers";
    layout->keys = {{"id", 0, type_oid::int8}};
    layout->shape.keys = {{0}};
  }
  [[nodiscard]] copy_splitter make() const { return {layout, map, literals, {0, 1}, max_row}; }
  [[nodiscard]] copy_splitter split(std::string_view data, std::size_t piece = 1000) const {
    copy_splitter made = make();
    for (std::size_t at = 0; at < data.size(); at += piece) made.take(data.substr(at, piece));
    made.finish();
    return made;
  }
  void check(std::string_view data, const std::string& first, const std::string& second) const {
    for (std::size_t piece = 1; piece <= data.size() + 1; ++piece) {
      INFO("in pieces of " << piece);
      copy_splitter made = split(data, piece);
      CHECK_FALSE(made.stopped());
      CHECK(made.parts()[0].bytes == first);
      CHECK(made.parts()[1].bytes == second);
    }
  }
};

}  // namespace

TEST_CASE("each shard gets its rows as they stood", "[copy]") {
  bench t;
  t.check(t.a + "\tx\n" + t.b + "\ty\\\nz\n" + t.a + "\tw", t.a + "\tx\n" + t.a + "\tw", t.b + "\ty\\\nz\n");
  t.check(t.a + "\tx\n\\.\n" + t.b + "\ty\n", t.a + "\tx\n", "");
  t.layout->shape.keys.front().at = 1;
  t.check("x\t" + t.b + "\r\n", "", "x\t" + t.b + "\r\n");
}

TEST_CASE("headers go to all", "[copy]") {
  bench t;
  t.layout->shape.format.header = true;
  t.check("id\tname\n" + t.b + "\ty\n", "id\tname\n", "id\tname\n" + t.b + "\ty\n");
  t.layout->shape.format.form = copy_format::kind::binary;
  const std::string head("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", 19), trailer("\xff\xff");
  const auto row = [](const std::string& key) {
    std::string out("\0\1\0\0\0\10\0\0\0\0\0\0\0", 13);
    return out + static_cast<char>(std::stoi(key));
  };
  t.check(head + row(t.a) + row(t.b) + trailer, head + row(t.a) + trailer, head + row(t.b) + trailer);
}

TEST_CASE("a row that belongs to no shard ends it", "[copy]") {
  bench t;
  const auto stopped = [&](std::string_view data) { return *t.split(data).stopped(); };
  CHECK(stopped("\\N\tx\n").error.id == error_id::null_key);
  CHECK(stopped("1x\tx\n").error.id == error_id::copy_key_unknown);
  CHECK(stopped(t.b + "\tx\n\\N\tx\n").part == 1);
  CHECK(t.split(t.b + "\tx\nnine\tx\n" + t.a + "\tx\n").parts()[1].bytes == t.b + "\tx\nnine\tx\n");
  t.layout->shape.keys.front().at = 1;
  CHECK(stopped("x\n").error.id == error_id::copy_not_split);
}

TEST_CASE("a line that ends like no other goes to a server that knows how lines end", "[copy]") {
  bench t;
  copy_splitter made = t.split(t.a + "\tx\n" + t.b + "\ty\r\n");
  REQUIRE(made.stopped());
  CHECK(made.stopped()->part == 0);
  CHECK(made.parts()[0].bytes == t.a + "\tx\n" + t.b + "\ty\r");
  CHECK(made.parts()[1].bytes.empty());
}

TEST_CASE("what is kept of a row is bounded", "[copy]") {
  bench t;
  t.layout->shape.keys.front().at = 1;
  t.max_row = 100;
  const copy_splitter made = t.split(std::string(200, 'x'), 10);
  REQUIRE(made.stopped());
  CHECK(made.stopped()->error.id == error_id::copy_row_too_long);
  CHECK_FALSE(made.stopped()->ended);
  t.layout->shape.keys.front().at = 0;
  copy_splitter streamed = t.split(t.b + "\t" + std::string(2000, 'x') + "\n" + t.a + "\n", 10);
  CHECK_FALSE(streamed.stopped());
  CHECK(streamed.parts()[1].bytes == t.b + "\t" + std::string(2000, 'x') + "\n");
}

TEST_CASE("keys are read as far as they mean one thing", "[copy]") {
  bench t;
  const auto refused = [&](oid type, std::string_view data) {
    t.layout->keys.front().type = type;
    const copy_splitter made = t.split(data);
    return made.stopped() && made.stopped()->error.id == error_id::copy_key_unknown;
  };
  CHECK_FALSE(refused(type_oid::date, "2024-01-02\n"));
  CHECK(refused(type_oid::date, "January 2 2024\n"));
  CHECK(refused(type_oid::timestamptz, "now\n"));
  CHECK_FALSE(refused(type_oid::text, "\xc3\xa4\n"));
  t.literals.utf8 = false;
  CHECK(refused(type_oid::text, "\xe4\n"));
  t.layout->shape.format.encoding = "utf8";
  CHECK_FALSE(refused(type_oid::text, "\xc3\xa4\n"));
}

TEST_CASE("lines are told by the client's count", "[copy]") {
  bench t;
  copy_splitter made = t.split(t.a + "\tx\n" + t.a + "\tx\n" + t.b + "\ty\n" + t.a + "\tz\n");
  CHECK(made.parts()[0].lines.find(3) == 4);
  CHECK(made.parts()[1].lines.find(1) == 3);
}
