// The session's machine with the extended query protocol on one shard: renamed statements, answers of its own, errors
// in a pipeline, Flush.
#include <catch2/catch.hpp>

#include "machine_script.hpp"

using namespace pgbraid::proxy::test;

namespace {

constexpr const char* prepare_and_run = "P(a/SELECT name FROM customers WHERE id = 1) B(/a) E() S";
constexpr const char* parse_on_server = "P(own/SELECT name FROM customers WHERE id = 1)";

}  // namespace

TEST_CASE("an unnamed batch passes through byte for byte") {
  script_options options;
  options.client_chunk = GENERATE(0u, 1u, 7u);
  machine_script t{options};
  const char* batch = "P(/SELECT name FROM customers WHERE id = $1) B(//5) D(P ) E() S";
  t.client(batch);
  CHECK(t.raw_asked("s0") == client_frames(batch));
  t.server("s0", "1 2 T(name) D(a) C(SELECT 1) Z(I)");
  CHECK(t.told() == "1 2 T(name) D(a) C(SELECT 1) Z(I)");
  CHECK(t.leases() == "+s0 -s0");
}

TEST_CASE("a named statement has a name of ours on the server") {
  machine_script t;
  t.client(prepare_and_run);
  CHECK(t.asked("s0") == std::string{parse_on_server} + " B(/own) E S");
  t.server("s0", "1 2 D(a) C(SELECT 1) Z(I)");
  CHECK(t.told() == "1 2 D(a) C(SELECT 1) Z(I)");

  SECTION("and is not parsed again where it is known") {
    t.client("B(/a) E() S");
    CHECK(t.asked("s0") == "B(/own) E S");
    t.server("s0", "2 D(a) C(SELECT 1) Z(I)");
    CHECK(t.told() == "2 D(a) C(SELECT 1) Z(I)");
  }
  SECTION("nor when it is parsed once more under another name") {
    t.client("P(b/SELECT name FROM customers WHERE id = 1) B(/b) E() C(S b) S");
    CHECK(t.asked("s0") == "B(/own) E S");
    t.server("s0", "2 D(a) C(SELECT 1) Z(I)");
    CHECK(t.told() == "1 2 D(a) C(SELECT 1) 3 Z(I)");
  }
  SECTION("nor when BEGIN goes to the server in the same packet") {
    t.client("Q(BEGIN) P(b/SELECT name FROM customers WHERE id = 1) B(/b) E() C(S b) S");
    CHECK(t.asked("s0") == "Q(BEGIN) B(/own) E S");
    t.server("s0", "C(BEGIN) Z(T) 2 D(a) C(SELECT 1) Z(T)");
    CHECK(t.told() == "C(BEGIN) Z(T) 1 2 D(a) C(SELECT 1) 3 Z(T)");
  }
  SECTION("and its own name is taken") {
    t.client("P(a/SELECT 2) S");
    CHECK(t.told() == "E(42P05) Z(I)");
  }
  SECTION("and DEALLOCATE forgets it") {
    t.client("Q(DEALLOCATE a)");
    CHECK(t.told() == "C(DEALLOCATE) Z(I)");
    t.client("B(/a) E() S");
    CHECK(t.told() == "E(26000) Z(I)");
  }
}

TEST_CASE("a statement is prepared on another backend when it is first used there") {
  script_options options;
  options.replicas = true;
  machine_script t{options};
  t.client(prepare_and_run);
  CHECK(t.asked("s0r") == std::string{parse_on_server} + " B(/own) E S");
  t.server("s0r", "1 2 D(a) C(SELECT 1) Z(I)");
  t.client("Q(BEGIN) Q(UPDATE customers SET name = 'x' WHERE id = 1)");
  t.server("s0", "C(BEGIN) Z(T) C(UPDATE 1) Z(T)");
  (void)t.asked("s0");
  (void)t.told();

  t.client("B(/a) E() S");
  CHECK(t.asked("s0") == std::string{parse_on_server} + " B(/own) E S");
  // The client has had its ParseComplete long ago.
  t.server("s0", "1 2 D(x) C(SELECT 1) Z(T)");
  CHECK(t.told() == "2 D(x) C(SELECT 1) Z(T)");
}

