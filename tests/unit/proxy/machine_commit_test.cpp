// The session's machine and transactions that write to two shards: who is asked what in which order, and what is told when
// something fails or is lost.
#include <catch2/catch.hpp>

#include "machine_script.hpp"
#include "tests/unit/router_plan/fixture.hpp"

using namespace pgbraid::proxy;
using namespace pgbraid::proxy::test;

namespace {

std::string write_on(const machine_script& t, pgbraid::router::shard_index shard) {
  const auto key = pgbraid::router::test::keys_on(t.map(), shard, 1).front();
  return "Q(UPDATE customers SET name = 'x' WHERE id = " + std::to_string(key) + ")";
}

// The notation calls what begins with pgbraid_ and a number "own".
const std::string id = "own_" + shard_identity(0x10, "db");
const std::string durably =
    "SELECT CASE WHEN pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.<>) ALL (ARRAY['on', "
    "'remote_apply']) THEN pg_catalog.set_config('synchronous_commit', 'on', true) END, "
    "CASE WHEN pg_catalog.current_setting('client_min_messages') OPERATOR(pg_catalog.=) 'error' "
    "THEN pg_catalog.set_config('client_min_messages', 'warning', true) END; ";
const std::string record = "Q(" + durably +
                           "INSERT INTO pgbraid.commit_record (id, committed, at) VALUES "
                           "('00000000000000000000000000000001', true, pg_catalog.clock_timestamp()))";
const std::string prepare = "Q(" + durably + "PREPARE TRANSACTION '" + id + "')";
const std::string commit_prepared = "Q(COMMIT PREPARED '" + id + "')";
const std::string rollback_prepared = "Q(ROLLBACK PREPARED '" + id + "')";

/// A transaction that has written to both, up to the client's COMMIT.
void write_both(machine_script& t) {
  t.client("Q(BEGIN)");
  for (const pgbraid::router::shard_index shard : {0, 1}) {
    const std::string server = shard == 0 ? "s0" : "s1";
    t.client(write_on(t, shard));
    t.server(server, "C(BEGIN) Z(T) C(UPDATE 1) Z(T)");
  }
  (void)t.told();
  (void)t.asked("s0");
  (void)t.asked("s1");
  (void)t.leases();
  t.client("Q(COMMIT)");
}

}  // namespace

TEST_CASE("the first written shard decides and the other follows") {
  machine_script t{two_shards(true)};
  write_both(t);
  CHECK(t.asked("s0") == record);
  CHECK(t.asked("s1") == prepare);
  t.server("s0", "C(INSERT 0 1) Z(T)");
  CHECK(t.asked("s0").empty());
  t.server("s1", "C(PREPARE TRANSACTION) Z(I)");
  CHECK(t.asked("s0") == "Q(COMMIT)");
  CHECK(t.asked("s1").empty());
  CHECK(t.told().empty());
  t.server("s0", "C(COMMIT) Z(I)");
  CHECK(t.asked("s1") == commit_prepared);
  CHECK(t.told().empty());
  t.server("s1", "C(COMMIT PREPARED) Z(I)");
  CHECK(t.told() == "C(COMMIT) Z(I)");
  CHECK(t.leases() == "-s0 -s1");
}

TEST_CASE("a shard that cannot prepare undoes all") {
  machine_script t{two_shards(true)};
  write_both(t);
  (void)t.asked("s0");
  (void)t.asked("s1");
  t.server("s0", "C(INSERT 0 1) Z(T)");
  t.server("s1", "E(23503 broken) Z(I)");
  CHECK(t.asked("s0") == "Q(ROLLBACK)");
  CHECK(t.asked("s1").empty());
  t.server("s0", "C(ROLLBACK) Z(I)");
  CHECK(t.told() == "E(23503) Z(I)");
}

