// However the bytes of a conversation are cut, what comes out of the session's machine is the same.
#include <catch2/catch.hpp>
#include <functional>

#include "machine_script.hpp"

using namespace pgbraid::proxy::test;

namespace {

struct conversation {
  const char* name;
  std::size_t shards;
  bool replicas;
  std::vector<std::string> servers;
  std::function<void(machine_script&)> run;
};

const std::vector<conversation>& conversations() {
  static const std::vector<conversation> all = {
      {"simple",
       1,
       false,
       {"s0"},
       [](machine_script& t) {
         t.client("Q(SELECT name FROM customers) Q(BEGIN) Q(UPDATE customers SET name = 'x') Q(COMMIT)");
         t.server("s0", "N(00000 note) T(name) D(a) D(bb) C(SELECT 2) Z(I)");
         t.server("s0", "C(BEGIN) Z(T) C(UPDATE 2) Z(T)");
         t.server("s0", "C(COMMIT) Z(I)");
       }},
      {"batches",
       1,
       true,
       {"s0", "s0r"},
       [](machine_script& t) {
         t.client("P(a/SELECT name FROM customers WHERE id = $1) D(S a) S B(/a/5) E() C(S a) S B(/a/5) E() S");
         t.server("s0r", "1 t T(name) Z(I)");
         t.server("s0r", "2 D(x) C(SELECT 1) Z(I)");
         t.client("P(/UPDATE customers SET name = 'x') B(/) E() S");
         t.server("s0", "1 2 C(UPDATE 2) Z(I)");
       }},
      {"begun anew",
       1,
       true,
       {"s0", "s0r"},
       [](machine_script& t) {
         t.client("P(a/SELECT name FROM customers WHERE id = $1) B(/a/5) E() S Q(SELECT 1)");
         t.server("s0r", "E(40001 canceling statement due to conflict with recovery) Z(I)");
         t.server("s0", "1 2 D(x) C(SELECT 1) Z(I)");
         t.server("s0r", "T(a) D(1) C(SELECT 1) Z(I)");
       }},
      {"copy",
       1,
       false,
       {"s0"},
       [](machine_script& t) {
         t.client("Q(COPY customers FROM STDIN)");
         t.server("s0", "G");
         t.client("d(1 one) d(2 two) c");
         t.server("s0", "C(COPY 2) Z(I)");
         t.client("Q(COPY customers TO STDOUT)");
         t.server("s0", "H d(1 one) d(2 two) c C(COPY 2) Z(I)");
       }},
      {"scatter",
       2,
       false,
       {"s0", "s1"},
       [](machine_script& t) {
         t.client("Q(SELECT name FROM customers) P(/SELECT name FROM customers) B(/) D(P ) E() S");
         t.server("s0", "T(name) D(a) D(aa)");
         t.server("s1", "T(name) D(b) D(bb) C(SELECT 2) Z(I)");
         t.server("s0", "C(SELECT 2) Z(I)");
         t.server("s1", "1 2 T(name) D(b) C(SELECT 1) Z(I)");
         t.server("s0", "1 2 T(name) D(a) C(SELECT 1) Z(I)");
       }},
      {"errors",
       1,
       false,
       {"s0"},
       [](machine_script& t) {
         t.client("B(/nope) E() S P(/SELECT 1/0) B(/) E() P(/SELECT 2) B(/) E() S Q(SELECT 1)");
         t.server("s0", "1 2 E(22012 division by zero) Z(I)");
         t.server("s0", "T(a) D(1) C(SELECT 1) Z(I)");
       }},
  };
  return all;
}

// All that left the machine, in bytes.
struct output {
  std::string client, leases;
  std::vector<std::string> servers;
  friend bool operator==(const output&, const output&) = default;
};

output play(const conversation& c, script_options options) {
  options.shards = c.shards;
  options.replicas = c.replicas;
  machine_script t{options};
  c.run(t);
  output out{t.raw_told(), t.leases(), {}};
  for (const std::string& name : c.servers) out.servers.push_back(t.raw_asked(name));
  return out;
}

}  // namespace

TEST_CASE("conversations end with nothing owed") {
  for (const conversation& c : conversations()) {
    INFO(c.name);
    script_options options;
    options.shards = c.shards;
    options.replicas = c.replicas;
    machine_script t{options};
    c.run(t);
    const std::string told = t.told();
    INFO(told);
    CHECK(told.ends_with("Z(I)"));
    CHECK(t.machine().between_transactions());
  }
}

TEST_CASE("client bytes may be cut anywhere") {
  for (const conversation& c : conversations()) {
    INFO(c.name);
    const output whole = play(c, {});
    for (std::size_t at = 1; at < 320; ++at) {
      script_options options;
      options.client_cut = at;
      if (!(play(c, options) == whole)) FAIL_CHECK("cut at " << at);
    }
    for (std::size_t chunk = 1; chunk < 16; ++chunk) {
      script_options options;
      options.client_chunk = chunk;
      if (!(play(c, options) == whole)) FAIL_CHECK("in pieces of " << chunk);
    }
  }
}

TEST_CASE("server bytes may be cut anywhere") {
  for (const conversation& c : conversations()) {
    INFO(c.name);
    const output whole = play(c, {});
    for (std::size_t chunk = 1; chunk < 100; ++chunk) {
      script_options options;
      options.server_chunk = chunk;
      if (!(play(c, options) == whole)) FAIL_CHECK("in pieces of " << chunk);
      options.client_chunk = 1 + chunk % 5;
      if (!(play(c, options) == whole)) FAIL_CHECK("both sides in pieces, the server's of " << chunk);
    }
  }
}
