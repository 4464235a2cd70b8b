// The session's machine and what it listens to by way of a connection that it shares: when channels come into force,
// when notifications are told, and whose process id they bear. The client's own is 777.
#include <catch2/catch.hpp>

#include "machine_script.hpp"

using namespace pgbraid::proxy::test;
using pgbraid::config::pool_mode;

namespace {

constexpr const char* write_query = "Q(UPDATE customers SET name = 'x' WHERE id = 1)";

// It listens to `a`.
void listen(machine_script& t) {
  t.client("Q(LISTEN a)");
  CHECK(t.leases() == "hear(a) catch_up");
  CHECK(t.told().empty());
  t.caught_up();
  CHECK(t.told() == "C(LISTEN) Z(I)");
  (void)t.leases();
}

}  // namespace

TEST_CASE("LISTEN is answered when the shared backend listens, and needs no other") {
  machine_script t;
  listen(t);
  CHECK(t.machine().listens());
  t.notified(5, "a", "x");
  t.notified(5, "b");
  t.notified(6, "a");
  CHECK(t.told() == "A(5 a x) A(6 a)");
  t.client("Q(UNLISTEN a)");
  CHECK(t.told() == "C(UNLISTEN) Z(I)");
  CHECK(t.leases() == "hear()");
  CHECK_FALSE(t.machine().listens());
  t.notified(5, "a");
  CHECK(t.told().empty());
}

TEST_CASE("what was notified before LISTEN is in force is not told") {
  machine_script t;
  t.client("Q(LISTEN a)");
  t.notified(5, "a", "early");
  t.caught_up();
  CHECK(t.told() == "C(LISTEN) Z(I)");
}

TEST_CASE("notifications wait for the end of the transaction") {
  machine_script t;
  listen(t);
  t.client("Q(BEGIN)");
  (void)t.told();
  t.notified(5, "a", "x");
  CHECK(t.told().empty());
  SECTION("which touched no server") {
    t.client("Q(COMMIT)");
    CHECK(t.leases() == "catch_up");
    t.caught_up();
    CHECK(t.told() == "C(COMMIT) A(5 a x) Z(I)");
  }
  SECTION("which gave up the channel") {
    t.client("Q(UNLISTEN a) Q(COMMIT)");
    CHECK(t.told() == "C(UNLISTEN) Z(T) C(COMMIT) Z(I)");
    CHECK(t.leases() == "hear()");
  }
  SECTION("which wanted to give up the channel") {
    t.client("Q(UNLISTEN *) Q(ROLLBACK)");
    t.caught_up();
    CHECK(t.told() == "C(UNLISTEN) Z(T) C(ROLLBACK) A(5 a x) Z(I)");
    CHECK(t.machine().listens());
  }
}

TEST_CASE("a write is over when what it notified has been heard") {
  machine_script t;
  listen(t);
  t.client(write_query);
  t.set_pid("s0", 42);
  CHECK(t.asked("s0") == write_query);
  t.notified(5, "a", "other");
  t.server("s0", "C(UPDATE 1) Z(I)");
  CHECK(t.told() == "C(UPDATE 1)");
  CHECK(t.leases() == "+s0 catch_up");
  t.notified(42, "a", "own");
  CHECK(t.told().empty());
  t.caught_up();
  CHECK(t.told() == "A(5 a other) A(777 a own) Z(I)");
  CHECK(t.leases() == "-s0");
  // The process is another session's by now.
  t.notified(42, "a", "not own");
  CHECK(t.told() == "A(42 a not own)");
}

TEST_CASE("a read is told behind what was notified before it was asked") {
  machine_script t;
  listen(t);
  t.client("Q(SELECT name FROM customers WHERE id = 1)");
  t.server("s0", "T(name) D(x) C(SELECT 1) Z(I)");
  CHECK(t.told() == "T(name) D(x) C(SELECT 1)");
  t.notified(5, "a");
  t.caught_up();
  CHECK(t.told() == "A(5 a) Z(I)");
  CHECK(t.leases() == "+s0 catch_up -s0");
}