TEST_CASE("a statement whose Parse failed does not exist") {
  machine_script t;
  t.client("P(a/SELECT name FROM customers WHERE id = 1) S");
  t.server("s0", "E(42703 no such column) Z(I)");
  CHECK(t.told() == "E(42703) Z(I)");
  t.client("B(/a) E() S");
  CHECK(t.told() == "E(26000) Z(I)");
  (void)t.asked("s0");
  t.client(prepare_and_run);
  CHECK(t.asked("s0").find(" B(/own") != std::string::npos);
  t.server("s0", "1 2 D(a) C(SELECT 1) Z(I)");
  CHECK(t.told() == "1 2 D(a) C(SELECT 1) Z(I)");
}

TEST_CASE("an error in a pipeline skips to Sync") {
  machine_script t;
  SECTION("of the server") {
    t.client("P(/SELECT 1/0) B(/) E() P(/SELECT 2) B(/) E() S P(/SELECT 3) B(/) E() S");
    t.server("s0", "1 2 E(22012 division by zero) Z(I)");
    CHECK(t.told() == "1 2 E(22012) Z(I)");
    t.server("s0", "1 2 D(3) C(SELECT 1) Z(I)");
    CHECK(t.told() == "1 2 D(3) C(SELECT 1) Z(I)");
  }
  SECTION("of ours, with nothing before it") {
    t.client("B(/nope) E() P(/SELECT 1) B(/) E() S");
    CHECK(t.told() == "E(26000) Z(I)");
    CHECK(t.leases().empty());
  }
  SECTION("of ours, behind answers that are still due") {
    t.client("P(/SELECT 1) B(/) E() B(/nope) E() S");
    CHECK(t.told().empty());
    CHECK(t.asked("s0") == "P(/SELECT 1) B(/) E H");
    t.server("s0", "1 2 D(1) C(SELECT 1)");
    CHECK(t.told() == "1 2 D(1) C(SELECT 1) E(26000)");
    t.server("s0", "Z(I)");
    CHECK(t.told() == "Z(I)");
  }
}

TEST_CASE("Flush asks for the answers so far") {
  machine_script t;
  t.client("P(/SELECT 1) H");
  CHECK(t.asked("s0") == "P(/SELECT 1) H");
  t.server("s0", "1");
  CHECK(t.told() == "1");
  t.client("B(/) D(P ) H");
  CHECK(t.asked("s0") == "B(/) D(P ) H");
  t.server("s0", "2 T(a)");
  CHECK(t.told() == "2 T(a)");
  t.client("E() S");
  CHECK(t.asked("s0") == "E S");
  t.server("s0", "D(1) C(SELECT 1) Z(I)");
  CHECK(t.told() == "D(1) C(SELECT 1) Z(I)");
  CHECK(t.leases() == "+s0 -s0");
}

TEST_CASE("a transaction in the extended protocol") {
  machine_script t;
  t.client("P(/BEGIN) B(/) D(P ) E() S");
  CHECK(t.told() == "1 2 n C(BEGIN) Z(T)");
  CHECK(t.leases().empty());
  t.client("P(/UPDATE customers SET name = 'x' WHERE id = 1) B(/) E() S");
  CHECK(t.asked("s0") == "Q(BEGIN) P(/UPDATE customers SET name = 'x' WHERE id = 1) B(/) E S");
  t.server("s0", "C(BEGIN) Z(T) 1 2 C(UPDATE 1) Z(T)");
  CHECK(t.told() == "1 2 C(UPDATE 1) Z(T)");
  t.client("P(/COMMIT) B(/) E() S");
  CHECK(t.asked("s0") == "Q(COMMIT)");
  t.server("s0", "C(COMMIT) Z(I)");
  CHECK(t.told() == "1 2 C(COMMIT) Z(I)");
  CHECK(t.leases() == "+s0 -s0");
}

