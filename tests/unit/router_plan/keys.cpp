// Which conditions tie a table to its key, and how far a tie reaches: through joins, into subqueries, never back out.
#include <catch2/catch.hpp>

#include "fixture.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {
const std::string at5 = "shard {5} (replica allowed)";
const std::string all = "shards s0, s1, s2, s3 concatenated (replica allowed)";
const std::string unsupported = "refused: this query over several shards is not supported: ";
const std::string differ = unsupported + "the keys in this statement belong to different shards";
}  // namespace

TEST_CASE("conjuncts of WHERE", "[keys]") {
  const world w(4);
  check(w, {
               {"SELECT * FROM orders WHERE customer_id = 5", at5},
               {"SELECT * FROM orders o WHERE o.customer_id = 5", at5},
               {"SELECT * FROM public.orders WHERE public.orders.customer_id = 5", at5},
               {"SELECT * FROM orders WHERE orders.customer_id = 5 AND amount > 3", at5},
               {"SELECT * FROM orders WHERE amount > 3 AND (item = 'x' AND (customer_id = 5 AND true))", at5},
               {"SELECT * FROM orders WHERE customer_id = 5 AND (amount > 3 OR item = 'x')", at5},
               {"SELECT * FROM orders WHERE customer_id = 5 AND customer_id = 6", at5},
               {"SELECT * FROM orders WHERE customer_id IN (5)", at5},
               {"SELECT * FROM orders WHERE customer_id IN (5, 5)", at5},
               {"SELECT * FROM orders WHERE customer_id IN (1, 2, 3, 4, 5, 6, 7, 8, 9) AND customer_id = 5", at5},
               {"SELECT * FROM orders WHERE id = '00000000-0000-0000-0000-000000000000'", all},
               {"SELECT * FROM orders", all},
               {"SELECT * FROM orders WHERE other.customer_id = 5", all},
               {"SELECT * FROM \"orders\" WHERE \"customer_id\" = 5", at5},
               {"SELECT * FROM ORDERS WHERE Customer_Id = 5", at5},
               {"SELECT * FROM orders AS t(a, b) WHERE a = 5", at5},
               {"SELECT * FROM orders AS t(a, b) WHERE t.a = 5", at5},
               {"SELECT * FROM orders AS t(a, customer_id) WHERE customer_id = '5'", all},
               {"SELECT * FROM ONLY orders WHERE customer_id = 5", at5},
               {"SELECT * FROM orders TABLESAMPLE SYSTEM (10) WHERE customer_id = 5", at5},
           });
}

TEST_CASE("ties reach through joins on key = key", "[keys]") {
  const world w(4);
  check(w, {
               {"SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = 5", at5},
               {"SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.customer_id = 5", at5},
               {"SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id AND c.id = 5", at5},
               {"SELECT * FROM customers c, orders o WHERE o.customer_id = c.id AND c.id = 5", at5},
               {"SELECT * FROM customers c, orders o WHERE o.customer_id = 5 AND c.id = 5", at5},
               {"SELECT sum(o.amount) FROM customers c JOIN orders o ON o.customer_id = c.id JOIN notes n ON "
                "n.customer_id = o.customer_id WHERE c.id = 5 GROUP BY 1 ORDER BY 1 LIMIT 3",
                at5},
               {"SELECT * FROM orders JOIN notes USING (customer_id) WHERE customer_id = 5", at5},
               {"SELECT * FROM orders LEFT JOIN notes USING (customer_id) WHERE customer_id = 5", at5},
               {"SELECT * FROM orders RIGHT JOIN notes USING (customer_id) WHERE customer_id = 5", at5},
               {"SELECT j.* FROM customers JOIN loose USING (id) AS j WHERE j.id = 5", at5},
               {"SELECT * FROM customers c JOIN countries n ON n.code = c.country WHERE c.id = 5", at5},
               {"SELECT * FROM countries n LEFT JOIN customers c ON n.code = c.country WHERE c.id = 5", at5},
               {"SELECT * FROM customers a JOIN customers b ON a.id = b.id WHERE a.id = 5", at5},
               {"SELECT * FROM customers c, orders o WHERE c.id = 5", gathered},
               {"SELECT * FROM customers c JOIN orders o ON o.item = c.name WHERE c.id = 5", gathered},
               {"SELECT * FROM customers c JOIN orders o ON o.customer_id >= c.id WHERE c.id = 5",
                gathered},
               {"SELECT * FROM (customers c JOIN orders o ON o.customer_id = c.id) WHERE c.id = 5", at5},
               {"SELECT * FROM (customers c JOIN orders o ON o.customer_id = c.id) AS j(x, y) WHERE x = 5", all},
           });
}

