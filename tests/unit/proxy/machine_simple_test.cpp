// The session's machine with simple queries on one shard: transactions, settings, replicas, lost servers, COPY.
#include <catch2/catch.hpp>

#include "machine_script.hpp"

using namespace pgbraid::proxy::test;

namespace {

constexpr const char* read_query = "Q(SELECT name FROM customers WHERE id = 1)";
constexpr const char* write_query = "Q(UPDATE customers SET name = 'x' WHERE id = 1)";

script_options with_replicas() {
  script_options options;
  options.replicas = true;
  return options;
}

// A transaction that has read once, from `name`.
void open_transaction(machine_script& t, const char* name) {
  t.client("Q(BEGIN)");
  t.client(read_query);
  t.server(name, "C(BEGIN) Z(T) T(name) D(a) C(SELECT 1) Z(T)");
  CHECK(t.told() == "C(BEGIN) Z(T) T(name) D(a) C(SELECT 1) Z(T)");
  CHECK(t.asked(name) == std::string{"Q(BEGIN) "} + read_query);
  CHECK(t.leases() == std::string{"+"} + name);
}

}  // namespace

TEST_CASE("a simple query and its answer pass through byte for byte") {
  machine_script t;
  t.client(read_query);
  CHECK(t.leases() == "+s0");
  CHECK(t.raw_asked("s0") == client_frames(read_query));
  const char* answer = "N(00000 note) T(name) D(a) D(b) C(SELECT 2) Z(I)";
  t.server("s0", answer);
  CHECK(t.raw_told() == server_frames(answer));
  CHECK(t.leases() == "-s0");
  CHECK(t.machine().between_transactions());
}

TEST_CASE("an empty query is answered without a server") {
  machine_script t;
  t.client("Q( ; )");
  CHECK(t.told() == "I Z(I)");
  CHECK(t.leases().empty());
}

TEST_CASE("two queries sent at once are answered in order") {
  machine_script t;
  t.client("Q(SELECT 1) Q(SELECT 2)");
  CHECK(t.asked("s0") == "Q(SELECT 1)");
  t.server("s0", "T(a) D(1) C(SELECT 1) Z(I)");
  CHECK(t.asked("s0") == "Q(SELECT 2)");
  t.server("s0", "T(a) D(2) C(SELECT 1) Z(I)");
  CHECK(t.told() == "T(a) D(1) C(SELECT 1) Z(I) T(a) D(2) C(SELECT 1) Z(I)");
}

TEST_CASE("BEGIN is answered at once and replayed with the first statement") {
  machine_script t;
  t.client("Q(BEGIN)");
  CHECK(t.told() == "C(BEGIN) Z(T)");
  CHECK(t.leases().empty());
  t.client(write_query);
  CHECK(t.asked("s0") == std::string{"Q(BEGIN) "} + write_query);
  t.server("s0", "C(BEGIN) Z(T) C(UPDATE 1) Z(T)");
  CHECK(t.told() == "C(UPDATE 1) Z(T)");
  CHECK_FALSE(t.machine().between_transactions());
  t.client("Q(COMMIT)");
  CHECK(t.asked("s0") == "Q(COMMIT)");
  t.server("s0", "C(COMMIT) Z(I)");
  CHECK(t.told() == "C(COMMIT) Z(I)");
  CHECK(t.leases() == "+s0 -s0");
}

TEST_CASE("a transaction that touched no server is ended without one") {
  machine_script t;
  t.client("Q(BEGIN) Q(SAVEPOINT a) Q(COMMIT) Q(BEGIN) Q(ROLLBACK)");
  CHECK(t.told() == "C(BEGIN) Z(T) C(SAVEPOINT) Z(T) C(COMMIT) Z(I) C(BEGIN) Z(T) C(ROLLBACK) Z(I)");
  CHECK(t.leases().empty());
}

TEST_CASE("a transaction that reads on a replica moves to the primary when it writes") {
  machine_script t{with_replicas()};
  open_transaction(t, "s0r");
  t.client(write_query);
  CHECK(t.leases() == "+s0");
  CHECK(t.asked("s0") == std::string{"Q(BEGIN) "} + write_query);
  t.server("s0", "C(BEGIN) Z(T) C(UPDATE 1) Z(T)");
  // From here on reads must see the write.
  t.client(read_query);
  CHECK(t.asked("s0") == read_query);
  t.server("s0", "T(name) D(x) C(SELECT 1) Z(T)");
  CHECK(t.told() == "C(UPDATE 1) Z(T) T(name) D(x) C(SELECT 1) Z(T)");

  t.client("Q(COMMIT)");
  CHECK(t.asked("s0") == "Q(COMMIT)");
  CHECK(t.asked("s0r") == "Q(COMMIT)");
  t.server("s0", "C(COMMIT) Z(I)");
  CHECK(t.told().empty());
  t.server("s0r", "C(COMMIT) Z(I)");
  CHECK(t.told() == "C(COMMIT) Z(I)");
  CHECK(t.leases() == "-s0r -s0");
}