TEST_CASE("COPY by Execute: the Sync behind the data counts") {
  machine_script t;
  t.client("P(/COPY customers FROM STDIN) B(/) E() S");
  CHECK(t.asked("s0") == "P(/COPY customers FROM STDIN) B(/) E S");
  t.server("s0", "1 2 G");
  CHECK(t.told() == "1 2 G");
  t.client("d(1) c S");
  CHECK(t.asked("s0") == "d(1) c S");
  t.server("s0", "C(COPY 1) Z(I)");
  CHECK(t.told() == "C(COPY 1) Z(I)");
  CHECK(t.leases() == "+s0 -s0");
}

TEST_CASE("a batch that a replica gives up is begun anew on the primary") {
  script_options options;
  options.replicas = true;
  machine_script t{options};
  t.client(prepare_and_run);
  t.server("s0r", "E(40001 canceling statement due to conflict with recovery) Z(I)");
  CHECK(t.told().empty());
  CHECK(t.leases() == "+s0r !s0r +s0");
  CHECK(t.asked("s0").find(" B(/own") != std::string::npos);
  t.server("s0", "1 2 D(a) C(SELECT 1) Z(I)");
  CHECK(t.told() == "1 2 D(a) C(SELECT 1) Z(I)");
}

TEST_CASE("a server lost in a batch is told once") {
  machine_script t;
  t.client("P(/SELECT 1) B(/) E() S");
  t.server("s0", "1 2");
  t.lose("s0");
  CHECK(t.told() == "1 2 E(08006) Z(I)");
}

TEST_CASE("SET inside a batch belongs to the batch's implicit transaction") {
  machine_script t;
  t.client("P(/SET work_mem TO '5MB') B(//) E() P(/SELECT 1) B(//) E() S");
  CHECK(t.asked("s0") == "P(/SET work_mem TO '5MB') B(/) E H");
  t.server("s0", "1 2 C(SET)");
  CHECK(t.asked("s0") == "P(/SELECT 1) B(/) E S");

  SECTION("and stays when that succeeds") {
    t.server("s0", "1 2 D(1) C(SELECT 1) Z(I)");
    CHECK(t.told() == "1 2 C(SET) 1 2 D(1) C(SELECT 1) Z(I)");
    t.set_on_server("s0", t.settings().none());
    t.client("Q(SELECT 2)");
    CHECK(t.asked("s0") == "Q(SET work_mem TO '5MB')");
  }
  SECTION("and is undone with it") {
    t.server("s0", "1 2 E(22012 division by zero) Z(I)");
    CHECK(t.told() == "1 2 C(SET) 1 2 E(22012) Z(I)");
    t.set_on_server("s0", t.settings().none());
    t.client("Q(SELECT 2)");
    CHECK(t.asked("s0") == "Q(SELECT 2)");
  }
}

TEST_CASE("BEGIN inside a batch takes what came before into the transaction") {
  machine_script t;
  t.client("P(/INSERT INTO customers VALUES (1)) B(//) E() P(/BEGIN) B(//) E() S");
  CHECK(t.asked("s0") == "P(/INSERT INTO customers VALUES (1)) B(/) E P(/BEGIN) B(/) E H");
  t.server("s0", "1 2 C(INSERT 0 1) 1 2 C(BEGIN)");
  CHECK(t.asked("s0") == "S");
  t.server("s0", "Z(T)");
  CHECK(t.told() == "1 2 C(INSERT 0 1) 1 2 C(BEGIN) Z(T)");
  t.client("Q(ROLLBACK)");
  CHECK(t.asked("s0") == "Q(ROLLBACK)");
  t.server("s0", "C(ROLLBACK) Z(I)");
  CHECK(t.told() == "C(ROLLBACK) Z(I)");
  CHECK(t.leases() == "+s0 -s0");
}

TEST_CASE("ROLLBACK outside a transaction block is the server's to judge") {
  machine_script t;
  t.client("P(/INSERT INTO customers VALUES (1)) B(//) E() P(/ROLLBACK) B(//) E() S");
  t.server("s0", "1 2 C(INSERT 0 1) 1 2 N(25P01 no transaction) C(ROLLBACK)");
  CHECK(t.asked("s0") == "P(/INSERT INTO customers VALUES (1)) B(/) E P(/ROLLBACK) B(/) E H S");
  t.server("s0", "Z(I)");
  CHECK(t.told() == "1 2 C(INSERT 0 1) 1 2 N(25P01) C(ROLLBACK) Z(I)");
}

