// The session's machine under commits.answer: decided: what the client is told while COMMIT PREPARED is still to be
// answered, what waits for that, and which commits are answered at their end all the same.
#include <catch2/catch.hpp>

#include "machine_script.hpp"
#include "tests/unit/router_plan/fixture.hpp"

using namespace pgbraid::proxy;
using namespace pgbraid::proxy::test;

namespace {

const std::string commit_prepared = "Q(COMMIT PREPARED 'own_" + shard_identity(0x10, "db") + "')";
constexpr const char* write_both = "Q(UPDATE customers SET name = 'x')";

script_options decided() {
  script_options options = two_shards(true);
  options.decided = true;
  return options;
}

std::string by_key(const machine_script& t, pgbraid::router::shard_index shard, const std::string& statement) {
  return statement + " WHERE id = " + std::to_string(pgbraid::router::test::keys_on(t.map(), shard, 1).front());
}

/// A transaction that has written to both shards.
void write_in_transaction(machine_script& t) {
  t.client("Q(BEGIN)");
  for (const pgbraid::router::shard_index shard : {0, 1}) {
    t.client("Q(" + by_key(t, shard, "UPDATE customers SET name = 'x'") + ")");
    t.server(shard == 0 ? "s0" : "s1", "C(BEGIN) Z(T) C(UPDATE 1) Z(T)");
  }
  (void)t.told();
  (void)t.leases();
}

/// The servers' part of a commit, up to the answer of the shard that decides.
void decide(machine_script& t) {
  t.server("s0", "C(INSERT 0 1) Z(T)");
  t.server("s1", "C(PREPARE TRANSACTION) Z(I)");
  (void)t.asked("s0");
  (void)t.asked("s1");
  t.server("s0", "C(COMMIT) Z(I)");
}

}  // namespace

TEST_CASE("COMMIT is answered when it is decided, and what the client asks next waits for the others") {
  machine_script t{decided()};
  write_in_transaction(t);
  const bool extended = GENERATE(false, true);
  t.client(extended ? "P(/COMMIT) B(/) D(P/) E() S" : "Q(COMMIT)");
  (void)t.told();
  decide(t);
  CHECK(t.asked("s1") == commit_prepared);
  CHECK(t.told() == "C(COMMIT) Z(I)");
  CHECK(t.leases().empty());
  CHECK_FALSE(t.machine().between_transactions());
  CHECK(t.machine().doing() == session_machine::activity::running);
  CHECK(t.machine().waiting_parts().empty());

  const std::string read = "Q(" + by_key(t, 0, "SELECT name FROM customers") + ")";
  t.client(read);
  CHECK(t.asked("s0").empty());
  t.cancel();
  t.deadlock();
  CHECK(t.leases().empty());
  SECTION("which have answered") {
    t.server("s1", "C(COMMIT PREPARED) Z(I)");
  }
  SECTION("of which one cannot") {
    t.server("s1", "E(42704 gone) Z(I)");
  }
  SECTION("of which one is lost") {
    t.lose("s1");
  }
  CHECK(t.leases().find("-s0") != std::string::npos);
  CHECK(t.asked("s0") == read);
  t.server("s0", "T(name) D(x) C(SELECT 1) Z(I)");
  CHECK(t.told() == "T(name) D(x) C(SELECT 1) Z(I)");
  CHECK(t.machine().between_transactions());
}

TEST_CASE("a client that leaves with its answer is seen to have left when all have committed") {
  machine_script t{decided()};
  write_in_transaction(t);
  t.client("Q(COMMIT)");
  decide(t);
  t.client("X");
  CHECK(t.leases().empty());
  t.server("s1", "C(COMMIT PREPARED) Z(I)");
  CHECK(t.leases() == "-s0 -s1 *");
}

