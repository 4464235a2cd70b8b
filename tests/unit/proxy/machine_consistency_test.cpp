// pgbraid.consistency_token in the session's machine, and what reads must see when all sessions' writes count.
#include <catch2/catch.hpp>

#include "machine_script.hpp"
#include "router/plan/route.hpp"

using namespace pgbraid::proxy;
using namespace pgbraid::proxy::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t first_cluster = 0x100;

// Shard i is cluster 0x100 + i, on timeline 2, which took over timeline 1 up to 0/5000.
void know_servers(machine_script& t) {
  auto state = std::make_shared<database_state>(t.state());
  const auto history = std::make_shared<const timeline_history>(timeline_history{{{1, 0x5000}}});
  for (std::size_t i = 0; i < state->shards.size(); ++i) {
    shard_state& shard = state->shards[i];
    shard.system_identifier = first_cluster + i;
    shard.timeline = 2;
    shard.history = history;
  }
  t.take_state(std::move(state));
}

std::string token(std::vector<wal_position> positions) {
  consistency_token made;
  for (const wal_position& p : positions) demand(made, p);
  return to_text(made);
}

std::string set(const std::string& value) {
  return "Q(SET pgbraid.consistency_token = '" + value + "')";
}

const std::string asked_position =
    "Q(SELECT pg_catalog.concat(pg_catalog.pg_current_wal_insert_lsn(), ' ', "
    "pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn())))";
const std::string position = "T(concat) D(0/7A30 000000020000000000000001) C(SELECT 1) Z(I)";
const std::string show = "Q(SHOW pgbraid.consistency_token)";
const std::string shown = "T(pgbraid.consistency_token) ";

}  // namespace

TEST_CASE("SHOW asks the primary of what was written, once") {
  machine_script t{{.replicas = true}};
  know_servers(t);
  t.touched = {0};
  t.client(show);
  CHECK(t.asked("s0") == asked_position);
  CHECK(t.leases() == "+s0");
  t.server("s0", position);
  CHECK(t.told() == shown + "D(" + token({{first_cluster, 2, 0x7A30}}) + ") C(SHOW) Z(I)");
  CHECK(t.leases() == "-s0");
}

TEST_CASE("a position that has a page's header behind it alone is the page's") {
  machine_script t{{}};
  know_servers(t);
  t.touched = {0};
  t.client(show);
  t.server("s0", "T(concat) D(1/4018 000000020000000100000001) C(SELECT 1) Z(I)");
  CHECK(t.told() == shown + "D(" + token({{first_cluster, 2, 0x1'0000'4000}}) + ") C(SHOW) Z(I)");
}

TEST_CASE("who has written nothing has an empty token, and nobody is asked") {
  machine_script t{{}};
  know_servers(t);
  t.client(show);
  CHECK(t.told() == shown + "D C(SHOW) Z(I)");
  CHECK(t.leases().empty());
}

TEST_CASE("several shards make a vector, with what was demanded before") {
  machine_script t{{.shards = 3}};
  know_servers(t);
  t.touched = {0, 2};
  t.known = {{first_cluster + 1, 2, 0x10}, {first_cluster + 2, 2, 0x9000}};
  t.client(show);
  t.server("s2", "T(concat) D(0/8100 000000020000000000000001) C(SELECT 1) Z(I)");
  CHECK(t.told().empty());
  t.server("s0", position);
  CHECK(t.told() ==
        shown + "D(" +
            token({{first_cluster, 2, 0x7A30}, {first_cluster + 1, 2, 0x10}, {first_cluster + 2, 2, 0x9000}}) +
            ") C(SHOW) Z(I)");
}

TEST_CASE("in the extended protocol it is a row of one text column") {
  machine_script t{{}};
  know_servers(t);
  t.touched = {0};
  const std::string row = "D(" + token({{first_cluster, 2, 0x7A30}}) + ") C(SHOW)";
  SECTION("statement described") {
    t.client("P(a/SHOW pgbraid.consistency_token) D(S a) S B(/a/) E() S");
    t.server("s0", position);
    CHECK(t.told() == "1 t T(pgbraid.consistency_token) Z(I) 2 " + row + " Z(I)");
  }
  SECTION("portal described, with others around") {
    t.client("P(/SELECT name FROM customers) B(//) E() P(b/SHOW pgbraid.consistency_token) B(/b/) D(P ) E() S");
    t.server("s0", "1 2 D(x) C(SELECT 1)");
    // A simple query on the batch's own connection would end its implicit transaction.
    CHECK(t.leases() == "+s0 +s0");
    t.server("s0", position);
    CHECK(t.leases() == "-s0");
    CHECK(t.told() == "1 2 D(x) C(SELECT 1) 1 2 T(pgbraid.consistency_token) " + row);
  }
}

