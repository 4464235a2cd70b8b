// In what shards' definitions differ.
#include "proxy/cluster/definition_drift.hpp"

#include <catch2/catch.hpp>

namespace pgbraid::proxy {
namespace {

const std::vector<std::string> names{"s0", "s1", "s2"};

TEST_CASE("definitions that are equal do not differ") {
  const definition_map one{{{"table", "public.a"}, {"", "x"}}, {{"column", "public.a.b"}, {"public.a", "integer"}}};
  CHECK(differences({one, one, one}, names).empty());
  CHECK(differences({}, {}).empty());
}

TEST_CASE("what is missing, and what is another") {
  const definition_map first{{{"index", "public.i"}, {"public.a", "i"}}, {{"table", "public.a"}, {"", "x"}}};
  definition_map second = first, third = first;
  second.erase({"index", "public.i"});
  third[{"table", "public.a"}].text = "y";
  CHECK(differences({first, second, third}, names) ==
        std::vector<std::string>{"index public.i is not on shard s1",
                                 "table public.a is not the same on all shards:\n  s0: x\n  s1: x\n  s2: y"});
}

TEST_CASE("parts of what is missing are not missed") {
  const definition_map full{{{"table", "public.a"}, {"", "x"}}, {{"column", "public.a.b"}, {"public.a", "integer"}}};
  CHECK(differences({full, {}, {}}, names) == std::vector<std::string>{"table public.a is not on shard s1, s2"});
}

}  // namespace
}  // namespace pgbraid::proxy
