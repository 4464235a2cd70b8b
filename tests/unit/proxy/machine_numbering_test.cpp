// The session's machine and COPY FROM whose rows get numbers of a sequence: who draws, who is sent what and when, and
// what is told when something fails or is lost meanwhile.
#include <catch2/catch.hpp>

#include "machine_script.hpp"
#include "tests/unit/router_plan/fixture.hpp"

using namespace pgbraid::proxy;
using namespace pgbraid::proxy::test;

namespace {

const std::string copy = "COPY customers (id) FROM STDIN", numbered = "COPY customers (id, \"name\") FROM STDIN";

script_options with_sequence() {
  script_options options = two_shards(true);
  options.alter_catalog = [](pgbraid::router::catalog& schema) {
    schema.relations["public.customers"].columns[1].draws = "nextval('public.ids'::regclass)";
  };
  return options;
}

/// A copy that both servers have been asked for.
struct numbering {
  machine_script t;
  std::string a, b;

  explicit numbering(const script_options& options = with_sequence()) : t{options} {
    a = std::to_string(pgbraid::router::test::keys_on(t.map(), 0, 1).front());
    b = std::to_string(pgbraid::router::test::keys_on(t.map(), 1, 1).front());
    t.client("Q(" + copy + ")");
    CHECK(t.asked("s0") == "Q(BEGIN) Q(" + copy + ")");
    CHECK(t.asked("s1") == "Q(BEGIN) Q(" + numbered + ")");
    t.server("s0", "C(BEGIN) Z(T) G");
    CHECK(t.told().empty());
    t.server("s1", "C(BEGIN) Z(T) G");
    CHECK(t.told() == "G");
  }
  void send(const std::string& rows) {
    std::string frame;
    pgbraid::protocol::encode_copy_data(frame, rows);
    t.client_bytes(frame);
  }
  /// What the first shard has been asked: `before`, and then for so many numbers.
  void check_drawn(const std::string& before, std::size_t rows) {
    const std::string asked = t.asked("s0");
    CHECK(asked.starts_with(before + "Q(SELECT ((nextval('public.ids'::regclass)))::pg_catalog.text"));
    CHECK(asked.ends_with("FROM pg_catalog.generate_series(1, " + std::to_string(rows) + "))"));
  }
  void roll_back() {
    t.server("s0", "C(ROLLBACK) Z(I)");
    t.server("s1", "C(ROLLBACK) Z(I)");
  }
};

}  // namespace

TEST_CASE("rows go to their servers with their numbers", "[numbering]") {
  numbering n;
  n.send(n.a + "\n" + n.b + "\n");
  n.check_drawn("c ", 2);
  CHECK(n.t.asked("s1").empty());
  n.t.server("s0", "C(COPY 0) Z(T) D(7|false) D(8|false) C(SELECT 2) Z(T)");
  CHECK(n.t.asked("s1") == "d(" + n.b + "\t8)");
  CHECK(n.t.asked("s0").empty());
  n.send(n.a + "\n");
  n.check_drawn("", 1);
  n.t.server("s0", "D(9) C(SELECT 1) Z(T)");
  n.t.client("c");
  CHECK(n.t.asked("s0") == "Q(" + numbered + ") d(" + n.a + "\t7\n" + n.a + "\t9) c");
  CHECK(n.t.asked("s1") == "c");
  n.t.server("s1", "C(COPY 1) Z(T)");
  n.t.server("s0", "G C(COPY 2) Z(T)");
  n.t.server("s0", "C(INSERT 0 1) Z(T)");
  n.t.server("s1", "C(PREPARE TRANSACTION) Z(I)");
  n.t.server("s0", "C(COMMIT) Z(I)");
  n.t.server("s1", "C(COMMIT PREPARED) Z(I)");
  CHECK(n.t.told() == "C(COPY 3) Z(I)");
}

TEST_CASE("the client's end waits for the numbers of its rows", "[numbering]") {
  numbering n;
  n.send(n.b);
  CHECK(n.t.asked("s0").empty());
  n.t.client("c Q(SELECT 1)");
  n.check_drawn("c ", 1);
  CHECK(n.t.asked("s1").empty());
  n.t.server("s0", "C(COPY 0) Z(T) D(7|false) C(SELECT 1) Z(T)");
  CHECK(n.t.asked("s1") == "d(" + n.b + "\t7) c");
  CHECK(n.t.asked("s0").empty());
  n.t.server("s1", "C(COPY 1) Z(T)");
  CHECK_FALSE(n.t.asked("s0").empty());  // the commit
}

TEST_CASE("without rows the client's own COPY is all that the first shard does", "[numbering]") {
  numbering n;
  n.t.client("c");
  CHECK(n.t.asked("s0") == "c");
  CHECK(n.t.asked("s1") == "c");
  n.t.server("s0", "C(COPY 0) Z(T)");
  n.t.server("s1", "C(COPY 0) Z(T)");
  CHECK_FALSE(n.t.asked("s0").empty());
}

