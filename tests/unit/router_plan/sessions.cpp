// What the session must know of a statement beside where it goes: effects, names, modes, variables, tables.
#include <catch2/catch.hpp>

#include "fixture.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {

struct effect_row {
  const char* sql;
  session_effect effect;
  const char* tag;
  const char* name;
};

}  // namespace

TEST_CASE("effects", "[sessions]") {
  const world w(1);
  const std::vector<effect_row> rows = {
      {"SELECT 1", session_effect::none, "SELECT", ""},
      {"INSERT INTO customers VALUES (1)", session_effect::none, "INSERT", ""},
      {"BEGIN", session_effect::begin, "BEGIN", ""},
      {"START TRANSACTION READ ONLY", session_effect::begin, "BEGIN", ""},
      {"COMMIT", session_effect::commit, "COMMIT", ""},
      {"END", session_effect::commit, "COMMIT", ""},
      {"ROLLBACK", session_effect::rollback, "ROLLBACK", ""},
      {"ABORT", session_effect::rollback, "ROLLBACK", ""},
      {"SAVEPOINT a", session_effect::savepoint, "SAVEPOINT", "a"},
      {"RELEASE SAVEPOINT a", session_effect::release, "RELEASE", "a"},
      {"ROLLBACK TO SAVEPOINT a", session_effect::rollback_to, "ROLLBACK", "a"},
      {"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", session_effect::set_transaction, "SET", ""},
      {"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", session_effect::set_session_characteristics, "SET", ""},
      {"PREPARE TRANSACTION 'g'", session_effect::two_phase, "PREPARE TRANSACTION", "g"},
      {"COMMIT PREPARED 'g'", session_effect::two_phase, "COMMIT PREPARED", "g"},
      {"ROLLBACK PREPARED 'g'", session_effect::two_phase, "ROLLBACK PREPARED", "g"},
      {"SET work_mem = '1MB'", session_effect::set, "SET", ""},
      {"SET LOCAL work_mem = '1MB'", session_effect::set_local, "SET", ""},
      {"RESET work_mem", session_effect::reset, "RESET", ""},
      {"RESET ALL", session_effect::reset, "RESET", ""},
      {"SHOW work_mem", session_effect::show, "SHOW", ""},
      {"DISCARD ALL", session_effect::discard, "DISCARD", "all"},
      {"SET CONSTRAINTS ALL DEFERRED", session_effect::set_constraints, "SET CONSTRAINTS", ""},
      {"PREPARE q AS SELECT 1", session_effect::prepare, "PREPARE", "q"},
      {"EXECUTE q(1)", session_effect::execute, "EXECUTE", "q"},
      {"EXPLAIN EXECUTE q(1)", session_effect::execute, "EXPLAIN", ""},
      {"DEALLOCATE q", session_effect::deallocate, "DEALLOCATE", "q"},
      {"DECLARE c CURSOR FOR SELECT 1", session_effect::declare_cursor, "DECLARE CURSOR", "c"},
      {"DECLARE c CURSOR WITH HOLD FOR SELECT 1", session_effect::declare_cursor, "DECLARE CURSOR WITH HOLD", "c"},
      {"FETCH 5 FROM c", session_effect::use_cursor, "FETCH", "c"},
      {"MOVE 5 FROM c", session_effect::use_cursor, "FETCH", "c"},
      {"CLOSE c", session_effect::use_cursor, "CLOSE CURSOR", "c"},
      {"LISTEN a", session_effect::listen, "LISTEN", "a"},
      {"UNLISTEN a", session_effect::unlisten, "UNLISTEN", "a"},
      {"NOTIFY a, 'b'", session_effect::notify, "NOTIFY", "a"},
      {"CREATE TEMP TABLE x (a int)", session_effect::temporary, "CREATE TABLE", ""},
      {"SELECT 1 AS a INTO TEMP x", session_effect::temporary, "SELECT", ""},
      {"DO $$ begin end $$", session_effect::user_code, "DO", ""},
      {"CALL something()", session_effect::user_code, "CALL", "something"},
      {"SELECT audit('x')", session_effect::user_code, "SELECT", ""},
      {"SELECT tax(1)", session_effect::user_code, "SELECT", ""},
      {"SELECT pg_advisory_lock(1)", session_effect::user_code, "SELECT", ""},
      {"SELECT set_config('a', 'b', false)", session_effect::user_code, "SELECT", ""},
      {"SELECT similarity('a', 'b')", session_effect::none, "SELECT", ""},
      {"COPY customers FROM STDIN", session_effect::copy_in, "COPY", ""},
      {"COPY customers TO STDOUT", session_effect::copy_out, "COPY", ""},
      {"COPY (SELECT 1) TO STDOUT", session_effect::copy_out, "COPY", ""},
      {"COPY customers TO '/tmp/x'", session_effect::none, "COPY", ""},
      {"LOAD 'x'", session_effect::load, "LOAD", "x"},
      {"TRUNCATE customers", session_effect::none, "TRUNCATE", ""},
      {"VACUUM customers", session_effect::none, "VACUUM", ""},
  };
  for (const effect_row& row : rows) {
    const plan_ptr p = w.make(row.sql).plan;
    INFO(row.sql);
    CHECK(static_cast<int>(p->effect) == static_cast<int>(row.effect));
    CHECK(p->tag == row.tag);
    CHECK(p->name == row.name);
    CHECK_FALSE(p->opaque);
  }
}

