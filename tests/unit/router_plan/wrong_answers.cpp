// The statements that sharding proxies are known to answer wrongly without an error: here each gets the right route or
// a refusal that says why.
#include <catch2/catch.hpp>

#include "fixture.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

constexpr const char* all = "shards s0, s1 concatenated (replica allowed)";
const std::string unsupported = "refused: this query over several shards is not supported: ";

/// Two shards, and keys: a and b on s0, c on s1.
struct two : world {
  two() : world(2) {
    const auto first = keys_on(map, 0, 2);
    a = std::to_string(first[0]);
    b = std::to_string(first[1]);
    c = std::to_string(keys_on(map, 1, 1)[0]);
  }
  std::string a, b, c;
};

}  // namespace

TEST_CASE("LIMIT without ORDER BY", "[wrong_answers]") {
  const two w;
  check(w, {
               {"SELECT * FROM orders LIMIT 5", gathered},
               {"SELECT * FROM orders FETCH FIRST ROW ONLY", gathered},
               {"SELECT * FROM orders WHERE customer_id = 5 LIMIT 5", "shard {5} (replica allowed)"},
               {"SELECT * FROM orders WHERE customer_id IN (" + w.a + ", " + w.c + ") LIMIT 5",
                gathered},
               {"SELECT * FROM orders WHERE customer_id IN (" + w.a + ", " + w.b + ") LIMIT 5",
                "shard s0 (replica allowed)"},
           });
}

TEST_CASE("UNION of two keys", "[wrong_answers]") {
  const two w;
  const auto both = [](const std::string& x, const std::string& y) {
    return "SELECT * FROM orders WHERE customer_id = " + x + " UNION SELECT * FROM orders WHERE customer_id = " + y;
  };
  check(w, {
               {both(w.a, w.c), gathered},
               {both(w.a, w.b), "shard s0 (replica allowed)"},
               {"SELECT id FROM customers WHERE id = " + w.a + " UNION ALL SELECT id FROM customers",
                gathered},
               {"SELECT id FROM customers UNION ALL SELECT customer_id FROM orders",
                gathered},
               {"SELECT code FROM countries UNION SELECT code FROM currencies", "any shard (replica allowed)"},
           });
}

TEST_CASE("an equality on the key that is no filter", "[wrong_answers]") {
  const two w;
  check(w, {
               {"SELECT customer_id = 5 FROM orders", all},
               {"SELECT CASE WHEN customer_id = 5 THEN 1 END FROM orders", all},
               {"SELECT * FROM orders WHERE customer_id = 5 OR amount > 3", all},
               {"SELECT * FROM orders WHERE NOT customer_id = 5", all},
               {"SELECT * FROM orders WHERE NOT (customer_id = 5 AND amount > 3)", all},
               {"SELECT * FROM orders WHERE customer_id <> 5", all},
               {"SELECT * FROM orders WHERE customer_id NOT IN (5, 6)", all},
               {"SELECT * FROM orders WHERE (customer_id = 5) IS NOT TRUE", all},
               {"SELECT * FROM orders WHERE coalesce(customer_id = 5, true)", all},
               {"SELECT * FROM orders WHERE CASE WHEN amount > 1 THEN customer_id = 5 ELSE true END", all},
               {"SELECT * FROM orders WHERE (customer_id = 5) = false", all},
               {"SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND c.id = 5", all},
               {"SELECT * FROM customers c LEFT JOIN orders o ON c.id = 5",
                gathered},
               {"SELECT * FROM customers c LEFT JOIN countries n ON n.code = c.country AND c.id = 5", all},
               {"SELECT * FROM customers c FULL JOIN countries n ON c.id = 5", gathered},
               {"SELECT count(*) FILTER (WHERE customer_id = 5) FROM orders",
                gathered},
               {"SELECT customer_id FROM orders GROUP BY 1 HAVING customer_id = 5",
                gathered},
               {"SELECT * FROM orders WHERE customer_id IS NOT DISTINCT FROM 5", all},
           });
}

