// The plan cache: hits, variants, limits.
#include <catch2/catch.hpp>

#include "fixture.hpp"
#include "router/plan/plan_cache.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

struct cached_world : world {
  explicit cached_world(std::size_t shards, std::size_t plans = 4096, std::size_t bytes = 16 << 20)
      : world(shards), cache(plans, bytes) {}

  std::string ask(std::string_view sql) {
    const plan_ptr p = cache.get(sql, scan, context);
    return to_string(resolve(*p, map, sql, scan.constants, {}, {}), map);
  }

  plan_cache cache;
  sql::token_scan scan;
};

std::string by_key(const std::string& key) {
  return "SELECT * FROM orders WHERE customer_id = " + key;
}

}  // namespace

TEST_CASE("texts that differ in free constants share a plan", "[cache]") {
  cached_world w(4);
  for (int key = 0; key < 100; ++key) {
    CHECK(w.ask(by_key(std::to_string(key))) == w.told(by_key(std::to_string(key))));
  }
  CHECK(w.cache.misses() == 1);
  CHECK(w.cache.hits() == 99);
  CHECK(w.cache.size() == 1);
}

TEST_CASE("a text that leads to a plan by its pattern leads nowhere once the plan is gone", "[cache]") {
  cached_world w(4, 2);
  for (int key = 0; key < 100; ++key) (void)w.ask(by_key(std::to_string(key)));
  REQUIRE(w.cache.misses() == 1);
  // Two others push it out.
  (void)w.ask("SELECT * FROM orders WHERE id = 1 AND customer_id = 2");
  (void)w.ask("SELECT id FROM orders WHERE customer_id = 2");
  REQUIRE(w.cache.misses() == 3);
  CHECK(w.ask(by_key("7")) == w.told(by_key("7")));
  CHECK(w.cache.misses() == 4);
  w.cache.clear();
  CHECK(w.ask(by_key("8")) == w.told(by_key("8")));
  CHECK(w.cache.misses() == 5);
}

TEST_CASE("many texts of one beginning find their own plans", "[cache]") {
  cached_world w(4);
  const auto text = [](int shape, int key) {
    std::string sql = "SELECT * FROM orders WHERE customer_id = " + std::to_string(key);
    for (int i = 0; i < shape; ++i) sql += " AND id <> " + std::to_string(key + i);
    return sql;
  };
  for (int key = 0; key < 200; ++key) {
    const std::string sql = text(key % 7, key);
    CHECK(w.ask(sql) == w.told(sql));
  }
  CHECK(w.cache.misses() == 7);
}

TEST_CASE("a pinned constant makes a variant", "[cache]") {
  cached_world w(2);
  for (int limit = 1; limit <= 5; ++limit) (void)w.ask(by_key("5") + " LIMIT " + std::to_string(limit));
  CHECK(w.cache.misses() == 5);
  for (int limit = 1; limit <= 5; ++limit) (void)w.ask(by_key("6") + " LIMIT " + std::to_string(limit));
  CHECK(w.cache.misses() == 5);
  CHECK(w.cache.hits() == 5);
  CHECK(w.cache.size() == 5);
}

TEST_CASE("variants of one text are bounded", "[cache]") {
  cached_world w(2);
  for (int limit = 1; limit <= 1000; ++limit) (void)w.ask(by_key("5") + " LIMIT " + std::to_string(limit));
  CHECK(w.cache.size() == 16);
  (void)w.ask(by_key("5") + " LIMIT 1000");
  CHECK(w.cache.hits() == 1);
}

TEST_CASE("a constant of another class gets a plan of its own", "[cache]") {
  cached_world w(2);
  const std::string all = "shards s0, s1 concatenated (replica allowed)";
  CHECK(w.ask(by_key("4.2e1")) == all);
  CHECK(w.ask(by_key("42")) == w.told(by_key("42")));
  CHECK(w.ask(by_key("42")) != all);
  CHECK(w.ask(by_key("'42'")) == w.told(by_key("42")));
  CHECK(w.ask(by_key("4.2e1")) == all);
  CHECK(w.ask(by_key("-42")) == w.told(by_key("-42")));
}