TEST_CASE("what another session has notified through the same process is heard first") {
  machine_script t;
  listen(t);
  t.client("Q(SELECT name FROM customers WHERE id = 1)");
  t.server("s0", "D(x) C(SELECT 1) Z(I)");
  t.caught_up();
  (void)t.asked("s0");
  (void)t.told();
  (void)t.leases();
  t.other_wrote("s0");
  t.set_pid("s0", 42);
  t.client(write_query);
  CHECK(t.leases() == "+s0 catch_up");
  CHECK(t.asked("s0").empty());
  t.notified(42, "a", "another's");
  t.caught_up();
  CHECK(t.asked("s0") == write_query);
  t.server("s0", "C(UPDATE 1) Z(I)");
  t.notified(42, "a", "own");
  t.caught_up();
  CHECK(t.told() == "C(UPDATE 1) A(42 a another's) A(777 a own) Z(I)");
}

TEST_CASE("LISTEN in a transaction comes into force with it") {
  machine_script t;
  t.client("Q(BEGIN) Q(LISTEN a)");
  CHECK(t.told() == "C(BEGIN) Z(T) C(LISTEN) Z(T)");
  CHECK(t.leases().empty());
  t.client(write_query);
  t.server("s0", "C(BEGIN) Z(T) C(UPDATE 1) Z(T)");
  CHECK(t.told() == "C(UPDATE 1) Z(T)");
  SECTION("at COMMIT") {
    t.client("Q(COMMIT)");
    CHECK(t.leases() == "+s0 hear(a) catch_up");
    (void)t.asked("s0");
    t.notified(5, "a", "early");
    t.caught_up();
    CHECK(t.asked("s0") == "Q(COMMIT)");
    t.notified(5, "a", "between");
    SECTION("that succeeds") {
      t.server("s0", "C(COMMIT) Z(I)");
      CHECK(t.told() == "C(COMMIT)");
      t.caught_up();
      CHECK(t.told() == "A(5 a between) Z(I)");
      CHECK(t.leases() == "catch_up hear(a) -s0");
    }
    SECTION("that fails") {
      t.server("s0", "E(23505 deferred) Z(I)");
      CHECK(t.told() == "E(23505) Z(I)");
      CHECK(t.leases() == "hear() -s0");
      CHECK_FALSE(t.machine().listens());
    }
    SECTION("whose server is lost") {
      t.lose("s0");
      CHECK(t.told() == "E(40003) Z(I)");
      CHECK_FALSE(t.machine().listens());
    }
  }
  SECTION("and its server is lost while it waits for its channels") {
    t.client("Q(COMMIT)");
    t.lose("s0");
    CHECK(t.told().empty());
    t.caught_up();
    CHECK(t.told() == "E(08006) Z(I)");
  }
  SECTION("not at ROLLBACK") {
    t.client("Q(ROLLBACK)");
    t.server("s0", "C(ROLLBACK) Z(I)");
    CHECK(t.told() == "C(ROLLBACK) Z(I)");
    CHECK_FALSE(t.machine().listens());
  }
}

TEST_CASE("savepoints undo LISTEN") {
  machine_script t;
  t.client("Q(BEGIN) Q(LISTEN a) Q(SAVEPOINT one) Q(LISTEN b) Q(ROLLBACK TO one) Q(LISTEN c) Q(COMMIT)");
  CHECK(t.leases() == "hear(a,c) catch_up");
  t.caught_up();
  t.caught_up();
  (void)t.told();
  t.notified(5, "b");
  t.notified(5, "c");
  CHECK(t.told() == "A(5 c)");
}

TEST_CASE("a batch is one transaction") {
  machine_script t;
  t.client("P(/LISTEN a) B(//) E() S");
  CHECK(t.told() == "1 2 C(LISTEN)");
  CHECK(t.leases() == "hear(a) catch_up");
  t.caught_up();
  t.caught_up();
  CHECK(t.told() == "Z(I)");
  (void)t.leases();
  SECTION("that fails") {
    t.client("P(/LISTEN b) B(//) E() P(/SELECT name FROM customers WHERE id = 1) B(//) E() S");
    (void)t.told();
    t.server("s0", "E(22012 no)");
    t.caught_up();
    t.server("s0", "Z(I)");
    t.caught_up();
    CHECK(t.told() == "E(22012) Z(I)");
    t.notified(5, "b");
    t.notified(5, "a");
    CHECK(t.told() == "A(5 a)");
  }
}