TEST_CASE("IN lists with elements that are no literals", "[wrong_answers]") {
  const two w;
  check(w, {
               {"SELECT * FROM orders WHERE customer_id IN (1, 1 + 1)", all},
               {"SELECT * FROM orders WHERE customer_id IN (1, abs(-2))", all},
               {"SELECT * FROM orders WHERE customer_id IN (1, amount)", all},
               {"SELECT * FROM orders WHERE customer_id IN (1, 2.0)", all},
               {"SELECT * FROM orders WHERE customer_id IN (5, NULL)", "shard {5} (replica allowed)"},
               {"SELECT * FROM orders WHERE customer_id IN (" + w.a + ", " + w.c + ", NULL)", all},
               {"DELETE FROM orders WHERE customer_id IN (1, 1 + 1)", "refused: a write to more than one shard..."},
           });
  const std::string sql = "SELECT * FROM orders WHERE customer_id IN (" + w.a + ", $1, NULL)";
  CHECK(w.told(sql, {text_parameter(w.b)}) == "shard s0 (replica allowed)");
  CHECK(w.told(sql, {text_parameter(w.c)}) == all);
  bound_parameter null;
  null.null = true;
  CHECK(w.told(sql, {null}) == "shard s0 (replica allowed)");
}

TEST_CASE("key values of every spelling", "[wrong_answers]") {
  const two w;
  const auto by_key = [](const std::string& value) { return "SELECT * FROM orders WHERE customer_id = " + value; };
  check(w, {
               {by_key("42"), "shard {42} (replica allowed)"},
               {by_key("'42'"), "shard {42} (replica allowed)"},
               {by_key("42::bigint"), "shard {42} (replica allowed)"},
               {by_key("CAST(42 AS int)"), "shard {42} (replica allowed)"},
               {by_key("'42'::int::bigint"), "shard {42} (replica allowed)"},
               {by_key("int8 '42'"), "shard {42} (replica allowed)"},
               {by_key("-5"), "shard {-5} (replica allowed)"},
               {by_key("- 5"), "shard {-5} (replica allowed)"},
               {by_key("(-5)"), "shard {-5} (replica allowed)"},
               {by_key("-(5)"), "shard {-5} (replica allowed)"},
               {by_key("'-5'"), "shard {-5} (replica allowed)"},
               {by_key("4200000000000"), "shard {4200000000000} (replica allowed)"},
               {by_key("(42)"), "shard {42} (replica allowed)"},
               {by_key("E'42'"), "shard {42} (replica allowed)"},
               {by_key("$$42$$"), "shard {42} (replica allowed)"},
               {by_key("U&'42'"), "shard {42} (replica allowed)"},
               {by_key("'4'\n'2'"), "shard {42} (replica allowed)"},
               {by_key("' 42 '"), "shard {42} (replica allowed)"},
               {by_key("0042"), "shard {42} (replica allowed)"},
               {by_key("4.2e1"), all},
               {by_key("42.0"), all},
               {by_key("42::float8"), all},
               {by_key("42::numeric"), all},
               {by_key("'42'::text::int8"), all},
               {by_key("42.4::int8"), all},
               {by_key("40 + 2"), all},
               {by_key("abs(42)"), all},
               {by_key("(SELECT 42)"), all},
               {by_key("ANY ('{42}')"), "shard {42} (replica allowed)"},
               {by_key("ANY ('{42, NULL}'::int[])"), "shard {42} (replica allowed)"},
               {by_key("ANY (CAST('{\"42\"}' AS bigint[]))"), "shard {42} (replica allowed)"},
               {by_key("ANY ('{" + w.a + "," + w.c + "}')"), all},
               {by_key("ANY ('{}')"), "shard s0 (replica allowed)"},
               {by_key("ANY ('[1:1]={42}'::int[])"), all},
               {by_key("ANY ('{{42}}'::int[])"), all},
               {by_key("ANY ('{42'::int[])"), all},
               {by_key("ANY ('{42}'::numeric[])"), all},
               {by_key("ANY ('{42}'::text::int[])"), all},
               {by_key("ANY ('{42}'::mood[])"), all},
               {by_key("ANY ($1)"), all},
               {by_key("ANY (ARRAY[42])"), "shard {42} (replica allowed)"},
               {by_key("ANY (ARRAY[" + w.a + "," + w.c + "])"), all},
               {by_key("ALL (ARRAY[1,2])"), all},
               {"SELECT * FROM orders WHERE 42 = customer_id", "shard {42} (replica allowed)"},
               {"SELECT * FROM orders WHERE customer_id OPERATOR(pg_catalog.=) 42", "shard {42} (replica allowed)"},
               {"SELECT * FROM orders WHERE customer_id OPERATOR(public.=) 42", all},
               {"SELECT * FROM orders WHERE (customer_id, item) = (42, 'x')", "shard {42} (replica allowed)"},
               {"SELECT * FROM orders WHERE (customer_id, item) IN ((42, 'x'), (43, 'y'))", all},
               {"SELECT * FROM orders WHERE customer_id BETWEEN 42 AND 42", all},
               {"SELECT * FROM orders WHERE customer_id = NULL", "shard s0 (replica allowed)"},
               {by_key("'forty-two'"), all},
               {by_key("99999999999999999999"), "shards s0, s1 concatenated (replica allowed)"},
               // The key of notes is an int4; literals of the whole integer family tie it.
               {"SELECT * FROM notes WHERE customer_id = 42::int8", "shard {42} (replica allowed)"},
               {"SELECT * FROM notes WHERE customer_id IN ('4200000000000', 1::int8)", all},
               {"SELECT * FROM notes WHERE customer_id = 4200000000000", "shard {4200000000000} (replica allowed)"},
           });
}

