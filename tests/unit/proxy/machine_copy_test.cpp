// The session's machine and COPY FROM with rows of two shards: who is sent what, what ends it, and what is told when
// something fails or is lost.
#include <catch2/catch.hpp>

#include "machine_script.hpp"
#include "tests/unit/router_plan/fixture.hpp"

using namespace pgbraid::proxy;
using namespace pgbraid::proxy::test;

namespace {

const std::string copy = "COPY customers (id, name) FROM STDIN";

/// As the notation shows a message with these rows.
std::string shown(const std::string& rows) {
  return "d(" + rows.substr(0, rows.size() - 1) + ")";
}

/// A copy that both servers take data of, and rows for each.
struct copying {
  machine_script t;
  std::string a, b;

  explicit copying(script_options options = two_shards(true)) : t{options} {
    a = std::to_string(pgbraid::router::test::keys_on(t.map(), 0, 1).front()) + "\tx\n";
    b = std::to_string(pgbraid::router::test::keys_on(t.map(), 1, 1).front()) + "\ty\n";
  }
  void open(const std::string& messages, const std::string& before) {
    t.client(messages);
    t.server("s0", before + " G");
    CHECK(t.told().find('G') == std::string::npos);
    t.server("s1", before + " G");
    (void)t.asked("s0");
    (void)t.asked("s1");
  }
  void open() { open("Q(" + copy + ")", "C(BEGIN) Z(T)"); }
  void send(const std::string& rows) {
    std::string frame;
    pgbraid::protocol::encode_copy_data(frame, rows);
    t.client_bytes(frame);
  }
  void commit() {
    t.server("s0", "C(INSERT 0 1) Z(T)");
    t.server("s1", "C(PREPARE TRANSACTION) Z(I)");
    t.server("s0", "C(COMMIT) Z(I)");
    t.server("s1", "C(COMMIT PREPARED) Z(I)");
  }
  void roll_back() {
    t.server("s0", "C(ROLLBACK) Z(I)");
    t.server("s1", "C(ROLLBACK) Z(I)");
  }
};

}  // namespace

TEST_CASE("each server gets its own rows, and all commit together") {
  copying c;
  c.t.client("Q(" + copy + ")");
  CHECK(c.t.asked("s0") == "Q(BEGIN) Q(" + copy + ")");
  CHECK(c.t.asked("s1") == "Q(BEGIN) Q(" + copy + ")");
  c.t.server("s1", "C(BEGIN) Z(T) G");
  CHECK(c.t.told().empty());
  c.t.server("s0", "C(BEGIN) Z(T) G");
  CHECK(c.t.told() == "G");
  c.send(c.a + c.b + c.a);
  CHECK(c.t.asked("s0") == shown(c.a + c.a));
  CHECK(c.t.asked("s1") == shown(c.b));
  c.send(c.b);
  CHECK(c.t.asked("s0").empty());
  c.t.client("c");
  CHECK(c.t.asked("s0") == "c");
  c.t.server("s0", "C(COPY 2) Z(T)");
  CHECK(c.t.told().empty());
  c.t.server("s1", "C(COPY 2) Z(T)");
  CHECK(c.t.told().empty());
  c.commit();
  CHECK(c.t.told() == "C(COPY 4) Z(I)");
  CHECK(c.t.leases() == "+s0 +s1 -s0 -s1");
}

TEST_CASE("a server that ends a COPY before it was given data fails it") {
  copying c;
  c.t.client("Q(" + copy + ")");
  c.t.server("s0", std::string{"C(BEGIN) Z(T) G "} + GENERATE("C(COPY 0) Z(T)", "Z(T)"));
  c.t.server("s1", "C(BEGIN) Z(T) G");
  CHECK(c.t.asked("s1").ends_with(" d(xxxx) f"));
  c.t.server("s1", "E(57014 failed) Z(E)");
  CHECK(c.t.told().find("E(XX000)") != std::string::npos);
}

TEST_CASE("an error on one server ends it on the other, and is told when both have spoken") {
  copying c;
  c.open();
  CHECK(c.t.told() == "G");
  c.send(c.a + c.b);
  c.t.server("s1", "E(22P02 bad) Z(E)");
  CHECK(c.t.told().empty());
  CHECK(c.t.asked("s0") == shown(c.a) + " d(xxxx) f");
  // What the client still sends means nothing any more.
  c.send(c.a);
  c.t.server("s0", "E(57014 failed) Z(E)");
  CHECK(c.t.told() == "E(22P02)");
  c.roll_back();
  CHECK(c.t.told() == "Z(I)");
  c.t.client("c Q(SELECT 1)");
  c.t.server("s1", "T(a) D(1) C(SELECT 1) Z(I)");
  CHECK(c.t.told() == "T(a) D(1) C(SELECT 1) Z(I)");
}

