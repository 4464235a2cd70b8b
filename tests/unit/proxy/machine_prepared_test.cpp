// The session's machine with PREPARE, EXECUTE and DEALLOCATE in SQL: names move with the session, not with the backend.
#include <catch2/catch.hpp>

#include "machine_script.hpp"

using namespace pgbraid::proxy::test;

namespace {

// The probe that follows EXECUTE finds nothing.
void clean(machine_script& t) {
  (void)t.asked("s0");
  t.server("s0", "T(case) D(~|role|none) C(SELECT 1) Z(I)");
}

}  // namespace

TEST_CASE("PREPARE does not tie the session to its backend") {
  machine_script t;
  t.client("Q(PREPARE p AS SELECT 1)");
  CHECK(t.asked("s0") == "Q(PREPARE p AS SELECT 1)");
  SECTION("it succeeds") {
    t.server("s0", "C(PREPARE) Z(I)");
    CHECK(t.leases() == "+s0 -s0");
    CHECK(t.machine().pinned_because().empty());
    t.client("Q(EXECUTE p)");
    CHECK(t.asked("s0") == "Q(EXECUTE p)");
    t.server("s0", "D(1) C(SELECT 1) Z(I)");
    clean(t);
    CHECK(t.told() == "C(PREPARE) Z(I) D(1) C(SELECT 1) Z(I)");
  }
  SECTION("it fails: there is no such statement") {
    t.server("s0", "E(42P01 no relation) Z(I)");
    t.client("Q(DEALLOCATE p)");
    CHECK(t.told() == "E(42P01) Z(I) E(26000) Z(I)");
  }
}

TEST_CASE("EXECUTE on a backend that has not the statement prepares it there") {
  machine_script t;
  t.client("Q(PREPARE p AS SELECT 1)");
  t.server("s0", "C(PREPARE) Z(I)");
  (void)t.asked("s0");
  (void)t.told();
  t.forget_on_server("s0");
  t.client("Q(EXECUTE p)");
  CHECK(t.asked("s0") == "Q(PREPARE p AS SELECT 1)");
  SECTION("and runs it") {
    t.server("s0", "C(PREPARE) Z(I)");
    CHECK(t.asked("s0") == "Q(EXECUTE p)");
    t.server("s0", "D(1) C(SELECT 1) Z(I)");
    clean(t);
    CHECK(t.told() == "D(1) C(SELECT 1) Z(I)");
  }
  SECTION("or tells why it can not be prepared any more, and tries again") {
    t.server("s0", "E(42P01 no relation) Z(I)");
    CHECK(t.told() == "E(42P01) Z(I)");
    t.client("Q(EXECUTE p)");
    CHECK(t.asked("s0").find("DEALLOCATE ALL") != std::string::npos);
  }
}

TEST_CASE("another session's names are gone before its statement runs") {
  machine_script t;
  t.client("Q(SELECT 1)");
  t.server("s0", "D(1) C(SELECT 1) Z(I)");
  (void)t.asked("s0");
  (void)t.told();
  t.foreign_on_server("s0", "p");
  t.client("Q(EXECUTE p)");
  CHECK(t.asked("s0") == "Q(DEALLOCATE \"p\")");
  t.server("s0", "C(DEALLOCATE) Z(I)");
  CHECK(t.asked("s0") == "Q(EXECUTE p)");
  t.server("s0", "E(26000 does not exist) Z(I)");
  CHECK(t.told() == "E(26000) Z(I)");
}

TEST_CASE("a name that was deallocated and prepared anew is another statement") {
  machine_script t;
  t.client("Q(PREPARE p AS SELECT 1)");
  t.server("s0", "C(PREPARE) Z(I)");
  t.client("Q(DEALLOCATE p) Q(PREPARE p AS SELECT 2)");
  CHECK(t.asked("s0") == "Q(PREPARE p AS SELECT 1) Q(DEALLOCATE \"p\")");
  t.server("s0", "C(DEALLOCATE) Z(I)");
  CHECK(t.asked("s0") == "Q(PREPARE p AS SELECT 2)");
  t.server("s0", "C(PREPARE) Z(I)");
  CHECK(t.told() == "C(PREPARE) Z(I) C(DEALLOCATE) Z(I) C(PREPARE) Z(I)");
}

