// The session's machine, PREPARE and EXECUTE in SQL of what concerns two shards.
#include <catch2/catch.hpp>

#include <map>

#include "machine_script.hpp"
#include "tests/unit/router_plan/fixture.hpp"

using namespace pgbraid::proxy::test;

namespace {

/// Lets servers answer all that they are asked, one column and one row of it each, and notes what was asked.
class servers {
 public:
  /// `rows`: the statement gives some; `parameters`: bigints that it takes.
  servers(machine_script& t, bool rows, char parameters) : t_(t), rows_(rows), parameters_(parameters) {}

  void client(const std::string& line) {
    t_.client(line);
    const std::string leases = t_.leases();
    for (std::size_t at = leases.find('+'); at != std::string::npos; at = leases.find('+', at + 1))
      note(leases.substr(at + 1, 2));
    while (answer_one()) {
    }
  }

  /// All that a server has been asked by now.
  std::string asked(const std::string& server) { return asked_[server]; }

 private:
  void note(const std::string& server) { asked_.try_emplace(server); }

  bool answer_one() {
    for (auto& [server, all] : asked_) {
      const std::string asked = t_.asked(server);
      if (asked.empty()) continue;
      all += asked + " ";
      for (const noted& message : split_notation(asked)) answer(server, message);
      const std::string leases = t_.leases();
      for (const std::string each : {"s0", "s1"}) {
        if (leases.find("+" + each) != std::string::npos) note(each);
      }
      return true;
    }
    return false;
  }

  void answer(const std::string& server, const noted& message) {
    const std::string columns = rows_ ? "T(name)" : "n";
    switch (message.type) {
      case 'P':
        return t_.server(server, "1");
      case 'B':
        return t_.server(server, "2");
      case 'D': {
        if (message.text.starts_with("S")) {
          std::string described{'t', 0, 0, 0, static_cast<char>(6 + 4 * parameters_), 0, parameters_};
          for (char i = 0; i < parameters_; ++i) described.append({0, 0, 0, 20});
          t_.server_bytes(server, described);
        }
        return t_.server(server, columns);
      }
      case 'E':
        return t_.server(server, rows_ ? "D(" + server + ") C(SELECT 1)" : "C(UPDATE 1)");
      case 'S':
        return t_.server(server, begun_ ? "Z(T)" : "Z(I)");
      case 'Q':
        begun_ = message.text == "BEGIN";
        return t_.server(server, "C(" + message.text + ") " + (begun_ ? "Z(T)" : "Z(I)"));
      default:
        return;
    }
  }

  machine_script& t_;
  bool rows_, begun_ = false;
  char parameters_;
  std::map<std::string, std::string> asked_;
};

std::string key_on(const machine_script& t, pgbraid::router::shard_index shard) {
  return std::to_string(pgbraid::router::test::keys_on(t.map(), shard, 1).front());
}

constexpr const char* prepare_one = "Q(PREPARE one AS SELECT name FROM customers WHERE id = $1)";

}  // namespace

TEST_CASE("a statement with a key goes where its argument belongs") {
  machine_script t{two_shards()};
  servers all{t, true, 1};
  all.client(prepare_one);
  CHECK(t.told() == "C(PREPARE) Z(I)");
  for (const pgbraid::router::shard_index shard : {1, 0}) {
    const std::string key = key_on(t, shard), server = "s" + std::to_string(shard);
    all.client("Q(EXECUTE one (" + key + "))");
    CHECK(t.told() == "T(name) D(" + server + ") C(SELECT 1) Z(I)");
    CHECK(all.asked(server).ends_with("B(/own/" + key + ") D(P ) E S "));
  }
}

TEST_CASE("a statement of the protocol that concerns both is executed on both") {
  machine_script t{two_shards()};
  servers all{t, true, 0};
  all.client("P(wide/SELECT name FROM customers) S");
  CHECK(t.told() == "1 Z(I)");
  all.client("Q(EXECUTE wide)");
  CHECK(t.told() == "T(name) D(s0) D(s1) C(SELECT 2) Z(I)");
}

