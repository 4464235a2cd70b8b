// Keys by ranges and lists, and schemas of one shard: which shards are asked, and what is refused.
#include <catch2/catch.hpp>

#include <map>

#include "fixture.hpp"
#include "router/plan/planner.hpp"
#include "router/shard/key_directory.hpp"
#include "router/shard/value_map.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

// customers and orders by ranges of 100 keys on s0 to s2, from 300 on nobody's; people by a list; tenant on s3.
struct valued_world : world {
  valued_world() : world(4) {
    schema.single_writer.clear();
    map.tables["public.customers"] = {{"id"}, shard_function::range};
    map.tables["public.orders"] = {{"customer_id"}, shard_function::range};
    map.tables["public.people"] = {{"login"}, shard_function::list};
    map.tables.erase("public.days");
    map.ranges.parts = {{0, std::nullopt, "100"}, {1, "100", "200"}, {2, "200", "300"}};
    map.lists.parts = {{0, "ann", std::nullopt}, {2, "bob", std::nullopt}};
    map.schemas["tenant"] = 3;
    relation items;
    items.schema = "tenant";
    items.name = "items";
    items.columns = schema.relations["public.countries"].columns;
    schema.relations["tenant.items"] = items;
  }
};

}  // namespace

TEST_CASE("an end of an interval that is no integer", "[values]") {
  const valued_world w;
  for (const char* end : {"250.5", "99999999999999", "250"}) {
    CHECK(w.told("SELECT * FROM customers WHERE id < $1", {text_parameter(end, type_oid::numeric)})
              .starts_with("shards s0, s1, s2"));
  }
}

TEST_CASE("values and intervals of a key by ranges", "[values]") {
  const valued_world w;
  check(w, {
               {"SELECT * FROM customers WHERE id = 5", "shard s0 (replica allowed)"},
               {"SELECT * FROM customers WHERE id = 100", "shard s1 (replica allowed)"},
               {"SELECT * FROM customers WHERE id = 1000", "shard s0 (replica allowed)"},
               {"SELECT * FROM customers WHERE id IN (5, 1000, 250)", "shards s0, s2 concatenated (replica allowed)"},
               {"SELECT * FROM customers WHERE id = ANY ('{5,1000}')", "shard s0 (replica allowed)"},
               {"SELECT * FROM customers WHERE id BETWEEN 150 AND 250", "shards s1, s2 concatenated (replica allowed)"},
               {"SELECT * FROM customers WHERE id < 100", "shard s0 (replica allowed)"},
               {"SELECT * FROM customers WHERE id <= 100", "shards s0, s1 concatenated (replica allowed)"},
               {"SELECT * FROM customers WHERE 199 < id", "shards s1, s2 concatenated (replica allowed)"},
               {"SELECT * FROM customers WHERE id > 50 AND id < 60 AND name = 'x'", "shard s0 (replica allowed)"},
               {"SELECT * FROM customers WHERE id > 60 AND id < 50", "shard s0 (replica allowed)"},
               {"SELECT * FROM customers WHERE id > 250 AND id < NULL", "shard s0 (replica allowed)"},
               {"SELECT * FROM customers WHERE id > 250 AND id = 5", "shard s0 (replica allowed)"},
               {"SELECT * FROM customers WHERE id NOT BETWEEN 150 AND 250", "shards s0, s1, s2, s3 concatenated (replica allowed)"},
               {"SELECT * FROM customers WHERE id > 250 OR id < 5", "shards s0, s1, s2, s3 concatenated (replica allowed)"},
               {"SELECT * FROM customers WHERE id > 2.5", "shards s0, s1, s2, s3 concatenated (replica allowed)"},
               {"SELECT max(name) FROM customers WHERE id < 100", "shard s0 (replica allowed)"},
               {"DELETE FROM customers WHERE id < 150", "shards s0, s1 together (primary)"},
               {"SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id < 50", "shard s0 (replica allowed)"},
               {"SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id > 250", "shards s0, s1, s2, s3 gathered (replica allowed)"},
           });
  CHECK(w.told("SELECT * FROM customers WHERE id BETWEEN $1 AND $2", {text_parameter("10"), text_parameter("20")}) == "shard s0 (replica allowed)");
  CHECK(w.told("SELECT * FROM customers WHERE id > $1", {text_parameter("150")}) == "shards s1, s2 concatenated (replica allowed)");
}

TEST_CASE("rows that no shard owns are refused, unless one owns the rest", "[values]") {
  valued_world w;
  check(w, {
               {"INSERT INTO customers (id) VALUES (150)", "shard s1 (primary)"},
               {"INSERT INTO customers (id) VALUES (5), (150)", "shards s0, s1, each with its own rows (primary)"},
               {"INSERT INTO customers (id) VALUES (1000)", "refused: no shard owns the value \"1000\" of the sharding key \"id\" of table \"public.customers\""},
               {"INSERT INTO people (login) VALUES ('ann')", "shard s0 (primary)"},
               {"INSERT INTO people (login) VALUES ('carl')", "refused: no shard owns ..."},
               {"INSERT INTO customers (id) VALUES (abs(5))", "shards s0, s1, s2, s3 together (primary)"},
               {"SELECT * FROM people WHERE login = 'bob'", "shard s2 (replica allowed)"},
               {"SELECT * FROM people WHERE login < 'bob'", "shards s0, s1, s2, s3 concatenated (replica allowed)"},
               {"/* pgbraid: key=150 */ SELECT count(*) FROM customers, orders", "shard s1 (replica allowed)"},
           });
  w.map.ranges.others = w.map.lists.others = shard_index{3};
  check(w, {
               {"INSERT INTO customers (id) VALUES (1000)", "shard s3 (primary)"},
               {"SELECT * FROM customers WHERE id > 250", "shards s2, s3 concatenated (replica allowed)"},
               {"SELECT * FROM people WHERE login = 'carl'", "shard s3 (replica allowed)"},
           });
}