TEST_CASE("what a server may yet lose is no part of a commit") {
  using namespace std::string_literals;
  const std::string fields = "SWARNING\0C01000\0Mcanceling wait\0RSyncRepWaitForLSN\0\0"s;
  const std::string warning = "N"s + std::string{'\0', '\0', '\0', static_cast<char>(fields.size() + 4)} + fields;
  machine_script t{two_shards(true)};
  write_both(t);
  t.server("s0", "C(INSERT 0 1) Z(T)");
  (void)t.asked("s0");
  (void)t.asked("s1");
  SECTION("prepared") {
    t.server_bytes("s1", warning);
    t.server("s1", "C(PREPARE TRANSACTION) Z(I)");
    CHECK(t.asked("s0") == "Q(ROLLBACK)");
    CHECK(t.asked("s1") == rollback_prepared);
    t.server("s0", "C(ROLLBACK) Z(I)");
    t.server("s1", "C(ROLLBACK PREPARED) Z(I)");
    CHECK(t.told() == "E(57014) Z(I)");
  }
  SECTION("decided: the control plane sees to the rest") {
    t.server("s1", "C(PREPARE TRANSACTION) Z(I)");
    t.server_bytes("s0", warning);
    t.server("s0", "C(COMMIT) Z(I)");
    CHECK(t.asked("s1").empty());
    CHECK(t.told() == "N(01000) E(08007) Z(I)");
  }
}

TEST_CASE("a deciding shard that does not commit undoes what is prepared") {
  machine_script t{two_shards(true)};
  write_both(t);
  (void)t.asked("s1");
  t.server("s1", "C(PREPARE TRANSACTION) Z(I)");
  const bool at_record = GENERATE(false, true);
  if (at_record) {
    t.server("s0", "E(23505 taken) Z(E)");
  } else {
    t.server("s0", "C(INSERT 0 1) Z(T)");
    t.server("s0", "E(23505 taken) Z(I)");
  }
  CHECK(t.asked("s1") == rollback_prepared);
  t.server("s1", "C(ROLLBACK PREPARED) Z(I)");
  if (at_record) t.server("s0", "C(ROLLBACK) Z(I)");
  CHECK(t.told() == "E(23505) Z(I)");
}

TEST_CASE("a server that is lost before the decision undoes all, in its moment leaves it open, after it changes nothing") {
  machine_script t{two_shards(true)};
  write_both(t);
  (void)t.asked("s0");
  (void)t.asked("s1");
  t.server("s0", "C(INSERT 0 1) Z(T)");
  const int lost = GENERATE(0, 1, 2);
  if (lost == 0) {
    t.lose("s1");
    CHECK(t.asked("s0") == "Q(ROLLBACK)");
    t.server("s0", "C(ROLLBACK) Z(I)");
    CHECK(t.told().starts_with("E(08006"));
    return;
  }
  t.server("s1", "C(PREPARE TRANSACTION) Z(I)");
  if (lost == 1) {
    t.lose("s0");
    CHECK(t.asked("s1").empty());
    CHECK(t.told().starts_with("E(08007"));
    return;
  }
  t.server("s0", "C(COMMIT) Z(I)");
  t.lose("s1");
  CHECK(t.told() == "C(COMMIT) Z(I)");
}

TEST_CASE("a statement over both shards is a transaction of its own") {
  machine_script t{two_shards(true)};
  t.client("Q(UPDATE customers SET name = 'x')");
  for (const char* server : {"s0", "s1"}) {
    CHECK(t.asked(server) == "Q(BEGIN) Q(UPDATE customers SET name = 'x')");
    t.server(server, "C(BEGIN) Z(T) C(UPDATE 2) Z(T)");
  }
  CHECK(t.told().empty());
  CHECK(t.asked("s0") == record);
  CHECK(t.asked("s1") == prepare);
  const bool fails = GENERATE(false, true);
  t.server("s0", "C(INSERT 0 1) Z(T)");
  if (fails) {
    t.server("s1", "E(23503 deferred) Z(I)");
    t.server("s0", "C(ROLLBACK) Z(I)");
    CHECK(t.told() == "E(23503) Z(I)");
  } else {
    t.server("s1", "C(PREPARE TRANSACTION) Z(I)");
    t.server("s0", "C(COMMIT) Z(I)");
    t.server("s1", "C(COMMIT PREPARED) Z(I)");
    CHECK(t.told() == "C(UPDATE 4) Z(I)");
  }
  CHECK(t.leases() == "+s0 +s1 -s0 -s1");
}