TEST_CASE("ON of an outer join ties its nullable side only", "[keys]") {
  const world w(4);
  check(
      w,
      {
          {"SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE c.id = 5", at5},
          {"SELECT * FROM orders o RIGHT JOIN customers c ON o.customer_id = c.id WHERE c.id = 5", at5},
          // orders is confined by ON; customers is not.
          {"SELECT count(*) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.customer_id = 5",
           gathered},
          {"SELECT count(*) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND c.id = 5",
           gathered},
          {"SELECT count(*) FROM countries n LEFT JOIN customers c ON c.id = 5", "shard {5} (replica allowed)"},
          {"SELECT count(*) FROM customers c FULL JOIN countries n ON c.id = 5", gathered},
          {"SELECT count(*) FROM countries n RIGHT JOIN customers c ON c.id = 5", gathered},
          {"SELECT * FROM customers c FULL JOIN orders o ON o.customer_id = c.id WHERE c.id = 5 AND o.customer_id = 5",
           at5},
          {"SELECT * FROM customers c FULL JOIN orders o ON o.customer_id = c.id WHERE c.id = 5",
           gathered},
          {"SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = c.id LEFT JOIN notes n ON "
           "n.customer_id = o.customer_id WHERE c.id = 5",
           at5},
          {"SELECT * FROM orders FULL JOIN notes USING (customer_id) WHERE customer_id = 5", gathered},
          {"SELECT * FROM countries n LEFT JOIN (customers c JOIN orders o ON o.customer_id = c.id AND c.id = 5) ON "
           "true",
           at5},
          {"SELECT * FROM countries n LEFT JOIN customers c ON c.country = n.code",
           gathered},
          {"SELECT * FROM customers c LEFT JOIN countries n ON c.country = n.code", all},
      });
}

