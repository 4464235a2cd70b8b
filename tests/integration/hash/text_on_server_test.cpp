// Random texts for every type of key: where the partition hash is sure, the server must agree, and of the usual forms
// it must be sure. What it does not read it leaves to a server; what a server refuses it must not read.
#include "key_server.hpp"
#include "random_keys.hpp"
#include "router/shard/hash.hpp"

#include <catch2/catch.hpp>

using namespace pgbraid::router;
using namespace pgbraid::tests;

namespace {

bool has_only_ascii(const std::string& text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  return true;
}

/// A column of characters with a length: how many there are depends on the encoding, which the hash does not know.
bool counts_characters(const key_table& table) {
  return table.modifier >= 0 && (table.type == type_oid::varchar || table.type == type_oid::bpchar);
}

/// Stores texts and compares; `sure` texts must be read by the hash whenever the server takes them.
void compare(key_server& server, const key_table& table, const std::vector<std::string>& texts, bool sure,
             std::string_view time_zone) {
  const auto stored = server.store_texts(table, texts);
  REQUIRE(stored.size() == texts.size());
  int hashed = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    CAPTURE(table.type, table.modifier, texts[i], std::string(time_zone), sure);
    const auto hash = partition_hash_text(table.type, table.modifier, 0, texts[i], time_zone);
    if (hash) ++hashed;
    const bool uncounted = counts_characters(table) && !has_only_ascii(texts[i]);
    if (!stored[i]) {
      if (!uncounted) CHECK_FALSE(hash);
      continue;
    }
    if (hash || (sure && !uncounted)) CHECK(hash == stored[i]->hash);
    const auto binary_hash = partition_hash_binary(table.type, table.modifier, 0, stored[i]->bytes);
    if (binary_hash || !uncounted) CHECK(binary_hash == stored[i]->hash);
    CHECK(partition_hash_binary(table.type, -1, table.type, stored[i]->bytes) == stored[i]->hash);
  }
  if (sure) CHECK(hashed > static_cast<int>(texts.size() / 20));
}

void compare_many(key_server& server, random_keys& keys, const std::string& type_name, std::size_t count,
                  std::string_view time_zone = "UTC") {
  const key_table table = server.create_table(type_name);
  const bool with_offset = table.type == type_oid::timestamptz && time_zone != "UTC";
  std::vector<std::string> good, broken;
  for (std::size_t i = 0; i < count; ++i) {
    good.push_back(keys.text(table.type, with_offset));
    broken.push_back(keys.broken(good.back()));
  }
  compare(server, table, good, true, time_zone);
  compare(server, table, broken, false, time_zone);
}

}  // namespace

TEST_CASE("random texts hash as on the server") {
  const auto chosen = chosen_seed();
  CAPTURE(chosen);
  key_server server;
  random_keys keys(chosen);
  for (const auto* type_name : {"int2", "int4", "int8", "boolean", "uuid", "text", "varchar", "bpchar", "numeric"})
    compare_many(server, keys, type_name, 2000);
}

TEST_CASE("random texts are fitted into a column as by the server") {
  const auto chosen = chosen_seed();
  CAPTURE(chosen);
  key_server server;
  random_keys keys(chosen);
  for (const auto* type_name : {"varchar(5)", "varchar(12)", "char(5)", "char(12)", "char", "numeric(10,2)",
                                "numeric(20)", "numeric(12,-3)", "numeric(30,20)", "numeric(3,7)", "timestamp(0)",
                                "timestamp(2)", "timestamp(6)", "timestamptz(0)", "timestamptz(5)"})
    compare_many(server, keys, type_name, 700);
}

TEST_CASE("random dates and times mean the same under every DateStyle") {
  const auto chosen = chosen_seed();
  CAPTURE(chosen);
  key_server server;
  random_keys keys(chosen);
  for (const auto* style : {"ISO, MDY", "SQL, DMY", "German, YMD", "Postgres, DMY"}) {
    server.execute("set datestyle = '" + std::string(style) + "'");
    for (const auto* type_name : {"date", "timestamp", "timestamptz"}) compare_many(server, keys, type_name, 1000);
  }
}

TEST_CASE("under another time zone only an offset is sure") {
  const auto chosen = chosen_seed();
  CAPTURE(chosen);
  key_server server;
  random_keys keys(chosen);
  for (const auto* zone : {"America/St_Johns", "Europe/Warsaw", "Etc/GMT+5"}) {
    server.execute("set timezone = '" + std::string(zone) + "'");
    for (const auto* type_name : {"date", "timestamp", "timestamptz", "timestamptz(1)"})
      compare_many(server, keys, type_name, 1000, zone);
  }
}
