// INSERTs that leave columns to sequences: what is drawn for them, and the statement that takes it.
#include <catch2/catch.hpp>

#include "fixture.hpp"
#include "router/copy/copy_splitter.hpp"
#include "router/plan/drawing.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/staged.hpp"
#include "router/plan/staged_source.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

constexpr const char* next = "nextval('public.ids'::regclass)";

/// customers.id, the key, and orders.amount are left to sequences; notes.id is GENERATED ALWAYS AS IDENTITY.
struct drawing_world : world {
  drawing_world() : world{4} {
    schema.single_writer.clear();
    const auto draw = [&](const char* table, std::size_t at, bool identity) {
      column& c = schema.relations[table].columns[at];
      c.has_default = c.default_varies = true;
      c.draws = next;
      if (!identity) c.default_text = next;
      c.identity = c.generated = identity;
    };
    draw("public.customers", 0, false);
    draw("public.orders", 3, false);
    draw("public.notes", 0, true);
    draw("public.currencies", 1, false);
  }
  /// What is asked, and what becomes of the statement when the answers are 1, 2, 3...
  [[nodiscard]] std::string drawn(std::string_view text) const {
    const auto made = plan_drawing(text, context);
    if (!made) return "none";
    std::vector<std::string> numbers;
    for (std::size_t i = 1; i <= made->count; ++i) numbers.push_back(std::to_string(i));
    return made->sql + " -> " + with_moments(made->text, numbers);
  }
};

const std::string one = "SELECT (nextval('public.ids'::regclass))::pg_catalog.text";
const std::string three = one + " FROM pg_catalog.generate_series(1, 3)";

}  // namespace

TEST_CASE("numbers take the places of what is left out", "[drawing]") {
  const drawing_world w;
  CHECK(w.drawn("INSERT INTO customers (name) VALUES ('a') RETURNING id") == one + " -> INSERT INTO customers (name, \"id\") VALUES ('a', '1') RETURNING id");
  CHECK(w.drawn("INSERT INTO customers (name) VALUES ('a'), ('b'), ('c')") ==
        three + " -> INSERT INTO customers (name, \"id\") VALUES ('a', '1'), ('b', '2'), ('c', '3')");
  CHECK(w.drawn("INSERT INTO customers VALUES (DEFAULT, 'a')") == one + " -> INSERT INTO customers VALUES ('1', 'a')");
  CHECK(w.drawn("INSERT INTO orders VALUES (5)") == one + " -> INSERT INTO orders (\"customer_id\", \"amount\") VALUES (5, '1')");
  CHECK(w.drawn("INSERT INTO customers (id, name) VALUES (7, 'a'), (DEFAULT, 'b')") == one + " -> INSERT INTO customers (id, name) VALUES (7, 'a'), ('1', 'b')");
  CHECK(w.drawn("INSERT INTO customers DEFAULT VALUES RETURNING *") == one + " -> INSERT INTO customers (\"id\") VALUES ('1') RETURNING *");
  CHECK(w.drawn("INSERT INTO customers (id) VALUES (nextval('ids') * 10)") ==
        "SELECT (nextval('ids'))::pg_catalog.text -> INSERT INTO customers (id) VALUES ('1'::pg_catalog.int8 * 10)");
  CHECK(w.drawn("INSERT INTO customers (id, name) VALUES (7, DEFAULT)") == "none");
}

TEST_CASE("an identity that is always generated is overridden", "[drawing]") {
  const drawing_world w;
  CHECK(w.drawn("INSERT INTO notes (customer_id) VALUES (5)") ==
        one + " -> INSERT INTO notes (customer_id, \"id\") OVERRIDING SYSTEM VALUE VALUES (5, '1')");
  CHECK(w.drawn("INSERT INTO notes VALUES (DEFAULT, 5)") == one + " -> INSERT INTO notes OVERRIDING SYSTEM VALUE VALUES ('1', 5)");
  CHECK(w.drawn("INSERT INTO notes (id, customer_id) VALUES (DEFAULT, 5), (3, 6)") == "none");
  CHECK(w.drawn("INSERT INTO notes (id, customer_id) OVERRIDING USER VALUE VALUES (3, 6)") == "none");
  CHECK(w.drawn("INSERT INTO notes (id, customer_id) OVERRIDING SYSTEM VALUE VALUES (DEFAULT, 5), (3, 6)") ==
        one + " -> INSERT INTO notes (id, customer_id) OVERRIDING SYSTEM VALUE VALUES ('1', 5), (3, 6)");
}