TEST_CASE("what fails while rows get numbers fails on all servers, and is told once", "[numbering]") {
  numbering n;
  n.send(n.a + "\n" + n.b + "\n");
  n.check_drawn("c ", 2);
  SECTION("a number cannot be drawn: rows in front of it are looked at") {
    n.t.server("s0", "C(COPY 0) Z(T) D(7|false) E(2200H no more) Z(E)");
    CHECK(n.t.asked("s1").ends_with("f"));
    n.t.server("s1", "E(57014 failed) Z(E)");
    n.roll_back();
    CHECK(n.t.told() == "E(2200H) Z(I)");
  }
  SECTION("another server finds an error: what the first one has is looked at too") {
    n.t.server("s0", "C(COPY 0) Z(T) D(7|false) D(8|false) C(SELECT 2) Z(T)");
    n.t.server("s1", "E(22P02 bad)");
    CHECK(n.t.asked("s0").starts_with("Q(" + numbered + ") d(" + n.a + "\t7"));
    n.t.server("s1", "Z(E)");
    CHECK(n.t.told().empty());
    n.t.server("s0", "G E(57014 failed) Z(E)");
    n.roll_back();
    CHECK(n.t.told() == "E(22P02) Z(I)");
  }
  SECTION("the same while numbers are on their way") {
    n.t.server("s1", "E(22P02 bad) Z(E)");
    CHECK(n.t.told().empty());
    n.t.server("s0", "C(COPY 0) Z(T) D(7|false) D(8|false) C(SELECT 2) Z(T)");
    n.roll_back();
    CHECK(n.t.told() == "E(22P02) Z(I)");
  }
  SECTION("the server that draws is lost") {
    n.t.lose("s0");
    CHECK(n.t.asked("s1").ends_with("f"));
    n.t.server("s1", "E(57014 failed) Z(E)");
    n.t.server("s1", "C(ROLLBACK) Z(I)");
    CHECK(n.t.told() == "E(08006) Z(I)");
  }
  SECTION("it is lost while it owes nothing") {
    n.t.server("s0", "C(COPY 0) Z(T) D(7|false) D(8|false) C(SELECT 2) Z(T)");
    n.t.lose("s0");
    CHECK(n.t.asked("s1").ends_with("f"));
    n.t.server("s1", "E(57014 failed) Z(E)");
    n.t.server("s1", "C(ROLLBACK) Z(I)");
    CHECK(n.t.told() == "E(08006) Z(I)");
  }
  SECTION("the client gives up") {
    n.t.server("s0", "C(COPY 0) Z(T) D(7|false) D(8|false) C(SELECT 2) Z(T)");
    n.t.client("f");
    CHECK(n.t.asked("s0") == "Q(" + numbered + ") d(" + n.a + "\t7) f");
    n.t.server("s0", "G E(57014 failed) Z(E)");
    n.t.server("s1", "E(57014 failed) Z(E)");
    n.roll_back();
    CHECK(n.t.told() == "E(57014) Z(I)");
  }
  SECTION("a cancel request stops the drawing") {
    n.t.cancel();
    n.t.server("s0", "C(COPY 0) Z(T) E(57014 cancelled) Z(E)");
    n.t.server("s1", "E(57014 cancelled) Z(E)");
    n.roll_back();
    CHECK(n.t.told() == "E(57014) Z(I)");
  }
  CHECK(n.t.machine().between_transactions());
}

TEST_CASE("numbers are refused to COPY by the extended protocol", "[numbering]") {
  machine_script t{with_sequence()};
  t.client("P(/" + copy + ") B(/) E S");
  for (const char* shard : {"s0", "s1"}) t.server(shard, "C(BEGIN) Z(T) 1 2");
  for (const char* shard : {"s0", "s1"}) t.server(shard, "Z(T)");
  CHECK(t.told().find("E(0A000)") != std::string::npos);
}

namespace {

const std::string countries = "COPY countries (code) FROM STDIN";

/// A copy into a reference table for which the first server takes data.
struct copies {
  machine_script t;

