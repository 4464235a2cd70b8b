// Random binary parameters: where the partition hash reads the bytes the server must take them and agree, and the other
// way round.
#include "key_server.hpp"
#include "random_keys.hpp"
#include "router/shard/hash.hpp"

#include <catch2/catch.hpp>

using namespace pgbraid::router;
using namespace pgbraid::tests;

namespace {

void compare_bytes(key_server& server, const key_table& table, oid from, const std::string& bytes) {
  CAPTURE(table.type, table.modifier, from, Catch::Detail::stringify(bytes), bytes.size());
  const auto stored = server.store_bytes(table, from, bytes);
  const auto hash = partition_hash_binary(table.type, table.modifier, from, bytes);
  REQUIRE(hash.has_value() == stored.has_value());
  if (hash) CHECK(*hash == stored->hash);
}

}  // namespace

TEST_CASE("random binary parameters hash as on the server") {
  const auto chosen = chosen_seed();
  CAPTURE(chosen);
  key_server server;
  random_keys keys(chosen);

  struct fixed_width {
    const char* name;
    std::int64_t width;
  };
  for (const auto& type : {fixed_width{"int2", 2},
                           {"int4", 4},
                           {"int8", 8},
                           {"boolean", 1},
                           {"uuid", 16},
                           {"date", 4},
                           {"timestamp", 8},
                           {"timestamptz", 8},
                           {"timestamp(3)", 8}}) {
    const key_table table = server.create_table(type.name);
    for (int i = 0; i < 300; ++i)
      compare_bytes(server, table, table.type, keys.bytes(static_cast<std::size_t>(type.width)));
    for (const std::int64_t size : {type.width - 1, type.width + 1})
      compare_bytes(server, table, table.type, keys.bytes(static_cast<std::size_t>(size)));
  }
  for (const auto* name : {"numeric", "numeric(12,3)", "numeric(12,-3)"}) {
    const key_table table = server.create_table(name);
    for (int i = 0; i < 2000; ++i) compare_bytes(server, table, table.type, keys.numeric_bytes());
  }
}

TEST_CASE("binary integers tie to wider keys and to numeric") {
  const auto chosen = chosen_seed();
  CAPTURE(chosen);
  key_server server;
  random_keys keys(chosen);
  for (const auto* name : {"int8", "numeric"}) {
    const key_table table = server.create_table(name);
    for (int i = 0; i < 300; ++i) {
      compare_bytes(server, table, type_oid::int2, keys.bytes(2));
      compare_bytes(server, table, type_oid::int4, keys.bytes(4));
      compare_bytes(server, table, type_oid::int8, keys.bytes(8));
    }
  }
  const key_table narrow = server.create_table("int4");
  for (int i = 0; i < 300; ++i) compare_bytes(server, narrow, type_oid::int2, keys.bytes(2));
}
