// Columns whose values are kept apart over all shards: what may be written to them, and what is claimed for it.
#include <catch2/catch.hpp>

#include "fixture.hpp"
#include "router/plan/claims.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

struct claiming_world : writing_world {
  claiming_world() {
    schema.no_claims.clear();
    schema.relations["public.customers"].claimed = {{"email", "customers_email_key"}};
    schema.relations["public.notes"].claimed = {{"body", "notes_body_key"}, {"customer_id", "notes_customer_key"}};
  }

  /// The values, as "column/row=text", or the unread column.
  [[nodiscard]] std::string claimed(std::string_view sql, const std::vector<bound_parameter>& parameters = {}) const {
    sql::token_scan scan;
    sql::scan(sql, scan);
    const planned p = make_plan(sql, scan, context);
    if (p.plan->claims == nullptr) return "nothing";
    std::size_t unread = 0;
    const auto values = read_claims(*p.plan->claims, sql, scan.constants, parameters, {}, unread);
    if (!values) return "unread " + p.plan->claims->columns[unread].column;
    std::string out;
    for (const claimed_value& each : *values) {
      out += out.empty() ? "" : ", ";
      out += p.plan->claims->columns[each.column].column + "/" + std::to_string(each.row) + "=" + each.text;
    }
    return out;
  }
};

}  // namespace

TEST_CASE("values of columns that are unique over all shards", "[claims]") {
  const claiming_world w;
  CHECK(w.claimed("INSERT INTO customers (id, email) VALUES (1, 'a'), (2, NULL), (3, E'it''s')") ==
        "email/0=a, email/2=it's");
  CHECK(w.claimed("INSERT INTO customers (id, email) VALUES (1, DEFAULT)") == "nothing");
  CHECK(w.claimed("INSERT INTO customers VALUES (1, 'n', 'e')") == "email/0=e");
  CHECK(w.claimed("INSERT INTO customers (id, name) VALUES (1, 'n')") == "nothing");
  CHECK(w.claimed("INSERT INTO customers (id, name) SELECT id, name FROM customers WHERE id = 1") == "nothing");
  CHECK(w.claimed("INSERT INTO customers (id, email) VALUES (1, $1)", {text_parameter("x")}) == "email/0=x");
  CHECK(w.claimed("INSERT INTO notes VALUES (1, 07, 'b')") == "body/0=b, customer_id/0=7");
  CHECK(w.claimed("INSERT INTO notes VALUES (1, '-7', 'b')") == "body/0=b, customer_id/0=-7");
  CHECK(w.claimed("UPDATE customers SET email = 'y' WHERE id = 5") == "email/0=y");
  CHECK(w.claimed("UPDATE customers SET email = NULL, name = 'x'") == "nothing");
  CHECK(w.claimed("UPDATE customers SET email = email WHERE id = 5") == "nothing");
  CHECK(w.claimed("UPDATE customers SET name = 'x'") == "nothing");
  CHECK(w.claimed("DELETE FROM customers") == "nothing");
}

TEST_CASE("values that cannot be read for sure", "[claims]") {
  const claiming_world w;
  CHECK(w.claimed("INSERT INTO notes VALUES (1, '0x10', 'b'), (2, 16, 'c')") == "unread customer_id");
  CHECK(w.claimed("INSERT INTO notes VALUES (1, 'none', 'b')") == "body/0=b, customer_id/0=none");
  // What type the parameter has, the first place where it stands decides.
  CHECK(w.claimed("INSERT INTO customers (id, email) VALUES ($1, $1)", {text_parameter("7")}) == "unread email");
  CHECK(w.claimed("INSERT INTO customers (id, email) VALUES (1, $1)", {text_parameter("7", type_oid::int4)}) ==
        "unread email");
  const bound_parameter number{std::string_view{"\0\0\0\x7", 4}, false, true, 0};
  CHECK(w.claimed("INSERT INTO notes VALUES (1, $1, 'b')", {number}) == "body/0=b, customer_id/0=7");
}