TEST_CASE("rows of one INSERT over shards", "[wrong_answers]") {
  const two w;
  const std::string head = "INSERT INTO customers (id, name) VALUES ";
  check(
      w,
      {
          {head + "(" + w.a + ", 'x'), (" + w.b + ", 'y')", "shard s0 (primary)"},
          {head + "(" + w.a + ", 'x'), (" + w.c + ", 'y')",
           "refused: a write to more than one shard is not supported: the keys of its rows belong to different shards"},
      });
}

TEST_CASE("INSERT with a NULL or missing key, or without a column list", "[wrong_answers]") {
  const two w;
  check(
      w,
      {
          {"INSERT INTO customers (id) VALUES (NULL)", "refused: null value for the sharding key \"id\"..."},
          {"INSERT INTO customers (id) VALUES (NULL::int8)", "refused: null value..."},
          {"INSERT INTO customers (name) VALUES ('x')", "refused: null value for the sharding key..."},
          {"INSERT INTO customers (id, name) VALUES (DEFAULT, 'x')", "refused: null value for the sharding key..."},
          {"INSERT INTO customers (id, name) VALUES (" + w.a + ", 'x'), (DEFAULT, 'y')",
           "refused: null value for the sharding key..."},
          {"INSERT INTO customers DEFAULT VALUES", "refused: null value for the sharding key..."},
          {"INSERT INTO customers VALUES (5, 'x')", "shard {5} (primary)"},
          {"INSERT INTO notes VALUES (1, 5, 'x')", "shard {5} (primary)"},
          {"INSERT INTO notes VALUES (1)", "refused: null value for the sharding key..."},
          {"INSERT INTO orders (item, customer_id) VALUES ('x', 5)", "shard {5} (primary)"},
          {"INSERT INTO customers (id) VALUES (1 + 1)", "shard s0 (primary)"},
          {"INSERT INTO customers (id) VALUES ((SELECT 5))", "shard s0 (primary)"},
          {"INSERT INTO customers (id) VALUES (5.6)", "shard s0 (primary)"},
          {"INSERT INTO customers (id) OVERRIDING USER VALUE VALUES (5)", "refused: the value of the sharding key..."},
      });
  bound_parameter null;
  null.null = true;
  CHECK(w.told("INSERT INTO customers (id) VALUES ($1)", {null}) ==
        "refused: null value for the sharding key \"id\" of table \"public.customers\"");
}

