// The interface of the partition hash: which types tie, which texts and bytes are read, and which are refused.
#include "router/shard/hash.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace pgbraid::router;
using namespace std::string_literals;

namespace {

std::optional<std::uint64_t> text_hash(oid type, std::string_view text, oid from = 0, std::int32_t modifier = -1) {
  return partition_hash_text(type, modifier, from, text, "UTC");
}

}  // namespace

TEST_CASE("integers of every width and form hash alike") {
  for (const oid key : {type_oid::int2, type_oid::int4, type_oid::int8}) {
    CHECK(text_hash(key, "42") == 12669485132091644514U);
    CHECK(text_hash(key, " \t+042\n") == 12669485132091644514U);
    CHECK(text_hash(key, "-1") == 288437243775528869U);
    for (const oid from : {type_oid::int2, type_oid::int4, type_oid::int8, type_oid::unknown})
      CHECK(text_hash(key, "42", from) == 12669485132091644514U);
    CHECK(partition_hash_binary(key, -1, type_oid::int2, "\0\x2a"s) == 12669485132091644514U);
    CHECK(partition_hash_binary(key, -1, type_oid::int4, "\0\0\0\x2a"s) == 12669485132091644514U);
    CHECK(partition_hash_binary(key, -1, type_oid::int8, "\0\0\0\0\0\0\0\x2a"s) == 12669485132091644514U);
    CHECK(partition_hash_binary(key, -1, type_oid::int8, "\xff\xff\xff\xff\xff\xff\xff\xff"s) == 288437243775528869U);
  }
}

TEST_CASE("integers at and past the ends of their types") {
  CHECK(text_hash(type_oid::int4, "2147483647") == 17701988066039669119U);
  CHECK(text_hash(type_oid::int4, "-2147483648") == 10244051894435199606U);
  CHECK_FALSE(text_hash(type_oid::int4, "2147483648"));
  CHECK_FALSE(text_hash(type_oid::int4, "-2147483649"));
  CHECK(text_hash(type_oid::int4, "2147483648", type_oid::int8) == text_hash(type_oid::int8, "2147483648"));
  CHECK(text_hash(type_oid::int2, "-32768"));
  CHECK_FALSE(text_hash(type_oid::int2, "32768"));
  CHECK(text_hash(type_oid::int8, "-9223372036854775808"));
  CHECK(text_hash(type_oid::int8, "9223372036854775807"));
  CHECK_FALSE(text_hash(type_oid::int8, "9223372036854775808"));
  CHECK_FALSE(text_hash(type_oid::int8, "-9223372036854775809"));
  CHECK_FALSE(text_hash(type_oid::int8, "99999999999999999999999999"));
}

TEST_CASE("texts that are no integer") {
  for (const auto* text : {"", " ", "+", "-", "--1", "+-1", "- 1", "1 2", "1.0", "1e2", "0x10", "1_000", "a", "1a"})
    CHECK_FALSE(text_hash(type_oid::int4, text));
  CHECK_FALSE(partition_hash_binary(type_oid::int4, -1, 0, "\0\0\0"s));
  CHECK_FALSE(partition_hash_binary(type_oid::int4, -1, 0, "\0\0\0\0\0\0\0\x2a"s));
}

TEST_CASE("text, varchar and bpchar") {
  for (const oid key : {type_oid::text, type_oid::varchar}) {
    CHECK(text_hash(key, "") == 18051608080690800806U);
    CHECK(text_hash(key, "a") == 17047028206024085342U);
    CHECK(text_hash(key, "abcdefghijk") == 3259074282889399131U);
    CHECK(text_hash(key, "abcdefghijkl") == 15875462123530940521U);
    CHECK(text_hash(key, "abcdefghijklm", type_oid::varchar) == 16966499550419038102U);
    CHECK(text_hash(key, "żółć") == 9510233769301989430U);
    CHECK(partition_hash_binary(key, -1, type_oid::text, "a") == 17047028206024085342U);
    CHECK(text_hash(key, "a ") != text_hash(key, "a"));
    CHECK_FALSE(text_hash(key, "a", type_oid::bpchar));
  }
  CHECK(text_hash(type_oid::bpchar, "a   ") == 17047028206024085342U);
  CHECK(text_hash(type_oid::bpchar, "    ") == 18051608080690800806U);
  CHECK_FALSE(text_hash(type_oid::bpchar, "a", type_oid::text));
}