TEST_CASE("one that gives no rows tells no more than its completion") {
  machine_script t{two_shards()};
  servers all{t, false, 0};
  all.client("P(write/UPDATE customers SET name = 'x' WHERE id = " + key_on(t, 1) + ") S");
  (void)t.told();
  all.client("Q(EXECUTE write)");
  CHECK(t.told() == "C(UPDATE 1) Z(I)");
}

TEST_CASE("arguments are held against the parameters") {
  machine_script t{two_shards()};
  servers all{t, true, 1};
  all.client(prepare_one);
  (void)t.told();
  const std::string arguments = GENERATE("", " (1, 2)", " ((SELECT 1))", " ($1 + 1)");
  all.client("Q(EXECUTE one" + arguments + ")");
  const bool refused = arguments.ends_with("1))") || arguments.starts_with(" ($");
  CHECK(t.told() == (refused ? "E(0A000) Z(I)" : "E(42601) Z(I)"));
  all.client("Q(BEGIN) Q(EXECUTE one" + arguments + ")");
  CHECK(t.told() == std::string{"C(BEGIN) Z(T) "} + (refused ? "E(0A000) Z(E)" : "E(42601) Z(E)"));
}

TEST_CASE("what a server computes is not told, and is bound") {
  machine_script t{two_shards()};
  servers all{t, true, 1};
  all.client(prepare_one);
  (void)t.told();
  all.client("Q(EXECUTE one (1 + 1))");
  // The value here, a server's name, is no key.
  CHECK(t.told() == "T(name) D(s0) D(s1) C(SELECT 2) Z(I)");
  const std::string asked = all.asked("s0") + all.asked("s1");
  CHECK(asked.find("P(/SELECT 1 + 1)") != std::string::npos);
  CHECK(asked.find("FROM (SELECT 1 + 1) AS v(a0)") != std::string::npos);
}

TEST_CASE("a name that is taken, types that are not known") {
  machine_script t{two_shards()};
  servers all{t, true, 1};
  all.client(prepare_one);
  all.client(prepare_one);
  CHECK(t.told() == "C(PREPARE) Z(I) E(42P05) Z(I)");
  all.client("Q(PREPARE two (mood) AS SELECT name FROM customers WHERE id = 5)");
  CHECK(t.told() == "E(0A000) Z(I)");
  all.client("Q(DEALLOCATE one)");
  all.client(prepare_one);
  CHECK(t.told() == "C(DEALLOCATE) Z(I) C(PREPARE) Z(I)");
}

TEST_CASE("a statement that is wrong is not kept") {
  machine_script t{two_shards()};
  t.client("Q(PREPARE two AS SELECT nosuch FROM customers WHERE id = $1)");
  const std::string server = t.leases().substr(1);
  CHECK_FALSE(t.asked(server).empty());
  t.server(server, "E(42703 no such column) Z(I)");
  CHECK(t.told() == "E(42703) Z(I)");
  servers all{t, true, 1};
  all.client("Q(PREPARE two AS SELECT name FROM customers WHERE id = $1)");
  CHECK(t.told() == "C(PREPARE) Z(I)");
}

TEST_CASE("EXPLAIN EXECUTE goes where the argument belongs") {
  machine_script t{two_shards()};
  servers all{t, true, 1};
  all.client(prepare_one);
  (void)t.told();
  all.client("Q(EXPLAIN EXECUTE one (" + key_on(t, 1) + "))");
  CHECK(t.told() == "T(name) D(s1) C(SELECT 1) Z(I)");
  CHECK(all.asked("s1").find("EXPLAIN SELECT name FROM customers WHERE id = $1") != std::string::npos);
}

TEST_CASE("EXECUTE within a statement, or by the extended protocol, would see one shard") {
  machine_script t{two_shards()};
  servers all{t, true, 1};
  all.client(prepare_one);
  (void)t.told();
  all.client("Q(CREATE TABLE made AS EXECUTE one (1))");
  CHECK(t.told() == "E(0A000) Z(I)");
  all.client("P(/EXECUTE one (1)) B(/) E S");
  CHECK(t.told() == "E(0A000) Z(I)");
}
