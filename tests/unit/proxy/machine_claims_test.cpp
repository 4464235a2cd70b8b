// Values that must be unique over all shards: who is asked what before the statement, and what is told of a value that
// is there already.
#include <catch2/catch.hpp>

#include "machine_script.hpp"
#include "protocol/frontend.hpp"
#include "tests/unit/router_plan/fixture.hpp"

using namespace pgbraid::proxy;
using namespace pgbraid::proxy::test;

namespace {

script_options claiming() {
  script_options options = two_shards(true);
  options.alter_catalog = [](pgbraid::router::catalog& c) {
    c.no_claims.clear();
    c.relations["public.customers"].claimed = {{"email", "customers_email_key"}};
  };
  return options;
}

std::string key_on(const machine_script& t, pgbraid::router::shard_index shard, std::size_t nth = 0) {
  return std::to_string(pgbraid::router::test::keys_on(t.map(), shard, nth + 1)[nth]);
}

std::string insert(const machine_script& t, pgbraid::router::shard_index shard, const std::string& email = "'x'") {
  return "INSERT INTO customers (id, email) VALUES (" + key_on(t, shard) + ", " + email + ")";
}

std::string claim(const std::string& values, const std::string& elsewhere) {
  const auto array = [](const std::string& list) {
    std::string out;
    for (const char c : list) out += c == '\'' ? '"' : c;
    return "'{" + out + "}'";
  };
  return "Q(SELECT pgbraid.claim_values('\"public\".\"customers\"', 'email', " + array(values) + ", " +
         array(elsewhere) + "))";
}

const std::string free_value = "T(claim_values) D(~) C(SELECT 1) Z(T)";
const std::string taken_value = "T(claim_values) D(x) C(SELECT 1) Z(T)";

}  // namespace

TEST_CASE("the first shard is asked first, then the others, then the statement is carried out") {
  machine_script t{claiming()};
  const std::string sql = insert(t, 1);
  t.client("Q(" + sql + ")");
  CHECK(t.asked("s0") == "Q(BEGIN) " + claim("'x'", "'x'"));
  CHECK(t.asked("s1") == "Q(BEGIN)");
  t.server("s1", "C(BEGIN) Z(T)");
  t.server("s0", "C(BEGIN) Z(T) " + free_value);
  CHECK(t.asked("s1") == claim("'x'", ""));
  t.server("s1", free_value);
  CHECK(t.asked("s1") == "Q(" + sql + ")");
  t.server("s1", "C(INSERT 0 1) Z(T)");
  CHECK(t.told().empty());
  CHECK(t.asked("s0") == "Q(COMMIT)");
  CHECK(t.asked("s1") == "Q(COMMIT)");
  t.server("s0", "C(COMMIT) Z(I)");
  t.server("s1", "C(COMMIT) Z(I)");
  CHECK(t.told() == "C(INSERT 0 1) Z(I)");
}

TEST_CASE("a value that another shard has fails an INSERT, unless its own server has found something else") {
  for (const auto& [answer, told] : {std::pair<std::string, std::string>{"C(INSERT 0 1) Z(T)", "E(23505) Z(E)"},
                                     {"C(INSERT 0 0) Z(T)", "C(INSERT 0 0) Z(T)"},
                                     {"E(23514 check) Z(E)", "E(23514) Z(E)"}}) {
    machine_script t{claiming()};
    t.client("Q(BEGIN) Q(" + insert(t, 1) + ")");
    t.server("s1", "C(BEGIN) Z(T)");
    t.server("s0", "C(BEGIN) Z(T) " + taken_value);
    CHECK(t.asked("s1") == "Q(BEGIN) Q(" + insert(t, 1) + ")");
    (void)t.told();
    t.server("s1", answer);
    CHECK(t.told() == told);
  }
}

TEST_CASE("what is refused outside of a transaction leaves nothing behind") {
  machine_script t{claiming()};
  t.client("Q(UPDATE customers SET email = 'q' WHERE id IN (" + key_on(t, 0) + ", " + key_on(t, 1) + "))");
  CHECK(t.told() == "E(0A000) Z(I)");
  CHECK(t.leases().empty());
  t.client("Q(BEGIN) Q(SELECT name FROM customers WHERE id = " + key_on(t, 0) + ")");
  CHECK(t.asked("s0").starts_with("Q(BEGIN) Q(SELECT"));
}