TEST_CASE("what would be another value in each copy is drawn once", "[drawing]") {
  writing_world w;
  column& name = w.schema.relations["public.countries"].columns[1];
  name.has_default = name.default_varies = true;
  name.default_text = "(gen_random_uuid())::text";
  const auto drawn = [&](std::string_view text) {
    const auto made = plan_drawing(text, w.context);
    return made ? made->sql + " -> " + with_any_values(*made) : "none";
  };
  const std::string own =
      "SELECT "
      "(pg_catalog.quote_nullable((((gen_random_uuid())::text)::pg_catalog.text)::pg_catalog.text))::pg_catalog.text";
  CHECK(drawn("INSERT INTO countries (code) VALUES ('a'), ('b') ON CONFLICT DO NOTHING") ==
        own +
            " FROM pg_catalog.generate_series(1, 2) -> INSERT INTO countries (code, \"name\") VALUES ('a', '1'), ('b', "
            "'1') ON CONFLICT DO NOTHING");
  CHECK(drawn("INSERT INTO countries VALUES ('a', DEFAULT), ('b', 'c')") ==
        own + " -> INSERT INTO countries VALUES ('a', '1'), ('b', 'c')");
  CHECK(drawn("INSERT INTO countries DEFAULT VALUES") == own + " -> INSERT INTO countries (\"name\") VALUES ('1')");
  CHECK(
      drawn("INSERT INTO currencies VALUES ('a', random() * 5), ($1, 7)") ==
      "SELECT (pg_catalog.quote_nullable(((random() * 5\n)::pg_catalog.numeric)::pg_catalog.text))::pg_catalog.text -> "
      "INSERT INTO currencies VALUES ('a', '1'), ($1, 7)");
  CHECK(w.make("INSERT INTO countries (code) VALUES ('a')").plan->draws);
  CHECK(w.make("INSERT INTO currencies VALUES ('a', random())").plan->draws);
  check(w,
        {{"INSERT INTO countries (code) SELECT code FROM currencies", "refused:..."},
         {"INSERT INTO countries (code) VALUES ('a') ON CONFLICT (code) DO UPDATE SET name = DEFAULT", "refused:..."},
         {"INSERT INTO currencies VALUES ('a', 1) ON CONFLICT (code) DO UPDATE SET rate = random()", "refused:..."},
         {"INSERT INTO currencies VALUES ('a', 1) RETURNING random()", "refused:..."},
         {"INSERT INTO currencies VALUES ('a', random() * $1)", "refused:..."},
         {"WITH i AS (INSERT INTO countries (code) VALUES ('a') RETURNING name) SELECT * FROM i", "shard s0..."}});
}

TEST_CASE("ids are drawn for keys and for copies", "[drawing]") {
  writing_world w;
  const auto leave_to_id = [&](const char* table, const char* name) {
    for (column& c : w.schema.relations[table].columns) {
      if (c.name != name) continue;
      c.has_default = c.default_varies = true;
      c.default_text = "pgbraid.id()";
    }
  };
  leave_to_id("public.customers", "id");
  leave_to_id("public.orders", "id");
  leave_to_id("public.currencies", "rate");
  const auto drawn = [&](std::string_view text) {
    const auto made = plan_drawing(text, w.context);
    return made ? made->sql + " -> " + with_any_values(*made) : "none";
  };
  const std::string own =
      "SELECT (pg_catalog.quote_nullable(((pgbraid.id())::pg_catalog.int8)::pg_catalog.text))::pg_catalog.text";
  CHECK(drawn("INSERT INTO customers (name) VALUES ('a'), ('b') RETURNING id") ==
        own +
            " FROM pg_catalog.generate_series(1, 2) -> INSERT INTO customers (name, \"id\") VALUES ('a', '1'), ('b', "
            "'1') RETURNING id");
  CHECK(drawn("INSERT INTO customers DEFAULT VALUES") == own + " -> INSERT INTO customers (\"id\") VALUES ('1')");
  CHECK(drawn("INSERT INTO customers VALUES (pgbraid.id(), 'a')") ==
        "SELECT (pg_catalog.quote_nullable(((pgbraid.id()\n)::pg_catalog.int8)::pg_catalog.text))::pg_catalog.text -> "
        "INSERT INTO customers VALUES ('1', 'a')");
  CHECK(w.make("INSERT INTO currencies (code) VALUES ('a')").plan->draws);
  CHECK(w.make("INSERT INTO currencies VALUES ('a', pgbraid.id())").plan->draws);
  // What is no key is each shard's own.
  CHECK(drawn("INSERT INTO orders (customer_id, item) VALUES (5, 'a'), (6, 'b')") == "none");
  check(w, {{"INSERT INTO orders (customer_id) VALUES (5)", "shard {5} (primary)"},
            {"INSERT INTO currencies SELECT code, pgbraid.id() FROM countries",
             "shards s0, s1, s2, s3 together (primary)"},
            {"UPDATE orders SET id = pgbraid.id()", "shards..."}});
}