TEST_CASE("every query level must be tied", "[keys]") {
  const world w(4);
  check(
      w,
      {
          {"SELECT * FROM customers c WHERE c.id = 5 AND EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)",
           at5},
          {"SELECT * FROM customers c WHERE c.id = 5 AND NOT EXISTS (SELECT 1 FROM orders WHERE customer_id = c.id)",
           at5},
          {"SELECT *, (SELECT max(amount) FROM orders o WHERE o.customer_id = c.id) FROM customers c WHERE c.id = 5",
           at5},
          {"SELECT * FROM customers WHERE id = 5 AND id IN (SELECT customer_id FROM orders WHERE customer_id = 5)",
           at5},
          // A tie inside a subquery says nothing about the query around it.
          {"SELECT * FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id AND "
           "o.customer_id = 5)",
           gathered},
          {"SELECT * FROM customers WHERE id = (SELECT customer_id FROM orders WHERE customer_id = 5)",
           gathered},
          {"SELECT * FROM customers WHERE id = 5 AND name IN (SELECT item FROM orders)", gathered},
          {"SELECT (SELECT count(*) FROM orders) FROM customers WHERE id = 5", gathered},
          {"SELECT * FROM (SELECT * FROM orders WHERE customer_id = 5) x", at5},
          {"SELECT * FROM (SELECT * FROM orders) x WHERE customer_id = 5", gathered},
          {"SELECT * FROM customers c, LATERAL (SELECT * FROM orders o WHERE o.customer_id = c.id) x WHERE c.id = 5",
           at5},
          {"SELECT * FROM customers c, (SELECT * FROM orders o WHERE o.customer_id = c.id) x WHERE c.id = 5",
           gathered},
          {"WITH x AS (SELECT * FROM orders WHERE customer_id = 5) SELECT * FROM x", at5},
          {"WITH x AS (SELECT * FROM orders) SELECT * FROM x WHERE customer_id = 5", gathered},
          {"WITH orders AS (SELECT 1 AS customer_id) SELECT * FROM orders", "any shard (replica allowed)"},
          {"WITH orders AS (SELECT 1 AS customer_id) SELECT * FROM public.orders", "shards s0, s1, s2, s3 gathered (replica allowed)"},
          {"WITH a AS (SELECT * FROM orders WHERE customer_id = 5), b AS (SELECT * FROM customers WHERE id = 5) "
           "SELECT * FROM a JOIN b ON true",
           at5},
          {"WITH RECURSIVE t AS (SELECT customer_id FROM orders WHERE customer_id = 5 UNION ALL SELECT o.customer_id "
           "FROM "
           "orders o JOIN t ON true WHERE o.customer_id = 5) SELECT * FROM t",
           at5},
          {"WITH RECURSIVE t AS (SELECT customer_id FROM orders WHERE customer_id = 5 UNION ALL SELECT o.customer_id "
           "FROM "
           "orders o JOIN t ON true) SELECT * FROM t",
           gathered},
          {"SELECT * FROM orders WHERE customer_id = 5 EXCEPT SELECT * FROM orders WHERE customer_id = 5", at5},
          {"SELECT * FROM customers WHERE id = 5 AND country IN (SELECT code FROM countries)", at5},
          {"SELECT * FROM customers WHERE country IN (SELECT code FROM countries)", all},
          {"SELECT * FROM customers c WHERE EXISTS (SELECT 1 FROM countries n WHERE n.code = c.country)", all},
          {"SELECT * FROM customers WHERE country IN (SELECT code FROM countries LIMIT 3)", gathered},
          // The inner id is customers' own: it hides the outer one.
          {"SELECT * FROM notes n WHERE n.customer_id = 5 AND EXISTS (SELECT 1 FROM customers WHERE id = customer_id)",
           at5},
          {"SELECT * FROM orders o WHERE o.customer_id = 5 AND EXISTS (SELECT 1 FROM notes WHERE customer_id = "
           "customer_id)",
           gathered},
      });
}

TEST_CASE("what cannot be a key's value is no error where nobody reads it", "[keys]") {
  const world w(4);
  const std::string entry = "WITH a AS (SELECT * FROM orders WHERE customer_id = 99999999999999999999::bigint)";
  CHECK(w.told(entry + " SELECT 1").starts_with("shard "));
  CHECK(w.told(entry + ", b AS (SELECT * FROM a) SELECT 1")
            .starts_with("refused: value \"99999999999999999999\" is out of range"));
  CHECK(w.told(entry + " SELECT * FROM a").starts_with("refused: value \"99999999999999999999\" is out of range"));
  // Another of that name, or the table itself.
  CHECK(w.told(entry + " SELECT (WITH a AS (SELECT 1) SELECT count(*) FROM a)").starts_with("shard "));
  CHECK(w.told(entry + " SELECT * FROM public.a").find("out of range") == std::string::npos);
}

