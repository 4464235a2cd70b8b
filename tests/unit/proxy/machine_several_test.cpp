// The session's machine and texts of several statements over two shards: each goes where it belongs, in one
// transaction.
#include <catch2/catch.hpp>

#include "machine_script.hpp"
#include "tests/unit/router_plan/fixture.hpp"

using namespace pgbraid::proxy::test;

namespace {

std::string write_on(const machine_script& t, pgbraid::router::shard_index shard) {
  const auto key = pgbraid::router::test::keys_on(t.map(), shard, 1).front();
  return "UPDATE customers SET name = 'x' WHERE id = " + std::to_string(key);
}

constexpr const char* read_all = "SELECT name FROM customers";

}  // namespace

TEST_CASE("what means one shard goes there as one text") {
  machine_script t{two_shards(true)};
  const std::string text = "Q(" + write_on(t, 1) + "; SELECT 1; " + write_on(t, 1) + ")";
  t.client(text);
  CHECK(t.asked("s1") == text);
  CHECK(t.leases() == "+s1");
}

TEST_CASE("statements for different shards are one transaction") {
  machine_script t{two_shards(true)};
  t.client("Q(" + write_on(t, 0) + "; " + write_on(t, 1) + ")");
  CHECK(t.asked("s0") == "Q(BEGIN) Q(" + write_on(t, 0) + ")");
  CHECK(t.leases() == "+s0");
  t.server("s0", "C(BEGIN) Z(T) C(UPDATE 1) Z(T)");
  CHECK(t.told() == "C(UPDATE 1)");
  CHECK(t.asked("s1") == "Q(BEGIN) Q(" + write_on(t, 1) + ")");
  SECTION("which is committed before the last is told") {
    t.server("s1", "C(BEGIN) Z(T) C(UPDATE 1) Z(T)");
    CHECK(t.told().empty());
    CHECK(t.asked("s0").find("commit_record") != std::string::npos);
    CHECK(t.asked("s1").find("PREPARE TRANSACTION") != std::string::npos);
    t.server("s0", "C(INSERT 0 1) Z(T)");
    t.server("s1", "C(PREPARE TRANSACTION) Z(I)");
    t.server("s0", "C(COMMIT) Z(I)");
    t.server("s1", "C(COMMIT PREPARED) Z(I)");
    CHECK(t.told() == "C(UPDATE 1) Z(I)");
    CHECK(t.leases() == "+s1 -s0 -s1");
  }
  SECTION("which is rolled back where one fails") {
    t.server("s1", "C(BEGIN) Z(T) E(22012 zero) Z(E)");
    CHECK(t.told() == "E(22012)");
    CHECK(t.asked("s0") == "Q(ROLLBACK)");
    CHECK(t.asked("s1") == "Q(ROLLBACK)");
    t.server("s0", "C(ROLLBACK) Z(I)");
    t.server("s1", "C(ROLLBACK) Z(I)");
    CHECK(t.told() == "Z(I)");
  }
  SECTION("which fails where a server is lost") {
    t.lose("s0");
    t.server("s1", "C(BEGIN) Z(T) C(UPDATE 1) Z(T)");
    CHECK(t.asked("s1") == "Q(ROLLBACK)");
    t.server("s1", "C(ROLLBACK) Z(I)");
    CHECK(t.told() == "E(08006) Z(I)");
  }
}

TEST_CASE("what follows an error is not carried out") {
  machine_script t{two_shards(true)};
  t.client(std::string{"Q("} + read_all + "; " + write_on(t, 0) + "; SELECT 3)");
  t.server("s0", "C(BEGIN) Z(T) E(42501 not yours) Z(E)");
  t.server("s1", "C(BEGIN) Z(T) T(name) C(SELECT 0) Z(T)");
  CHECK(t.told() == "E(42501)");
  CHECK(t.asked("s0").ends_with("Q(ROLLBACK)"));
  t.server("s0", "C(ROLLBACK) Z(I)");
  t.server("s1", "C(ROLLBACK) Z(I)");
  CHECK(t.told() == "Z(I)");
  CHECK(t.asked("s0").empty());
}

TEST_CASE("a text that cannot be read is a server's to judge") {
  machine_script t{two_shards(true)};
  t.client(std::string{"Q("} + read_all + "; SELEC)");
  CHECK(t.asked("s0").starts_with("P(/"));
  SECTION("a mistake") {
    t.server("s0", "E(42601 syntax error) Z(I)");
    CHECK(t.told() == "E(42601) Z(I)");
  }
  SECTION("what is none to it") {
    using namespace std::string_literals;
    const std::string fields = "SERROR\0C42601\0Mseveral\0Rexec_parse_message\0\0"s;
    const std::string length{'\0', '\0', '\0', static_cast<char>(fields.size() + 4)};
    t.server_bytes("s0", "E" + length + fields);
    t.server("s0", "Z(I)");
    CHECK(t.told() == "E(0A000) Z(I)");
  }
}