TEST_CASE("sequences of unsharded tables count on their shards", "[drawing]") {
  world w(4);
  w.schema.relations.find("public.reports")->second.columns.front().draws = "nextval('public.report_ids'::regclass)";
  check(w, {{"SELECT nextval('report_ids')", "shard s1 (primary)"},
            {"SELECT setval('public . report_ids'::regclass, 5), nextval('\"report_ids\"')", "shard s1 (primary)"},
            // A connection there may have drawn for others.
            {"SELECT currval('REPORT_IDS')", "refused:..."},
            {"SELECT currval('order_ids')", "shard s0 (primary)"},
            {"SELECT nextval('order_ids')", "shard s0 (primary)"},
            {"SELECT nextval('order_ids'), nextval('report_ids')", "refused:..."},
            {"SELECT lastval()", "shard s0 (primary)"},
            {"SELECT setval(pg_get_serial_sequence('\"reports\"', 'id'), 7)", "shard s1 (primary)"},
            {"SELECT nextval(pg_get_serial_sequence('customers', 'id')::regclass)", "shard s0 (primary)"},
            {"INSERT INTO customers (id, name) VALUES (nextval('report_ids'), 'x')", "refused:..."},
            {"INSERT INTO customers (id, name) VALUES (lastval(), 'x')", "refused:..."},
            {"SELECT nextval(pg_get_serial_sequence(lower('reports'), 'id'))", "refused:..."},
            {"SELECT nextval('order' || '_ids')", "refused:..."},
            {"INSERT INTO reports VALUES (nextval('report_ids'), 'x')", "shard s1 (primary)"},
            {"INSERT INTO reports VALUES (nextval('order_ids'), 'x')", "refused:..."},
            {"SELECT setval('report_ids', (SELECT max(id) FROM reports))", "shard s1 (primary)"}});
}

TEST_CASE("numbers of an INSERT in WITH are drawn before the statement", "[drawing]") {
  const drawing_world w;
  CHECK(w.drawn("WITH i AS (INSERT INTO orders (customer_id) VALUES (5), ($1) RETURNING amount) SELECT * FROM i") ==
        one +
            " FROM pg_catalog.generate_series(1, 2) -> WITH i AS (INSERT INTO orders (customer_id, \"amount\") VALUES "
            "(5, '1'), ($1, '2') RETURNING amount) SELECT * FROM i");
  CHECK(w.drawn(
            "WITH i AS (INSERT INTO customers DEFAULT VALUES RETURNING id) INSERT INTO notes (customer_id, id) SELECT "
            "id, 7 FROM i") ==
        one +
            " -> WITH i AS (INSERT INTO customers (\"id\") VALUES ('1') RETURNING id) INSERT INTO notes (customer_id, "
            "id) SELECT id, 7 FROM i");
}

TEST_CASE("statements with sequences and where they go", "[drawing]") {
  const drawing_world w;
  CHECK(w.make("INSERT INTO customers (name) VALUES ('a')").plan->draws);
  CHECK(w.make("INSERT INTO currencies (code) VALUES ('EUR')").plan->draws);
  CHECK_FALSE(w.make("INSERT INTO customers (id) VALUES (5)").plan->draws);
  check(w,
        {{"SELECT nextval('ids')", "shard s0 (primary)"},
         {"SELECT setval('ids', 5), currval('ids'), lastval()", "shard s0 (primary)"},
         {"SELECT last_value FROM order_ids", "shard s0 (primary, a read)"},
         {"SELECT nextval('ids'), id FROM customers WHERE id = 5", "refused:..."},
         {"SELECT nextval('ids'), set_config('a', 'b', false)", "refused:..."},
         {"UPDATE customers SET name = nextval('ids') WHERE id = 5", "refused:..."},
         {"UPDATE orders SET amount = DEFAULT WHERE customer_id = 5", "refused:..."},
         {"INSERT INTO orders (customer_id) VALUES (5) ON CONFLICT (customer_id) DO UPDATE SET amount = DEFAULT",
          "refused:..."},
         {"WITH i AS (INSERT INTO orders (customer_id) VALUES (5) RETURNING amount) SELECT * FROM i", "shard s0..."},
         {"WITH i AS (INSERT INTO orders (customer_id) SELECT 5 RETURNING amount) SELECT * FROM i", "refused:..."},
         {"WITH i AS (INSERT INTO orders (customer_id) VALUES (5)), c AS (INSERT INTO customers (name) VALUES ('a')) "
          "SELECT 1",
          "refused:..."},
         {"EXPLAIN ANALYZE INSERT INTO orders (customer_id) VALUES (5)", "refused:..."},
         {"PREPARE p AS INSERT INTO orders (customer_id) VALUES (5)", "refused:..."},
         {"INSERT INTO orders (customer_id) VALUES (5); SELECT 1", "refused:..."},
         {"INSERT INTO currencies SELECT name FROM countries", "refused:..."},
         {"COPY orders (customer_id) FROM STDIN", "shards s0, s1, s2, s3 together (primary)"},
         {"COPY orders (customer_id) FROM STDIN WHERE customer_id > 5", "refused: COPY FROM ... WHERE..."},
         {"COPY orders (customer_id, amount) FROM STDIN", "shards s0, s1, s2, s3 together (primary)"},
         {"INSERT INTO unlisted DEFAULT VALUES", "refused: table \"public.unlisted\"..."},
         {"DROP SEQUENCE order_ids", "shards s0, s1, s2, s3 together (primary)"},
         {"CREATE SEQUENCE more", "shards s0, s1, s2, s3 together (primary)"}});
}