TEST_CASE("keys of different functions are not in one place", "[values]") {
  const valued_world w;
  check(w, {
               {"SELECT * FROM customers c JOIN notes n ON n.customer_id = c.id", "shards s0, s1, s2, s3 gathered (replica allowed)"},
               {"SELECT * FROM customers JOIN orders ON customer_id = customers.id", "shards s0, s1, s2, s3 concatenated (replica allowed)"},
               {"INSERT INTO orders (customer_id) SELECT id FROM customers", "shards s0, s1, s2, s3 together (primary)"},
               {"INSERT INTO orders (customer_id) SELECT customer_id FROM notes", "shards s0, s1, s2, s3 together (primary)"},
           });
}

TEST_CASE("a schema of one shard", "[values]") {
  valued_world w;
  check(w, {
               {"SELECT * FROM tenant.items", "shard s3 (replica allowed)"},
               {"SELECT * FROM tenant.items JOIN countries USING (code)", "shard s3 (replica allowed)"},
               {"INSERT INTO tenant.items VALUES ('a', 'b')", "shard s3 (primary)"},
               {"CREATE TABLE tenant.more (id int)", "shard s3 (primary)"},
               {"CREATE SCHEMA tenant", "shard s3 (primary)"},
               {"CREATE SCHEMA other", "shards s0, s1, s2, s3 together (primary)"},
               {"SELECT * FROM items", "refused: ..."},
               {"SELECT * FROM tenant.missing", "shard s3 (primary)"},
           });
  w.context.search_path = {"tenant", "public"};
  check(w, {
               {"SELECT * FROM items", "shard s3 (replica allowed)"},
               {"CREATE TABLE more (id int)", "shard s3 (primary)"},
               {"SELECT * FROM customers WHERE id = 5", "shard s0 (replica allowed)"},
           });
}

namespace {

// What the table says, and what has been wanted of it.
struct listed_keys final : key_directory {
  std::map<std::string, shard_index, std::less<>> shards;
  std::vector<std::string> wanted;
  bool asked = false;

  static std::string bytes_of(const std::string& value) {
    std::string out;
    REQUIRE(key_bytes(out, type_oid::text, -1, 0, false, value, "UTC"));
    return out;
  }
  known_key find(std::string_view bytes) override {
    if (const auto found = shards.find(bytes); found != shards.end()) return {known_key::kind::shard, found->second};
    return {asked ? known_key::kind::absent : known_key::kind::unknown, 0};
  }
  void want(wanted_key key) override { wanted.push_back(key.value); }
};

struct looked_up_world : world {
  listed_keys listed;
  looked_up_world() : world(4) {
    schema.single_writer.clear();
    map.directory = lookup_rule{"public", "countries", "code", "name", std::nullopt};
    map.tables["public.people"] = {{"login"}, shard_function::lookup};
    listed.shards[listed_keys::bytes_of("ann")] = 1;
    listed.shards[listed_keys::bytes_of("bob")] = 2;
  }
  std::string ask(const std::string& sql) {
    listed.wanted.clear();
    sql::token_scan scan;
    sql::scan(sql, scan);
    literal_context literals;
    literals.directory = &listed;
    return to_string(resolve(*make_plan(sql, scan, context).plan, map, sql, scan.constants, {}, literals), map);
  }
};

}  // namespace

TEST_CASE("keys that a table lists", "[values]") {
  looked_up_world w;
  CHECK(w.ask("SELECT * FROM people WHERE login = 'ann'") == "shard s1 (replica allowed)");
  CHECK(w.ask("SELECT * FROM people WHERE login IN ('ann', 'bob')") == "shards s1, s2 concatenated (replica allowed)");
  CHECK(w.ask("INSERT INTO people (login) VALUES ('ann'), ('bob')") ==
        "shards s1, s2, each with its own rows (primary)");
  CHECK(w.listed.wanted.empty());
  (void)w.ask("INSERT INTO people (login) VALUES ('carl')");
  CHECK(w.listed.wanted == std::vector<std::string>{"carl"});
  (void)w.ask("SELECT * FROM people WHERE login IN ('ann', 'dora', 'carl')");
  CHECK(w.listed.wanted == std::vector<std::string>{"dora", "carl"});
  w.listed.asked = true;
  CHECK(w.ask("INSERT INTO people (login) VALUES ('carl')").substr(0, 24) == "refused: no shard owns t");
  CHECK(w.ask("SELECT * FROM people WHERE login = 'carl'") == "shards s0, s1, s2, s3 concatenated (replica allowed)");
  w.map.directory->others = shard_index{3};
  CHECK(w.ask("INSERT INTO people (login) VALUES ('carl')") == "shard s3 (primary)");
  CHECK(w.ask("SELECT * FROM people WHERE login = 'carl'") == "shard s3 (replica allowed)");
  CHECK(w.make("INSERT INTO people SELECT name, 1 FROM customers").plan->whole_directory);
  CHECK(w.make("COPY people FROM STDIN").plan->whole_directory);
  CHECK_FALSE(w.make("SELECT * FROM people WHERE login = 'ann'").plan->whole_directory);
}