TEST_CASE("the length of a character type") {
  constexpr std::int32_t three = 3 + 4;
  CHECK(text_hash(type_oid::varchar, "abc", 0, three) == text_hash(type_oid::text, "abc"));
  CHECK(text_hash(type_oid::varchar, "ab    ", 0, three) == text_hash(type_oid::text, "ab "));
  CHECK_FALSE(text_hash(type_oid::varchar, "abcd", 0, three));
  CHECK(text_hash(type_oid::varchar, "abcd", 0, -1) == text_hash(type_oid::text, "abcd"));
  CHECK(text_hash(type_oid::varchar, "ąć", 0, three) == text_hash(type_oid::text, "ąć"));
  CHECK_FALSE(text_hash(type_oid::varchar, "ąć ", 0, three));
  CHECK(text_hash(type_oid::bpchar, "abc     ", 0, three) == text_hash(type_oid::text, "abc"));
  CHECK_FALSE(text_hash(type_oid::bpchar, "abcd", 0, three));
}

TEST_CASE("uuid in every place where a server takes hyphens and braces") {
  const auto expected = text_hash(type_oid::uuid, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
  REQUIRE(expected);
  for (const auto* text : {"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
                           "a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11"})
    CHECK(text_hash(type_oid::uuid, text) == expected);
  CHECK(partition_hash_binary(type_oid::uuid, -1, 0,
                              "\xa0\xee\xbc\x99\x9c\x0b\x4e\xf8\xbb\x6d\x6b\xb9\xbd\x38\x0a\x11"s) == expected);
  for (const auto* text :
       {"", "{", "{}", "a0eebc99", "{a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc999c0b4ef8bb6d6bb9bd380a11}",
        "a0eebc999c0b4ef8bb6d6bb9bd380a1", "a0eebc999c0b4ef8bb6d6bb9bd380a112", " a0eebc999c0b4ef8bb6d6bb9bd380a11",
        "a0-eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc99--9c0b4ef8bb6d6bb9bd380a11", "a0eebc999c0b4ef8bb6d6bb9bd380a11-",
        "-a0eebc999c0b4ef8bb6d6bb9bd380a11", "g0eebc999c0b4ef8bb6d6bb9bd380a11"})
    CHECK_FALSE(text_hash(type_oid::uuid, text));
  CHECK_FALSE(partition_hash_binary(type_oid::uuid, -1, 0, "\xa0\xee\xbc"s));
}

TEST_CASE("which types tie a key") {
  CHECK(ties_key(type_oid::int4, 0));
  CHECK(ties_key(type_oid::int4, type_oid::unknown));
  CHECK(ties_key(type_oid::int4, type_oid::int8));
  CHECK(ties_key(type_oid::int8, type_oid::int2));
  CHECK(ties_key(type_oid::text, type_oid::varchar));
  CHECK(ties_key(type_oid::varchar, type_oid::text));
  for (const oid from : {type_oid::numeric, type_oid::float4, type_oid::float8, type_oid::text, type_oid::oid_type})
    CHECK_FALSE(ties_key(type_oid::int4, from));
  CHECK_FALSE(ties_key(type_oid::text, type_oid::bpchar));
  CHECK_FALSE(ties_key(type_oid::bpchar, type_oid::text));
  CHECK(ties_key(type_oid::bpchar, type_oid::varchar));
  CHECK_FALSE(ties_key(type_oid::varchar, type_oid::bpchar));
  CHECK_FALSE(ties_key(type_oid::uuid, type_oid::text));
  CHECK_FALSE(ties_key(type_oid::float8, type_oid::float8));
  CHECK_FALSE(ties_key(type_oid::bytea, type_oid::bytea));
}