TEST_CASE("a listening backend that is lost ends the session") {
  machine_script t;
  listen(t);
  SECTION("at once when it is idle") {
    t.listener_lost();
    CHECK(t.told() == "E(57P01)");
  }
  SECTION("at once when it waits to listen") {
    t.client("Q(LISTEN b)");
    t.listener_lost();
    CHECK(t.told() == "E(57P01)");
  }
  SECTION("behind its transaction") {
    t.client("Q(BEGIN)");
    t.listener_lost();
    CHECK(t.told() == "C(BEGIN) Z(T)");
    t.client("Q(COMMIT)");
    CHECK(t.told() == "C(COMMIT) Z(I) E(57P01)");
  }
  SECTION("behind the end that waited for it") {
    t.client(write_query);
    t.server("s0", "C(UPDATE 1) Z(I)");
    t.listener_lost();
    CHECK(t.told() == "C(UPDATE 1) Z(I) E(57P01)");
  }
  CHECK(t.leases().ends_with("*"));
}

TEST_CASE("a transaction that is told too much ends the session") {
  machine_script t;
  listen(t);
  t.client("Q(BEGIN)");
  (void)t.told();
  const std::string payload(8000, 'x');
  for (int i = 0; i < 66; ++i) t.notified(5, "a", payload);
  CHECK(t.told() == "E(53400)");
  CHECK(t.leases() == "*");
}

TEST_CASE("what cannot be shared is left to the server") {
  machine_script t;
  SECTION("a name that may have been cut") {
    const std::string statement = "Q(LISTEN " + std::string(63, 'n') + ")";
    t.client(statement);
    CHECK(t.asked("s0") == statement);
    t.server("s0", "C(LISTEN) Z(I)");
    CHECK(t.told() == "C(LISTEN) Z(I)");
    CHECK(t.machine().pinned_because() == "LISTEN");
    CHECK_FALSE(t.machine().listens());
  }
  SECTION("several in one text") {
    t.client("Q(LISTEN a; LISTEN b)");
    CHECK(t.asked("s0") == "Q(LISTEN a; LISTEN b)");
  }
  SECTION("an end that the session does not see") {
    t.client("Q(BEGIN) Q(LISTEN a)");
    t.client("Q(SELECT 1; COMMIT)");
    CHECK(t.asked("s0") == "Q(BEGIN) Q(LISTEN \"a\") Q(SELECT 1; COMMIT)");
  }
}

TEST_CASE("in session mode the session's own backend listens") {
  script_options options;
  options.pool_mode = pool_mode::session;
  machine_script t{options};
  t.client("Q(LISTEN a)");
  CHECK(t.asked("s0") == "Q(LISTEN a)");
  t.server("s0", "C(LISTEN) Z(I)");
  t.set_pid("s0", 42);
  // Its probe is under way.
  t.server("s0", "A(42 a own) A(5 a other)");
  CHECK(t.told() == "C(LISTEN) Z(I) A(777 a own) A(5 a other)");
}

TEST_CASE("pg_listening_channels() is asked on a server that listens for a moment") {
  machine_script t;
  listen(t);
  t.client("Q(SELECT pg_listening_channels())");
  CHECK(t.asked("s0") == "Q(LISTEN \"a\")");
  t.server("s0", "C(LISTEN) Z(I)");
  CHECK(t.asked("s0") == "Q(SELECT pg_listening_channels())");
  t.server("s0", "A(5 a twice) T(x) D(a) C(SELECT 1) Z(I)");
  t.caught_up();
  CHECK(t.asked("s0") == "Q(UNLISTEN *)");
  CHECK(t.told() == "T(x) D(a) C(SELECT 1) Z(I)");
  t.server("s0", "C(UNLISTEN) Z(I)");
  CHECK(t.leases() == "+s0 catch_up -s0");
}