TEST_CASE("INSERT ... SELECT, COPY", "[wrong_answers]") {
  const two w;
  check(w, {
               {"INSERT INTO orders SELECT * FROM orders WHERE customer_id = 5", "shard {5} (primary)"},
               {"INSERT INTO orders SELECT * FROM orders", "refused: a write to more than one shard..."},
               {"INSERT INTO customers SELECT 5", "shard {5} (primary)"},
               {"INSERT INTO customers VALUES (5) LIMIT 1", "refused: a write to more than one shard..."},
               {"INSERT INTO customers VALUES (5) UNION ALL VALUES (6)", "refused: a write to more than one shard..."},
               {"COPY orders FROM STDIN", "refused: a write to more than one shard is not supported: COPY FROM..."},
               {"COPY orders (customer_id) FROM STDIN", "refused: a write to more than one shard..."},
               {"COPY orders TO STDOUT", "shards s0, s1 gathered (replica allowed)"},
               {"COPY (SELECT * FROM orders) TO STDOUT", "shards s0, s1 gathered (replica allowed)"},
               {"COPY (SELECT * FROM orders) TO '/tmp/x'", "refused: COPY with a file..."},
               {"COPY BINARY orders TO STDOUT", unsupported + "COPY TO from sharded table \"public.orders\""},
               {"COPY (SELECT * FROM orders WHERE customer_id = 5) TO STDOUT", "shard {5} (replica allowed)"},
               {"COPY countries TO STDOUT", "any shard (replica allowed)"},
               {"COPY countries FROM STDIN", "refused: a write to reference table..."},
               {"COPY settings FROM STDIN", "shard s0 (primary)"},
               {"COPY reports TO STDOUT", "shard s1 (replica allowed)"},
               {"COPY reports TO '/tmp/x'", "refused: COPY with a file..."},
           });
}

TEST_CASE("aggregates, windows, DISTINCT, GROUP BY, HAVING", "[wrong_answers]") {
  const two w;
  check(
      w,
      {
          {"SELECT coalesce(sum(amount), 0) FROM orders", gathered},
          {"SELECT round(avg(amount), 2) FROM orders", gathered},
          {"SELECT sum(amount) / count(*) FROM orders", gathered},
          {"SELECT count(*) OVER () FROM orders", gathered},
          {"SELECT row_number() OVER (ORDER BY id) FROM orders",
           gathered},
          {"SELECT sum(amount) OVER w FROM orders WINDOW w AS (PARTITION BY customer_id)", gathered},
          {"SELECT count(DISTINCT item) FROM orders", gathered},
          {"SELECT sum(DISTINCT amount) FROM orders", gathered},
          {"SELECT min(item), max(item) FROM orders", gathered},
          {"SELECT string_agg(item, ',') FROM orders", gathered},
          {"SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount) FROM orders", gathered},
          {"SELECT lower(item) FROM orders GROUP BY lower(item)", gathered},
          {"SELECT item FROM orders GROUP BY 1", gathered},
          {"SELECT item AS i FROM orders GROUP BY i", gathered},
          {"SELECT item FROM orders GROUP BY ROLLUP (item)", gathered},
          {"SELECT customer_id FROM orders GROUP BY customer_id HAVING count(*) > 1", gathered},
          {"SELECT 1 FROM orders HAVING true", gathered},
          {"SELECT DISTINCT item FROM orders", gathered},
          {"SELECT DISTINCT ON (item) * FROM orders", gathered},
          {"SELECT sum(amount) FROM orders WHERE customer_id = 5", "shard {5} (replica allowed)"},
          {"SELECT count(*) FROM orders WHERE customer_id IN (" + w.a + ", " + w.b + ")", "shard s0 (replica allowed)"},
          {"SELECT count(*) FROM orders WHERE customer_id IN (" + w.a + ", " + w.c + ")",
           gathered},
          {"SELECT (SELECT count(o.id) FROM countries) FROM orders o", gathered},
          {"SELECT * FROM customers WHERE balance > (SELECT max(rate) FROM currencies)",
           gathered},
          {"SELECT * FROM customers WHERE 3 < (SELECT count(*) FROM currencies)", all},
      });
}