TEST_CASE("keys of every type", "[keys]") {
  const world w(4);
  const auto one = [&](const std::string& sql) {
    const route r = w.routed(sql);
    INFO(sql << " -> " << to_string(r, w.map));
    REQUIRE(std::holds_alternative<to_shard>(r.target));
    return std::get<to_shard>(r.target).shard;
  };
  const auto scatters = [&](const std::string& sql) { return std::holds_alternative<to_many>(w.routed(sql).target); };
  const std::string uuid = "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'";
  const std::string upper = "'{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}'";
  CHECK(one("SELECT * FROM documents WHERE tenant = " + uuid) ==
        one("SELECT * FROM documents WHERE tenant = " + upper));
  CHECK(one("SELECT * FROM documents WHERE tenant = " + uuid + "::uuid") ==
        one("SELECT * FROM documents WHERE tenant = uuid " + upper));
  CHECK(scatters("SELECT * FROM documents WHERE tenant = " + uuid + "::text::uuid"));
  CHECK(one("SELECT * FROM people WHERE login = 'it''s'") == one("SELECT * FROM people WHERE login = E'it\\'s'"));
  CHECK(one("SELECT * FROM people WHERE login = 'a'::varchar") == one("SELECT * FROM people WHERE login = 'a'::text"));
  CHECK(scatters("SELECT * FROM people WHERE login = 'a'::bpchar"));
  CHECK(scatters("SELECT * FROM people WHERE login = 'abc'::varchar(2)"));
  CHECK(scatters("SELECT * FROM people WHERE login = 'a'::citext"));
  CHECK(scatters("SELECT * FROM people WHERE login = 'a' COLLATE \"C\""));
  CHECK(scatters("SELECT * FROM people WHERE lower(login) = 'a'"));
  CHECK(scatters("SELECT * FROM people WHERE login LIKE 'a'"));
  CHECK(scatters("SELECT * FROM people WHERE login = 5::text"));
  CHECK(one("SELECT * FROM codes WHERE code = 'ab'") == one("SELECT * FROM codes WHERE code = 'ab  '"));
  CHECK(scatters("SELECT * FROM codes WHERE code = 'ab'::text"));
  CHECK(one("SELECT * FROM days WHERE day = '2024-02-29'") == one("SELECT * FROM days WHERE day = date '2024-02-29'"));
  CHECK(scatters("SELECT * FROM days WHERE day = timestamp '2024-02-29 00:00'"));
  CHECK(one("SELECT * FROM prices WHERE sku = 4.20") == one("SELECT * FROM prices WHERE sku = '4.2'"));
  CHECK(one("SELECT * FROM prices WHERE sku = 5") == one("SELECT * FROM prices WHERE sku = 5.00"));
  CHECK(scatters("SELECT * FROM prices WHERE sku = 5::float8"));
  CHECK(one("SELECT * FROM moments WHERE at = '2024-02-29 12:00:00+00'") ==
        one("SELECT * FROM moments WHERE at = '2024-02-29 13:00:00+01'"));
  // A non-deterministic collation: equal keys may have different bytes.
  CHECK(scatters("SELECT * FROM odd WHERE name = 'a'"));
}

TEST_CASE("a user's = hides pg_catalog's only if it comes first", "[keys]") {
  world w(4);
  w.schema.user_operators = {"="};
  CHECK(w.told("SELECT * FROM orders WHERE customer_id = 5").starts_with("shard "));
  w.context.search_path = {"public", "pg_catalog"};
  CHECK(w.told("SELECT * FROM orders WHERE customer_id = 5") == all);
  w.context.search_path = {"pg_catalog", "public"};
  CHECK(w.told("SELECT * FROM orders WHERE customer_id = 5").starts_with("shard "));
}

TEST_CASE("names are resolved along the search path", "[keys]") {
  world w(4);
  relation tenant_orders;
  tenant_orders.schema = "tenant";
  tenant_orders.name = "orders";
  w.schema.relations["tenant.orders"] = tenant_orders;
  w.context.search_path = {"tenant", "public"};
  CHECK(w.told("SELECT * FROM orders WHERE customer_id = 5").starts_with("refused: table \"tenant.orders\""));
  w.context.search_path = {"public", "tenant"};
  CHECK(w.told("SELECT * FROM orders WHERE customer_id = 5").starts_with("shard "));
  w.context.search_path = {};
  CHECK(w.told("SELECT * FROM orders WHERE customer_id = 5") == "refused: relation \"orders\" does not exist");
  CHECK(w.told("SELECT * FROM public.orders WHERE customer_id = 5").starts_with("shard "));
}