TEST_CASE("a client's next message waits for all of them") {
  machine_script t{two_shards(true)};
  t.client(std::string{"Q("} + read_all + "; " + read_all + ") Q(BEGIN)");
  for (int i = 0; i < 2; ++i) {
    CHECK(t.asked("s0").ends_with(read_all + std::string{")"}));
    CHECK(t.asked("s1").ends_with(read_all + std::string{")"}));
    const std::string begun = i == 0 ? "C(BEGIN) Z(T) " : "";
    t.server("s0", begun + "T(name) D(a) C(SELECT 1) Z(T)");
    t.server("s1", begun + "T(name) D(b) C(SELECT 1) Z(T)");
    CHECK(t.told() == (i == 0 ? "T(name) D(a) D(b) C(SELECT 2)" : "T(name) D(a) D(b)"));
  }
  t.server("s0", "C(COMMIT) Z(I)");
  t.server("s1", "C(COMMIT) Z(I)");
  CHECK(t.told() == "C(SELECT 2) Z(I) C(BEGIN) Z(T)");
}

TEST_CASE("a transaction of the client's begins and ends in a text") {
  machine_script t{two_shards(true)};
  SECTION("begun") {
    t.client(std::string{"Q(BEGIN; "} + read_all + ")");
    CHECK(t.told() == "C(BEGIN)");
    t.server("s0", "C(BEGIN) Z(T) T(name) C(SELECT 0) Z(T)");
    t.server("s1", "C(BEGIN) Z(T) T(name) C(SELECT 0) Z(T)");
    CHECK(t.told() == "T(name) C(SELECT 0) Z(T)");
    CHECK(t.leases() == "+s0 +s1");
  }
  SECTION("begun behind another statement, which becomes a part of it") {
    t.client("Q(" + write_on(t, 0) + "; BEGIN; ROLLBACK; SET work_mem = '1MB')");
    t.server("s0", "C(BEGIN) Z(T) C(UPDATE 1) Z(T)");
    CHECK(t.told() == "C(UPDATE 1) C(BEGIN)");
    CHECK(t.asked("s0").ends_with("Q(ROLLBACK)"));
  }
  SECTION("failed before, and ended by the text's first statement") {
    t.client("Q(BEGIN)");
    t.client("Q(" + write_on(t, 0) + ")");
    t.server("s0", "C(BEGIN) Z(T) E(22012 zero) Z(E)");
    CHECK(t.told() == "C(BEGIN) Z(T) E(22012) Z(E)");
    (void)t.asked("s0");
    t.client(std::string{"Q(ROLLBACK; "} + read_all + ")");
    CHECK(t.asked("s0") == "Q(ROLLBACK)");
    t.server("s0", "C(ROLLBACK) Z(I)");
    CHECK(t.told() == "C(ROLLBACK)");
    // Seen by itself: it means both shards.
    CHECK(t.asked("s0").ends_with(read_all + std::string{")"}));
    CHECK(t.asked("s1").ends_with(read_all + std::string{")"}));
  }
  SECTION("failed before, and not ended") {
    t.client("Q(BEGIN)");
    t.client("Q(" + write_on(t, 0) + ")");
    t.server("s0", "C(BEGIN) Z(T) E(22012 zero) Z(E)");
    (void)t.told();
    t.client(std::string{"Q(SELECT 1; ROLLBACK)"});
    CHECK(t.told() == "E(25P02) Z(E)");
  }
}

TEST_CASE("what needs a transaction block of the client's has none in a text") {
  machine_script t{two_shards(true)};
  const std::string what = GENERATE("SAVEPOINT a", "ROLLBACK TO a", "RELEASE a", "COMMIT AND CHAIN");
  t.client("Q(" + what + "; " + read_all + ")");
  CHECK(t.told() == "E(25P01) Z(I)");
}

TEST_CASE("an error's position is that in the whole text") {
  machine_script t{two_shards(true)};
  t.client(std::string{"Q("} + read_all + "; /* ü */ SELECT 1 FROM customers WHERE name = 1/0)");
  t.server("s0", "C(BEGIN) Z(T) T(name) C(SELECT 0) Z(T)");
  t.server("s1", "C(BEGIN) Z(T) T(name) C(SELECT 0) Z(T)");
  (void)t.told();
  using namespace std::string_literals;
  const std::string fields = "SERROR\0C42883\0Mnone\0P5\0\0"s;
  const std::string length{'\0', '\0', '\0', static_cast<char>(fields.size() + 4)};
  t.server_bytes("s0", "E" + length + fields);
  CHECK(t.raw_told().find("P33\0"s) != std::string::npos);
}