TEST_CASE("ORDER BY and OFFSET", "[wrong_answers]") {
  const two w;
  check(w,
        {
            {"SELECT * FROM orders ORDER BY id", "shards s0, s1 merged in their order (replica allowed)"},
            {"SELECT item FROM orders ORDER BY amount DESC NULLS FIRST", gathered},
            {"SELECT item FROM orders ORDER BY lower(item)", gathered},
            {"SELECT * FROM orders OFFSET 5", gathered},
            {"SELECT * FROM orders WHERE customer_id = 5 ORDER BY id OFFSET 5", "shard {5} (replica allowed)"},
        });
}

TEST_CASE("joins that are not on the key", "[wrong_answers]") {
  const two w;
  const std::string not_on_key = unsupported + "a join of sharded tables that is not on their sharding keys";
  check(w, {
               {"SELECT * FROM orders a JOIN orders b ON a.item = b.item", gathered},
               {"SELECT * FROM customers, orders", gathered},
               {"SELECT * FROM customers c JOIN notes n ON n.id = c.id", gathered},
               {"SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id", all},
               {"SELECT * FROM customers c, orders o WHERE o.customer_id = c.id", all},
               {"SELECT * FROM customers c JOIN notes n ON n.customer_id = c.id", all},
               {"SELECT * FROM customers c, orders o WHERE o.customer_id = c.id OR c.id = 1", gathered},
               {"SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = c.id", all},
               {"SELECT * FROM customers c RIGHT JOIN orders o ON o.customer_id = c.id", all},
               {"SELECT * FROM customers c FULL JOIN orders o ON o.customer_id = c.id", gathered},
               {"SELECT * FROM orders JOIN notes USING (customer_id)", all},
               {"SELECT * FROM orders JOIN notes USING (id)", gathered},
               {"SELECT * FROM customers JOIN notes USING (id)", gathered},
           });
}

TEST_CASE("UPDATE that changes the key", "[wrong_answers]") {
  const two w;
  check(w, {
               {"UPDATE orders SET customer_id = 6 WHERE customer_id = 5", "refused: UPDATE of the sharding key..."},
               {"UPDATE orders SET customer_id = customer_id WHERE customer_id = 5", "shard {5} (primary)"},
               {"UPDATE orders SET (item, customer_id) = ('x', 6) WHERE customer_id = 5",
                "refused: UPDATE of the sharding key..."},
               {"UPDATE orders SET (customer_id, item) = (SELECT 6, 'x') WHERE customer_id = 5",
                "refused: UPDATE of the sharding key..."},
               {"UPDATE orders SET (item, customer_id) = (SELECT 'x', 6) WHERE customer_id = 5",
                "refused: UPDATE of the sharding key..."},
               {"INSERT INTO customers (id) VALUES (5) ON CONFLICT (id) DO UPDATE SET id = 6",
                "refused: UPDATE of the sharding key..."},
           });
}