TEST_CASE("a cursor declared by SQL is a portal too, and stays where it was declared") {
  script_options options;
  options.replicas = true;
  machine_script t{options};
  t.client("Q(BEGIN) Q(DECLARE cur CURSOR FOR SELECT name FROM customers)");
  t.server("s0r", "C(BEGIN) Z(T) C(DECLARE CURSOR) Z(T)");
  (void)t.asked("s0r");
  (void)t.told();

  t.client("D(P cur) E(cur) S");
  CHECK(t.asked("s0r") == "D(P cur) E(cur) S");
  t.server("s0r", "T(name) D(a) C(SELECT 1) Z(T)");
  CHECK(t.told() == "T(name) D(a) C(SELECT 1) Z(T)");

  SECTION("when the transaction has moved on to the primary") {
    t.client("Q(UPDATE customers SET name = 'x')");
    t.server("s0", "C(BEGIN) Z(T) C(UPDATE 1) Z(T)");
    (void)t.told();
    t.client("Q(FETCH 1 FROM cur) C(P cur) S");
    CHECK(t.asked("s0r") == "Q(FETCH 1 FROM cur)");
    t.server("s0r", "T(name) D(b) C(FETCH 1) Z(T)");
    CHECK(t.asked("s0r") == "C(P cur) S");
    t.server("s0r", "3 Z(T)");
    CHECK(t.told() == "T(name) D(b) C(FETCH 1) Z(T) 3 Z(T)");
  }
  SECTION("and of a name that nobody knows the server says so") {
    t.client("D(P other) S");
    t.server("s0r", "E(34000 portal does not exist) Z(E)");
    CHECK(t.told() == "E(34000) Z(E)");
  }
  SECTION("and when its server is lost, that is what the client is told") {
    t.lose("s0r");
    t.client("D(P cur) E(cur) S");
    CHECK(t.told() == "E(08006) Z(E)");
    t.client("D(P cur) S");
    CHECK(t.told() == "E(25P02) Z(E)");
  }
  SECTION("but not behind the transaction") {
    t.client("Q(COMMIT)");
    t.server("s0r", "C(COMMIT) Z(I)");
    (void)t.told();
    t.client("D(P cur) S");
    CHECK(t.told() == "E(34000) Z(I)");
  }
}

TEST_CASE("a server lost in the middle of a batch: one error, one ReadyForQuery") {
  machine_script t;
  const bool flush = GENERATE(true, false);
  const bool says_why = GENERATE(true, false);
  t.client(std::string{"P(/UPDATE customers SET name = 'x') B(/) E() P(/UPDATE customers SET name = 'y') B(/) E() "} + (flush ? "H" : "S"));
  t.server("s0", says_why ? "1 2 C(UPDATE 2) E(57P01 ended)" : "1 2 C(UPDATE 2)");
  t.lose("s0");
  if (flush) t.client("S");
  CHECK(t.told() == (says_why ? "1 2 C(UPDATE 2) E(57P01) Z(I)" : "1 2 C(UPDATE 2) E(40003) Z(I)"));
}

TEST_CASE("a Bind that waits for its lease is not mixed up with another session's") {
  script_options options;
  options.hold_leases = true;
  machine_script a{options}, b{options};
  const char* batch_a = "P(/SELECT name FROM customers WHERE id = $1) B(//5) E() S";
  const char* batch_b = "P(/SELECT name FROM customers WHERE id = $1) B(//6) E() S";
  a.client(batch_a);
  b.client(batch_b);
  a.grant();
  CHECK(a.raw_asked("s0") == client_frames(batch_a));
  b.grant();
  CHECK(b.raw_asked("s0") == client_frames(batch_b));

  SECTION("nor, where nothing but Bind must wait, with one of its own") {
    a.server("s0", "1 2 D(a) C(SELECT 1) Z(I)");
    b.server("s0", "1 2 D(a) C(SELECT 1) Z(I)");
    (void)a.told();
    for (const char* const value : {"7", "8", "9"}) {
      a.client("B(//" + std::string{value} + ") E() S");
      b.client("B(//1" + std::string{value} + ") E() S");
      a.grant();
      CHECK(a.asked("s0").find("B(//" + std::string{value} + ")") != std::string::npos);
      a.server("s0", "2 D(a) C(SELECT 1) Z(I)");
      b.grant();
      CHECK(b.asked("s0").find("B(//1" + std::string{value} + ")") != std::string::npos);
      b.server("s0", "2 D(a) C(SELECT 1) Z(I)");
    }
  }
}

