// How columns write what they store: equal values alike, others never.
#include <catch2/catch.hpp>

#include "router/shard/stored_text.hpp"

using namespace pgbraid::router;
using namespace std::string_view_literals;

TEST_CASE("integers, however they are written", "[stored_text]") {
  for (const std::string_view seven : {"7", " +7 ", "007", "\t7\n"})
    CHECK(stored_text(type_oid::int4, -1, seven) == "7");
  CHECK(stored_text(type_oid::int8, -1, "-07") == "-7");
  CHECK(stored_text(type_oid::int2, -1, "-0") == "0");
  for (const std::string_view other : {"", "7.0", "0x7", "1_0", "seven", "7 7"})
    CHECK(stored_text(type_oid::int4, -1, other) == std::nullopt);
  CHECK(stored_text(type_oid::int2, -1, "32768") == std::nullopt);
  CHECK(stored_text_of_binary(type_oid::int4, -1, 0, "\0\0\0\x07"sv) == "7");
  CHECK(stored_text_of_binary(type_oid::int8, -1, type_oid::int2, "\xff\xff"sv) == "-1");
  CHECK(stored_text_of_binary(type_oid::int4, -1, 0, "\0\x07"sv) == std::nullopt);
}

TEST_CASE("uuids, however they are written", "[stored_text]") {
  const std::string plain = "a0eebc999c0b4ef8bb6d6bb9bd380a11";
  for (const std::string_view same : {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}",
                                      "A0EEBC999C0B4EF8BB6D6BB9BD380A11"})
    CHECK(stored_text(type_oid::uuid, -1, same) == plain);
  CHECK(stored_text(type_oid::uuid, -1, "a0eebc99") == std::nullopt);
  CHECK(stored_text_of_binary(type_oid::uuid, -1, 0, "0123456789abcdef"sv) == "30313233343536373839616263646566");
  CHECK(stored_text_of_binary(type_oid::uuid, -1, 0, "0123"sv) == std::nullopt);
}

TEST_CASE("texts, and those that a length cuts", "[stored_text]") {
  constexpr std::int32_t six = 6 + 4;
  CHECK(stored_text(type_oid::text, -1, "a ") == "a ");
  CHECK(stored_text(type_oid::varchar, -1, "a ") == "a ");
  CHECK(stored_text(type_oid::varchar, six, "l3   ") == "l3   ");
  CHECK(stored_text(type_oid::varchar, six, "l3         ") == "l3    ");
  // The server refuses it.
  CHECK(stored_text(type_oid::varchar, six, "far too long") == "far too long");
  CHECK(stored_text_of_binary(type_oid::varchar, six, 0, "l3         ") == "l3    ");
}