TEST_CASE("functions that give another value on each shard", "[wrong_answers]") {
  const two w;
  check(
      w,
      {
          {"SELECT now() FROM orders", gathered},
          {"SELECT * FROM orders WHERE placed > now()", gathered},
          {"SELECT *, current_timestamp FROM orders", gathered},
          {"SELECT random() FROM orders", gathered},
          {"SELECT gen_random_uuid() FROM orders", gathered},
          {"SELECT nextval('order_ids') FROM orders WHERE customer_id = 5", "refused: function \"nextval\"..."},
          {"INSERT INTO orders (customer_id, id) VALUES (5, nextval('order_ids'))", "shard s0 (primary)"},  // drawn there first
          {"SELECT random()", "any shard (primary)"},
          {"SELECT now()", "any shard (replica allowed)"},
          {"SELECT now() FROM orders WHERE customer_id = 5", "shard {5} (replica allowed)"},
          {"INSERT INTO orders (customer_id, id) VALUES (5, gen_random_uuid())", "shard {5} (primary)"},
          {"UPDATE orders SET placed = now() WHERE customer_id = 5", "shard {5} (primary)"},
          {"SELECT to_char(placed, 'YYYY'), concat(item, 5) FROM orders", all},
      });
}

TEST_CASE("pgbraid.id() is another value at each call, and a write", "[wrong_answers]") {
  two w;
  // Others' functions of that name do not count.
  w.schema.functions["id"].any_aggregate = true;
  check(w, {
               {"SELECT pgbraid.id()", "any shard (primary)"},
               {"SELECT PGBRAID . ID ()", "any shard (primary)"},
               {"SELECT pgbraid.id() FROM orders WHERE customer_id = 5", "shard {5} (primary)"},
               {"SELECT pgbraid.id() FROM orders", gathered},
               {"SELECT * FROM orders WHERE id > pgbraid.id()", gathered},
               {"SELECT * FROM orders WHERE customer_id = pgbraid.id()", gathered},
               {"INSERT INTO orders (customer_id, id) VALUES (5, pgbraid.id())", "shard {5} (primary)"},
               {"UPDATE orders SET id = pgbraid.id() WHERE customer_id = 5", "shard {5} (primary)"},
               {"DELETE FROM orders WHERE customer_id = pgbraid.id()", "refused:..."},
               {"SELECT pgbraid.id(7)", "refused:..."},
           });
  // Without its schema it may be either.
  w.schema.functions["id"].any_aggregate = false;
  w.schema.functions["id"].pg_catalog_only = false;
  check(w, {
               {"SELECT id() FROM orders", gathered},
               {"SELECT id(customer_id) FROM orders", all},
               {"SELECT id()", "any shard (primary)"},
           });
}

TEST_CASE("unlisted and unknown tables", "[wrong_answers]") {
  const two w;
  check(w, {
               {"SELECT * FROM unlisted",
                "refused: table \"public.unlisted\" is not in the topology of database \"shop\""},
               {"INSERT INTO unlisted VALUES (1)", "refused: table \"public.unlisted\" is not in the topology..."},
               {"SELECT * FROM orders, unlisted WHERE customer_id = 5", "refused: table \"public.unlisted\"..."},
               {"SELECT * FROM no_such_table", "refused: relation \"no_such_table\" does not exist"},
               {"SELECT * FROM gone WHERE id = 5", "refused: relation \"public.gone\" does not exist"},
               {"SELECT * FROM order_ids", "shard s0 (primary, a read)"},
           });
  world empty(2);
  empty.context.schema = nullptr;
  CHECK(empty.told("SELECT * FROM orders WHERE customer_id = 5") ==
        "refused: this query over several shards is not supported: the servers' catalogs have not been read yet");
}

TEST_CASE("scattered reads that write or lock are refused", "[wrong_answers]") {
  const two w;
  check(w, {
               {"SELECT * FROM orders FOR UPDATE", "refused: a write to more than one shard..."},
               {"SELECT * FROM orders WHERE customer_id = 5 FOR UPDATE", "shard {5} (primary)"},
               {"SELECT * FROM orders WHERE customer_id IN (" + w.a + ", " + w.c + ") FOR UPDATE",
                "refused: a write to more than one shard..."},
               {"SELECT * FROM fast", "shards s0, s1 concatenated (primary, a read)"},
           });
}
