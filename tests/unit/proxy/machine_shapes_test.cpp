// The session's machine and the shapes of prepared statements' results: what a client has been told holds wherever the
// statement is prepared again.
#include <catch2/catch.hpp>

#include "machine_script.hpp"

using namespace pgbraid::proxy::test;

namespace {

constexpr const char* text = "SELECT * FROM customers WHERE id = 1";

std::string parsed(const char* name) {
  return std::string{"P("} + name + "/" + text + ")";
}

// A session that has prepared "a", on another server connection than the one that it meets next.
void prepare(machine_script& t, bool describe) {
  t.client(parsed("a") + (describe ? " D(S a) S" : " S"));
  t.server("s0", describe ? "1 t T(id) Z(I)" : "1 Z(I)");
  CHECK(t.told() == (describe ? "1 t T(id) Z(I)" : "1 Z(I)"));
  (void)t.asked("s0");
}

}  // namespace

TEST_CASE("a statement is described where it is prepared again, before it is used") {
  machine_script t;
  prepare(t, true);
  t.forget_on_server("s0");
  t.client("B(/a) D(P ) E() S");
  CHECK(t.asked("s0") == parsed("own") + " D(S own) H");
  SECTION("the same: it goes on") {
    t.server("s0", "1 t T(id)");
    CHECK(t.asked("s0") == "B(/own) D(P ) E S");
    t.server("s0", "2 T(id) D(1) C(SELECT 1) Z(I)");
    CHECK(t.told() == "2 T(id) D(1) C(SELECT 1) Z(I)");
    t.client("B(/a) E() S");
    CHECK(t.asked("s0") == "B(/own) E S");
  }
  SECTION("another: it is refused, time and again, until it is prepared anew") {
    t.server("s0", "1 t T(other)");
    CHECK(t.asked("s0") == "S");
    t.server("s0", "Z(I)");
    CHECK(t.told() == "E(0A000) Z(I)");
    t.client("B(/a) E() S");
    CHECK(t.told() == "E(0A000) Z(I)");
    t.client("C(S a) " + parsed("a") + " D(S a) B(/a) E() S");
    CHECK(t.asked("s0") == parsed("own") + " D(S own) B(/own) E S");
    t.server("s0", "1 t T(other) 2 D(1) C(SELECT 1) Z(I)");
    CHECK(t.told() == "3 1 t T(other) 2 D(1) C(SELECT 1) Z(I)");
  }
  SECTION("none: it is gone") {
    t.server("s0", "E(42P01 no relation)");
    CHECK(t.asked("s0") == "S");
    t.server("s0", "Z(I)");
    CHECK(t.told() == "E(42P01) Z(I)");
  }
}

TEST_CASE("a client that was told nothing is not made to wait") {
  machine_script t;
  prepare(t, false);
  t.forget_on_server("s0");
  t.client("B(/a) D(P ) E() S");
  CHECK(t.asked("s0") == parsed("own") + " B(/own) D(P ) E S");
  t.server("s0", "1 2 T(whatever) D(1) C(SELECT 1) Z(I)");
  CHECK(t.told() == "2 T(whatever) D(1) C(SELECT 1) Z(I)");
}

TEST_CASE("in a transaction another shape fails it") {
  machine_script t;
  prepare(t, true);
  t.forget_on_server("s0");
  t.client("Q(BEGIN) B(/a) E() S");
  CHECK(t.asked("s0") == "Q(BEGIN) " + parsed("own") + " D(S own) H");
  t.server("s0", "C(BEGIN) Z(T) 1 t n");
  t.server("s0", "Z(T)");
  CHECK(t.told() == "C(BEGIN) Z(T) E(0A000) Z(E)");
}

TEST_CASE("operations before it in the batch are answered first") {
  machine_script t;
  prepare(t, true);
  t.forget_on_server("s0");
  t.client("P(/SELECT 1) B(//) E() B(/a) E() S");
  CHECK(t.asked("s0") == "P(/SELECT 1) B(/) E " + parsed("own") + " D(S own) H");
  t.server("s0", "1 2 D(1) C(SELECT 1) 1 t T(id)");
  CHECK(t.told() == "1 2 D(1) C(SELECT 1)");
  CHECK(t.asked("s0") == "B(/own) E S");
  t.server("s0", "2 D(1) C(SELECT 1) Z(I)");
  CHECK(t.told() == "2 D(1) C(SELECT 1) Z(I)");
}

TEST_CASE("a change of the schema gives whoever prepares next a statement of its own") {
  machine_script t;
  prepare(t, true);
  t.client("Q(ALTER TABLE customers ADD COLUMN more int)");
  t.server("s0", "C(ALTER TABLE) Z(I)");
  (void)t.asked("s0");
  t.client(parsed("b") + " S");
  CHECK(t.asked("s0") == parsed("own") + " S");
}
