// Which types tie a key, held against the server's own pruning: a condition ties the key when it leaves one partition.
#include "key_server.hpp"
#include "router/shard/hash.hpp"

#include <catch2/catch.hpp>

using namespace pgbraid::router;
using namespace pgbraid::tests;

namespace {

struct typed_literal {
  const char* type;
  oid id;
  const char* text;
};

constexpr typed_literal literals[] = {
    {"int2", type_oid::int2, "1"},
    {"int4", type_oid::int4, "1"},
    {"int8", type_oid::int8, "1"},
    {"numeric", type_oid::numeric, "1"},
    {"float4", type_oid::float4, "1"},
    {"float8", type_oid::float8, "1"},
    {"oid", type_oid::oid_type, "1"},
    {"boolean", type_oid::boolean, "t"},
    {"text", type_oid::text, "a"},
    {"varchar", type_oid::varchar, "a"},
    {"bpchar", type_oid::bpchar, "a"},
    {"bytea", type_oid::bytea, "a"},
    {"uuid", type_oid::uuid, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
    {"date", type_oid::date, "2024-02-29"},
    {"time", type_oid::time, "12:34:56"},
    {"timestamp", type_oid::timestamp, "2024-02-29 12:34:56"},
    {"timestamptz", type_oid::timestamptz, "2024-02-29 12:34:56Z"},
};

/// The server strips the blanks of a bpchar that it compares with a text, so that it prunes by another value than the
/// one written; that is left to it.
bool left_to_the_server(oid key, oid from) {
  return (key == type_oid::text || key == type_oid::varchar) && from == type_oid::bpchar;
}

}  // namespace

TEST_CASE("a type ties a key exactly where the server prunes by it") {
  key_server server;
  int tied = 0;
  for (const auto& key : literals) {
    if (!hashable_key_type(key.id)) continue;
    for (const auto& from : literals) {
      CAPTURE(key.type, from.type);
      const auto read = server.partitions_read(key.type, "'" + std::string(from.text) + "'::" + from.type);
      const bool prunes = read && *read == 1;
      if (left_to_the_server(key.id, from.id))
        CHECK_FALSE(ties_key(key.id, from.id));
      else
        CHECK(ties_key(key.id, from.id) == prunes);
      if (prunes) ++tied;
    }
    CAPTURE(key.type);
    CHECK(server.partitions_read(key.type, "'" + std::string(key.text) + "'") == 1);
    CHECK(ties_key(key.id, type_oid::unknown));
  }
  CHECK(tied > 20);
}

TEST_CASE("a value written as another type that ties hashes as what is stored of it") {
  key_server server;
  struct pair {
    const char *key, *from;
    oid from_id;
    std::vector<std::string> texts;
  };
  const std::vector<std::string> small{"0", "1", "-1", " +42 ", "-32768", "32767", "10000", "-100"};
  const std::vector<std::string> strings{"", "a", "a ", " a", "żółć", "abcdefghijklmnop"};
  for (const auto& [key, from, from_id, texts] :
       {pair{"int2", "int8", type_oid::int8, small}, pair{"int4", "int8", type_oid::int8, small},
        pair{"int4", "int2", type_oid::int2, small}, pair{"int8", "int4", type_oid::int4, small},
        pair{"numeric", "int2", type_oid::int2, small}, pair{"numeric", "int4", type_oid::int4, small},
        pair{"numeric", "int8", type_oid::int8, small}, pair{"numeric(7,1)", "int4", type_oid::int4, small},
        pair{"numeric(5,-2)", "int4", type_oid::int4, small}, pair{"text", "varchar", type_oid::varchar, strings},
        pair{"varchar", "text", type_oid::text, strings}, pair{"varchar(16)", "text", type_oid::text, strings},
        pair{"bpchar", "varchar", type_oid::varchar, strings},
        pair{"char(16)", "varchar", type_oid::varchar, strings}}) {
    const key_table table = server.create_table(key);
    const auto stored = server.store_texts(table, texts, from);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      CAPTURE(key, from, texts[i]);
      REQUIRE(stored[i]);
      CHECK(partition_hash_text(table.type, table.modifier, from_id, texts[i], "UTC") == stored[i]->hash);
    }
  }
}
