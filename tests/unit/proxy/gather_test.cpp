// What is read of the shards' answers to a gathered statement.
#include <catch2/catch.hpp>

#include "protocol/backend.hpp"
#include "protocol/frame.hpp"
#include "proxy/session/gather.hpp"

using namespace pgbraid;
using namespace pgbraid::proxy;

namespace {

/// The body of a RowDescription of these types.
std::string described(const std::vector<std::uint32_t>& types) {
  std::vector<protocol::field_description> fields;
  for (const std::uint32_t type : types) fields.push_back({.name = "c", .table = 0, .attribute = 0, .type = type, .type_size = -1, .type_modifier = -1, .format = protocol::text_format});
  std::string frame;
  protocol::encode_row_description(frame, fields);
  return frame.substr(protocol::frame_header_size);
}

}  // namespace

TEST_CASE("types of the shards' columns are taken only if they are all there", "[gather]") {
  auto plan = std::make_shared<router::gather_plan>();
  plan->types_in_text = true;
  plan->fragments = {{"public.orders", {"\"c0\":", "\"c1\":"}}};
  gather_state gathered{plan};
  CHECK(gathered.lacks_types());
  gathered.read_types(described({23, 20, 1700}));
  CHECK(gathered.types == std::vector<std::string>{"pg_catalog.int8", "pg_catalog.numeric"});
  CHECK_FALSE(gathered.lacks_types());
  // Of one's own, float4, too few, too many, none at all.
  for (const std::vector<std::uint32_t>& types : {std::vector<std::uint32_t>{23, 20, 99999}, {23, 20, 700}, {23, 20}, {23, 20, 20, 20}, {}}) {
    gathered.read_types(described(types));
    CHECK(gathered.lacks_types());
  }
  gathered.read_types("x");
  CHECK(gathered.lacks_types());
}

TEST_CASE("statements share one budget, and give back what they had", "[gather]") {
  gather_budget budget;
  budget.change_limit(200'000);
  {
    gather_share one;
    CHECK(one.cover(&budget, 10));
    const std::size_t least = budget.taken();
    CHECK(least >= 10);
    CHECK(one.cover(&budget, least));
    CHECK(budget.taken() == least);  // taken ahead
    CHECK(one.cover(&budget, 150'000));
    gather_share two;
    CHECK_FALSE(two.cover(&budget, 100'000));
    CHECK(budget.taken() == 150'000);
    one = gather_share{};
    CHECK(budget.taken() == 0);
    CHECK(two.cover(&budget, 200'000));
    gather_share three{std::move(two)};
    CHECK(budget.taken() == 200'000);
  }
  CHECK(budget.taken() == 0);
  gather_share none;
  CHECK(none.cover(nullptr, 1'000'000'000));
}