TEST_CASE("of two errors the one is told that stands first in the client's data") {
  copying c;
  c.open();
  (void)c.t.told();
  c.send(c.b + c.a + c.a);
  const auto error = [](const char* state, const char* context) {
    std::string frame;
    const pgbraid::protocol::error_field fields[] = {
        {'S', "ERROR"}, {'V', "ERROR"}, {'C', state}, {'M', "no"}, {'W', context}};
    pgbraid::protocol::encode_error_response(frame, fields);
    return frame;
  };
  c.t.server_bytes("s0", error("22003", "COPY customers, line 2, column id: \"9\""));
  c.t.server_bytes("s1", error("23505", "COPY customers, line 1"));
  const std::string told = c.t.raw_told();
  CHECK(told.find("23505") != std::string::npos);
  CHECK(told.find("22003") == std::string::npos);
  CHECK(told.find("COPY customers, line 1") != std::string::npos);
}

TEST_CASE("places of errors are told in the client's data") {
  copying c;
  c.open();
  (void)c.t.told();
  c.send(c.b + c.b + c.a);
  std::string frame;
  const pgbraid::protocol::error_field fields[] = {
      {'S', "FEHLER"},
      {'V', "ERROR"},
      {'C', "22003"},
      {'M', "no"},
      {'W', "f\nCOPY customers, Zeile 1, Spalte id: \"COPY customers, line 1\""}};
  pgbraid::protocol::encode_error_response(frame, fields);
  c.t.server_bytes("s0", frame);
  c.t.server("s1", "E(57014 failed)");
  CHECK(c.t.raw_told().find("f\nCOPY customers, Zeile 3, Spalte id: \"COPY customers, line 1\"") != std::string::npos);
}

TEST_CASE("the client may give it up") {
  copying c;
  c.open();
  (void)c.t.told();
  c.t.client("f(enough)");
  CHECK(c.t.raw_asked("s0").find("enough") != std::string::npos);
  CHECK(c.t.raw_asked("s1").find("enough") != std::string::npos);
  c.t.server("s0", "E(57014 enough) Z(E)");
  c.t.server("s1", "E(57014 enough) Z(E)");
  c.roll_back();
  CHECK(c.t.told() == "E(57014) Z(I)");
}

TEST_CASE("a row without a key is given to a server that may say what is wrong") {
  copying c;
  c.open();
  (void)c.t.told();
  c.send(c.b + "\\N\tz\n" + c.a);
  CHECK(c.t.asked("s0") == "d(xxxx) f");
  CHECK(c.t.asked("s1") == shown(c.b + "\\N\tz\n") + " c");
  c.t.server("s0", "E(57014 failed) Z(E)");
  const bool knows = GENERATE(false, true);
  c.t.server("s1", knows ? "E(22P04 missing data) Z(E)" : "C(COPY 2) Z(T)");
  CHECK(c.t.told() == (knows ? "E(22P04)" : "E(23502)"));
  c.roll_back();
  CHECK(c.t.told() == "Z(I)");
}

TEST_CASE("a server that does not take the copy ends it on those that do") {
  copying c;
  const bool extended = GENERATE(false, true);
  c.t.client(extended ? "P(/" + copy + ") B(/) E() S" : "Q(" + copy + ")");
  const std::string before = extended ? "C(BEGIN) Z(T) 1 2 " : "C(BEGIN) Z(T) ";
  c.t.server("s0", before + "G");
  (void)c.t.asked("s0");
  c.t.server("s1", extended ? "C(BEGIN) Z(T) 1 E(42501 no) Z(E)" : before + "E(42501 no) Z(E)");
  // The Sync that it has been sent was passed over.
  CHECK(c.t.asked("s0") == (extended ? "d(xxxx) f S" : "d(xxxx) f"));
  c.t.server("s0", "E(57014 failed) Z(E)");
  c.roll_back();
  const std::string told = c.t.told();
  CHECK(told.ends_with("E(42501) Z(I)"));
  CHECK(told.find('G') == std::string::npos);
}

TEST_CASE("a server that is lost ends it") {
  copying c;
  c.open();
  (void)c.t.told();
  c.send(c.a);
  (void)c.t.asked("s1");
  c.t.lose("s0");
  CHECK(c.t.asked("s1") == "d(xxxx) f");
  c.t.server("s1", "E(57014 failed) Z(E)");
  c.t.server("s1", "C(ROLLBACK) Z(I)");
  CHECK(c.t.told() == "E(08006) Z(I)");
}

