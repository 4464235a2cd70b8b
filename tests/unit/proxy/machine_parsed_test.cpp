// The session's machine and a Parse that stands alone: when it needs no server.
#include <catch2/catch.hpp>

#include "machine_script.hpp"

using namespace pgbraid::proxy::test;

namespace {

constexpr const char* alone = "P(b/SELECT name FROM customers WHERE id = 1) S";

}  // namespace

TEST_CASE("a text that a server has parsed is not asked for again, until it is used") {
  machine_script t;
  t.client("P(a/SELECT name FROM customers WHERE id = 1) S");
  t.server("s0", "1 Z(I)");
  (void)t.asked("s0");
  (void)t.leases();
  t.forget_on_server("s0");
  SECTION("outside a transaction") {
    t.client(alone);
    CHECK(t.told() == "1 Z(I) 1 Z(I)");
    CHECK(t.leases().empty());
    t.client("B(/b) E() S");
    CHECK(t.asked("s0") == "P(own/SELECT name FROM customers WHERE id = 1) B(/own) E S");
  }
  SECTION("in a transaction that has not needed a server") {
    t.client(std::string{"Q(BEGIN) "} + alone);
    CHECK(t.told() == "1 Z(I) C(BEGIN) Z(T) 1 Z(T)");
    CHECK(t.leases().empty());
  }
  SECTION("but with other settings it may fail") {
    t.client("Q(SET datestyle TO 'german')");
    t.server("s0", "C(SET) Z(I)");
    (void)t.leases();
    t.client(alone);
    CHECK(t.leases() == "+s0");
  }
  SECTION("with other types") {
    t.client("P(c/SELECT name FROM customers WHERE id = 2) S");
    CHECK(t.leases() == "+s0");
  }
  SECTION("and after a change of the schema") {
    t.client("Q(ALTER TABLE customers ADD COLUMN more int)");
    t.server("s0", "C(ALTER TABLE) Z(I)");
    (void)t.leases();
    t.client(alone);
    CHECK(t.leases() == "+s0");
  }
  SECTION("and where more is asked than to parse it") {
    t.client("P(b/SELECT name FROM customers WHERE id = 1) D(S b) S");
    CHECK(t.leases() == "+s0");
  }
}

TEST_CASE("what is parsed behind a change of the schema proves nothing") {
  machine_script t;
  t.client("Q(BEGIN) Q(CREATE TABLE made (n int)) P(a/SELECT n FROM made) S");
  t.server("s0", "C(BEGIN) Z(T) C(CREATE TABLE) Z(T)");
  t.server("s0", "1 Z(T)");
  t.client("Q(ROLLBACK)");
  t.server("s0", "C(ROLLBACK) Z(I)");
  (void)t.leases();
  t.client("P(b/SELECT n FROM made) S");
  CHECK(t.leases() == "+s0");
}

TEST_CASE("a text that no server has taken is asked for again") {
  machine_script t;
  t.client("P(a/SELECT nothing FROM customers) S");
  t.server("s0", "E(42703 no column) Z(I)");
  (void)t.leases();
  t.client("P(a/SELECT nothing FROM customers) S");
  CHECK(t.leases() == "+s0");
}