TEST_CASE("a statement over both shards is complete when its transaction is decided") {
  machine_script t{decided()};
  SECTION("alone") {
    t.client(write_both);
    for (const char* server : {"s0", "s1"}) t.server(server, "C(BEGIN) Z(T) C(UPDATE 2) Z(T)");
    decide(t);
    CHECK(t.told() == "C(UPDATE 4) Z(I)");
  }
  SECTION("in a pipeline") {
    t.client("P(/UPDATE customers SET name = 'x') B(/) E() S");
    for (const char* server : {"s0", "s1"}) t.server(server, "C(BEGIN) Z(T) 1 2 C(UPDATE 2) Z(T)");
    CHECK(t.told() == "1 2 C(UPDATE 4)");
    decide(t);
    CHECK(t.told() == "Z(I)");
  }
  SECTION("as the last of a text") {
    t.client("Q(UPDATE customers SET name = 'x'; UPDATE customers SET name = 'y')");
    for (const char* server : {"s0", "s1"}) t.server(server, "C(BEGIN) Z(T) C(UPDATE 2) Z(T)");
    for (const char* server : {"s0", "s1"}) t.server(server, "C(UPDATE 2) Z(T)");
    CHECK(t.told() == "C(UPDATE 4)");
    decide(t);
    CHECK(t.told() == "C(UPDATE 4) Z(I)");
  }
  SECTION("in a text that ends with COMMIT") {
    t.client("Q(BEGIN; UPDATE customers SET name = 'x'; COMMIT)");
    for (const char* server : {"s0", "s1"}) t.server(server, "C(BEGIN) Z(T) C(UPDATE 2) Z(T)");
    CHECK(t.told() == "C(BEGIN) C(UPDATE 4)");
    decide(t);
    CHECK(t.told() == "C(COMMIT) Z(I)");
  }
  CHECK(t.asked("s1") == commit_prepared);
  t.server("s1", "C(COMMIT PREPARED) Z(I)");
  CHECK(t.told().empty());
  CHECK(t.leases().ends_with("-s0 -s1"));
}

TEST_CASE("what is not decided is told as ever") {
  machine_script t{decided()};
  write_in_transaction(t);
  t.client("Q(COMMIT)");
  t.server("s0", "C(INSERT 0 1) Z(T)");
  SECTION("a shard does not prepare") {
    t.server("s1", "E(23503 broken) Z(I)");
    CHECK(t.told().empty());
    t.server("s0", "C(ROLLBACK) Z(I)");
    CHECK(t.told() == "E(23503) Z(I)");
  }
  SECTION("the one that decides is lost") {
    t.server("s1", "C(PREPARE TRANSACTION) Z(I)");
    t.lose("s0");
    CHECK(t.told().starts_with("E(08007"));
  }
}

TEST_CASE("a commit is answered at its end where more comes with its answer") {
  machine_script t{decided()};
  std::string told, more;
  SECTION("AND CHAIN") {
    write_in_transaction(t);
    t.client("Q(COMMIT AND CHAIN)");
    told = "C(COMMIT) Z(T)";
  }
  SECTION("another statement in the text") {
    write_in_transaction(t);
    t.client("Q(COMMIT; SHOW pgbraid.target)");
    told = "C(COMMIT)";
  }
  SECTION("another message before Sync") {
    write_in_transaction(t);
    t.client("P(/COMMIT) B(/) E() C(P/) S");
    (void)t.told();
    told = "C(COMMIT) 3 Z(I)";
  }
  SECTION("a definition, of which others must know first") {
    t.client("Q(CREATE TABLE made (id int REFERENCES customers))");
    t.server("s0", "C(BEGIN) Z(T) C(CREATE TABLE) Z(T)");
    t.server("s1", "C(BEGIN) Z(T) C(CREATE TABLE) Z(T)");
    told = "C(CREATE TABLE) Z(I)";
  }
  decide(t);
  CHECK(t.asked("s1") == commit_prepared);
  CHECK(t.told().empty());
  t.server("s1", "C(COMMIT PREPARED) Z(I)");
  CHECK(t.told().starts_with(told));
}

TEST_CASE("who listens is told of the end of a commit when everything has been heard") {
  machine_script t{decided()};
  t.client("Q(LISTEN a)");
  t.caught_up();
  write_in_transaction(t);
  t.client("Q(COMMIT)");
  decide(t);
  CHECK(t.told().empty());
  t.server("s1", "C(COMMIT PREPARED) Z(I)");
  t.caught_up();
  CHECK(t.told() == "C(COMMIT) Z(I)");
}

TEST_CASE("what was written is noted for others' reads when all have committed it") {
  auto options = decided();
  options.global = true;
  machine_script t{options};
  const auto noted = [&] { return t.marks().last_of_all(t.mark_seed(1)) != steady_time::min(); };
  write_in_transaction(t);
  t.client("Q(COMMIT)");
  decide(t);
  CHECK_FALSE(noted());
  t.server("s1", "C(COMMIT PREPARED) Z(I)");
  CHECK(noted());
}
