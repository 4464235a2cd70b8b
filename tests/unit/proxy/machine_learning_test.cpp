// What a transaction has defined itself: when its servers are asked, and what comes of their answers.
#include <catch2/catch.hpp>

#include "machine_script.hpp"

using namespace pgbraid::proxy;
using namespace pgbraid::proxy::test;

namespace {

/// Servers tell of one thing: a word, with "!" behind it while definitions move. There is a sharded table then,
/// public.made.
class taught : public own_definitions {
 public:
  [[nodiscard]] std::string first_text() const override { return "first"; }
  [[nodiscard]] std::string second_text(const answered_text& first) const override {
    return "second " + first.at(0).at(0).at(0).value_or("");
  }
  [[nodiscard]] bool moved_between(const reading& server) const override {
    return server.second.at(0).at(0).at(0).value_or("").ends_with("!");
  }
  [[nodiscard]] std::shared_ptr<const database_state> see(const database_state& published,
                                                          const std::vector<std::optional<reading>>& shards,
                                                          const is_made& made, steady_time began) const override {
    if (shards.size() != 2 || !shards[0] || !shards[1] || !made("made")) return nullptr;
    auto map = std::make_shared<pgbraid::router::topology>(*published.map);
    map->tables["public.made"] = {{"id"}};
    auto schema = std::make_shared<pgbraid::router::catalog>(*published.schema);
    pgbraid::router::relation made_table = schema->relations.at("public.customers");
    made_table.name = "made";
    schema->relations["public.made"] = made_table;
    auto state = std::make_shared<database_state>(published);
    state->map = std::move(map);
    state->schema = std::move(schema);
    state->schema_as_of = began;
    return state;
  }
};

void teach(machine_script& t) {
  auto state = std::make_shared<database_state>(t.state());
  state->definitions = std::make_shared<recent_definitions>();
  state->schema_as_of = std::chrono::steady_clock::now();
  state->own = std::make_shared<taught>();
  t.take_state(std::move(state));
}

void on_both(machine_script& t, const std::string& answers) {
  t.server("s0", answers);
  t.server("s1", answers);
}

/// Within BEGIN on both shards.
void make_table(machine_script& t, const std::string& sql = "CREATE TABLE made (id int, name text)",
                const std::string& tag = "CREATE TABLE") {
  t.client("Q(BEGIN) Q(" + sql + ")");
  on_both(t, "C(BEGIN) Z(T) C(" + tag + ") Z(T)");
  REQUIRE(t.told() == "C(BEGIN) Z(T) C(" + tag + ") Z(T)");
  (void)t.asked("s0");
  (void)t.asked("s1");
}

void they_answer(machine_script& t, const std::string& behind = "same") {
  on_both(t, "C(SAVEPOINT) T(a) D(word) C(SELECT 1) C(RELEASE) Z(T)");
  CHECK(t.asked("s0") == "Q(first) Q(second word)");
  CHECK(t.asked("s1") == "Q(first) Q(second word)");
  on_both(t, "C(SAVEPOINT) T(a) D(" + behind + ") C(SELECT 1) C(RELEASE) Z(T)");
}

const std::string one = "SELECT name FROM made WHERE id = 1";

}  // namespace

TEST_CASE("what goes by a table that the transaction has made waits until its servers have told") {
  machine_script t{two_shards(true)};
  teach(t);
  make_table(t);
  SECTION("by the simple protocol") {
    t.client("Q(SELECT name FROM made)");
    they_answer(t);
    CHECK(t.told().empty());
    CHECK(t.asked("s0") + t.asked("s1") == "Q(SELECT name FROM made)Q(SELECT name FROM made)");
    t.server("s0", "T(name) D(x) C(SELECT 1) Z(T)");
    t.server("s1", "T(name) C(SELECT 0) Z(T)");
    CHECK(t.told() == "T(name) D(x) C(SELECT 1) Z(T)");
    // Nothing more is asked.
    t.client("Q(" + one + ")");
    CHECK(t.asked("s0") + t.asked("s1") == "Q(" + one + ")");
  }
  SECTION("by the extended protocol, behind what is on its way") {
    t.client("P(/SELECT name FROM customers WHERE id = 1) B(//) E() P(/" + one + ") B(//) E() S");
    const std::string before = "P(/SELECT name FROM customers WHERE id = 1) B(/) E H";
    const std::string home = t.asked("s0") == before ? "s0" : "s1";
    if (home == "s1") CHECK(t.asked("s1") == before);
    t.server(home, "1 2 D(x) C(SELECT 1)");
    CHECK(t.told() == "1 2 D(x) C(SELECT 1)");
    they_answer(t);
    const std::string sent = t.asked("s0") + t.asked("s1");
    CHECK(sent.find("P(/" + one + ") B(/) E S") == 0);
    t.server(home, "1 2 D(y) C(SELECT 1) Z(T)");
    CHECK(t.told() == "1 2 D(y) C(SELECT 1) Z(T)");
  }
}

TEST_CASE("a cancel ends the question") {
  machine_script t{two_shards(true)};
  teach(t);
  make_table(t);
  t.client("Q(" + one + ")");
  (void)t.leases();
  t.cancel();
  CHECK(t.leases() == "?s0 ?s1");
}