TEST_CASE("copied rows are numbered on their way", "[drawing]") {
  drawing_world w;
  const auto orders = w.make("COPY orders (item, customer_id) FROM STDIN").plan->copy;
  REQUIRE(orders);
  REQUIRE(orders->numbered.size() == 1);
  CHECK(orders->numbered.front().name == "amount");
  CHECK(orders->given == 2);
  CHECK(orders->shape.keys.front().at == 1);
  CHECK(w.make("COPY orders (customer_id, amount) FROM STDIN").plan->copy->numbered.empty());
  const auto customers = w.make("COPY customers (name) FROM STDIN (FORMAT csv)").plan->copy;
  REQUIRE(customers);
  CHECK(customers->shape.keys.front().at == 1);
  CHECK(customers->numbered.front().draws == "((nextval('public.ids'::regclass)))::pg_catalog.text");

  const auto currencies = w.make("COPY currencies (code) FROM STDIN").plan->copy;
  REQUIRE(currencies);
  CHECK(currencies->numbered.size() == 1);
  CHECK(currencies->shape.keys.empty());
  CHECK(w.make("COPY currencies FROM STDIN").plan->copy == nullptr);
  check(w, {{"COPY currencies (code) FROM STDIN", "shards s0, s1, s2, s3 together (primary)"}});

  column& drawn = w.schema.relations["public.orders"].columns[3];
  const std::string refused = "refused: a write to more than one shard is not supported: COPY...";
  drawn.type = type_oid::numeric;
  check(w, {{"COPY orders (customer_id) FROM STDIN (FORMAT binary)", refused},
            {"COPY orders (customer_id) FROM STDIN (FORMAT csv)", "shards s0, s1, s2, s3 together (primary)"}});
  drawn.default_of_moment = true;
  w.schema.relations["public.currencies"].columns[1].default_of_moment = true;
  check(w, {{"COPY orders (customer_id) FROM STDIN", refused},
            {"COPY currencies (code) FROM STDIN", "refused: a write to reference table..."}});
}

TEST_CASE("rows of a query are numbered where they are selected", "[drawing]") {
  const drawing_world w;
  const auto plan = plan_staged("INSERT INTO orders (customer_id) SELECT 5 ORDER BY 1", w.context);
  REQUIRE(plan);
  REQUIRE(plan->source);
  CHECK(plan->source->before == "INSERT INTO orders (customer_id, \"amount\") ");
  CHECK(plan->query->sql == std::string{"SELECT pgbraid_rows.*, "} + next + " FROM (SELECT 5 ORDER BY 1\n) AS pgbraid_rows");
  CHECK(plan->query->only == shard_index{0});
  const auto keyed = plan_staged("INSERT INTO customers (name) SELECT item FROM orders", w.context);
  REQUIRE(keyed);
  CHECK(keyed->source->keys.front().at == 1);
  CHECK(keyed->rows->combine_sql.starts_with(std::string{"SELECT pgbraid_rows.*, "} + next + " FROM (WITH "));
  CHECK(keyed->rows->combiner == shard_index{0});
  const auto always = plan_staged("INSERT INTO notes (customer_id) SELECT id FROM customers", w.context);
  REQUIRE(always);
  CHECK(always->source->before == "INSERT INTO notes (customer_id, \"id\")  OVERRIDING SYSTEM VALUE ");
  // Rows of a table on another shard than the sequences are fetched before.
  const auto elsewhere = plan_staged("INSERT INTO orders (customer_id) SELECT id FROM reports", w.context);
  REQUIRE(elsewhere);
  CHECK(elsewhere->again);
  CHECK(elsewhere->query->only == shard_index{1});
  CHECK(elsewhere->query->sql == "SELECT \"id\" FROM \"public\".\"reports\"");
}

