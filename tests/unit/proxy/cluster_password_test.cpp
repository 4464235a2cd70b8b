// What auth.query's answers are taken for.
#include "proxy/cluster/password_lookup.hpp"

#include <catch2/catch.hpp>

using namespace pgbraid::proxy;

TEST_CASE("an answer of name and secret is taken, and no other") {
  const pg_row good{"app", "SCRAM-SHA-256$..."};
  CHECK(read_password_answer({{good}, "", ""}, "app").secret == "SCRAM-SHA-256$...");
  // A user without a password is known and cannot log in by one; one that is not there is the same to us.
  const password_answer none = read_password_answer({{pg_row{"app", std::nullopt}}, "", ""}, "app");
  CHECK((!none.secret && none.error.empty()));
  const password_answer nobody = read_password_answer({{}, "", ""}, "app");
  CHECK((!nobody.secret && nobody.error.empty()));
  const pg_answer wrong[] = {
      {{good, good}, "", ""},    {{pg_row{"other", "x"}}, "", ""},    {{pg_row{std::nullopt, "x"}}, "", ""},
      {{pg_row{"app"}}, "", ""}, {{pg_row{"app", "x", "y"}}, "", ""}, {{}, "permission denied", "42501"},
  };
  for (const pg_answer& answer : wrong) {
    const password_answer read = read_password_answer(answer, "app");
    CHECK_FALSE(read.secret);
    CHECK_FALSE(read.error.empty());
  }
}
