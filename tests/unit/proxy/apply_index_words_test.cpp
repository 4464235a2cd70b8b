// CREATE INDEX CONCURRENTLY by its words.
#include "proxy/apply/index_words.hpp"

#include <catch2/catch.hpp>

namespace pgbraid::proxy::apply {
namespace {

TEST_CASE("an index's words") {
  const auto plain = read_index("CREATE INDEX CONCURRENTLY Orders_Note ON orders (note)");
  REQUIRE(plain);
  CHECK(plain->name == "orders_note");
  CHECK(plain->table == "orders");
  CHECK(plain->rest == "(note)");
  CHECK_FALSE(plain->unique);
  CHECK_FALSE(plain->if_not_exists);

  const auto short_names = read_index("CREATE INDEX CONCURRENTLY IF NOT EXISTS u ON u.u(u)");
  REQUIRE(short_names);
  CHECK(short_names->name == "u");
  CHECK(short_names->table == "u.u");

  const auto full = read_index(
      "-- why\ncreate /* on */ unique index concurrently if not exists \"a \"\"b\"\" on\" on only \"Shop\" . "
      "\"or\"\"ders\" "
      "USING btree (lower(note)) WHERE note <> ' on '");
  REQUIRE(full);
  CHECK(full->unique);
  CHECK(full->if_not_exists);
  CHECK(full->name == "a \"b\" on");
  CHECK(full->table == "\"Shop\".\"or\"\"ders\"");
  CHECK(full->table_name == "\"or\"\"ders\"");
  CHECK(full->rest == "USING btree (lower(note)) WHERE note <> ' on '");
}

TEST_CASE("an index without a name, and words that are not understood") {
  const auto unnamed = read_index("CREATE INDEX CONCURRENTLY ON orders(note)");
  REQUIRE(unnamed);
  CHECK(unnamed->name.empty());
  CHECK_FALSE(read_index("CREATE INDEX i ON orders (note)"));
  CHECK_FALSE(read_index("CREATE INDEX CONCURRENTLY U&\"d\" ON orders (note)"));
  CHECK_FALSE(read_index("CREATE INDEX CONCURRENTLY i ON U&\"d\" (note)"));
  CHECK_FALSE(read_index("CREATE INDEX CONCURRENTLY " + std::string(64, 'i') + " ON orders (note)"));
  CHECK_FALSE(read_index(""));
}

TEST_CASE("names in quotes") {
  CHECK(quoted_name("a\"b c") == "\"a\"\"b c\"");
}

}  // namespace
}  // namespace pgbraid::proxy::apply
