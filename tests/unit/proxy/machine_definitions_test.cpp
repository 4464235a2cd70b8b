// Tables that have just been made or redefined: who waits for the catalog, who is refused, and whom it does not
// concern.
#include <catch2/catch.hpp>

#include "machine_script.hpp"

using namespace pgbraid::proxy;
using namespace pgbraid::proxy::test;
using namespace std::chrono_literals;

namespace {

/// The catalog as of now, or as of long ago.
void know(machine_script& t, steady_time as_of = std::chrono::steady_clock::now()) {
  auto state = std::make_shared<database_state>(t.state());
  if (!state->definitions) state->definitions = std::make_shared<recent_definitions>();
  state->schema_as_of = as_of;
  t.take_state(std::move(state));
}

const std::string read_one = "Q(SELECT name FROM customers WHERE id = 1)";

}  // namespace

TEST_CASE("what names a redefined table waits until the catalog is newer") {
  machine_script t{two_shards(true)};
  know(t);
  t.state().definitions->note({"customers"}, std::chrono::steady_clock::now());
  SECTION("by the simple protocol") {
    t.client(read_one);
  }
  SECTION("by the extended protocol") {
    t.client("P(/SELECT name FROM customers WHERE id = 1) B(//) E S");
  }
  CHECK(t.leases().empty());
  CHECK(t.told().empty());
  CHECK(t.machine().awaits_catalog());
  CHECK(t.awaiting_catalog() == 1);
  t.look_at_catalog();
  CHECK(t.leases().empty());
  CHECK(t.awaiting_catalog() == 1);
  know(t);
  t.look_at_catalog();
  CHECK_FALSE(t.leases().empty());
  CHECK_FALSE(t.machine().awaits_catalog());
  CHECK(t.awaiting_catalog() == 0);
}

TEST_CASE("what names other tables does not wait; what nobody knows does") {
  machine_script t{two_shards(true)};
  know(t);
  t.state().definitions->note({"elsewhere"}, std::chrono::steady_clock::now());
  t.client(read_one);
  CHECK_FALSE(t.leases().empty());
  machine_script u{two_shards(true)};
  know(u);
  u.state().definitions->note({"elsewhere"}, std::chrono::steady_clock::now());
  u.client("Q(SELECT * FROM nowhere)");
  CHECK(u.told().empty());
  know(u);
  u.look_at_catalog();
  CHECK(u.told() == "E(42P01) Z(I)");
}

TEST_CASE("what is refused may be so for a definition of others, and waits") {
  machine_script t{two_shards(true)};
  know(t);
  t.state().definitions->note({"elsewhere"}, std::chrono::steady_clock::now());
  t.client("Q(COPY customers TO '/nowhere')");
  CHECK(t.told().empty());
  CHECK(t.machine().awaits_catalog());
  know(t);
  t.look_at_catalog();
  CHECK(t.told() == "E(0A000) Z(I)");
}

TEST_CASE("a catalog that cannot be read is not waited for any longer") {
  machine_script t{two_shards(true)};
  const steady_time now = std::chrono::steady_clock::now();
  know(t, now - 2min);
  t.state().definitions->note({"customers"}, now - 1min);
  t.client(read_one);
  CHECK(t.told() == "E(55000) Z(I)");
}

TEST_CASE("within the transaction that makes it a table is not known") {
  machine_script t{two_shards(true)};
  know(t);
  t.client("Q(BEGIN) Q(CREATE TABLE made (id int REFERENCES customers))");
  t.server("s0", "C(BEGIN) Z(T) C(CREATE TABLE) Z(T)");
  t.server("s1", "C(BEGIN) Z(T) C(CREATE TABLE) Z(T)");
  (void)t.told();
  CHECK(t.state().definitions->latest() == steady_time::min());
  t.client("Q(SELECT * FROM made)");
  CHECK(t.told() == "E(0A000) Z(E)");
  t.client("Q(ROLLBACK)");
  t.server("s0", "C(ROLLBACK) Z(I)");
  t.server("s1", "C(ROLLBACK) Z(I)");
  CHECK(t.told() == "C(ROLLBACK) Z(I)");
  CHECK(t.state().definitions->latest("made") != steady_time::min());
  CHECK(t.state().definitions->latest("customers") == steady_time::min());
}

TEST_CASE("the key of CREATE TABLE goes behind it") {
  machine_script t{two_shards(true)};
  t.client("Q(CREATE TABLE made (id int) /* pgbraid: key=id */)");
  const std::string both =
      "Q(CREATE TABLE made (id int) /* pgbraid: key=id */\n;COMMENT ON TABLE \"made\" IS 'pgbraid: key=(\"id\")')";
  CHECK(t.asked("s0") == "Q(BEGIN) " + both);
  t.server("s0", "C(BEGIN) Z(T) C(CREATE TABLE) C(COMMENT) Z(T)");
  CHECK(t.asked("s1") == "Q(BEGIN) " + both);
  t.server("s1", "C(BEGIN) Z(T) C(CREATE TABLE) C(COMMENT) Z(T)");
  CHECK(t.told().empty());
  t.server("s0", "C(INSERT 0 1) Z(T)");
  t.server("s1", "C(PREPARE TRANSACTION) Z(I)");
  t.server("s0", "C(COMMIT) Z(I)");
  t.server("s1", "C(COMMIT PREPARED) Z(I)");
  CHECK(t.told() == "C(CREATE TABLE) Z(I)");
}