TEST_CASE("in a transaction the channels stand in the place of pg_listening_channels()") {
  machine_script t;
  listen(t);
  t.client("Q(BEGIN)");
  t.client("Q(SELECT name FROM customers WHERE id = 1)");
  t.server("s0", "C(BEGIN) Z(T) T(name) D(x) C(SELECT 1) Z(T)");
  (void)t.told();
  (void)t.asked("s0");
  SECTION("as rows") {
    t.client("Q(SELECT * FROM pg_listening_channels() ORDER BY 1)");
    CHECK(t.asked("s0") == "Q(SELECT * FROM pg_catalog.unnest(ARRAY['a']::pg_catalog.text[]) AS pg_listening_channels ORDER BY 1)");
  }
  SECTION("as a column") {
    t.client("Q(select pg_catalog.pg_listening_channels();)");
    CHECK(t.asked("s0") == "Q(select pg_catalog.unnest(ARRAY['a']::pg_catalog.text[]) AS pg_listening_channels;)");
  }
  SECTION("where it can be seen how") {
    t.client("Q(SELECT upper(pg_listening_channels()))");
    CHECK(t.told() == "E(0A000) Z(E)");
  }
}

TEST_CASE("lastval() outside of its transaction goes where the session drew") {
  machine_script t;
  t.client("Q(SELECT lastval())");
  CHECK(t.told() == "E(55000) Z(I)");
  t.client("Q(BEGIN)");
  (void)t.told();
  t.client(write_query);
  t.server("s0", "C(BEGIN) Z(T) C(UPDATE 1) Z(T)");
  // Having asked once, it keeps what it draws on.
  t.client("Q(COMMIT)");
  t.server("s0", "C(COMMIT) Z(I)");
  CHECK(t.leases() == "+s0");
  CHECK_FALSE(t.machine().pinned_because().empty());
}

TEST_CASE("lastval() is not answered where others have drawn") {
  machine_script t;
  t.client(write_query);
  t.server("s0", "C(UPDATE 1) Z(I)");
  (void)t.told();
  SECTION("by this session alone") {
    t.client("Q(SELECT lastval())");
    CHECK(t.asked("s0").ends_with("Q(SELECT lastval())"));
  }
  SECTION("by another too") {
    t.other_drew("s0");
    t.client("Q(SELECT lastval())");
    CHECK(t.told() == "E(55000) Z(I)");
    // From here on what others drew is forgotten before anybody draws again.
    t.client(write_query);
    CHECK(t.asked("s0").ends_with("Q(DISCARD SEQUENCES)"));
    t.server("s0", "C(DISCARD SEQUENCES) Z(I)");
    CHECK(t.asked("s0") == write_query);
  }
}

TEST_CASE("changed defaults are told before the client hears of them") {
  machine_script t;
  t.client("Q(ALTER ROLE app SET work_mem = '1MB')");
  t.server("s0", "C(ALTER ROLE) Z(I)");
  CHECK(t.leases() == "+s0 renew -s0");
  t.client("Q(BEGIN)");
  t.client("Q(ALTER DATABASE shop SET work_mem = '1MB')");
  t.server("s0", "C(BEGIN) Z(T) C(ALTER DATABASE) Z(T)");
  CHECK(t.leases() == "+s0");
  t.client("Q(COMMIT)");
  t.server("s0", "C(COMMIT) Z(I)");
  CHECK(t.leases() == "renew -s0");
}

TEST_CASE("AND CHAIN behind a transaction that was begun in a text of several statements") {
  machine_script t;
  t.client("Q(BEGIN; SELECT 1)");
  t.server("s0", "C(BEGIN) D(1) C(SELECT 1) Z(T)");
  t.client("Q(COMMIT AND CHAIN)");
  t.server("s0", "C(COMMIT) Z(T)");
  CHECK(t.told() == "C(BEGIN) D(1) C(SELECT 1) Z(T) C(COMMIT) Z(T)");
}