TEST_CASE("a statement of the extended protocol is cancelled though its Parse has not been answered") {
  machine_script t{claiming()};
  t.client("Q(BEGIN) P(/" + insert(t, 0) + ") B(/) E() S");
  t.server("s1", "C(BEGIN) Z(T)");
  t.server("s0", "C(BEGIN) Z(T) 1 " + free_value);
  t.server("s1", free_value);
  (void)t.leases();
  t.cancel();
  CHECK(t.leases() == "?s0");
}

TEST_CASE("rows of several shards") {
  machine_script t{claiming()};
  t.client("Q(BEGIN) Q(INSERT INTO customers (id, email) VALUES (" + key_on(t, 0) + ", 'a'), (" + key_on(t, 1) +
           ", 'b'))");
  CHECK(t.asked("s0") == "Q(BEGIN) " + claim("'a','b'", "'b'"));
  t.server("s1", "C(BEGIN) Z(T)");
  (void)t.asked("s1");
  t.server("s0", "C(BEGIN) Z(T) " + free_value);
  CHECK(t.asked("s1") == claim("'a','b'", "'a'"));
  t.client("");
  t.server("s1", free_value);
  CHECK(t.asked("s0").starts_with("Q(INSERT"));
  CHECK(t.asked("s1").starts_with("Q(INSERT"));
}

TEST_CASE("the same value on two shards") {
  machine_script t{claiming()};
  t.client("Q(BEGIN) Q(INSERT INTO customers (id, email) VALUES (" + key_on(t, 0) + ", 'a'), (" + key_on(t, 1) +
           ", 'a'))");
  t.server("s0", "C(BEGIN) Z(T)");
  t.server("s1", "C(BEGIN) Z(T)");
  CHECK(t.asked("s0").find("claim_values") == std::string::npos);
  t.server("s0", "C(INSERT 0 1) Z(T)");
  t.server("s1", "C(INSERT 0 1) Z(T)");
  CHECK(t.told() == "C(BEGIN) Z(T) E(23505) Z(E)");
}

TEST_CASE("an UPDATE fails only if it changes a row") {
  for (const bool extended : {false, true}) {
    for (const bool changes : {false, true}) {
      machine_script t{claiming()};
      const std::string sql = "UPDATE customers SET email = 'x' WHERE id = " + key_on(t, 1);
      t.client("Q(BEGIN) " + (extended ? "P(/" + sql + ") B(/) E() S" : "Q(" + sql + ")"));
      t.server("s1", extended ? "C(BEGIN) Z(T) 1" : "C(BEGIN) Z(T)");
      t.server("s0", "C(BEGIN) Z(T) " + taken_value);
      const std::string asked = t.asked("s1");
      CHECK(asked.find("UPDATE") != std::string::npos);
      (void)t.told();
      const std::string done = changes ? "C(UPDATE 1)" : "C(UPDATE 0)";
      t.server("s1", extended ? "2 " + done + " Z(T)" : done + " Z(T)");
      const std::string told = t.told();
      INFO(told << " " << extended << " " << changes);
      CHECK((told.find("E(23505) Z(E)") != std::string::npos) == changes);
      CHECK((told.find("C(UPDATE 0) Z(T)") != std::string::npos) == !changes);
    }
  }
}

TEST_CASE("what ON CONFLICT makes of a row of another shard is refused") {
  machine_script t{claiming()};
  t.client("Q(" + insert(t, 1) + " ON CONFLICT DO NOTHING)");
  t.server("s1", "C(BEGIN) Z(T)");
  t.server("s0", "C(BEGIN) Z(T) " + taken_value);
  (void)t.asked("s0");
  (void)t.asked("s1");
  t.server("s0", "C(ROLLBACK) Z(I)");
  t.server("s1", "C(ROLLBACK) Z(I)");
  CHECK(t.told() == "E(0A000) Z(I)");
}

TEST_CASE("a shard that cannot be asked says why") {
  machine_script t{claiming()};
  t.client("Q(BEGIN) Q(" + insert(t, 1) + ")");
  t.server("s1", "C(BEGIN) Z(T)");
  t.server("s0", "C(BEGIN) Z(T) E(55P03 canceling statement due to lock timeout) Z(E)");
  CHECK(t.told() == "C(BEGIN) Z(T) E(55P03) Z(E)");
  CHECK(t.asked("s1") == "Q(BEGIN)");
}

TEST_CASE("nothing is claimed for NULL, nor for columns that are left out") {
  machine_script t{claiming()};
  t.client("Q(BEGIN) Q(" + insert(t, 1, "NULL") + ")");
  CHECK(t.leases() == "+s1");
  CHECK(t.asked("s1").starts_with("Q(BEGIN) Q(INSERT"));
}

