// Sorted rows of several branches merged into one result.
#include <catch2/catch.hpp>

#include "protocol/backend.hpp"
#include "protocol/frame.hpp"
#include "proxy/session/merge.hpp"

#include <optional>
#include <string>
#include <vector>

using namespace pgbraid;
using namespace pgbraid::proxy;

namespace {

/// A DataRow of one text column.
std::string row(std::optional<std::string> value) {
  std::string out;
  const std::size_t size = value ? value->size() : 0;
  out += 'D';
  const auto word = [&](std::uint32_t n) {
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(n >> shift);
  };
  word(static_cast<std::uint32_t>(4 + 2 + 4 + size));
  out += std::string{'\0', '\1'};
  word(value ? static_cast<std::uint32_t>(size) : 0xffffffffU);
  return out + value.value_or("");
}

/// The values of the rows that are taken, one behind the other.
std::string taken(sorted_merge& merge) {
  std::string bytes, out;
  merge.take(bytes);
  for (std::string_view rest = bytes; !rest.empty();) {
    protocol::frame_view frame;
    REQUIRE(protocol::next_frame(rest, rest.size(), frame) == protocol::frame_status::complete);
    out += frame.body.substr(6).empty() ? "-" : frame.body.substr(6);
    out += ' ';
    rest.remove_prefix(frame.total);
  }
  return out;
}

sorted_merge merge_of(bool descending, bool nulls_first, std::uint64_t limit = ~std::uint64_t{0}) {
  auto order = std::make_shared<router::merge_order>();
  order->keys = {{0, router::type_oid::int4, descending, nulls_first}};
  order->limit.rows = limit;
  const std::vector<branch_index> branches{0, 2};
  return sorted_merge{{order, {}, limit}, branches};
}

}  // namespace

TEST_CASE("a row waits until every branch has one", "[merge]") {
  sorted_merge merge = merge_of(false, false);
  REQUIRE(merge.add(0, row("3")));
  REQUIRE(merge.add(0, row("12")));
  CHECK(taken(merge).empty());
  REQUIRE(merge.add(2, row("5")));
  CHECK(taken(merge) == "3 5 ");
  REQUIRE(merge.add(2, row("5")));
  REQUIRE(merge.add(2, row("100")));
  CHECK(taken(merge) == "5 12 ");
  REQUIRE(merge.add(0, row(std::nullopt)));
  merge.end(2);
  merge.end(0);
  CHECK(taken(merge) == "100 - ");
  CHECK(merge.taken() == 6);
}

TEST_CASE("directions and NULLs", "[merge]") {
  const auto order_of = [](sorted_merge merge, const std::vector<std::optional<std::string>>& left, const std::vector<std::optional<std::string>>& right) {
    for (const auto& value : left) REQUIRE(merge.add(0, row(value)));
    for (const auto& value : right) REQUIRE(merge.add(2, row(value)));
    merge.end(0);
    merge.end(2);
    return taken(merge);
  };
  CHECK(order_of(merge_of(true, true), {std::nullopt, "9", "-1"}, {"10", "-2"}) == "- 10 9 -1 -2 ");
  CHECK(order_of(merge_of(true, false), {"9", std::nullopt}, {"10", std::nullopt}) == "10 9 - - ");
  CHECK(order_of(merge_of(false, true), {std::nullopt, "1"}, {"-5"}) == "- -5 1 ");
  CHECK(order_of(merge_of(false, false, 3), {"1", "4"}, {"2", "3"}) == "1 2 3 ");
  CHECK(order_of(merge_of(false, false, 0), {"1"}, {"2"}).empty());
}

TEST_CASE("a branch may not run away", "[merge]") {
  sorted_merge merge = merge_of(false, false);
  std::size_t rows = 0;
  while (!merge.full(0)) REQUIRE(merge.add(0, row(std::to_string(rows++))));
  CHECK(rows * row("10000").size() < (std::size_t{1} << 18));
  REQUIRE(merge.add(2, row("1000000")));
  merge.end(2);
  std::string out;
  merge.take(out);
  CHECK_FALSE(merge.full(0));
  CHECK(merge.taken() == rows);
}

TEST_CASE("a branch that was not asked has no rows, and is not held for others", "[merge]") {
  sorted_merge merge = merge_of(false, false);
  CHECK_FALSE(merge.full(1));
  CHECK_FALSE(merge.full(200));
  CHECK_FALSE(merge.add(1, row("1")));
  CHECK_FALSE(merge.add(200, row("1")));
  merge.end(200);
  REQUIRE(merge.add(0, row("1")));
  REQUIRE(merge.add(2, row("2")));
  CHECK(taken(merge) == "1 ");
}

TEST_CASE("what cannot be compared", "[merge]") {
  sorted_merge merge = merge_of(false, false);
  CHECK_FALSE(merge.add(0, row("one")));
  protocol::row_description description;
  description.fields.resize(1);
  description.fields[0].type = router::type_oid::int4;
  CHECK(merge.fits(description));
  description.fields[0].type = router::type_oid::text;
  CHECK_FALSE(merge.fits(description));
  CHECK_FALSE(merge.fits({}));
}