TEST_CASE("a subquery in ON sees its join and what stands outside, not its neighbours", "[keys]") {
  const world w(4);
  // x is the outer countries for PostgreSQL: the customers of that name stand beside the join, not in it.
  CHECK(
      w.told(
           "SELECT * FROM countries x WHERE EXISTS (SELECT 1 FROM customers x, countries b JOIN countries c ON EXISTS "
           "(SELECT 1 FROM orders o WHERE o.customer_id = x.id) WHERE x.id = 5)") ==
      "shards s0, s1, s2, s3 gathered (replica allowed)");
  CHECK(
      w.told("SELECT * FROM customers x JOIN countries c ON EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = x.id) "
             "WHERE x.id = 5") == w.told("SELECT * FROM orders WHERE customer_id = 5"));
}

TEST_CASE("what transform_null_equals takes for IS NULL ties no key of an outer join", "[keys]") {
  const world w(4);
  check(w, {{"SELECT * FROM customers c WHERE c.id = NULL", "shard s0 (replica allowed)"},
            {"SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE o.customer_id = NULL",
             "shards s0, s1, s2, s3 concatenated (replica allowed)"},
            {"SELECT * FROM orders o RIGHT JOIN customers c ON o.customer_id = c.id WHERE NULL = o.customer_id",
             "shards s0, s1, s2, s3 concatenated (replica allowed)"}});
}

TEST_CASE("a key is one of what OR says of it", "[keys]") {
  world w(4);
  const std::string a = std::to_string(keys_on(w.map, 1, 1).front()), b = std::to_string(keys_on(w.map, 3, 1).front());
  const std::string both = "shards s1, s3 concatenated (replica allowed)", one = "shard s1 (replica allowed)";
  const std::string all = "shards s0, s1, s2, s3 concatenated (replica allowed)";
  check(w,
        {
            {"SELECT * FROM orders WHERE customer_id = " + a + " OR customer_id = " + b, both},
            {"SELECT * FROM orders WHERE (customer_id = " + a + " AND item = 'x') OR (" + b +
                 " = customer_id AND item = 'y')",
             both},
            {"SELECT * FROM orders WHERE customer_id = " + a + " OR customer_id IN (" + a + ", " + b +
                 ") OR customer_id = ANY ('{" + a + "}')",
             both},
            {"SELECT * FROM orders WHERE item = 'x' AND (customer_id = " + a + " OR customer_id = " + a + ")", one},
            {"SELECT * FROM orders WHERE (customer_id = " + a + " OR customer_id = " + b + ") AND customer_id = " + a,
             one},
            {"SELECT * FROM orders WHERE customer_id = " + a + " OR customer_id = NULL", one},
            {"SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = " + a + " OR c.id = " + b,
             both},
            {"SELECT * FROM orders WHERE customer_id = " + a + " OR item = 'x'", all},
            {"SELECT * FROM orders WHERE customer_id = " + a + " OR customer_id > 5", all},
            {"SELECT * FROM orders WHERE NOT (customer_id = " + a + " OR customer_id = " + b + ")", all},
            {"SELECT * FROM orders WHERE customer_id = " + a + " OR NOT customer_id = " + b, all},
            {"SELECT * FROM orders WHERE (customer_id = " + a + " OR customer_id = " + b + ") OR item = 'x'", all},
            // An equality of keys within OR joins nothing.
            {"SELECT * FROM customers c, orders o WHERE (o.customer_id = c.id OR o.customer_id = " + a +
                 ") AND c.id = " + a,
             "shards s0, s1, s2, s3 gathered (replica allowed)"},
            // Of different tables: neither is confined.
            {"SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = " + a +
                 " OR o.customer_id = " + b,
             all},
        });
  CHECK(w.told("SELECT * FROM orders WHERE customer_id = $1 OR customer_id = $2",
               {text_parameter(a), text_parameter(b)}) == both);
  CHECK(w.told("SELECT * FROM orders WHERE customer_id = $1 OR customer_id = $2",
               {text_parameter(a), text_parameter(a)}) == one);
}