TEST_CASE("a transaction's own writes have no position before they are committed") {
  machine_script t{{.replicas = true}};
  know_servers(t);
  t.client("Q(BEGIN) Q(UPDATE customers SET name = 'x' WHERE id = 1) " + show);
  t.server("s0", "C(BEGIN) Z(T) C(UPDATE 1) Z(T)");
  CHECK(t.told() == "C(BEGIN) Z(T) C(UPDATE 1) Z(T) E(25001) Z(E)");
  t.client("Q(ROLLBACK)");
  t.server("s0", "C(ROLLBACK) Z(I)");
  t.client("P(/UPDATE customers SET name = 'x') B(//) E() P(b/SHOW pgbraid.consistency_token) B(/b/) E() S");
  t.server("s0", "1 2 C(UPDATE 1)");
  CHECK(t.told().find("C(UPDATE 1) 1 2 E(25001)") != std::string::npos);
}

TEST_CASE("a transaction that has only read asks beside itself") {
  machine_script t{{.replicas = true}};
  know_servers(t);
  t.touched = {0};
  t.client("Q(BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY) Q(SELECT name FROM customers WHERE id = 1) " + show);
  t.server("s0r", "C(BEGIN) Z(T)");
  t.server("s0r", "D(x) C(SELECT 1) Z(T)");
  CHECK(t.leases() == "+s0r +s0");
  CHECK(t.asked("s0") == asked_position);
  t.server("s0", position);
  CHECK(t.told() ==
        "C(BEGIN) Z(T) D(x) C(SELECT 1) Z(T) " + shown + "D(" + token({{first_cluster, 2, 0x7A30}}) + ") C(SHOW) Z(T)");
  CHECK(t.leases() == "-s0");
  t.client("Q(SELECT name FROM customers WHERE id = 2)");
  t.server("s0r", "D(y) C(SELECT 1) Z(T)");
  CHECK(t.told() == "D(y) C(SELECT 1) Z(T)");
}

TEST_CASE("a primary that cannot say where it is makes SHOW fail") {
  machine_script t{{.hold_leases = true}};
  know_servers(t);
  t.touched = {0};
  SECTION("by an error") {
    t.client(show);
    t.grant();
    t.server("s0", "E(55000 recovery is in progress) Z(I)");
    CHECK(t.told() == "E(55000) Z(I)");
  }
  SECTION("by its end, after which the next one is asked") {
    t.client(show);
    t.grant();
    t.lose("s0");
    CHECK(t.told().empty());
    t.grant();
    t.server("s0", position);
    CHECK(t.told() == shown + "D(" + token({{first_cluster, 2, 0x7A30}}) + ") C(SHOW) Z(I)");
  }
  SECTION("by a row that is none") {
    t.client(show);
    t.grant();
    t.server("s0", "T(concat) D(x) C(SELECT 1) Z(I)");
    CHECK(t.told() == "E(08006) Z(I)");
  }
  SECTION("by a cancel while it waits") {
    t.client(show);
    t.cancel();
    CHECK(t.told() == "E(57014) Z(I)");
  }
}

TEST_CASE("SET is taken by the session alone") {
  machine_script t{{.shards = 2, .replicas = true}};
  know_servers(t);
  const std::vector<wal_position> both{{first_cluster, 2, 0x9000}, {first_cluster + 1, 1, 0x5000}};
  t.client(set(token(both)));
  CHECK(t.told() == "C(SET) Z(I)");
  CHECK(t.leases() == "m");
  CHECK(t.remembered() == both);
  SECTION("and forgotten") {
    const std::string way = GENERATE("RESET pgbraid.consistency_token", "SET pgbraid.consistency_token = ''",
                                     "SET pgbraid.consistency_token TO DEFAULT");
    t.client("Q(" + way + ")");
    CHECK(t.remembered().empty());
    CHECK(t.leases() == "m");
  }
  SECTION("in the extended protocol") {
    t.client("P(/SET pgbraid.consistency_token = '" + token({both[0]}) + "') B(//) E() S");
    CHECK(t.told() == "1 2 C(SET) Z(I)");
    CHECK(t.remembered() == consistency_token{both[0]});
  }
  SECTION("not by a function, since the server would take it for a setting of its own") {
    t.client("Q(SELECT set_config('pgbraid.consistency_token', '', false))");
    CHECK(t.told() == "E(0A000) Z(I)");
  }
  SECTION("as one of several statements, which are seen by themselves") {
    t.client("Q(SET pgbraid.consistency_token = ''; SELECT 1)");
    CHECK(t.told() == "C(SET)");
  }
}