TEST_CASE("keys that are expressions are evaluated first", "[drawing]") {
  const writing_world w;
  const auto made =
      plan_drawing("INSERT INTO customers (id, name) VALUES (1 + 1 -- two\n, 'x'), (5, 'y'), (abs(-3), $1)", w.context);
  REQUIRE(made);
  CHECK(made->keys);
  CHECK(made->count == 2);
  CHECK(made->sql ==
        "SELECT (pg_catalog.quote_nullable(((1 + 1 -- two\n)::pg_catalog.int8)::pg_catalog.text))::pg_catalog.text, "
        "(pg_catalog.quote_nullable(((abs(-3)\n)::pg_catalog.int8)::pg_catalog.text))::pg_catalog.text");
  CHECK(with_any_values(*made) == "INSERT INTO customers (id, name) VALUES ('1'\n, 'x'), (5, 'y'), ('1', $1)");
  // Each row has a subquery of its own.
  const auto same = plan_drawing("INSERT INTO customers (id) VALUES ((SELECT 1)), ((SELECT 1))", w.context);
  REQUIRE(same);
  CHECK(same->sql.find("generate_series") == std::string::npos);
  for (const char* text :
       {"INSERT INTO customers (id) VALUES ($1 + 1), (2)", "INSERT INTO customers (id) VALUES (unknown_function(1))",
        "INSERT INTO customers (id) VALUES ((SELECT max(id) FROM customers))",
        "WITH x AS (SELECT 1 AS id) INSERT INTO customers (id) VALUES ((SELECT id FROM x))",
        "INSERT INTO customers (id) VALUES (extract(epoch FROM now())::int)"}) {
    INFO(text);
    CHECK_FALSE(plan_drawing(text, w.context));
  }
}

TEST_CASE("numbers of one sequence alone may come from a block", "[drawing]") {
  drawing_world w;
  const auto sequence = [&](std::string_view text) {
    const auto made = plan_drawing(text, w.context);
    return made ? made->sequence : "none";
  };
  CHECK(sequence("INSERT INTO customers (name) VALUES ('a')") == "'public.ids'::regclass");
  CHECK(sequence("INSERT INTO customers (name) VALUES ('a'), ('b')") == "'public.ids'::regclass");
  CHECK(sequence("INSERT INTO customers DEFAULT VALUES") == "'public.ids'::regclass");
  CHECK(sequence("INSERT INTO customers (id, name) VALUES (7, 'a'), (DEFAULT, 'b')").empty());
  // The same words are another sequence where the search_path is another.
  CHECK(sequence("INSERT INTO customers (id) VALUES (nextval('ids'::regclass))").empty());
  CHECK(sequence("INSERT INTO customers (name) VALUES (currval('ids')::text)").empty());
  for (const char* expression :
       {"(nextval('public.ids'::regclass) + 1)", "nextval('public.ids'::regclass) + nextval('b'::regclass)",
        "nextval(('ids'::text)::regclass)", "nextval('a'::regclass), ('b'::regclass)"}) {
    w.schema.relations["public.customers"].columns[0].draws = expression;
    CHECK(sequence("INSERT INTO customers (name) VALUES ('a')").empty());
  }
  w.schema.relations["public.customers"].columns[0].draws = "nextval('public.\"it''s\"'::regclass)";
  CHECK(sequence("INSERT INTO customers (name) VALUES ('a')") == "'public.\"it''s\"'::regclass");
}

TEST_CASE("what may make a sequence go on from elsewhere", "[drawing]") {
  const drawing_world w;
  for (const char* text : {"SELECT setval('ids', 1)", "TRUNCATE customers RESTART IDENTITY",
                           "ALTER SEQUENCE ids RESTART", "SELECT 1; SELECT setval('ids', 1)"}) {
    INFO(text);
    CHECK(w.make(text).plan->sets_sequences);
  }
  for (const char* text : {"SELECT nextval('ids')", "INSERT INTO customers (name) VALUES ('a')", "BEGIN"}) {
    INFO(text);
    CHECK_FALSE(w.make(text).plan->sets_sequences);
  }
}