TEST_CASE("an error of a statement over both shards undoes it on both") {
  machine_script t{two_shards(true)};
  t.client("Q(UPDATE customers SET name = 'x')");
  (void)t.asked("s0");
  (void)t.asked("s1");
  t.server("s0", "C(BEGIN) Z(T) C(UPDATE 2) Z(T)");
  t.server("s1", "C(BEGIN) Z(T) E(22012 zero) Z(E)");
  CHECK(t.asked("s0") == "Q(ROLLBACK)");
  CHECK(t.asked("s1") == "Q(ROLLBACK)");
  t.server("s0", "C(ROLLBACK) Z(I)");
  t.server("s1", "C(ROLLBACK) Z(I)");
  CHECK(t.told() == "E(22012) Z(I)");
}

TEST_CASE("what all shards have is written on the first one first") {
  machine_script t{two_shards(true)};
  const std::string update = "Q(UPDATE countries SET name = 'x' RETURNING name)";
  for (int round = 0; round < 2; ++round) {
    t.client(update);
    CHECK(t.asked("s0") == "Q(BEGIN) " + update);
    CHECK(t.asked("s1") == "Q(BEGIN)");
    t.server("s1", "C(BEGIN) Z(T)");
    CHECK(t.asked("s1").empty());
    t.server("s0", "C(BEGIN) Z(T) T(name) D(a) C(UPDATE 1) Z(T)");
    CHECK(t.asked("s1") == update);
    t.server("s1", "T(name) D(a) C(UPDATE 1) Z(T)");
    CHECK(t.told() == "T(name) D(a)");
    CHECK(t.asked("s0").find("INSERT INTO pgbraid.commit_record") != std::string::npos);
    CHECK(t.asked("s1").find("PREPARE TRANSACTION") != std::string::npos);
    t.server("s0", "C(INSERT 0 1) Z(T)");
    t.server("s1", "C(PREPARE TRANSACTION) Z(I)");
    t.server("s0", "C(COMMIT) Z(I)");
    t.server("s1", "C(COMMIT PREPARED) Z(I)");
    CHECK(t.told() == "C(UPDATE 1) Z(I)");
    (void)t.asked("s0");
    (void)t.asked("s1");
  }
}

TEST_CASE("a shard whose transaction is still open is rolled back before anybody else gets the connection") {
  machine_script t{two_shards(true)};
  write_both(t);
  (void)t.asked("s0");
  (void)t.asked("s1");
  t.server("s0", "C(INSERT 0 1) Z(T)");
  t.server("s1", "E(25P02 aborted) Z(E)");
  CHECK(t.asked("s0") == "Q(ROLLBACK)");
  CHECK(t.asked("s1") == "Q(ROLLBACK)");
  t.server("s0", "C(ROLLBACK) Z(I)");
  t.server("s1", "C(ROLLBACK) Z(I)");
  CHECK(t.told() == "E(25P02) Z(I)");
  CHECK(t.leases() == "-s0 -s1");
}

TEST_CASE("a server that is lost behind its answer fails the statement of which it was a part") {
  machine_script t{two_shards(true)};
  t.client("Q(UPDATE customers SET name = 'x')");
  t.server("s1", "C(BEGIN) Z(T) C(UPDATE 2) Z(T)");
  t.lose("s1");
  (void)t.asked("s0");
  t.server("s0", "C(BEGIN) Z(T) C(UPDATE 2) Z(T)");
  CHECK(t.asked("s0") == "Q(ROLLBACK)");
  t.server("s0", "C(ROLLBACK) Z(I)");
  CHECK(t.told() == "E(08006) Z(I)");
}