TEST_CASE("in the extended protocol the Sync behind the data counts") {
  copying c;
  c.open("P(/" + copy + ") B(/) E() S", "C(BEGIN) Z(T) 1 2");
  CHECK(c.t.told() == "G");
  c.send(c.a + c.b);
  c.t.client("c S");
  CHECK(c.t.asked("s0") == shown(c.a) + " c S");
  c.t.server("s0", "C(COPY 1) Z(T)");
  c.t.server("s1", "C(COPY 1) Z(T)");
  c.commit();
  CHECK(c.t.told() == "C(COPY 2) Z(I)");
}

TEST_CASE("an error in the extended protocol is followed by the client's Sync") {
  copying c;
  c.open("P(/" + copy + ") B(/) E() S", "C(BEGIN) Z(T) 1 2");
  (void)c.t.told();
  c.send(c.a);
  c.t.server("s0", "E(22P02 bad)");
  c.t.server("s1", "E(57014 failed)");
  CHECK(c.t.told() == "E(22P02)");
  c.t.client("c S");
  (void)c.t.asked("s0");
  c.t.server("s0", "Z(E)");
  c.t.server("s1", "Z(E)");
  c.roll_back();
  CHECK(c.t.told() == "Z(I)");
}

TEST_CASE("in a transaction of the client's it is a part of it") {
  copying c;
  c.t.client("Q(BEGIN)");
  CHECK(c.t.told() == "C(BEGIN) Z(T)");
  c.open();
  CHECK(c.t.told() == "G");
  c.send(c.a + c.b);
  c.t.client("c");
  c.t.server("s0", "C(COPY 1) Z(T)");
  c.t.server("s1", "C(COPY 1) Z(T)");
  CHECK(c.t.told() == "C(COPY 2) Z(T)");
}

TEST_CASE("however the bytes are cut, the same is sent") {
  const auto play = [](script_options options) {
    copying c{options};
    c.open();
    c.send(c.a + c.b + c.a);
    c.send(c.b);
    c.t.client("c");
    std::string rows = c.t.raw_asked("s0") + c.t.raw_asked("s1");
    c.t.server("s0", "C(COPY 2) Z(T)");
    c.t.server("s1", "C(COPY 2) Z(T)");
    c.commit();
    const std::string told = c.t.told();
    CHECK(told == "G C(COPY 4) Z(I)");
    CHECK(c.t.machine().between_transactions());
    return rows.size() > 0;
  };
  for (std::size_t chunk = 1; chunk < 20; ++chunk) {
    script_options options = two_shards(true);
    options.client_chunk = chunk;
    options.server_chunk = chunk % 3;
    CHECK(play(options));
  }
}

TEST_CASE("a reference table's copies are written one after the other") {
  copying c;
  c.t.client("Q(COPY countries FROM STDIN)");
  CHECK(c.t.asked("s0") == "Q(BEGIN) Q(COPY countries FROM STDIN)");
  CHECK(c.t.asked("s1") == "Q(BEGIN)");
  c.t.server("s1", "C(BEGIN) Z(T)");
  c.t.server("s0", "C(BEGIN) Z(T) G");
  CHECK(c.t.told() == "G");
  c.t.client("d(DE one) d(FR two) c");
  CHECK(c.t.asked("s0") == "d(DE one) d(FR two) c");
  CHECK(c.t.asked("s1").empty());
  c.t.server("s0", "C(COPY 2) Z(T)");
  CHECK(c.t.asked("s1") == "Q(COPY countries FROM STDIN)");
  c.t.server("s1", "G");
  CHECK(c.t.asked("s1") == "d(DE one) d(FR two) c");
  c.t.server("s1", "C(COPY 2) Z(T)");
  CHECK(c.t.told().empty());
  c.commit();
  CHECK(c.t.told() == "C(COPY 2) Z(I)");
}

TEST_CASE("a server that completes a write to a reference table twice is not believed") {
  copying c;
  c.t.client("Q(UPDATE countries SET name = name)");
  c.t.server("s1", "C(BEGIN) Z(T)");
  c.t.server("s0", "C(BEGIN) Z(T) C(UPDATE 1) C(UPDATE 1) Z(T)");
  c.t.server("s1", "C(ROLLBACK) Z(I)");
  CHECK(c.t.told() == "E(08006) Z(I)");
  CHECK(c.t.leases().find("!s0") != std::string::npos);
}

TEST_CASE("what is kept for the copies of a reference table is bounded") {
  script_options options = two_shards(true);
  options.max_gather = 20;
  copying c{options};
  c.t.client("Q(COPY countries FROM STDIN)");
  c.t.server("s1", "C(BEGIN) Z(T)");
  c.t.server("s0", "C(BEGIN) Z(T) G");
  (void)c.t.told();
  c.t.client("d(DE one) d(FR two two two)");
  (void)c.t.asked("s0");
  c.t.client("c");
  CHECK(c.t.asked("s0") == "f");
  c.t.server("s0", "E(57014 failed) Z(E)");
  c.roll_back();
  CHECK(c.t.told() == "E(53400) Z(I)");
}