  explicit copies(std::size_t max_gather = 1000, std::size_t chunk = 0) : t{options_of(max_gather, chunk)} {
    t.client("Q(" + countries + ")");
    CHECK(t.asked("s0") == "Q(BEGIN) Q(" + countries + ")");
    CHECK(t.asked("s1") == "Q(BEGIN)");
    t.server("s1", "C(BEGIN) Z(T)");
    t.server("s0", "C(BEGIN) Z(T) G");
    CHECK(t.told() == "G");
  }
  static script_options options_of(std::size_t max_gather, std::size_t chunk) {
    script_options options = two_shards(true);
    options.max_gather = max_gather;
    options.client_chunk = chunk;
    options.alter_catalog = [](pgbraid::router::catalog& schema) {
      pgbraid::router::column& name = schema.relations["public.countries"].columns[1];
      name.default_varies = true;
      name.draws = "nextval('public.ids'::regclass)";
    };
    return options;
  }
  void check_drawn(std::size_t rows) {
    CHECK(t.asked("s0") ==
          "c Q(SELECT ((nextval('public.ids'::regclass)))::pg_catalog.text FROM "
          "pg_catalog.generate_series(1, " +
              std::to_string(rows) + "))");
  }
  void roll_back() {
    t.server("s0", "C(ROLLBACK) Z(I)");
    t.server("s1", "C(ROLLBACK) Z(I)");
  }
};

}  // namespace

TEST_CASE("rows of a reference table have their numbers before any copy gets them", "[numbering]") {
  for (const std::size_t chunk : {0, 1, 7}) {
    copies c{1000, chunk};
    c.t.client("d(DE\nF) d(R\n)");
    CHECK(c.t.asked("s0").empty());
    c.t.client("c");
    c.check_drawn(2);
    c.t.server("s0", "C(COPY 0) Z(T) D(7) D(8) C(SELECT 2) Z(T)");
    const std::string rows = "d(DE\t7\nFR\t8) c";
    const std::string statement = "Q(COPY countries (code, \"name\") FROM STDIN)";
    CHECK(c.t.asked("s0") == statement + " " + rows);
    CHECK(c.t.asked("s1").empty());
    c.t.server("s0", "G C(COPY 2) Z(T)");
    CHECK(c.t.asked("s1") == statement);
    c.t.server("s1", "G");
    CHECK(c.t.asked("s1") == rows);
    c.t.server("s1", "C(COPY 2) Z(T)");
    c.t.server("s0", "C(INSERT 0 1) Z(T)");
    c.t.server("s1", "C(PREPARE TRANSACTION) Z(I)");
    c.t.server("s0", "C(COMMIT) Z(I)");
    c.t.server("s1", "C(COMMIT PREPARED) Z(I)");
    CHECK(c.t.told() == "C(COPY 2) Z(I)");
  }
}

TEST_CASE("what fails before a reference table's copies get their rows fails once", "[numbering]") {
  copies c{20};
  SECTION("the client's own statement") {
    c.t.client("d(DE) c");
    c.check_drawn(1);
    c.t.server("s0", "E(22P04 header) Z(E) E(25P02 aborted) Z(E)");
    c.roll_back();
    CHECK(c.t.told() == "E(22P04) Z(I)");
  }
  SECTION("a number cannot be drawn") {
    c.t.client("d(DE) c");
    c.check_drawn(1);
    c.t.server("s0", "C(COPY 0) Z(T) E(2200H no more) Z(E)");
    c.roll_back();
    CHECK(c.t.told() == "E(2200H) Z(I)");
  }
  SECTION("a row is wrong") {
    c.t.client("d(DE) c");
    c.check_drawn(1);
    c.t.server("s0", "C(COPY 0) Z(T) D(7) C(SELECT 1) Z(T)");
    c.t.server("s0", "G E(23505 twice) Z(E)");
    c.roll_back();
    CHECK(c.t.told() == "E(23505) Z(I)");
  }
  SECTION("the client gives up") {
    c.t.client("d(DE\n) f");
    c.check_drawn(1);
    c.t.server("s0", "C(COPY 0) Z(T) D(7) C(SELECT 1) Z(T)");
    CHECK(c.t.asked("s0") == "Q(COPY countries (code, \"name\") FROM STDIN) d(DE\t7) f");
    c.t.server("s0", "G E(57014 failed) Z(E)");
    c.roll_back();
    CHECK(c.t.told() == "E(57014) Z(I)");
  }
  SECTION("more than may be kept") {
    c.t.client("d(123456789\n123456789\n123456789\n) c");
    CHECK(c.t.asked("s0") == "f");
    c.t.server("s0", "E(57014 failed) Z(E)");
    c.roll_back();
    CHECK(c.t.told() == "E(53400) Z(I)");
  }
  SECTION("a cancel request while the client sends, in the middle of a message") {
    std::string frame;
    pgbraid::protocol::encode_copy_data(frame, "DE\nFR\n");
    c.t.client_bytes(frame.substr(0, 8));
    c.t.cancel();
    c.t.server("s0", "E(57014 cancelled) Z(E)");
    CHECK(c.t.asked("s0").find("d(") == std::string::npos);
    c.t.client_bytes(frame.substr(8));
    c.roll_back();
    CHECK(c.t.told() == "E(57014) Z(I)");
  }
  CHECK(c.t.machine().between_transactions());
}
