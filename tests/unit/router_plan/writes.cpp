// INSERT, UPDATE and DELETE over several shards.
#include <catch2/catch.hpp>

#include "fixture.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {
const std::string at5 = "shard {5} (primary)";
const std::string several = "refused: a write to more than one shard is not supported: ";
}  // namespace

TEST_CASE("writes tied to one key", "[writes]") {
  const world w(4);
  check(
      w,
      {
          {"INSERT INTO orders (customer_id, item) VALUES (5, 'x')", at5},
          {"INSERT INTO orders (customer_id, item) VALUES (5, 'x'), (5, 'y') RETURNING *", at5},
          {"INSERT INTO orders AS o (customer_id) VALUES ('5') ON CONFLICT DO NOTHING", at5},
          {"INSERT INTO customers (id, name) VALUES (5, 'x') ON CONFLICT (id) DO UPDATE SET name = excluded.name", at5},
          {"INSERT INTO orders (customer_id, item) VALUES (5, (SELECT name FROM customers WHERE id = 5))", at5},
          {"INSERT INTO orders (customer_id, item) VALUES (5, (SELECT code FROM countries LIMIT 1))", at5},
          {"INSERT INTO orders (customer_id) VALUES (5) RETURNING (SELECT name FROM customers WHERE id = "
           "orders.customer_id)",
           at5},
          {"UPDATE orders SET item = 'x' WHERE customer_id = 5", at5},
          {"UPDATE orders o SET item = 'x' WHERE o.customer_id = 5 RETURNING *", at5},
          {"UPDATE orders SET item = c.name FROM customers c WHERE c.id = orders.customer_id AND c.id = 5", at5},
          {"UPDATE orders SET item = n.name FROM countries n WHERE customer_id = 5", at5},
          {"UPDATE orders SET item = (SELECT name FROM customers c WHERE c.id = orders.customer_id) WHERE customer_id "
           "= 5",
           at5},
          {"UPDATE orders SET (item, amount) = ('x', 3) WHERE customer_id = 5", at5},
          {"UPDATE orders SET (item, amount) = (SELECT name, 3 FROM customers c WHERE c.id = orders.customer_id) WHERE "
           "customer_id = 5",
           at5},
          {"INSERT INTO orders (customer_id, item) VALUES (5, 'x') ON CONFLICT (customer_id) DO UPDATE SET (item, "
           "amount) = (SELECT excluded.item, 5)",
           at5},
          // An error, and one server's: nothing of it is carried out on another.
          {"INSERT INTO orders (customer_id, item) VALUES (5, 'x'), (6), (7)", at5},
          {"INSERT INTO orders (customer_id, item) VALUES (5, 'x'), (6, 'y'), (7)", at5},
          {"DELETE FROM orders WHERE customer_id = 5", at5},
          {"DELETE FROM orders USING customers c WHERE c.id = customer_id AND c.id = 5", at5},
          {"WITH x AS (SELECT * FROM customers WHERE id = 5) DELETE FROM orders WHERE customer_id = 5", at5},
          {"WITH d AS (DELETE FROM orders WHERE customer_id = 5 RETURNING *) SELECT * FROM d", at5},
          {"WITH i AS (INSERT INTO customers (id) VALUES (5) RETURNING id) INSERT INTO orders (customer_id) VALUES (5)",
           at5},
      });
}

TEST_CASE("a key that comes back from a write of WITH", "[writes]") {
  const world w(4);
  const std::string seven = "shard s" + std::to_string(shard_of(w.map, 7)) + " (primary)";
  const auto told = [&](const std::string& with, const std::string& rest) {
    return w.told("WITH x AS (" + with + ") " + rest);
  };
  const std::string into = "INSERT INTO orders (customer_id, item) SELECT ";
  const std::string add = "INSERT INTO customers (id, name) VALUES (7, 'a') RETURNING ";
  CHECK(told(add + "id", into + "id, 'i' FROM x") == seven);
  CHECK(told(add + "id AS no, name", into + "no, name FROM x") == seven);
  CHECK(told(add + "*", into + "x.id, x.name FROM x, countries WHERE code = 'DE'") == seven);
  CHECK(told(add + "id, name", "INSERT INTO orders (customer_id, item) SELECT * FROM x") == seven);
  CHECK(told("UPDATE customers c SET name = 'a' FROM countries WHERE id = 7 RETURNING c.*",
             into + "id, name FROM x AS y") == seven);
  CHECK(told("DELETE FROM notes WHERE customer_id = 7 RETURNING customer_id", into + "customer_id, 'i' FROM x") ==
        seven);
  CHECK(w.told("WITH x (no) AS (" + add + "id), y AS (" + into +
               "no, 'i' FROM x RETURNING customer_id) SELECT * FROM y") == seven);
  CHECK(w.told("WITH x AS (INSERT INTO customers (id) VALUES ($1) RETURNING id) " + into + "id, $2 FROM x",
               {text_parameter("7"), text_parameter("i")}) == seven);
  // Not the key, more than the key, from elsewhere, or there is no row.
  for (const char* rest : {"id + 1, 'i' FROM x", "balance, 'i' FROM x", "8, 'i' FROM x",
                           "y.id, 'i' FROM x, customers y", "x.id, 'i' FROM countries LEFT JOIN x ON true"}) {
    INFO(rest);
    CHECK(told(add + "id, balance::bigint AS balance", into + rest) != seven);
  }
  CHECK(told("UPDATE customers SET id = 8 WHERE id = 7 RETURNING id", into + "id, 'i' FROM x") != seven);
}

