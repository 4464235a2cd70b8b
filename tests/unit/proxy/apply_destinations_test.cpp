// Where a file's statements go: as the wire would have them, with the settings that the file makes.
#include "proxy/apply/destinations.hpp"

#include "../router_plan/fixture.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

namespace pgbraid::proxy::apply {
namespace {

database_state_ptr demo(std::size_t shards) {
  auto state = std::make_shared<database_state>();
  router::topology map = router::test::demo_topology(shards);
  if (shards > 1) map.schemas["tenant"] = 1;
  router::catalog schema = router::test::demo_catalog();
  schema.single_writer.clear();
  state->name = "shop";
  state->map = std::make_shared<const router::topology>(std::move(map));
  state->schema = std::make_shared<const router::catalog>(std::move(schema));
  state->shards.resize(shards);
  return state;
}

/// "all", the shards' numbers, or "refused: " and the message.
std::vector<std::string> planned(std::string_view text, std::size_t shards = 3) {
  const script file = read_script(text);
  REQUIRE(file.errors.empty());
  const destinations found = find_destinations(file, "app", demo(shards), 1 << 20);
  std::vector<std::string> out;
  for (const destination& where : found.of) {
    std::string shown;
    for (const router::shard_index shard : where.shards) shown += std::to_string(shard);
    out.push_back(where.shards.size() == shards ? "all" : shown);
  }
  for (const line_report& error : found.errors) {
    CHECK_FALSE(error.sqlstate.empty());
    out[error.line - 1] = "refused: " + error.message;
  }
  return out;
}

void check(std::string_view text, const std::vector<std::string>& expected) {
  INFO(text);
  const std::vector<std::string> got = planned(text);
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    INFO(i + 1);
    if (expected[i].ends_with("...")) {
      CHECK(got[i].substr(0, expected[i].size() - 3) == expected[i].substr(0, expected[i].size() - 3));
    } else {
      CHECK(got[i] == expected[i]);
    }
  }
}

TEST_CASE("definitions go where the wire would have them") {
  check(
      "CREATE TABLE new_one (x int);\n"
      "ALTER TABLE settings ADD COLUMN note text;\n"
      "CREATE SCHEMA tenant;\n"
      "CREATE TABLE tenant.t (x int);\n"
      "CREATE ROLE r;\n"
      "CREATE TEMP TABLE x (y int)",
      {"all", "0", "1", "1", "refused: CREATE ROLE over several shards...",
       "refused: CREATE TABLE over several shards..."});
}

TEST_CASE("what runs alone") {
  check(
      "CREATE INDEX CONCURRENTLY i ON customers (name);\n"
      "CREATE INDEX CONCURRENTLY j ON settings (name);\n"
      "CREATE INDEX CONCURRENTLY ON customers (name);\n"
      "VACUUM;\n"
      "VACUUM customers, settings;\n"
      "CREATE DATABASE d;\n"
      "REINDEX TABLE CONCURRENTLY customers;\n"
      "/* pgbraid: shard=s1 */ VACUUM customers",
      {"all", "0", "refused: an index without a plain name...", "all", "refused: VACUUM of tables that stand apart...",
       "refused: CREATE DATABASE over several...", "all", "refused: a hint for pgbraid..."});
}

TEST_CASE("search_path decides as it would in a session") {
  check(
      "SET search_path = tenant;\n"
      "CREATE TABLE t (x int);\n"
      "RESET search_path;\n"
      "CREATE TABLE t (x int);\n"
      "SELECT pg_catalog.set_config('search_path', 'tenant', false);\n"
      "CREATE TABLE t (x int);\n"
      "SET pgbraid.shard = 's1'",
      {"all", "1", "all", "all", "all", "1", "refused: \"pgbraid.shard\" is a setting..."});
  check(
      "SET LOCAL search_path = tenant;\n"
      "CREATE TABLE t (x int);\n"
      "VACUUM;\n"
      "CREATE TABLE t (x int)",
      {"all", "1", "all", "all"});
}

TEST_CASE("rows") {
  check(
      "INSERT INTO countries (code, name) VALUES ('DE', 'Germany');\n"
      "UPDATE settings SET value = 'x' WHERE name = 'y';\n"
      "SELECT 1;\n"
      "DO $$ BEGIN END $$;\n"
      "TRUNCATE countries;\n"
      "UPDATE countries SET name = 'x' WHERE code = 'DE';\n"
      "ALTER TABLE countries ADD COLUMN note text;\n"
      "UPDATE countries SET name = 'x' WHERE code = 'DE';\n"
      "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';\n"
      "UPDATE settings SET value = 'x' WHERE name = 'y'",
      {"all", "0", "refused: SELECT...", "refused: ...", "all", "all", "all",
       "refused: the rows of public.countries, which the file itself defines...", "all",
       "refused: what it does may depend on..."});
}

TEST_CASE("one shard takes everything") {
  CHECK(planned("DO $$ BEGIN END $$;\nSELECT 1;\nCREATE ROLE r;\nCREATE DATABASE d", 1) ==
        std::vector<std::string>(4, "all"));
}

}  // namespace
}  // namespace pgbraid::proxy::apply