TEST_CASE("tokens that cannot be right are refused") {
  machine_script t{{.shards = 2, .replicas = true}};
  know_servers(t);
  const std::string bad = GENERATE("nonsense", "16/B374D848", "pgb1.100-2-9000", "pgb1.100-2-9000.00000000");
  t.client(set(bad));
  CHECK(t.raw_told().find("C22023") != std::string::npos);
  SECTION("of another system") {
    t.client(set(token({{first_cluster, 2, 0x10}, {0x999, 2, 0x10}})));
    const std::string told = t.raw_told();
    CHECK(told.find("C22023") != std::string::npos);
    CHECK(told.find("none of its shards has system identifier 2457") != std::string::npos);
  }
  SECTION("of what a promotion has lost") {
    t.client(set(token({{first_cluster, 1, 0x5001}})));
    const std::string told = t.raw_told();
    CHECK(told.find("C22023") != std::string::npos);
    CHECK(told.find("0/5001 of timeline 1, which was followed up to 0/5000 only") != std::string::npos);
  }
  CHECK(t.leases().empty());
}

TEST_CASE("a transaction that is on a replica leaves it when a token is set") {
  machine_script t{{.replicas = true}};
  know_servers(t);
  const std::string statement = set(token({{first_cluster, 2, 0x9000}}));
  SECTION("READ COMMITTED: by the next statement") {
    t.client("Q(BEGIN) Q(SELECT name FROM customers)");
    t.server("s0r", "C(BEGIN) Z(T) D(x) C(SELECT 1) Z(T)");
    t.client(statement + " Q(SELECT name FROM customers)");
    CHECK(t.leases() == "+s0r m +s0");
  }
  SECTION("REPEATABLE READ: it has its snapshot") {
    t.client("Q(BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY) Q(SELECT name FROM customers)");
    t.server("s0r", "C(BEGIN) Z(T)");
    t.server("s0r", "D(x) C(SELECT 1) Z(T)");
    (void)t.told();
    t.client(statement);
    CHECK(t.told() == "E(25001) Z(E)");
  }
}

TEST_CASE("where all sessions' writes count, they are noted when they end") {
  machine_script t{{.replicas = true, .global = true}};
  const std::uint64_t seed = t.mark_seed(0);
  const auto last = [&](const char* table) {
    return t.marks().last(seed, std::vector<std::uint32_t>{pgbraid::router::table_mark(table)});
  };
  const steady_time never = steady_time::min();
  t.client("Q(BEGIN) Q(UPDATE customers SET name = 'x' WHERE id = 1)");
  t.server("s0", "C(BEGIN) Z(T) C(UPDATE 1) Z(T)");
  CHECK(last("public.customers") == never);
  t.client("Q(COMMIT)");
  CHECK(last("public.customers") == never);
  t.server("s0", "C(COMMIT) Z(I)");
  CHECK(last("public.customers") != never);
  CHECK(last("public.orders") == never);
  CHECK(t.marks().last_of_all(seed) != never);
  const steady_time first = last("public.customers");

  SECTION("reads ask for what they read") {
    t.client("Q(SELECT name FROM customers)");
    CHECK(t.floor() == first);
    t.server("s0r", "D(x) C(SELECT 1) Z(I)");
    t.client("Q(SELECT 1 FROM orders)");
    CHECK(t.floor() == never);
    t.server("s0r", "D(x) C(SELECT 1) Z(I)");
    t.client("Q(SELECT 1 FROM orders JOIN customers ON true)");
    CHECK(t.floor() == first);
  }
  SECTION("a snapshot that stays must have everything") {
    t.client("Q(BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY) Q(SELECT 1 FROM orders)");
    CHECK(t.floor() == first);
  }
  SECTION("what nobody can see through counts for all tables") {
    t.client("Q(DO 'BEGIN END')");
    t.server("s0", "C(DO) Z(I)");
    CHECK(last("public.orders") > first);
  }
  SECTION("where definitions have changed since the catalog was read, every table may be meant") {
    t.client("Q(CREATE TRIGGER x AFTER UPDATE ON customers EXECUTE FUNCTION f())");
    t.server("s0", "C(CREATE TRIGGER) Z(I)");
    const steady_time defined = last("public.orders");
    CHECK(defined > first);
    t.client("Q(UPDATE customers SET name = 'y' WHERE id = 1)");
    t.server("s0", "C(UPDATE 1) Z(I)");
    CHECK(last("public.orders") > defined);
    auto read_again = std::make_shared<database_state>(t.state());
    read_again->schema_as_of = last("public.orders");
    const steady_time before = last("public.orders");
    t.take_state(std::move(read_again));
    t.client("Q(UPDATE customers SET name = 'z' WHERE id = 1)");
    t.server("s0", "C(UPDATE 1) Z(I)");
    CHECK(last("public.orders") == before);
    CHECK(last("public.customers") > before);
  }
  SECTION("a replica that will not do any more is left") {
    t.shows = first - 1ns;
    t.client("Q(BEGIN) Q(SELECT 1 FROM orders)");
    t.server("s0r", "C(BEGIN) Z(T) D(x) C(SELECT 1) Z(T)");
    (void)t.leases();
    t.client("Q(SELECT 1 FROM orders)");
    CHECK(t.leases().empty());
    t.server("s0r", "D(x) C(SELECT 1) Z(T)");
    t.client("Q(SELECT name FROM customers)");
    CHECK(t.leases() == "+s0");
  }
}