TEST_CASE("statements of SQL and of the protocol share their names") {
  machine_script t;
  SECTION("EXECUTE of the protocol's") {
    t.client("P(p/SELECT 1) S");
    t.server("s0", "1 Z(I)");
    (void)t.asked("s0");
    (void)t.told();
    t.client("Q(EXECUTE p)");
    CHECK(t.asked("s0") == "P(p/SELECT 1) S");
    t.server("s0", "1 Z(I)");
    CHECK(t.asked("s0") == "Q(EXECUTE p)");
    t.server("s0", "D(1) C(SELECT 1) Z(I)");
    clean(t);
    CHECK(t.told() == "D(1) C(SELECT 1) Z(I)");
  }
  SECTION("Bind of SQL's") {
    t.client("Q(PREPARE p AS SELECT 1)");
    t.server("s0", "C(PREPARE) Z(I)");
    (void)t.asked("s0");
    (void)t.told();
    t.client("P(p/SELECT 2) S");
    CHECK(t.told() == "E(42P05) Z(I)");
    t.client("B(/p) D(P ) E() S");
    CHECK(t.asked("s0") == "B(/p) D(P ) E S");
    t.server("s0", "2 T(x) D(1) C(SELECT 1) Z(I)");
    clean(t);
    CHECK(t.told() == "2 T(x) D(1) C(SELECT 1) Z(I)");
    t.client("C(S p) S B(/p) S");
    CHECK(t.told() == "3 Z(I) E(26000) Z(I)");
  }
}

TEST_CASE("an error that names a statement of the protocol has the client's name for it") {
  machine_script t;
  t.client("P(mine/SELECT $1) S");
  t.server("s0", "1 Z(I)");
  (void)t.raw_told();
  const std::string asked = t.raw_asked("s0");
  const std::string theirs = asked.substr(asked.find("pgbraid_"), asked.find('\0', asked.find("pgbraid_")) - asked.find("pgbraid_"));
  t.client("B(/mine) S");
  t.server("s0", "E(08P01 statement \"" + theirs + "\" requires 1) Z(I)");
  const std::string told = t.raw_told();
  CHECK(told.find("statement \"mine\" requires 1") != std::string::npos);
  CHECK(note_server(told) == "E(08P01) Z(I)");
}

TEST_CASE("a statement that can not be prepared anew fails the batch and is tried again") {
  machine_script t;
  t.client("Q(PREPARE p AS SELECT 1)");
  t.server("s0", "C(PREPARE) Z(I)");
  (void)t.asked("s0");
  (void)t.told();
  t.forget_on_server("s0");
  t.client("P(/EXECUTE p) B(//) E() S");
  CHECK(t.asked("s0") == "P(/EXECUTE p) P(/PREPARE p AS SELECT 1) B(/) E P(/EXECUTE p) B(/) E S");
  t.server("s0", "1 E(42P01 no relation) Z(I)");
  // Where a server that has it says so: in Execute.
  CHECK(t.told() == "1 2 E(42P01) Z(I)");
  clean(t);
  t.client("Q(EXECUTE p)");
  CHECK(t.asked("s0") == "Q(DEALLOCATE ALL)");
  t.server("s0", "C(DEALLOCATE ALL) Z(I)");
  CHECK(t.asked("s0") == "Q(PREPARE p AS SELECT 1)");
  t.server("s0", "C(PREPARE) Z(I)");
  CHECK(t.asked("s0") == "Q(EXECUTE p)");
}

TEST_CASE("a statement of the client's that another text may mean need not be there any more") {
  machine_script t;
  t.client("Q(PREPARE p AS SELECT 1) Q(PREPARE q AS SELECT 2)");
  t.server("s0", "C(PREPARE) Z(I)");
  t.server("s0", "C(PREPARE) Z(I)");
  (void)t.asked("s0");
  (void)t.told();
  t.forget_on_server("s0");
  t.client("Q(EXPLAIN EXECUTE p /* q, not pq */)");
  const std::string asked = t.asked("s0");
  CHECK(asked.find("Q(PREPARE p AS SELECT 1)") != std::string::npos);
  CHECK(asked.find("Q(PREPARE q AS SELECT 2)") != std::string::npos);
  t.server("s0", asked.starts_with("Q(PREPARE q") ? "E(42P01 gone) Z(I) C(PREPARE) Z(I)"
                                                  : "C(PREPARE) Z(I) E(42P01 gone) Z(I)");
  CHECK(t.asked("s0") == "Q(EXPLAIN EXECUTE p /* q, not pq */)");
  t.server("s0", "D(plan) C(EXPLAIN) Z(I)");
  CHECK(t.told() == "D(plan) C(EXPLAIN) Z(I)");
}

TEST_CASE("a name is a word, not a part of one") {
  machine_script t;
  t.client("Q(PREPARE p AS SELECT 1) Q(PREPARE pp AS SELECT 2)");
  t.server("s0", "C(PREPARE) Z(I)");
  t.server("s0", "C(PREPARE) Z(I)");
  (void)t.asked("s0");
  t.forget_on_server("s0");
  t.client("Q(EXPLAIN EXECUTE PP)");
  CHECK(t.asked("s0") == "Q(PREPARE pp AS SELECT 2)");
}