TEST_CASE("rows that must be put in order are kept up to a bound") {
  auto options = two_shards(true);
  options.max_gather = 100;
  machine_script t{options};
  const auto key = [&](pgbraid::router::shard_index shard) {
    return std::to_string(pgbraid::router::test::keys_on(t.map(), shard, 1).front());
  };
  const std::string one(60, 'x'), big(200, 'x');
  // Two that fit by themselves, and one that does not, which is not waited for.
  const bool alone = GENERATE(false, true);
  const bool simple = GENERATE(false, true);
  const std::string sql =
      "INSERT INTO customers (id, name) VALUES (" + key(0) + ", 'a'), (" + key(1) + ", 'b') RETURNING name";
  t.client(simple ? "Q(" + sql + ")" : "P(/" + sql + ") B(/) E() S");
  const std::string answer = simple ? "C(BEGIN) Z(T) T(name) " : "C(BEGIN) Z(T) 1 1 2 ";
  if (alone) {
    std::string row = server_frames("D(" + big + ")");
    t.server_bytes("s0", server_frames(answer) + row.substr(0, 20));
    CHECK(t.told().find("E(53400)") != std::string::npos);
    t.server_bytes("s0", row.substr(20));
  } else {
    t.server("s0", answer + "D(" + one + ")");
    t.server("s1", answer + "D(" + one + ")");
    CHECK(t.told().find("E(53400)") != std::string::npos);
  }
  const std::string end = simple ? "C(INSERT 0 1) Z(T)" : "C(INSERT 0 1)";
  t.server("s0", end);
  t.server("s1", (alone ? answer : std::string{}) + end);
  if (!simple) {
    t.server("s0", "Z(T)");
    t.server("s1", "Z(T)");
  }
  CHECK(t.asked("s0").ends_with("Q(ROLLBACK)"));
  t.server("s0", "C(ROLLBACK) Z(I)");
  t.server("s1", "C(ROLLBACK) Z(I)");
  CHECK(t.told() == "Z(I)");
  CHECK(t.leases() == "+s0 +s1 -s0 -s1");
}

TEST_CASE("a transaction that must give way to others fails with a deadlock, and by nothing else") {
  machine_script t{two_shards(true)};
  t.client("Q(BEGIN)");
  t.client(write_on(t, 0));
  t.server("s0", "C(BEGIN) Z(T) C(UPDATE 1) Z(T)");
  CHECK(t.machine().waiting_parts().empty());
  t.client(write_on(t, 1));
  t.server("s1", "C(BEGIN) Z(T)");
  CHECK(t.machine().may_wait_for_others());
  CHECK(t.machine().waiting_parts().size() == 2);
  (void)t.told();
  (void)t.leases();
  t.deadlock();
  CHECK(t.leases() == "?s1");
  const bool cancelled = GENERATE(true, false);
  t.server("s1", cancelled ? "E(57014 cancelled) Z(E)" : "E(22012 zero) Z(E)");
  if (cancelled) {
    // What it holds elsewhere is given up at once, as a server does it.
    CHECK(t.asked("s0").ends_with("Q(ROLLBACK)"));
    t.server("s0", "C(ROLLBACK) Z(I)");
  }
  CHECK(t.told() == (cancelled ? "E(40P01) Z(E)" : "E(22012) Z(E)"));
  t.client("Q(ROLLBACK)");
  if (!cancelled) t.server("s0", "C(ROLLBACK) Z(I)");
  t.server("s1", "C(ROLLBACK) Z(I)");
  CHECK(t.told() == "C(ROLLBACK) Z(I)");
  // What the client cancels itself is its own business.
  t.client(write_on(t, 1));
  t.server("s1", "E(57014 cancelled) Z(I)");
  CHECK(t.told() == "E(57014) Z(I)");
}

TEST_CASE("a commit gives way while nothing is decided") {
  machine_script t{two_shards(true)};
  write_both(t);
  (void)t.asked("s0");
  (void)t.asked("s1");
  t.server("s0", "C(INSERT 0 1) Z(T)");
  const bool decided = GENERATE(false, true);
  if (!decided) {
    t.deadlock();
    CHECK(t.leases() == "?s1");
    t.server("s1", "E(57014 cancelled) Z(I)");
    CHECK(t.asked("s0") == "Q(ROLLBACK)");
    t.server("s0", "C(ROLLBACK) Z(I)");
    CHECK(t.told() == "E(40P01) Z(I)");
  } else {
    t.server("s1", "C(PREPARE TRANSACTION) Z(I)");
    t.deadlock();
    CHECK(t.leases().empty());
    t.server("s0", "C(COMMIT) Z(I)");
    t.server("s1", "C(COMMIT PREPARED) Z(I)");
    CHECK(t.told() == "C(COMMIT) Z(I)");
  }
}