TEST_CASE("transaction control and settings are no writes", "[sessions]") {
  for (const std::size_t shards : {std::size_t{1}, std::size_t{2}}) {
    const world w(shards);
    for (const char* sql : {"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT a", "RELEASE a", "ROLLBACK TO a", "SET a.b = 'c'",
                            "SET LOCAL a.b = 'c'", "RESET a.b", "SHOW a.b", "DISCARD ALL"}) {
      const route r = w.routed(sql);
      INFO(sql);
      CHECK(r.mode == access::read);
      if (shards == 1) {
        CHECK(std::holds_alternative<to_shard>(r.target));
      } else {
        CHECK(std::holds_alternative<to_any>(r.target));
      }
    }
  }
}

TEST_CASE("modes, variables and the text of a prepared statement", "[sessions]") {
  const world w(1);
  const plan_ptr begin = w.make("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").plan;
  CHECK(begin->modes.isolation == sql::isolation_level::repeatable_read);
  CHECK(begin->modes.read_only == true);
  const plan_ptr set = w.make("SET search_path TO a, \"B\"").plan;
  CHECK(set->variable.name == "search_path");
  CHECK(set->variable.values == std::vector<std::string>{"a", "B"});
  CHECK(w.make("SET work_mem TO DEFAULT").plan->variable.to_default);
  CHECK(w.make("PREPARE q AS SELECT 1").plan->inner_text == "SELECT 1");
  CHECK(w.make("prepare \"as\" (int, varchar(5)) /* as */ as\n  select $1, 'as' as b").plan->inner_text ==
        "select $1, 'as' as b");
  CHECK(w.make("SELECT 1; PREPARE q(text) AS DELETE FROM a ; SELECT 2").plan->inner_text == "DELETE FROM a ");
}

TEST_CASE("over several shards", "[sessions]") {
  const world w(2);
  check(w,
        {
            {"BEGIN", "any shard (replica allowed)"},
            {"SET work_mem = '1MB'", "any shard (replica allowed)"},
            {"SHOW work_mem", "any shard (primary, a read)"},
            {"DISCARD ALL", "any shard (replica allowed)"},
            {"PREPARE q AS SELECT 1", "shard s0 (primary)"},
            {"PREPARE q AS SELECT * FROM settings, countries", "shard s0 (primary)"},
            {"PREPARE q AS SELECT * FROM reports", "refused: PREPARE of this statement is not supported here..."},
            {"PREPARE q AS SELECT * FROM orders", "refused: PREPARE of this statement is not supported here..."},
            {"PREPARE q AS SELECT * FROM orders WHERE customer_id = $1", "refused: PREPARE of this statement..."},
            {"PREPARE q AS SELECT count(*) FROM orders", "refused: PREPARE of this statement..."},
            {"PREPARE q AS DELETE FROM orders", "refused: a write to more than one shard..."},
            {"EXECUTE q", "shard s0 (primary)"},
            {"EXPLAIN EXECUTE q", "shard s0 (primary)"},
            {"DEALLOCATE q", "shard s0 (primary, a read)"},
            {"PREPARE TRANSACTION 'g'", "refused: PREPARE TRANSACTION is not supported here..."},
            {"LISTEN a", "any shard (primary)"},
            {"NOTIFY a", "shard s0 (primary)"},
            {"SELECT pg_notify('a', 'b')", "shard s0 (primary)"},
            {"SELECT pg_notify('a', item) FROM orders WHERE customer_id = 5", "shard {5} (primary)"},
            {"UNLISTEN *", "any shard (primary)"},
            {"LISTEN a; LISTEN b", "refused: several statements in one query is not supported here..."},
            {"LOAD 'x'", "refused: LOAD is not supported here..."},
            {"CREATE TABLE x (a int)", "refused: CREATE TABLE over several shards is not supported"},
            {"CREATE TEMP TABLE x (a int)", "refused: CREATE TABLE over several shards is not supported"},
            {"CREATE TABLE x AS SELECT * FROM orders", "refused: CREATE TABLE AS over several shards is not supported"},
            {"SELECT * INTO x FROM countries", "refused: SELECT INTO over several shards is not supported"},
            {"ALTER TABLE orders ADD COLUMN a int", "refused: ALTER TABLE over several shards is not supported"},
            {"DROP TABLE orders", "refused: DROP TABLE over several shards is not supported"},
            {"CREATE INDEX ON orders (item)", "refused: CREATE INDEX over several shards is not supported"},
            {"GRANT SELECT ON orders TO app", "refused: GRANT over several shards is not supported"},
            {"TRUNCATE orders", "refused: TRUNCATE over several shards is not supported"},
            {"VACUUM orders", "shards s0, s1 together (primary)"},
            {"CHECKPOINT", "refused: CHECKPOINT over several shards is not supported"},
            {"DECLARE c CURSOR FOR SELECT * FROM orders", "shards s0, s1 gathered (replica allowed)"},
            {"DECLARE c CURSOR WITH HOLD FOR SELECT * FROM orders",
             "refused: this query over several shards is not supported: DECLARE CURSOR..."},
            {"DECLARE c CURSOR FOR SELECT * FROM orders WHERE customer_id = 5", "shard {5} (replica allowed)"},
            {"SELECT * FROM pg_temp.x", "refused: a temporary table is not supported here..."},
        });
}

