// Numbers of sequences that a worker has drawn ahead: who gets them, and who does not.
#include <catch2/catch.hpp>

#include "machine_script.hpp"
#include "tests/unit/router_plan/fixture.hpp"

using namespace pgbraid::proxy;
using namespace pgbraid::proxy::test;

namespace {

script_options in_blocks() {
  script_options options = two_shards(true);
  options.blocks = 3;
  options.alter_catalog = [](pgbraid::router::catalog& schema) {
    auto& id = schema.relations["public.customers"].columns[0];
    id.has_default = id.default_varies = true;
    id.default_text = id.draws = "nextval('public.ids'::regclass)";
  };
  return options;
}

const std::string insert = "INSERT INTO customers (name) VALUES ('a')";

std::string with_number(const std::string& number) {
  return "INSERT INTO customers (name, \"id\") VALUES ('a', '" + number + "')";
}

/// A session whose first INSERT has drawn three keys of the second shard.
struct drawn {
  machine_script t{in_blocks()};
  std::vector<std::string> keys;

  drawn() {
    for (const auto key : pgbraid::router::test::keys_on(t.map(), 1, 4)) keys.push_back(std::to_string(key));
    t.client("Q(" + insert + ")");
    CHECK(t.asked("s0").find("generate_series") != std::string::npos);
    t.server("s0", "1 2 D(" + keys[0] + ") D(" + keys[1] + ") D(" + keys[2] + ") C(SELECT 3) Z(I)");
    CHECK(t.asked("s1") == "Q(" + with_number(keys[0]) + ")");
    t.server("s1", "C(INSERT 0 1) Z(I)");
    CHECK(t.told() == "C(INSERT 0 1) Z(I)");
    (void)t.leases();
  }
  /// The first shard is asked for numbers again.
  bool draws_anew() {
    t.client("Q(" + insert + ")");
    return t.asked("s0").find("nextval") != std::string::npos;
  }
};

}  // namespace

TEST_CASE("what one INSERT has drawn too many the next ones take", "[blocks]") {
  drawn d;
  SECTION("without a word to the first shard") {
    d.t.client("Q(BEGIN) Q(" + insert + ") Q(COMMIT)");
    CHECK(d.t.asked("s1") == "Q(BEGIN) Q(" + with_number(d.keys[1]) + ")");
    d.t.server("s1", "C(BEGIN) Z(T) C(INSERT 0 1) Z(T)");
    CHECK(d.t.asked("s1") == "Q(COMMIT)");
    d.t.server("s1", "C(COMMIT) Z(I)");
    CHECK(d.t.leases() == "+s1 -s1");
  }
  SECTION("by the extended protocol, until there are none") {
    for (const std::size_t n : {1u, 2u}) {
      d.t.client("P(/" + insert + ") B(/) E() S");
      d.t.server("s0", "1");
      CHECK(d.t.asked("s0").find("nextval") == std::string::npos);
      CHECK(d.t.asked("s1").find(with_number(d.keys[n])) != std::string::npos);
      d.t.server("s1", "1 2 C(INSERT 0 1)");
      d.t.server("s0", "Z(I)");
      d.t.server("s1", "Z(I)");
      CHECK(d.t.told() == "1 2 C(INSERT 0 1) Z(I)");
    }
    CHECK(d.draws_anew());
  }
  SECTION("not more than there are") {
    d.t.client("Q(INSERT INTO customers (name) VALUES ('a'), ('b'), ('c'))");
    CHECK(d.t.asked("s0").find("nextval") != std::string::npos);
  }
}

TEST_CASE("who gets no number of a block", "[blocks]") {
  drawn d;
  SECTION("who has become another role") {
    d.t.client("Q(SET ROLE clerk)");
    CHECK_FALSE(d.draws_anew());
    d.t.server("s0", "C(SET) Z(I)");
    CHECK(d.t.asked("s0").find("nextval") != std::string::npos);
  }
  SECTION("who has set a sequence back") {
    d.t.client("Q(SELECT setval('ids', 1))");
    d.t.server("s0", "T(x) D(1) C(SELECT 1) Z(I)");
    d.t.server("s0", "C(SELECT 0) Z(I)");  // the probe for what must stay
    CHECK(d.draws_anew());
  }
  SECTION("nor anybody behind that, on whichever worker") {
    number_blocks::forget_everywhere();
    CHECK(d.draws_anew());
  }
  SECTION("who restarts one, until its transaction is over") {
    d.t.client("Q(BEGIN) Q(TRUNCATE customers RESTART IDENTITY)");
    d.t.server("s0", "C(BEGIN) Z(T) C(TRUNCATE TABLE) Z(T)");
    d.t.server("s1", "C(BEGIN) Z(T) C(TRUNCATE TABLE) Z(T)");
    (void)d.t.told();
    (void)d.t.asked("s0");
    d.t.client("Q(" + insert + ")");
    CHECK(d.t.asked("s0").ends_with("P(/SELECT (nextval('public.ids'::regclass))::pg_catalog.text) B(/) E S"));
  }
}