TEST_CASE("writes that may give such a column any value are refused", "[claims]") {
  const claiming_world w;
  const std::string refused = "refused: column \"email\" of table \"public.customers\" is unique over all shards...";
  check(
      w,
      {
          {"INSERT INTO customers (id, email) VALUES (1, lower('A'))", refused},
          {"INSERT INTO customers (id, email) SELECT id, 'x' FROM customers WHERE id = 1", refused},
          {"INSERT INTO customers SELECT * FROM customers WHERE id = 1", refused},
          {"UPDATE customers SET email = lower(email) WHERE id = 1", refused},
          {"UPDATE customers SET (email, name) = (SELECT 'a', 'b') WHERE id = 1", refused},
          {"UPDATE customers SET email = 'x'", refused},
          {"UPDATE customers SET id = 2 WHERE id = 1", refused},
          {"UPDATE customers SET id = id + 100", refused},
          {"WITH w AS (UPDATE customers SET email = 'x' WHERE id = 1 RETURNING 1) SELECT * FROM w", refused},
          {"WITH w AS (INSERT INTO customers (id, email) VALUES (1, 'x') RETURNING 1) SELECT * FROM w", refused},
          {"EXPLAIN ANALYZE INSERT INTO customers (id, email) VALUES (1, 'x')", refused},
          {"INSERT INTO customers (id, email) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET email = 'y'", refused},
          {"MERGE INTO customers c USING (VALUES (1, 'x')) v (id, e) ON c.id = v.id WHEN NOT MATCHED THEN INSERT (id, "
           "email) VALUES (v.id, v.e)",
           refused},
          {"/* pgbraid: shard=s0 */ INSERT INTO customers (id, email) VALUES (1, 'x')", refused},
          {"EXPLAIN INSERT INTO customers (id, email) VALUES (5, 'x')", "shard {5}..."},
          {"COPY customers FROM STDIN", "shards s0, s1, s2, s3..."},
          {"COPY customers (id, name) FROM STDIN", "shards s0, s1, s2, s3..."},
          {"INSERT INTO customers (id, email) VALUES (5, 'x') ON CONFLICT (id) DO UPDATE SET email = excluded.email",
           "shard {5}..."},
          {"INSERT INTO customers (id, email) VALUES (5, 'x') ON CONFLICT DO NOTHING", "shard {5}..."},
          {"UPDATE customers SET name = 'x'", "shards s0, s1, s2, s3 together (primary)"},
      });
  CHECK(w.told("INSERT INTO customers (id, email) VALUES (1, 'x'); SELECT 1").starts_with("refused:"));
  CHECK(w.make("INSERT INTO customers (id, email) VALUES (1, 'x'); SELECT 1").plan->one_by_one);
}

TEST_CASE("such a column cannot be written while shards cannot be asked", "[claims]") {
  claiming_world w;
  w.schema.no_claims = "shard s1 has not been asked";
  for (const char* sql : {"INSERT INTO customers (id, email) VALUES (1, 'x')", "UPDATE customers SET id = id + 100",
                          "INSERT INTO customers (id, email) VALUES (1 + 1, 'x')"}) {
    INFO(sql);
    CHECK(w.told(sql).starts_with("refused:"));
  }
  CHECK_FALSE(w.told("DELETE FROM customers WHERE id = 1").starts_with("refused:"));
}

TEST_CASE("what a shard is asked", "[claims]") {
  claim_plan plan{"public", "Odd", {{"e", "e_key", type_oid::text, -1, {}}, {"n", "n_key", type_oid::int4, -1, {}}}};
  const std::vector<claimed_value> values{{0, 0, "it's"}, {0, 1, "b"}};
  const std::vector<shard_index> homes{0, 2};
  CHECK(claim_statement(plan, values, homes, 0) ==
        "SELECT pgbraid.claim_values('\"public\".\"Odd\"', 'e', '{\"it''s\",\"b\"}', '{\"b\"}'), NULL");
  CHECK(claim_statement(plan, std::vector<claimed_value>{{0, 0, "b"}}, std::vector<shard_index>{0}, 0) ==
        "SELECT pgbraid.claim_values('\"public\".\"Odd\"', 'e', '{\"b\"}', '{}'), NULL");
}

TEST_CASE("rows of one statement that have the same value", "[claims]") {
  const std::vector<claimed_value> values{{0, 0, "a"}, {1, 0, "a"}, {0, 1, "b"}, {0, 2, "a"}};
  CHECK(claimed_twice(values, std::vector<shard_index>{0, 1, 2}) == &values[3]);
  // One shard's own constraint sees these.
  CHECK(claimed_twice(values, std::vector<shard_index>{0, 1, 0}) == nullptr);
  CHECK(claimed_twice(values, std::vector<shard_index>{0}) == nullptr);
}