TEST_CASE("a COMMIT that fails is told as the server told it") {
  machine_script t;
  open_transaction(t, "s0");
  t.client("Q(COMMIT)");
  t.server("s0", "E(23503 deferred) Z(I)");
  CHECK(t.told() == "E(23503) Z(I)");
  CHECK(t.leases() == "-s0");
}

TEST_CASE("an aborted transaction takes nothing but its end") {
  machine_script t;
  open_transaction(t, "s0");
  t.client("Q(SELECT 1/0)");
  t.server("s0", "E(22012 division by zero) Z(E)");
  CHECK(t.told() == "E(22012) Z(E)");
  CHECK(t.asked("s0") == "Q(SELECT 1/0)");
  t.client("Q(SELECT 1)");
  CHECK(t.told() == "E(25P02) Z(E)");
  CHECK(t.asked("s0").empty());
  t.client("Q(COMMIT)");
  CHECK(t.asked("s0") == "Q(ROLLBACK)");
  t.server("s0", "C(ROLLBACK) Z(I)");
  CHECK(t.told() == "C(ROLLBACK) Z(I)");
  CHECK(t.leases() == "-s0");
}

TEST_CASE("a setting is brought to the backend before the statement") {
  machine_script t;
  t.client("Q(SET work_mem = '1MB')");
  CHECK(t.asked("s0") == "Q(SET work_mem = '1MB')");
  t.server("s0", "C(SET) Z(I)");
  CHECK(t.told() == "C(SET) Z(I)");
  t.client("Q(SELECT 1)");
  CHECK(t.asked("s0") == "Q(SELECT 1)");
  t.server("s0", "T(a) D(1) C(SELECT 1) Z(I)");
  (void)t.told();

  t.set_on_server("s0", t.settings().none());
  t.client("Q(SELECT 1)");
  CHECK(t.asked("s0") == "Q(SET work_mem = '1MB')");
  SECTION("and the statement follows its success") {
    t.server("s0", "C(SET) Z(I)");
    CHECK(t.asked("s0") == "Q(SELECT 1)");
    t.server("s0", "T(a) D(1) C(SELECT 1) Z(I)");
    CHECK(t.told() == "T(a) D(1) C(SELECT 1) Z(I)");
  }
  SECTION("and its failure is the statement's") {
    t.server("s0", "E(22023 invalid value) Z(I)");
    CHECK(t.asked("s0").empty());
    CHECK(t.told() == "E(22023) Z(I)");
    CHECK(t.leases() == "+s0 -s0 +s0 -s0 +s0 -s0");
    // What the backend has now is not known.
    t.client("Q(SELECT 1)");
    CHECK(t.asked("s0") == "Q(RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; SET work_mem = '1MB')");
  }
}

TEST_CASE("SET in a transaction lasts if that is committed") {
  machine_script t;
  t.client("Q(BEGIN) Q(SET work_mem = '1MB')");
  CHECK(t.asked("s0") == "Q(BEGIN) Q(SET work_mem = '1MB')");
  t.server("s0", "C(BEGIN) Z(T) C(SET) Z(T)");
  CHECK(t.told() == "C(BEGIN) Z(T) C(SET) Z(T)");
  const bool committed = GENERATE(true, false);
  t.client(committed ? "Q(COMMIT)" : "Q(ROLLBACK)");
  t.server("s0", committed ? "C(COMMIT) Z(I)" : "C(ROLLBACK) Z(I)");
  (void)t.asked("s0");
  t.client("Q(SELECT 1)");
  CHECK(t.asked("s0") == "Q(SELECT 1)");
  t.server("s0", "T(a) D(1) C(SELECT 1) Z(I)");
  t.set_on_server("s0", t.settings().none());
  t.client("Q(SELECT 1)");
  CHECK(t.asked("s0") == (committed ? "Q(SET work_mem = '1MB')" : "Q(SELECT 1)"));
}

