// The session's machine and types whose OIDs are not the same on all shards: clients are told the first shard's, and tell
// them.
#include <array>
#include <catch2/catch.hpp>

#include "machine_script.hpp"
#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "tests/unit/router_plan/fixture.hpp"

using namespace pgbraid::proxy::test;
namespace p = pgbraid::protocol;
namespace router = pgbraid::router;

namespace {

constexpr router::oid here = 16500, there = 16600, plain = router::type_oid::text;

script_options options() {
  script_options out = two_shards(true);
  out.alter_catalog = [](router::catalog& schema) {
    schema.types.resize(2);
    schema.types[1] = {{{there, here}}, {{here, there}}};
    router::relation& table = schema.relations.at("public.customers");
    table.types_renumbered = true;
    table.types_differ_detail = "type public.mood";
  };
  return out;
}

/// Two shards, the second of which knows the type `here` by the number `there`; customers have a column of it.
struct renumbered {
  machine_script t{options()};
  std::string key = std::to_string(router::test::keys_on(t.map(), 1, 1).front());  ///< of the second shard
};

std::string described(router::oid type, std::int16_t format = p::text_format) {
  std::string out;
  p::field_description a, b;
  a.name = "mood";
  a.type = type;
  b.name = "name";
  b.type = plain;
  a.format = b.format = format;
  const std::array<p::field_description, 2> fields{a, b};
  p::encode_row_description(out, fields);
  return out;
}

std::string parameters(router::oid type) {
  std::string out;
  const std::array<std::uint32_t, 2> types{plain, type};
  p::encode_parameter_description(out, types);
  return out;
}

std::string parsed(std::string_view name, std::string_view sql, router::oid type) {
  std::string out;
  const std::array<std::uint32_t, 2> types{type, plain};
  p::encode_parse(out, name, sql, types);
  return out;
}

std::string bound_for_binary(std::string_view name) {
  std::string out;
  const std::array<std::int16_t, 1> formats{p::binary_format};
  p::encode_bind(out, "", name, {}, {}, formats);
  return out;
}

}  // namespace

TEST_CASE("what another shard tells of types is told as the first would tell it") {
  renumbered r;
  r.t.client("Q(SELECT mood, name FROM customers WHERE id = " + r.key + ")");
  r.t.server_bytes("s1", described(there) + server_frames("D(a) C(SELECT 1) Z(I)"));
  CHECK(r.t.raw_told() == described(here) + server_frames("D(a) C(SELECT 1) Z(I)"));
}

TEST_CASE("what the first shard tells, or what is no such type, passes as it stands") {
  renumbered r;
  r.t.client("Q(SELECT name, name FROM customers WHERE id = " + r.key + ")");
  r.t.server_bytes("s1", described(here) + described(plain) + server_frames("Z(I)"));
  CHECK(r.t.raw_told() == described(here) + described(plain) + server_frames("Z(I)"));
}

TEST_CASE("shards that describe a result by their own numbers agree") {
  renumbered r;
  r.t.client("Q(SELECT mood, name FROM customers)");
  r.t.server_bytes("s1", described(there));
  CHECK(r.t.raw_told() == described(here));
  r.t.server_bytes("s0", described(here) + server_frames("D(a) C(SELECT 1) Z(I)"));
  r.t.server("s1", "D(b) C(SELECT 1) Z(I)");
  CHECK(r.t.told() == "D(a) D(b) C(SELECT 2) Z(I)");
}

TEST_CASE("types of parameters are told to a shard as it numbers them, and by it as the first would") {
  renumbered r;
  const std::string sql = "SELECT name FROM customers WHERE id = " + r.key + " AND mood = $1 AND name = $2";
  const std::string name = GENERATE("", "a");
  r.t.client_bytes(parsed(name, sql, here) + client_frames("D(S " + name + ") H"));
  const std::string asked = r.t.raw_asked("s1");
  p::frame_view frame;
  REQUIRE(p::next_frame(asked, asked.size(), frame) == p::frame_status::complete);
  p::parse_view parse;
  REQUIRE(p::decode(frame.body, parse));
  CHECK(parse.text == sql);
  REQUIRE(parse.types.size() == 2);
  CHECK(parse.types[0] == there);
  CHECK(parse.types[1] == plain);
  r.t.server_bytes("s1", server_frames("1") + parameters(there) + described(there));
  CHECK(r.t.raw_told() == server_frames("1") + parameters(here) + described(here));
}

TEST_CASE("rows in binary come from the first shard, or not at all") {
  renumbered r;
  SECTION("a read is gathered") {
    r.t.client("P(a/SELECT array_agg(mood) FROM customers WHERE id = " + r.key + ") S");
    r.t.server("s1", "1 Z(I)");
    CHECK(r.t.leases() == "+s1 -s1");
    r.t.client_bytes(bound_for_binary("a") + client_frames("E() S"));
    CHECK(r.t.leases() == "+s0 +s1");
  }
  SECTION("rows of a write are refused before it runs") {
    r.t.client("P(a/UPDATE customers SET name = 'x' WHERE id = " + r.key + " RETURNING mood) S");
    r.t.server("s0", "1 Z(I)");
    CHECK(r.t.told() == "1 Z(I)");
    r.t.client_bytes(bound_for_binary("a") + client_frames("E() S"));
    CHECK(r.t.told() == "E(0A000) Z(I)");
  }
  SECTION("a write that gives none passes") {
    r.t.client("P(a/UPDATE customers SET name = 'x' WHERE id = " + r.key + ")");
    r.t.client_bytes(bound_for_binary("a") + client_frames("E() S"));
    CHECK(r.t.asked("s1").find("B(/own)") != std::string::npos);
  }
}