TEST_CASE("a server that asks for data in answer to Parse is not believed") {
  machine_script t;
  t.client("P(/UPDATE customers SET name = name) B(/) E() S");
  t.server("s0", "G");
  CHECK(t.told() == "E(40003) Z(I)");
  CHECK(t.leases() == "+s0 !s0");
  t.client("Q(SELECT 1)");
  CHECK(t.asked("s0") == "Q(SELECT 1)");
}

TEST_CASE("a simple query behind messages without Sync") {
  machine_script t;
  SECTION("ends them, and its own is the only ReadyForQuery") {
    t.client("P(a/SELECT name FROM customers WHERE id = 1) D(S a) H");
    (void)t.asked("s0");
    SECTION("whose answers are there") {
      t.server("s0", "1 t T(name)");
      CHECK(t.told() == "1 t T(name)");
      t.client("Q(SELECT 2)");
      CHECK(t.asked("s0") == "S");
      t.server("s0", "Z(I)");
    }
    SECTION("whose answers are still to come") {
      t.client("Q(SELECT 2)");
      CHECK(t.asked("s0") == "H");
      t.server("s0", "1 t T(name)");
      CHECK(t.told() == "1 t T(name)");
      CHECK(t.asked("s0") == "S");
      t.server("s0", "Z(I)");
    }
    CHECK(t.told().empty());
    CHECK(t.asked("s0") == "Q(SELECT 2)");
    t.server("s0", "T(x) D(2) C(SELECT 1) Z(I)");
    CHECK(t.told() == "T(x) D(2) C(SELECT 1) Z(I)");
  }
  SECTION("is passed over behind an error, up to Sync") {
    t.client("P(a/SELECT nothing FROM customers WHERE id = 1) H Q(SELECT 2)");
    (void)t.asked("s0");
    t.server("s0", "E(42703)");
    CHECK(t.told() == "E(42703)");
    t.client("Q(SELECT 3) S");
    CHECK(t.asked("s0") == "S");
    t.server("s0", "Z(I)");
    CHECK(t.told() == "Z(I)");
    t.client("Q(SELECT 4)");
    CHECK(t.asked("s0") == "Q(SELECT 4)");
  }
  SECTION("is of the client's transaction") {
    t.client("Q(BEGIN) Q(SELECT name FROM customers WHERE id = 1)");
    t.server("s0", "C(BEGIN) Z(T) T(name) C(SELECT 0) Z(T)");
    (void)t.asked("s0");
    (void)t.told();
    t.client("P(/SELECT name FROM customers WHERE id = 1) B(/) E() H");
    t.server("s0", "1 2 C(SELECT 0)");
    CHECK(t.told() == "1 2 C(SELECT 0)");
    (void)t.asked("s0");
    t.client("Q(SELECT name FROM customers WHERE id = 2)");
    CHECK(t.asked("s0") == "S");
    t.server("s0", "Z(T)");
    CHECK(t.asked("s0") == "Q(SELECT name FROM customers WHERE id = 2)");
    t.server("s0", "T(name) C(SELECT 0) Z(T)");
    CHECK(t.told() == "T(name) C(SELECT 0) Z(T)");
  }
  SECTION("would undo what has been executed before it: refused") {
    t.client("P(/SELECT name FROM customers WHERE id = 1) B(/) E() H");
    t.server("s0", "1 2 C(SELECT 0)");
    (void)t.told();
    t.client("Q(SELECT 2)");
    CHECK(t.told() == "E(08P01)");
  }
}