TEST_CASE("several statements in one text", "[sessions]") {
  const world one(1);
  const auto plan_of = [&](std::string_view sql) { return one.make(sql).plan; };
  CHECK(plan_of("SELECT 1; SELECT 2")->statement_count == 2);
  CHECK(plan_of("SELECT 1; SELECT 2")->mode == access::read);
  CHECK(plan_of("SELECT 1;")->statement_count == 1);
  CHECK(plan_of("")->statement_count == 0);
  CHECK(plan_of("SELECT 1; DELETE FROM customers")->mode == access::write);
  CHECK(plan_of("BEGIN; SELECT 1; COMMIT")->effect == session_effect::other);
  CHECK(plan_of("BEGIN; SELECT 1; COMMIT")->tag == "BEGIN");
  CHECK(plan_of("SET a.b = 'c'; SELECT 1")->effect == session_effect::set);
  CHECK(plan_of("SET a.b = 'c'; SELECT 1")->variable.name == "a.b");
  CHECK(plan_of("SET a.b = 'c'; SET a.d = 'e'")->effect == session_effect::other);
  CHECK(plan_of("SELECT 1; SELECT audit('x')")->effect == session_effect::user_code);

  const world w(2);
  const auto on0 = keys_on(w.map, 0, 2);
  const std::string a = std::to_string(on0[0]), b = std::to_string(on0[1]), c = std::to_string(keys_on(w.map, 1, 1)[0]);
  const auto by_key = [](const std::string& key) { return "SELECT * FROM orders WHERE customer_id = " + key; };
  check(w, {
               {by_key(a) + "; " + by_key(b), "shard s0 (replica allowed)"},
               {by_key(a) + "; " + by_key(c), "refused: several statements in one query is not supported here..."},
               {by_key(a) + "; SELECT 1", "shard s0 (replica allowed)"},
               {by_key(a) + "; DELETE FROM orders WHERE customer_id = " + b, "shard s0 (primary)"},
               {by_key(a) + "; SELECT * FROM orders", "refused: several statements in one query..."},
               {by_key(a) + "; SELECT * FROM settings", "refused: several statements in one query..."},
               {"SELECT * FROM settings; SELECT * FROM countries", "shard s0 (replica allowed)"},
               {"SELECT * FROM settings; SELECT * FROM reports", "refused: several statements in one query..."},
               {"SELECT 1; SELECT 2", "any shard (replica allowed)"},
               {"SELECT 1; SELECT count(*) FROM orders", "refused: several statements in one query..."},
               {"BEGIN; " + by_key(a) + "; COMMIT", "refused: several statements in one query..."},
               {"SET a.b = 'c'; SELECT 1", "refused: several statements in one query..."},
           });
}

