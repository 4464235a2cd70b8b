// The session's machine under pool.mode session and statement.
#include <catch2/catch.hpp>

#include "machine_script.hpp"

using namespace pgbraid::proxy::test;
using pgbraid::config::pool_mode;

namespace {

script_options in_mode(pool_mode mode) {
  script_options options;
  options.pool_mode = mode;
  options.replicas = true;
  return options;
}

}  // namespace

TEST_CASE("in session mode the backend stays, and reads stay on it") {
  machine_script t{in_mode(pool_mode::session)};
  t.client("Q(SELECT name FROM customers WHERE id = 1)");
  t.server("s0", "D(a) C(SELECT 1) Z(I)");
  CHECK(t.leases() == "+s0");
  CHECK_FALSE(t.machine().pinned_because().empty());
  CHECK(t.machine().leaves_clean(0));
  SECTION("through transactions") {
    t.client("Q(BEGIN) Q(SELECT 1)");
    CHECK_FALSE(t.machine().leaves_clean(0));
    t.server("s0", "C(BEGIN) Z(T) D(1) C(SELECT 1) Z(T)");
    t.client("Q(COMMIT)");
    t.server("s0", "C(COMMIT) Z(I)");
    CHECK(t.machine().leaves_clean(0));
  }
  SECTION("through DISCARD ALL") {
    t.client("Q(DISCARD ALL)");
    t.server("s0", "C(DISCARD ALL) Z(I)");
    CHECK(t.told() == "D(a) C(SELECT 1) Z(I) C(DISCARD ALL) Z(I)");
    CHECK_FALSE(t.machine().pinned_because().empty());
  }
  SECTION("but does not outlive it") {
    (void)t.told();
    t.lose("s0");
    CHECK(t.told() == "E(57P01)");
  }
  CHECK(t.leases().find('-') == std::string::npos);
}

TEST_CASE("what DISCARD ALL leaves behind is not handed on") {
  machine_script t{in_mode(pool_mode::session)};
  t.client("Q(LOAD 'auto_explain')");
  t.server("s0", "C(LOAD) Z(I)");
  CHECK_FALSE(t.machine().leaves_clean(0));
}

TEST_CASE("nor is a backend in the middle of something") {
  machine_script t{in_mode(pool_mode::session)};
  t.client("P(/SELECT 1) B(//) E() H");
  t.server("s0", "1 2 D(1) C(SELECT 1)");
  CHECK_FALSE(t.machine().leaves_clean(0));
  t.client("S");
  t.server("s0", "Z(I)");
  CHECK(t.machine().leaves_clean(0));
}

TEST_CASE("in statement mode there is no transaction block") {
  machine_script t{in_mode(pool_mode::statement)};
  SECTION("BEGIN") {
    t.client("Q(BEGIN)");
    CHECK(t.told() == "E(0A000) Z(I)");
    CHECK(t.leases().empty());
  }
  SECTION("BEGIN in a batch") {
    t.client("P(/BEGIN) B(//) E() S");
    CHECK(t.told() == "E(0A000) Z(I)");
    CHECK(t.leases().empty());
  }
  SECTION("BEGIN among other statements") {
    t.client("Q(SELECT 1; BEGIN)");
    t.server("s0", "D(1) C(SELECT 1) C(BEGIN) Z(T)");
    CHECK(t.told() == "D(1) C(SELECT 1) C(BEGIN) E(0A000)");
    CHECK(t.leases() == "+s0 !s0 *");
  }
  SECTION("a transaction that ends in the text that begins it") {
    t.client("Q(BEGIN; COMMIT)");
    t.server("s0", "C(BEGIN) C(COMMIT) Z(I)");
    CHECK(t.told() == "C(BEGIN) C(COMMIT) Z(I)");
  }
}