TEST_CASE("a server that is lost amid the question fails the transaction") {
  machine_script t{two_shards(true)};
  teach(t);
  make_table(t);
  t.client("Q(" + one + ")");
  t.lose("s1");
  t.server("s0", "C(SAVEPOINT) T(a) D(word) C(SELECT 1) C(RELEASE) Z(T)");
  CHECK(t.told() == "E(08006) Z(E)");
  t.client("Q(ROLLBACK)");
  t.server("s0", "C(ROLLBACK) Z(I)");
  CHECK(t.told() == "C(ROLLBACK) Z(I)");
}

TEST_CASE("another topology has it learnt anew") {
  machine_script t{two_shards(true)};
  teach(t);
  make_table(t);
  t.client("Q(SELECT name FROM made)");
  they_answer(t);
  on_both(t, "T(name) C(SELECT 0) Z(T)");
  (void)t.asked("s0");
  (void)t.asked("s1");
  auto state = std::make_shared<database_state>(t.state());
  state->map = std::make_shared<pgbraid::router::topology>(*state->map);
  t.take_state(std::move(state));
  t.client("Q(SELECT name FROM made)");
  they_answer(t);
  CHECK(t.asked("s0") == "Q(SELECT name FROM made)");
}

TEST_CASE("definitions that are committed in the middle of a batch are waited for behind it") {
  machine_script t{two_shards(true)};
  teach(t);
  make_table(t);
  t.client("P(/COMMIT) B(//) E() P(/BEGIN) B(//) E() P(/" + one + ") B(//) E() S");
  t.server("s0", "C(INSERT 0 1) Z(T)");
  t.server("s1", "C(PREPARE TRANSACTION) Z(I)");
  t.server("s0", "C(COMMIT) Z(I)");
  t.server("s1", "C(COMMIT PREPARED) Z(I)");
  CHECK(t.state().definitions->latest("made") != steady_time::min());
  CHECK(t.machine().awaits_catalog());
}

TEST_CASE("the transaction's end takes it back") {
  machine_script t{two_shards(true)};
  teach(t);
  make_table(t);
  t.client("Q(" + one + ")");
  they_answer(t);
  (void)t.asked("s0");
  const bool first = t.asked("s1").empty();
  t.server(first ? "s0" : "s1", "T(name) C(SELECT 0) Z(T)");
  t.client("Q(ROLLBACK)");
  on_both(t, "C(ROLLBACK) Z(I)");
  (void)t.told();
  t.client("Q(" + one + ")");
  CHECK(t.machine().awaits_catalog());
}

TEST_CASE("definitions that others make meanwhile have it asked anew, not for ever") {
  machine_script t{two_shards(true)};
  teach(t);
  make_table(t);
  t.client("Q(" + one + ")");
  they_answer(t, "moved!");
  they_answer(t, "moved!");
  SECTION("until it is known") {
    they_answer(t);
    CHECK(t.told().empty());
  }
  SECTION("or is not") {
    for (int i = 0; i < 3; ++i) they_answer(t, "moved!");
    CHECK(t.told() == "E(55000) Z(E)");
  }
}

TEST_CASE("an error of a server that is asked is the statement's") {
  machine_script t{two_shards(true)};
  teach(t);
  make_table(t);
  t.client("Q(" + one + ")");
  t.server("s0", "C(SAVEPOINT) E(57014 cancelled) Z(E)");
  t.server("s1", "C(SAVEPOINT) T(a) D(word) C(SELECT 1) C(RELEASE) Z(T)");
  CHECK(t.told() == "E(57014) Z(E)");
  t.client("Q(ROLLBACK)");
  on_both(t, "C(ROLLBACK) Z(I)");
  CHECK(t.told() == "C(ROLLBACK) Z(I)");
}

TEST_CASE("going back behind what was learnt has it learnt anew, before anything else") {
  machine_script t{two_shards(true)};
  teach(t);
  make_table(t);
  t.client("Q(SAVEPOINT s) Q(ALTER TABLE made ADD more int)");
  on_both(t, "C(SAVEPOINT) Z(T)");
  on_both(t, "C(ALTER TABLE) Z(T)");
  REQUIRE(t.told() == "C(SAVEPOINT) Z(T) C(ALTER TABLE) Z(T)");
  (void)t.asked("s0");
  (void)t.asked("s1");
  t.client("Q(SELECT name FROM made)");
  they_answer(t);
  on_both(t, "T(name) C(SELECT 0) Z(T)");
  t.client("Q(ROLLBACK TO s)");
  on_both(t, "C(ROLLBACK) Z(T)");
  (void)t.asked("s0");
  (void)t.asked("s1");
  (void)t.told();
  // A table that nobody knew would be a new one, and empty.
  t.client("Q(CREATE UNIQUE INDEX ON made (name))");
  they_answer(t);
  CHECK(t.told() == "E(0A000) Z(E)");
}

TEST_CASE("in other encodings nothing is learnt") {
  machine_script t{two_shards(true)};
  teach(t);
  make_table(t);
  t.client("Q(SET LOCAL client_encoding = 'LATIN1')");
  on_both(t, "C(SET) Z(T)");
  CHECK(t.told() == "C(SET) Z(T)");
  t.client("Q(SELECT * FROM made)");
  CHECK(t.told() == "E(0A000) Z(E)");
}