namespace {

/// A transaction on both shards in which this has been defined.
void define(machine_script& t, const std::string& sql, const std::string& tag) {
  t.client("Q(BEGIN) Q(" + sql + ")");
  t.server("s0", "C(BEGIN) Z(T) C(" + tag + ") Z(T)");
  t.server("s1", "C(BEGIN) Z(T) C(" + tag + ") Z(T)");
  REQUIRE(t.told() == "C(BEGIN) Z(T) C(" + tag + ") Z(T)");
}

}  // namespace

TEST_CASE("within the transaction that alters a table nothing goes by its columns") {
  machine_script t{two_shards(true)};
  know(t);
  define(t, "ALTER TABLE customers ADD x int", "ALTER TABLE");
  SECTION("what another column would not change goes on") {
    t.client("Q(SELECT name FROM customers WHERE id = 1)");
    CHECK(t.told().empty());
  }
  SECTION("what is put together from the answers of several shards does not") {
    t.client("Q(SELECT count(*) FROM customers)");
    CHECK(t.told() == "E(0A000) Z(E)");
  }
  SECTION("nor do rows whose columns are not named") {
    t.client("Q(INSERT INTO customers VALUES (1, 'x'))");
    CHECK(t.told() == "E(0A000) Z(E)");
  }
}

TEST_CASE("a comment alters no columns") {
  machine_script t{two_shards(true)};
  know(t);
  define(t, "COMMENT ON TABLE customers IS 'all of them'", "COMMENT");
  t.client("Q(SELECT count(*) FROM customers)");
  CHECK(t.told().empty());
}

TEST_CASE("a table that is full under another name does not become unique in the same transaction") {
  machine_script t{two_shards(true)};
  know(t);
  define(t, "ALTER TABLE customers RENAME TO buyers", "ALTER TABLE");
  SECTION("by an index") {
    t.client("Q(CREATE UNIQUE INDEX ON buyers (name))");
  }
  SECTION("by a constraint") {
    t.client("Q(ALTER TABLE buyers ADD UNIQUE (name))");
  }
  CHECK(t.told() == "E(0A000) Z(E)");
}

TEST_CASE("nor before the catalog knows of it") {
  machine_script t{two_shards(true)};
  know(t);
  t.state().definitions->note({"buyers"}, std::chrono::steady_clock::now());
  SECTION("by an index") {
    t.client("Q(CREATE UNIQUE INDEX ON buyers (name))");
  }
  SECTION("by a constraint") {
    t.client("Q(ALTER TABLE buyers ADD UNIQUE (name))");
  }
  CHECK(t.told().empty());
  CHECK(t.machine().awaits_catalog());
}

TEST_CASE("within the transaction that puts code behind a table nothing is done to it") {
  machine_script t{two_shards(true)};
  know(t);
  define(t, "CREATE TRIGGER x BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION x()", "CREATE TRIGGER");
  t.client("Q(UPDATE customers SET name = 'x' WHERE id = 1)");
  CHECK(t.told() == "E(0A000) Z(E)");
}

TEST_CASE("what the topology says the place of is altered as well") {
  machine_script t{two_shards(true)};
  know(t);
  define(t, "ALTER TABLE countries ADD x int", "ALTER TABLE");
  t.client("Q(INSERT INTO countries VALUES ('x'))");
  CHECK(t.told() == "E(0A000) Z(E)");
}

TEST_CASE("an index that makes rows unique is a definition of its table; any other is none") {
  for (const bool unique : {true, false}) {
    machine_script t{two_shards(true)};
    know(t);
    define(t, std::string{"CREATE "} + (unique ? "UNIQUE " : "") + "INDEX x ON customers (id, name)", "CREATE INDEX");
    t.client("Q(ROLLBACK)");
    t.server("s0", "C(ROLLBACK) Z(I)");
    t.server("s1", "C(ROLLBACK) Z(I)");
    CHECK(t.told() == "C(ROLLBACK) Z(I)");
    CHECK((t.state().definitions->latest("customers") != steady_time::min()) == unique);
  }
}

TEST_CASE("what calls a function that has been replaced waits until the catalog is newer") {
  machine_script t{two_shards(true)};
  know(t);
  t.state().definitions->note({"tax()"}, std::chrono::steady_clock::now());
  SECTION("it does not") {
    t.client(read_one);
    CHECK_FALSE(t.leases().empty());
  }
  SECTION("it does") {
    auto schema = std::make_shared<pgbraid::router::catalog>(*t.state().schema);
    schema->functions["tax"].pg_catalog_only = false;
    ++schema->version;
    auto state = std::make_shared<database_state>(t.state());
    state->schema = std::move(schema);
    t.take_state(std::move(state));
    t.client("Q(SELECT tax(1))");
    CHECK(t.leases().empty());
    CHECK(t.told().empty());
    CHECK(t.machine().awaits_catalog());
  }
}