TEST_CASE("others get what a transaction has drawn when a crash can no longer take it back", "[blocks]") {
  drawn d;
  d.t.client("Q(INSERT INTO customers (name) VALUES ('a'), ('a'))");
  d.t.server("s1", "C(INSERT 0 2) Z(I)");
  CHECK(d.t.told() == "C(INSERT 0 2) Z(I)");
  (void)d.t.leases();
  d.t.client("Q(BEGIN) Q(" + insert + ")");
  d.t.server("s0", "C(BEGIN) Z(T)");
  CHECK(d.t.asked("s0").find("generate_series") != std::string::npos);
  d.t.server("s0", "1 2 D(" + d.keys[3] + ") D(" + d.keys[0] + ") D(" + d.keys[1] + ") C(SELECT 3) Z(T)");
  d.t.server("s1", "C(BEGIN) Z(T) C(INSERT 0 1) Z(T)");
  SECTION("itself gets it at once") {
    (void)d.t.asked("s1");
    d.t.client("Q(" + insert + ")");
    CHECK(d.t.asked("s1") == "Q(" + with_number(d.keys[0]) + ")");
  }
  SECTION("committed") {
    d.t.client("Q(COMMIT)");
    d.t.server("s0", "C(SELECT 1) C(COMMIT) Z(I)");
    d.t.server("s1", "C(COMMIT) Z(I)");
    CHECK_FALSE(d.draws_anew());
  }
  SECTION("rolled back") {
    d.t.client("Q(ROLLBACK)");
    d.t.server("s0", "C(ROLLBACK) Z(I)");
    d.t.server("s1", "C(ROLLBACK) Z(I)");
    CHECK(d.draws_anew());
  }
  SECTION("failed") {
    d.t.client("Q(COMMIT)");
    d.t.server("s0", "E(53100) Z(I)");
    d.t.server("s1", "C(ROLLBACK) Z(I)");
    CHECK_FALSE(d.draws_anew());
    d.t.server("s0", "C(RESET) Z(I)");  // what has been set there is not known
    CHECK(d.t.asked("s0").find("nextval") != std::string::npos);
  }
}

TEST_CASE("currval() does not tell what came before a block", "[blocks]") {
  drawn d;
  d.t.client("Q(SELECT currval('ids'))");
  CHECK(d.t.told() == "E(55000) Z(I)");
  // Having asked once, everybody on this worker draws where it can be asked for.
  d.t.client("Q(BEGIN) Q(" + insert + ")");
  d.t.server("s0", "C(BEGIN) Z(T)");
  CHECK(d.t.asked("s0").ends_with("P(/SELECT (nextval('public.ids'::regclass))::pg_catalog.text) B(/) E S"));
  d.t.server("s0", "1 2 D(" + d.keys[3] + ") C(SELECT 1) Z(T)");
  d.t.server("s1", "C(BEGIN) Z(T) C(INSERT 0 1) Z(T)");
  (void)d.t.told();
  d.t.client("Q(SELECT currval('ids'))");
  CHECK(d.t.asked("s0").ends_with("Q(SELECT currval('ids'))"));
}

TEST_CASE("a worker keeps two blocks of a sequence at most, however many sessions draw", "[blocks]") {
  number_blocks shared{3}, session{1};
  for (int i = 0; i < 9; i += 3) {
    std::vector<std::string> drawn{std::to_string(i), std::to_string(i + 1), std::to_string(i + 2)};
    session.keep("app", "'ids'::regclass", drawn, 1);
    shared.absorb(session);
  }
  std::vector<std::string> out;
  CHECK_FALSE(shared.take("app", "'ids'::regclass", 5, out));
  REQUIRE(shared.take("app", "'ids'::regclass", 4, out));
  CHECK(out == std::vector<std::string>{"1", "2", "4", "5"});
  CHECK_FALSE(shared.take("app", "'ids'::regclass", 1, out));
}
