// Statements that go over one shard after the other: the way, what is told on it, what is passed over when it is gone
// again, and everything that may happen in between.
#include <catch2/catch.hpp>

#include "machine_script.hpp"

using namespace pgbraid::proxy::test;

namespace {

const std::string vacuum = "Q(VACUUM customers)";
const std::string create = "CREATE INDEX CONCURRENTLY by_name ON customers (name)";
const std::string drop = "DROP INDEX CONCURRENTLY by_name";
const std::string absent = "C(SELECT 0) Z(I)";
// Usable; nobody builds one; its table; its name.
const std::string there = "D(t|f|public.customers|public|by_name) C(SELECT 1) Z(I)";
const std::string invalid = "D(f|f|public.customers|public|by_name) C(SELECT 1) Z(I)";
const std::string same = "C(CREATE TABLE) C(CREATE INDEX) D(t) C(SELECT 1) N(25P01 no transaction) C(ROLLBACK) Z(I)";
const std::string made = "C(CREATE INDEX) Z(I)";

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("one shard after the other, and one answer", "[round]") {
  machine_script t{two_shards()};
  t.client(vacuum);
  CHECK(t.leases() == "+s0");
  CHECK(t.asked("s0") == vacuum);
  t.server("s0", "N(00000 its own) C(VACUUM) Z(I)");
  CHECK(t.told() == "N(00000) N(00000)");
  CHECK(t.leases() == "-s0 +s1");
  CHECK(t.asked("s1") == vacuum);
  t.server("s1", "C(VACUUM) Z(I)");
  CHECK(t.told() == "N(00000) C(VACUUM) Z(I)");
  CHECK(t.leases() == "-s1");
}

TEST_CASE("progress is told as each shard is done", "[round]") {
  machine_script t{two_shards()};
  t.client(vacuum);
  t.server("s0", "C(VACUUM) Z(I)");
  CHECK(has(t.raw_told(), "shard \"s0\": done (1 of 2)"));
  t.server("s1", "C(VACUUM) Z(I)");
  CHECK(has(t.raw_told(), "shard \"s1\": done (2 of 2)"));
}

TEST_CASE("the extended protocol goes the same way", "[round]") {
  machine_script t{two_shards()};
  t.client("P(/VACUUM customers) D(S ) B(/) D(P ) E() S");
  CHECK(t.told() == "1 t n 2 n");
  CHECK(t.asked("s0") == vacuum);
  t.server("s0", "C(VACUUM) Z(I)");
  t.server("s1", "C(VACUUM) Z(I)");
  CHECK(t.told() == "N(00000) N(00000) C(VACUUM) Z(I)");
  CHECK(t.leases() == "+s0 -s0 +s1 -s1");
  t.client("P(a/VACUUM orders) S B(/a/) E() S");
  t.server("s0", "E(42501 not yours) Z(I)");
  CHECK(t.told() == "1 Z(I) 2 E(42501) Z(I)");
  CHECK(t.asked("s1") == vacuum);
}

TEST_CASE("what comes behind it in a pipeline is a transaction of its own", "[round]") {
  machine_script t{two_shards()};
  t.client("P(/VACUUM customers) B(/) E() P(/SELECT 1) B(/) E() S");
  t.server("s0", "C(VACUUM) Z(I)");
  t.server("s1", "C(VACUUM) Z(I)");
  CHECK(t.told() == "1 2 N(00000) N(00000) C(VACUUM)");
}

TEST_CASE("within a block it is an error", "[round]") {
  machine_script t{two_shards(true)};
  t.client("Q(BEGIN) " + vacuum + " Q(ROLLBACK) Q(BEGIN) Q(" + create + ") Q(ROLLBACK)");
  CHECK(t.told() == "C(BEGIN) Z(T) E(25001) Z(E) C(ROLLBACK) Z(I) C(BEGIN) Z(T) E(25001) Z(E) C(ROLLBACK) Z(I)");
}

TEST_CASE("ANALYZE goes one by one outside of a block, and on all in one transaction within", "[round]") {
  machine_script t{two_shards(true)};
  t.client("Q(ANALYZE customers)");
  CHECK(t.asked("s0") == "Q(ANALYZE customers)");
  CHECK(t.leases() == "+s0");
  t.server("s0", "C(ANALYZE) Z(I)");
  t.server("s1", "C(ANALYZE) Z(I)");
  (void)t.told(), (void)t.asked("s1");
  t.client("Q(BEGIN) Q(ANALYZE customers)");
  CHECK(t.asked("s0") == "Q(BEGIN) Q(ANALYZE customers)");
  t.server("s0", "C(BEGIN) Z(T) C(ANALYZE) Z(T)");
  CHECK(t.asked("s1") == "Q(BEGIN) Q(ANALYZE customers)");
  t.server("s1", "C(BEGIN) Z(T) C(ANALYZE) Z(T)");
  CHECK(t.told() == "C(BEGIN) Z(T) C(ANALYZE) Z(T)");
}

TEST_CASE("LOCK TABLE is for blocks, and locks the first shard first", "[round]") {
  machine_script t{two_shards(true)};
  t.client("Q(LOCK TABLE customers)");
  CHECK(t.told() == "E(25P01) Z(I)");
  t.client("P(/LOCK TABLE customers) B(/) E() S");
  CHECK(t.asked("s0") == "P(/LOCK TABLE customers) H");
  t.server("s0", "1");
  CHECK(t.asked("s0") == "S");
  t.server("s0", "Z(I)");
  CHECK(t.told() == "1 E(25P01) Z(I)");
  machine_script u{two_shards(true)};
  u.client("Q(BEGIN) Q(LOCK TABLE customers)");
  CHECK(u.asked("s0") == "Q(BEGIN) Q(LOCK TABLE customers)");
  CHECK(u.asked("s1") == "Q(BEGIN)");
  u.server("s0", "C(BEGIN) Z(T) C(LOCK TABLE) Z(T)");
  CHECK(u.asked("s1") == "Q(LOCK TABLE customers)");
  u.server("s1", "C(BEGIN) Z(T) C(LOCK TABLE) Z(T)");
  CHECK(u.told() == "C(BEGIN) Z(T) C(LOCK TABLE) Z(T)");
}

TEST_CASE("a failure says where it is done", "[round]") {
  machine_script t{two_shards()};
  t.client(vacuum);
  SECTION("of the first: as it came") {
    t.server("s0", "E(42P01 no such table) Z(I)");
    CHECK_FALSE(has(t.raw_told(), "done on"));
    CHECK(t.leases() == "+s0 -s0");
  }
  SECTION("of another") {
    t.server("s0", "C(VACUUM) Z(I)");
    t.server("s1", "E(57014 cancelled) Z(I)");
    const std::string told = t.raw_told();
    CHECK(has(told, "This is shard s1; it is done on: s0."));
    CHECK(has(told, "Run the statement again"));
    CHECK(t.leases() == "+s0 -s0 +s1 -s1");
  }
  SECTION("a server that is lost") {
    t.server("s0", "C(VACUUM) Z(I)");
    (void)t.told();
    t.lose("s1");
    CHECK(t.told() == "E(40003) Z(I)");
  }
  // Nothing is left behind.
  (void)t.told(), (void)t.asked("s0"), (void)t.leases();
  t.client(vacuum);
  CHECK(t.leases() == "+s0");
}

TEST_CASE("a cancelled client is heard on the shard at work", "[round]") {
  machine_script t{two_shards()};
  t.client(vacuum);
  t.server("s0", "C(VACUUM) Z(I)");
  (void)t.leases();
  t.cancel();
  CHECK(t.leases() == "?s1");
  t.server("s1", "E(57014 cancelled) Z(I)");
  CHECK(t.told() == "N(00000) E(57014) Z(I)");
}

TEST_CASE("a client that cancels while it waits for a connection", "[round]") {
  script_options options = two_shards();
  options.hold_leases = true;
  machine_script t{options};
  t.client(vacuum);
  t.grant();
  t.server("s0", "C(VACUUM) Z(I)");
  t.cancel();
  CHECK(has(t.raw_told(), "it is done on: s0."));
}

TEST_CASE("an index is asked for everywhere before it is made anywhere", "[round]") {
  machine_script t{two_shards()};
  t.client("Q(" + create + ")");
  CHECK(t.asked("s0").starts_with("Q(SELECT i.indisvalid"));
  t.server("s0", absent);
  CHECK(t.asked("s1").starts_with("Q(SELECT i.indisvalid"));
  CHECK(t.asked("s0").empty());
  SECTION("it is nowhere") {
    t.server("s1", absent);
    CHECK(t.asked("s0") == "Q(" + create + ")");
    t.server("s0", made);
    CHECK(t.asked("s1") == "Q(" + create + ")");
    t.server("s1", made);
    CHECK(t.told() == "N(00000) N(00000) C(CREATE INDEX) Z(I)");
  }
  SECTION("it stands on one, which is passed over") {
    t.server("s1", there);
    CHECK(has(t.asked("s1"), "CREATE INDEX ON public."));
    t.server("s1", same);
    CHECK(t.asked("s0") == "Q(" + create + ")");
    t.server("s0", made);
    CHECK(t.asked("s1").empty());
    CHECK(t.told() == "N(00000) N(00000) C(CREATE INDEX) Z(I)");
  }
  SECTION("a cut short one is made anew") {
    t.server("s1", invalid);
    t.server("s0", made);
    // Much may have happened since.
    CHECK(t.asked("s1").starts_with("Q(SELECT i.indisvalid"));
    SECTION("if it is there still") {
      t.server("s1", invalid);
      CHECK(t.asked("s1") == "Q(DROP INDEX CONCURRENTLY public.by_name)");
      t.server("s1", "C(DROP INDEX) Z(I)");
      CHECK(t.asked("s1") == "Q(" + create + ")");
      t.server("s1", made);
      CHECK(t.told() == "N(00000) N(00000) C(CREATE INDEX) Z(I)");
    }
    SECTION("if nobody has repaired it") {
      t.server("s1", there);
      CHECK(t.asked("s1") == "Q(" + create + ")");
      t.server("s1", "E(42P07 there already) Z(I)");
      CHECK(t.told() == "N(00000) E(42P07) Z(I)");
    }
    SECTION("if nobody has taken it away") {
      t.server("s1", absent);
      CHECK(t.asked("s1") == "Q(" + create + ")");
      t.server("s1", made);
      CHECK(t.told() == "N(00000) N(00000) C(CREATE INDEX) Z(I)");
    }
  }
  SECTION("another of its name: that shard says so, before anything is done") {
    t.server("s1", there);
    t.server("s1", "C(CREATE TABLE) C(CREATE INDEX) D(f) C(SELECT 1) C(ROLLBACK) Z(I)");
    CHECK(t.asked("s0").empty());
    CHECK(t.asked("s1").ends_with("Q(" + create + ")"));
    t.server("s1", "E(42P07 there already) Z(I)");
    CHECK(t.told() == "E(42P07) Z(I)");
  }
  SECTION("one of which nothing can be told is another") {
    t.server("s1", there);
    t.server("s1", "E(42501 no new tables) Z(I)");
    CHECK(t.asked("s1").ends_with("Q(" + create + ")"));
    CHECK(t.told().empty());
  }
}

TEST_CASE("an index that stands everywhere is there already", "[round]") {
  machine_script t{two_shards()};
  t.client("Q(" + create + ")");
  t.server("s0", there);
  t.server("s0", same);
  t.server("s1", there);
  t.server("s1", same);
  CHECK(t.asked("s0").ends_with("Q(" + create + ")"));
  t.server("s0", "E(42P07 there already) Z(I)");
  CHECK(t.told() == "E(42P07) Z(I)");
}

TEST_CASE("an index is dropped where it is", "[round]") {
  machine_script t{two_shards()};
  t.client("Q(" + drop + ")");
  SECTION("on one of them") {
    t.server("s0", absent);
    t.server("s1", there);
    CHECK(t.asked("s1").ends_with("Q(" + drop + ")"));
    t.server("s1", "C(DROP INDEX) Z(I)");
    CHECK(t.told() == "N(00000) N(00000) C(DROP INDEX) Z(I)");
  }
  SECTION("nowhere: a server says so") {
    t.server("s0", absent);
    t.server("s1", absent);
    t.server("s0", "E(42704 no such index) Z(I)");
    CHECK(t.told() == "E(42704) Z(I)");
  }
  SECTION("of different tables: of none") {
    t.server("s0", there);
    t.server("s1", "D(t|f|public.orders|public|by_name) C(SELECT 1) Z(I)");
    CHECK(t.told() == "E(XX000) Z(I)");
  }
  SECTION("of a table of one shard: there alone") {
    t.server("s0", "D(t|f|public.settings|public|by_name) C(SELECT 1) Z(I)");
    t.server("s1", absent);
    t.server("s0", "C(DROP INDEX) Z(I)");
    CHECK(t.told() == "C(DROP INDEX) Z(I)");
  }
}

TEST_CASE("a server lost before anything is done is asked anew", "[round]") {
  machine_script t{two_shards()};
  t.client("Q(" + create + ")");
  t.server("s0", absent);
  t.lose("s1");
  CHECK(t.told().empty());
  CHECK(t.asked("s0").ends_with(t.asked("s1").empty() ? ")" : ""));
  t.server("s0", absent);
  t.server("s1", absent);
  t.server("s0", made);
  t.server("s1", made);
  CHECK(t.told() == "N(00000) N(00000) C(CREATE INDEX) Z(I)");
}