TEST_CASE("a client that cancels while it waits") {
  machine_script t{claiming()};
  t.client("Q(BEGIN) Q(" + insert(t, 1) + ")");
  t.server("s1", "C(BEGIN) Z(T)");
  t.server("s0", "C(BEGIN) Z(T)");
  (void)t.leases();
  t.cancel();
  CHECK(t.leases() == "?s0");
  t.server("s0", "E(57014 canceling statement due to user request) Z(E)");
  CHECK(t.told() == "C(BEGIN) Z(T) E(57014) Z(E)");
}

TEST_CASE("a server that is lost while it is asked") {
  machine_script t{claiming()};
  t.client("Q(BEGIN) Q(" + insert(t, 1) + ")");
  t.server("s1", "C(BEGIN) Z(T)");
  t.server("s0", "C(BEGIN) Z(T)");
  t.lose("s0");
  CHECK(t.told() == "C(BEGIN) Z(T) E(08006) Z(E)");
}

TEST_CASE("values of COPY are claimed when its rows are there") {
  for (const bool taken : {false, true}) {
    machine_script t{claiming()};
    t.client("Q(BEGIN) Q(COPY customers (id, email) FROM STDIN)");
    t.server("s0", "C(BEGIN) Z(T) G");
    t.server("s1", "C(BEGIN) Z(T) G");
    std::string rows;
    pgbraid::protocol::encode_copy_data(rows, key_on(t, 0) + "\ta\n" + key_on(t, 1) + "\tx\n");
    t.client_bytes(rows);
    t.client("c");
    (void)t.asked("s0");
    (void)t.asked("s1");
    (void)t.told();
    t.server("s0", "C(COPY 1) Z(T)");
    CHECK(t.asked("s0").empty());
    t.server("s1", "C(COPY 1) Z(T)");
    CHECK(t.asked("s0") == claim("'a','x'", "'x'"));
    CHECK(t.told().empty());
    t.server("s0", taken ? taken_value : free_value);
    if (!taken) {
      CHECK(t.asked("s1") == claim("'a','x'", "'a'"));
      t.server("s1", free_value);
    }
    CHECK(t.told() == (taken ? "E(23505) Z(E)" : "C(COPY 2) Z(T)"));
  }
}

TEST_CASE("portals with a name are refused: both values would be looked for before either row is there") {
  machine_script t{claiming()};
  t.client("Q(BEGIN) P(/" + insert(t, 1) + ") B(p/) E(p) S");
  t.server("s1", "C(BEGIN) Z(T) 1");
  t.server("s1", "Z(T)");
  CHECK(t.told().find("E(0A000) Z(E)") != std::string::npos);
}

TEST_CASE("each execution of a prepared statement looks for its value") {
  machine_script t{claiming()};
  t.client("Q(BEGIN)");
  for (const pgbraid::router::shard_index shard : {0, 1}) {
    t.client("P(/INSERT INTO customers (id, email) VALUES (" + key_on(t, shard) + ", $1)) B(//x) E() S");
    if (shard == 0) {
      t.server("s1", "C(BEGIN) Z(T)");
      t.server("s0", "C(BEGIN) Z(T) 1");
    } else {
      t.server("s1", "1");
    }
    const std::string asked = t.asked("s0");
    INFO(asked);
    CHECK(asked.find(claim("'x'", shard == 0 ? "" : "'x'")) != std::string::npos);
    t.server("s0", shard == 0 ? free_value : taken_value);
    if (shard == 0) {
      t.server("s1", free_value);
      t.server("s0", "1 2 C(INSERT 0 1) Z(T)");
    }
  }
  t.server("s1", "2 C(INSERT 0 1) Z(T)");
  CHECK(t.told().ends_with("E(23505) Z(E)"));
}

TEST_CASE("a shard that has only held claims is lost while the row's own commits") {
  for (const bool first : {true, false}) {
    machine_script t{claiming()};
    const pgbraid::router::shard_index home = first ? 1 : 0;
    const std::string row = first ? "s1" : "s0", other = first ? "s0" : "s1";
    t.client("Q(BEGIN) Q(" + insert(t, home) + ")");
    t.server(row, "C(BEGIN) Z(T)");
    t.server(other, "C(BEGIN) Z(T)");
    t.server("s0", free_value);
    t.server("s1", free_value);
    t.server(row, "C(INSERT 0 1) Z(T)");
    t.client("Q(COMMIT)");
    (void)t.told();
    t.lose(other);
    CHECK(t.told().empty());
    t.server(row, "C(COMMIT) Z(I)");
    CHECK(t.told() == "C(COMMIT) Z(I)");
  }
}