TEST_CASE("two writes of one row in WITH are its shard's own statement", "[writes]") {
  const world w(4);
  const std::string seven = "shard s" + std::to_string(shard_of(w.map, 7)) + " (primary)";
  CHECK(w.told("WITH a AS (UPDATE customers SET name = 'a' WHERE id = 7 RETURNING id), b AS (DELETE FROM customers "
               "WHERE id = 7 "
               "RETURNING id) SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)") == seven);
  CHECK(w.told("WITH a AS (UPDATE customers SET name = 'a' WHERE id = $1 RETURNING id), b AS (UPDATE customers SET "
               "name = 'b' "
               "WHERE id = $2 RETURNING id) SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)",
               {text_parameter("7"), text_parameter("7")}) == seven);
}

TEST_CASE("writes that mean several shards", "[writes]") {
  const world w(2);
  const auto on0 = keys_on(w.map, 0, 2);
  const std::string a = std::to_string(on0[0]), b = std::to_string(on0[1]), c = std::to_string(keys_on(w.map, 1, 1)[0]);
  check(
      w,
      {
          {"UPDATE orders SET item = 'x'", several + "\"public.orders\" is not tied to one value of its sharding key"},
          {"DELETE FROM orders", several + "\"public.orders\" is not tied..."},
          {"DELETE FROM orders WHERE customer_id = 5 OR true", several + "\"public.orders\" is not tied..."},
          {"DELETE FROM orders WHERE customer_id IN (" + a + ", " + c + ")",
           several + "the keys of its rows belong to different shards"},
          {"DELETE FROM orders WHERE customer_id IN (" + a + ", " + b + ")", "shard s0 (primary)"},
          {"UPDATE orders SET item = 'x' WHERE id IN (SELECT id FROM orders WHERE customer_id = 5)",
           several + "\"public.orders\" is not tied..."},
          {"UPDATE orders SET item = (SELECT max(name) FROM customers) WHERE customer_id = 5",
           several + "\"public.customers\" is not tied..."},
          {"WITH d AS (DELETE FROM orders RETURNING *) SELECT * FROM d", several + "\"public.orders\" is not tied..."},
          {"WITH d AS (DELETE FROM orders WHERE customer_id = " + a +
               " RETURNING *) SELECT * FROM customers WHERE id = " + c,
           several + "the keys in this statement belong to different shards"},
          {"DELETE FROM orders USING customers c WHERE c.name = item AND c.id = 5",
           several + "\"public.orders\" is..."},
          {"INSERT INTO orders (customer_id, item) VALUES (" + a + ", (SELECT name FROM customers WHERE id = " + c +
               "))",
           several + "the keys in this statement belong to different shards"},
      });
}

TEST_CASE("what may not be written", "[writes]") {
  world w(2);
  check(
      w,
      {
          {"INSERT INTO countries VALUES ('x', 'y')", "refused: a write to reference table \"public.countries\"..."},
          {"UPDATE countries SET name = 'x'", "refused: a write to reference table..."},
          {"DELETE FROM countries", "refused: a write to reference table..."},
          {"DELETE FROM european", "refused: a write to reference table..."},
          {"DELETE FROM pg_class", several + "the system catalogs stand on every shard"},
          {"INSERT INTO loose (id) VALUES (5)",
           "refused: a write to table \"public.loose\" is refused: unique constraint \"loose_email_key\" does not..."},
          {"UPDATE loose SET email = 'x' WHERE id = 5", "refused: a write to table \"public.loose\" is refused..."},
          {"DELETE FROM loose WHERE id = 5", "shard {5} (primary)"},
          {"INSERT INTO watched (id) VALUES (5)", "refused: function \"audit\" of \"public.watched\" may read..."},
          {"DELETE FROM watched WHERE id = 5", "refused: function \"audit\" of \"public.watched\"..."},
          {"SELECT * FROM watched WHERE id = 5", "shard {5} (replica allowed)"},
          {"INSERT INTO odd (name) VALUES ('x')", "refused: the value of the sharding key..."},
      });
  w.map.accept_unenforced = {"public.loose"};
  w.map.shard_local = {"audit"};
  check(w, {
               {"INSERT INTO loose (id) VALUES (5)", "shard {5} (primary)"},
               {"INSERT INTO watched (id) VALUES (5)", "shard {5} (primary)"},
           });
  w.map.accept_unenforced.clear();
  w.schema.relations["public.loose"].unenforced = {
      "foreign key \"x\" of public.other refers to it from rows that may stand on other shards"};
  CHECK(w.told("DELETE FROM loose WHERE id = 5").starts_with("refused: a write to table \"public.loose\""));
  // A row that is taken away refers to nothing.
  w.schema.relations["public.loose"].unenforced = {
      "foreign key \"x\" refers to public.other, which is neither a reference table nor sharded"};
  CHECK(w.told("DELETE FROM loose WHERE id = 5") == w.told("DELETE FROM customers WHERE id = 5"));
  CHECK(w.told("INSERT INTO loose (id) VALUES (5)").starts_with("refused: a write to table \"public.loose\""));
}

TEST_CASE("a stored value is cut as its column does it, a compared one is not", "[writes]") {
  const world w(4);
  // codes.code is a char(8) in the catalog's terms (atttypmod 8: four characters).
  CHECK(w.told("INSERT INTO codes (code) VALUES ('abcd  ')").starts_with("shard "));
  CHECK(w.told("INSERT INTO codes (code) VALUES ('abcdefghijk')")
            .starts_with("refused: value too long for type character(4)"));
  CHECK(w.told("SELECT * FROM codes WHERE code = 'abcdefghijk'").starts_with("shard "));
}