TEST_CASE("a read that a replica gives up for its own sake is begun anew on the primary") {
  machine_script t{with_replicas()};
  t.client(read_query);
  CHECK(t.asked("s0r") == read_query);
  SECTION("conflict with recovery") {
    t.server("s0r", "E(40001 canceling statement due to conflict with recovery) Z(I)");
    CHECK(t.leases() == "+s0r !s0r +s0");
  }
  SECTION("lost connection") {
    t.lose("s0r");
    CHECK(t.leases() == "+s0r +s0");
  }
  CHECK(t.told().empty());
  CHECK(t.asked("s0") == read_query);
  t.server("s0", "T(name) D(a) C(SELECT 1) Z(I)");
  CHECK(t.told() == "T(name) D(a) C(SELECT 1) Z(I)");
}

TEST_CASE("a replica's failure is told once the client has seen a part of the answer") {
  machine_script t{with_replicas()};
  t.client(read_query);
  t.server("s0r", "T(name) D(a)");
  t.server("s0r", "E(40001 canceling statement due to conflict with recovery) Z(I)");
  CHECK(t.told() == "T(name) D(a) E(40001) Z(I)");
  CHECK(t.leases() == "+s0r -s0r");
}

TEST_CASE("an error of the statement itself is not tried again") {
  machine_script t{with_replicas()};
  t.client(read_query);
  t.server("s0r", "E(40001 could not serialize access) Z(I)");
  CHECK(t.told() == "E(40001) Z(I)");
  CHECK(t.leases() == "+s0r -s0r");
}

TEST_CASE("a server lost while its transaction is idle is told at the next statement") {
  machine_script t;
  open_transaction(t, "s0");
  t.lose("s0");
  CHECK(t.told().empty());
  SECTION("a query") {
    t.client("Q(SELECT 1)");
    CHECK(t.told() == "E(08006) Z(E)");
    t.client("Q(SELECT 1)");
    CHECK(t.told() == "E(25P02) Z(E)");
    t.client("Q(ROLLBACK)");
    CHECK(t.told() == "C(ROLLBACK) Z(I)");
  }
  SECTION("COMMIT must not look as if it had succeeded") {
    t.client("Q(COMMIT)");
    CHECK(t.told() == "E(08006) Z(I)");
  }
  SECTION("ROLLBACK has what it wanted") {
    t.client("Q(ROLLBACK)");
    CHECK(t.told() == "C(ROLLBACK) Z(I)");
  }
  CHECK(t.leases().empty());
}

TEST_CASE("a server lost in the middle of a statement is told, and the session goes on") {
  machine_script t;
  t.client(write_query);
  t.lose("s0");
  CHECK(t.told() == "E(40003) Z(I)");
  t.client("Q(SELECT 1)");
  CHECK(t.leases() == "+s0 +s0");
  t.server("s0", "T(a) D(1) C(SELECT 1) Z(I)");
  CHECK(t.told() == "T(a) D(1) C(SELECT 1) Z(I)");
}

TEST_CASE("COPY FROM STDIN passes its data on") {
  machine_script t;
  t.client("Q(COPY customers FROM STDIN)");
  t.server("s0", "G");
  CHECK(t.told() == "G");
  t.client("d(1) d(2)");
  CHECK(t.asked("s0") == "Q(COPY customers FROM STDIN) d(1) d(2)");
  SECTION("to its end") {
    t.client("c Q(SELECT 1)");
    CHECK(t.asked("s0") == "c");
    t.server("s0", "C(COPY 2) Z(I)");
    CHECK(t.told() == "C(COPY 2) Z(I)");
    CHECK(t.asked("s0") == "Q(SELECT 1)");
  }
  SECTION("until the server ends it with an error") {
    t.server("s0", "E(22P04 extra data) Z(I)");
    CHECK(t.told() == "E(22P04) Z(I)");
    t.client("d(3) c Q(SELECT 1)");
    CHECK(t.asked("s0") == "Q(SELECT 1)");
  }
}

TEST_CASE("a message over the limit is refused and passed over") {
  script_options options;
  options.max_message = 64;
  options.client_chunk = GENERATE(0u, 1u, 50u);
  machine_script t{options};
  const std::string filler(200, 'x');
  SECTION("a query") {
    t.client("Q(SELECT '" + filler + "') Q(SELECT 1)");
    CHECK(t.told() == "E(54000) Z(I)");
    CHECK(t.asked("s0") == "Q(SELECT 1)");
  }
  SECTION("in a batch") {
    t.client("P(/SELECT '" + filler + "') B(/) E() S Q(SELECT 1)");
    CHECK(t.told() == "E(54000) Z(I)");
    CHECK(t.asked("s0") == "Q(SELECT 1)");
  }
  SECTION("in a transaction") {
    t.client("Q(BEGIN) Q(SELECT '" + filler + "')");
    CHECK(t.told() == "C(BEGIN) Z(T) E(54000) Z(E)");
  }
}