TEST_CASE("what cannot be parsed goes to the one shard as it is", "[sessions]") {
  world w(1);
  const auto opaque = [&](std::string_view sql) {
    const plan_ptr p = w.make(sql).plan;
    INFO(sql);
    CHECK(p->opaque);
    CHECK(p->mode == access::write);
    CHECK(std::get<to_shard>(std::get<fixed_target>(p->where).target).shard == 0);
    return p->effect;
  };
  CHECK(opaque("SELECT JSON_SERIALIZE(x RETURNING text) FROM FROM") == session_effect::user_code);
  CHECK(opaque("BEGIN SOMETHING NEW") == session_effect::begin);
  CHECK(opaque("rollback to to") == session_effect::rollback_to);
  CHECK(opaque("COMMIT PREPARED x y") == session_effect::two_phase);
  CHECK(opaque("SET LOCAL a b c") == session_effect::set_local);
  CHECK(opaque("SETTLE x") == session_effect::user_code);
  CHECK(opaque("CREATE TEMPORARY TABLE IF IF") == session_effect::temporary);
  CHECK(opaque("BEGIN; SELECT FROM FROM") == session_effect::other);
  CHECK(opaque("SELECT 'unterminated") == session_effect::user_code);
  w.context.standard_conforming_strings = false;
  CHECK(opaque("SET a.b = 'x\\'") == session_effect::set);
  w.context.max_parse_bytes = 10;
  CHECK(opaque("SELECT 1234567890") == session_effect::user_code);
}

TEST_CASE("tables read and written", "[sessions]") {
  const world w(2);
  const auto reads = [&](std::string_view sql) { return w.make(sql).plan->reads; };
  const auto writes = [&](std::string_view sql) { return w.make(sql).plan->writes; };
  using names = std::vector<std::string>;
  CHECK(reads("SELECT * FROM orders a JOIN orders b ON true, countries") == names{"public.orders", "public.countries"});
  CHECK(writes("SELECT * FROM orders").empty());
  CHECK(writes("DELETE FROM orders WHERE customer_id = 5") == names{"public.orders"});
  CHECK(reads("DELETE FROM orders USING customers c WHERE c.id = customer_id AND c.id = 5") ==
        names{"public.customers"});
  CHECK(writes("WITH d AS (DELETE FROM orders WHERE customer_id = 5 RETURNING 1) SELECT 1") == names{"public.orders"});
  CHECK(writes("COPY settings FROM STDIN") == names{"public.settings"});
}

TEST_CASE("every plan says why", "[sessions]") {
  const world w(2);
  CHECK(w.make("SELECT * FROM orders WHERE customer_id = 5").plan->reason ==
        "tied by public.orders.customer_id; a read");
  CHECK(w.make("SELECT random()").plan->reason == "no table; a write: function \"random\" is volatile");
  CHECK(w.make("SELECT * FROM settings").plan->reason == "table \"public.settings\" stands on one shard; a read");
  CHECK(w.make("SELECT * FROM orders").plan->reason == "no key: all shards are asked, rows concatenated; a read");
}

TEST_CASE("what may leave session state behind is marked, whatever the effect", "[sessions]") {
  const world w(1);
  CHECK(w.make("SELECT audit('x')").plan->user_code);
  CHECK(w.make("COPY (SELECT tax(1)) TO STDOUT").plan->user_code);
  CHECK(w.make("DECLARE c CURSOR FOR SELECT tax(1)").plan->user_code);
  CHECK(w.make("DO $$ begin end $$").plan->user_code);
  CHECK(w.make("SELECT setseed(0.5)").plan->user_code);
  CHECK(w.make("SELECT 1; SELECT tax(1)").plan->user_code);
  CHECK(w.make("NO SQL").plan->user_code);
  CHECK_FALSE(w.make("EXPLAIN SELECT tax(1)").plan->user_code);
  CHECK_FALSE(w.make("SELECT lower('x')").plan->user_code);
  CHECK_FALSE(w.make("INSERT INTO customers VALUES (1)").plan->user_code);
}

TEST_CASE("a setting that is not understood whole is opaque", "[sessions]") {
  CHECK(world(1).make("SET TIME ZONE INTERVAL '1' HOUR").plan->opaque);
  CHECK(world(2).told("SET TIME ZONE INTERVAL '1' HOUR").starts_with("refused"));
  CHECK_FALSE(world(1).make("SET TIME ZONE 'UTC'").plan->opaque);
}

TEST_CASE("a setting or a transaction makes a text of several statements a write", "[sessions]") {
  const world w(1);
  CHECK(w.make("SET search_path = a; SELECT 1").plan->mode == access::write);
  CHECK(w.make("BEGIN; SELECT 1; COMMIT").plan->mode == access::write);
  CHECK(w.make("SHOW work_mem; SELECT 1").plan->mode == access::read);
}