TEST_CASE("list lengths, operators and names are part of the key", "[cache]") {
  cached_world w(2);
  const auto on0 = keys_on(w.map, 0, 2);
  const std::string a = std::to_string(on0[0]), b = std::to_string(on0[1]), c = std::to_string(keys_on(w.map, 1, 1)[0]);
  const std::vector<std::string> texts = {
      "SELECT * FROM orders WHERE customer_id IN (" + a + ", " + b + ")",
      "SELECT * FROM orders WHERE customer_id IN (" + a + ", " + b + ", " + c + ")",
      "SELECT * FROM orders WHERE customer_id IN (" + a + ", " + c + ")",
      "SELECT * FROM orders WHERE customer_id <> " + a,
      "SELECT * FROM orders WHERE customer_id = " + a,
      "SELECT * FROM notes WHERE customer_id = " + c,
      "INSERT INTO customers (id) VALUES (" + a + ")",
      "INSERT INTO customers (id) VALUES (" + a + "), (" + c + ")",
      "INSERT INTO customers (id) VALUES (" + a + "), (" + b + ")",
      "DELETE FROM orders WHERE customer_id = " + c,
      "SELECT 1",
      "BEGIN",
      "SET work_mem = '1MB'",
  };
  for (int round = 0; round < 3; ++round) {
    for (const std::string& sql : texts) {
      INFO(sql);
      CHECK(w.ask(sql) == w.told(sql));
    }
  }
}

TEST_CASE("settings are never taken from another statement's constants", "[cache]") {
  cached_world w(1);
  const auto value_of = [&](std::string_view sql) {
    return w.cache.get(sql, w.scan, w.context)->variable.values.at(0);
  };
  CHECK(value_of("SET work_mem = '1MB'") == "1MB");
  CHECK(value_of("SET work_mem = '2MB'") == "2MB");
  CHECK(value_of("SET work_mem = '1MB'") == "1MB");
  const auto inner = [&](std::string_view sql) { return w.cache.get(sql, w.scan, w.context)->inner_text; };
  CHECK(inner("PREPARE q AS SELECT 1") == "SELECT 1");
  CHECK(inner("PREPARE q AS SELECT 2") == "SELECT 2");
}

TEST_CASE("the number of plans is bounded", "[cache]") {
  cached_world w(1, 10);
  for (int i = 0; i < 100; ++i) (void)w.ask("SELECT 1 AS a" + std::to_string(i) + "_");
  CHECK(w.cache.size() == 10);
  (void)w.ask("SELECT 1 AS a99_");
  CHECK(w.cache.hits() == 1);
  (void)w.ask("SELECT 1 AS a5_");
  CHECK(w.cache.hits() == 1);
}

TEST_CASE("the least recently used plan goes first", "[cache]") {
  cached_world w(1, 2);
  (void)w.ask("SELECT 1 AS a");
  (void)w.ask("SELECT 1 AS b");
  (void)w.ask("SELECT 1 AS a");
  (void)w.ask("SELECT 1 AS c");
  CHECK(w.cache.hits() == 1);
  (void)w.ask("SELECT 1 AS a");
  CHECK(w.cache.hits() == 2);
  (void)w.ask("SELECT 1 AS b");
  CHECK(w.cache.hits() == 2);
}

TEST_CASE("bytes are bounded", "[cache]") {
  cached_world w(1, 4096, 64 << 10);
  for (int i = 0; i < 100; ++i) {
    (void)w.ask("SELECT 1 AS a" + std::to_string(i) + "_, " + std::string(2000, 'b') + " FROM customers");
  }
  CHECK(w.cache.size() > 5);
  CHECK(w.cache.size() < 33);
  const std::size_t before = w.cache.size();
  (void)w.ask("SELECT 1 AS " + std::string(40000, 'x'));  // too big to be worth its place
  CHECK(w.cache.size() == before);
}

TEST_CASE("what has no key is not cached, and clear() forgets all", "[cache]") {
  cached_world w(1);
  (void)w.ask("SELECT 'unterminated");
  CHECK(w.cache.size() == 0);
  (void)w.ask("SELECT 1");
  CHECK(w.cache.size() == 1);
  w.cache.clear();
  CHECK(w.cache.size() == 0);
  (void)w.ask("SELECT 1");
  CHECK(w.cache.hits() == 0);
  plan_cache moved = std::move(w.cache);
  CHECK(moved.size() == 1);
}