TEST_CASE("a cancel request reaches the statement where it is") {
  script_options options;
  options.hold_leases = true;
  machine_script t{options};
  t.client("Q(SELECT 1)");
  CHECK(t.leases() == "~s0");
  SECTION("waiting for a backend") {
    t.cancel();
    CHECK(t.told() == "E(57014) Z(I)");
    t.client("Q(SELECT 2)");
    t.grant();
    CHECK(t.asked("s0") == "Q(SELECT 2)");
  }
  SECTION("running") {
    t.grant();
    t.cancel();
    CHECK(t.leases() == "+s0 ?s0");
    CHECK(t.told().empty());
    t.server("s0", "E(57014 canceling statement due to user request) Z(I)");
    CHECK(t.told() == "E(57014) Z(I)");
    t.cancel();
    CHECK(t.leases() == "-s0");
  }
}

TEST_CASE("a backend on which user code ran is looked at before it goes back") {
  machine_script t;
  t.client("Q(SELECT audit(1))");
  (void)t.asked("s0");
  t.server("s0", "T(audit) D(1) C(SELECT 1) Z(I)");
  CHECK(t.told() == "T(audit) D(1) C(SELECT 1) Z(I)");
  CHECK(t.leases() == "+s0");
  CHECK(t.asked("s0").rfind("Q(SELECT 'temporary objects'", 0) == 0);
  SECTION("clean") {
    t.server("s0", "T(case) D(~|session_authorization|app) D(~|role|none) C(SELECT 2) Z(I)");
    CHECK(t.leases() == "-s0");
    CHECK(t.machine().pinned_because().empty());
  }
  SECTION("not clean: the session keeps it") {
    t.server("s0", "T(case) D(temporary objects|~|~) C(SELECT 1) Z(I)");
    CHECK(t.leases().empty());
    CHECK(t.machine().pinned_because() == "temporary objects");

    t.client("Q(DROP TABLE t)");
    (void)t.asked("s0");
    t.server("s0", "C(DROP TABLE) Z(I)");
    CHECK(t.asked("s0").rfind("Q(SELECT 'temporary objects'", 0) == 0);
    t.server("s0", "T(case) D(~|role|none) C(SELECT 1) Z(I)");
    CHECK(t.leases() == "-s0");
    CHECK(t.machine().pinned_because().empty());
    CHECK(t.told() == "C(DROP TABLE) Z(I)");
  }
  SECTION("settings that it made are the session's from then on") {
    t.server("s0", "T(case) D(~|work_mem|5MB) D(~|role|reader) C(SELECT 2) Z(I)");
    CHECK(t.leases() == "-s0");
    t.set_on_server("s0", t.settings().none());
    t.client("Q(SELECT 1)");
    CHECK(t.asked("s0") == "Q(SELECT pg_catalog.set_config('work_mem', '5MB', false); SET ROLE \"reader\")");
  }
  SECTION("a probe that fails tells nothing good") {
    t.server("s0", "E(42501 permission denied) Z(I)");
    CHECK(t.leases().empty());
    CHECK_FALSE(t.machine().pinned_because().empty());
  }
  CHECK(t.told().empty());
}

TEST_CASE("Terminate closes, and nonsense is told first") {
  machine_script t;
  SECTION("Terminate") {
    t.client("X");
    CHECK(t.told().empty());
  }
  SECTION("nonsense") {
    t.client_bytes(std::string{"!\0\0\0\4", 5});
    CHECK(t.told() == "E(08P01)");
  }
  CHECK(t.leases() == "*");
}

TEST_CASE("a transaction's mode that is set by its variable is none of the session's") {
  machine_script t;
  t.client("Q(SET transaction_isolation = 'serializable')");
  t.server("s0", "C(SET) Z(I)");
  t.client("Q(SET transaction_read_only TO on)");
  t.server("s0", "C(SET) Z(I)");
  (void)t.asked("s0");
  t.set_on_server("s0", t.settings().none());
  t.client("Q(SELECT 1)");
  CHECK(t.asked("s0") == "Q(SELECT 1)");
}
