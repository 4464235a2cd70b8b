// One shard: nothing is refused; what matters is whether a statement may go to a replica.
#include <catch2/catch.hpp>

#include "fixture.hpp"

using namespace pgbraid::router;
using namespace pgbraid::router::test;

namespace {
constexpr const char* replica = "shard s0 (replica allowed)";
constexpr const char* primary = "shard s0 (primary)";
constexpr const char* primary_read = "shard s0 (primary, a read)";
}  // namespace

TEST_CASE("proved reads may go to a replica", "[one_shard]") {
  const world w(1);
  check(w, {
               {"SELECT 1", replica},
               {"select * from customers where id = 5", replica},
               {"SELECT count(*), sum(balance) FROM customers GROUP BY country HAVING count(*) > 2 ORDER BY 1 LIMIT 3",
                replica},
               {"SELECT lower(name) FROM public.customers", replica},
               {"TABLE customers", replica},
               {"VALUES (1), (2)", replica},
               {"WITH x AS (SELECT * FROM orders) SELECT * FROM x", replica},
               {"SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id", replica},
               {"SELECT now()", replica},
               {"SELECT current_timestamp", replica},
               {"SELECT * FROM european", replica},
               {"SELECT row_number() OVER (ORDER BY id) FROM customers", replica},
               {"SELECT * FROM generate_series(1, 10) g", replica},
               {"SELECT '5'::int8 + 1", replica},
               {"SELECT * FROM pg_class", replica},
               {"SELECT * FROM pg_catalog.pg_type", replica},
               {"SELECT table_name FROM information_schema.tables", replica},
               {"SELECT EXISTS (SELECT 1 FROM orders)", replica},
               {"SELECT similarity('a', 'b')", replica},
               {"SELECT tax(5)", replica},
               {"COPY customers TO STDOUT", replica},
               {"COPY (SELECT * FROM customers) TO STDOUT WITH (FORMAT csv)", replica},
               {"EXPLAIN SELECT * FROM customers", replica},
               {"EXPLAIN ANALYZE SELECT * FROM customers", replica},
               {"EXPLAIN DELETE FROM customers", replica},
               {"EXPLAIN SELECT random()", replica},
               {"DECLARE c CURSOR FOR SELECT * FROM customers", replica},
               {"SELECT CASE WHEN id > 5 THEN 'a' ELSE 'b' END FROM customers", replica},
               {"SELECT extract(year FROM placed), date_trunc('day', placed) FROM orders", replica},
               {"SELECT * FROM customers WHERE name LIKE 'a%' AND balance BETWEEN 1 AND 5 OR email IS NULL", replica},
               {"SELECT ARRAY(SELECT id FROM customers)", replica},
               {"SELECT DISTINCT ON (country) * FROM customers", replica},
               {"SELECT 1 UNION SELECT 2 EXCEPT SELECT 3", replica},
               {"", replica},
               {"-- nothing\n;", replica},
           });
}

TEST_CASE("unsafe, so primary", "[one_shard]") {
  const world w(1);
  check(w, {
               {"INSERT INTO customers VALUES (1)", primary},
               {"UPDATE customers SET name = 'x'", primary},
               {"DELETE FROM customers", primary},
               {"SELECT * FROM customers FOR UPDATE", primary},
               {"SELECT * FROM customers FOR SHARE", primary},
               {"SELECT * FROM customers FOR NO KEY UPDATE SKIP LOCKED", primary},
               {"SELECT * FROM (SELECT * FROM customers FOR UPDATE) x", primary},
               {"WITH x AS (SELECT * FROM customers FOR KEY SHARE) SELECT * FROM x", primary},
               {"SELECT * INTO copy_of_customers FROM customers", primary},
               {"CREATE TABLE a AS SELECT 1", primary},
               {"WITH gone AS (DELETE FROM customers RETURNING *) SELECT * FROM gone", primary},
               {"WITH new AS (INSERT INTO customers VALUES (1) RETURNING *) SELECT * FROM new", primary},
               {"SELECT nextval('order_ids')", primary},
               {"SELECT setval('order_ids', 5)", primary},
               {"SELECT currval('order_ids')", primary},
               {"SELECT lastval()", primary},
               {"SELECT last_value FROM order_ids", primary_read},
               {"SELECT random()", primary},
               {"SELECT gen_random_uuid()", primary},
               {"SELECT clock_timestamp()", primary},
               {"SELECT pg_notify('a', 'b')", primary},
               {"SELECT lo_create(0)", primary},
               {"SELECT txid_current()", primary},
               {"SELECT pg_advisory_lock(1)", primary},
               {"SELECT pg_try_advisory_lock(1)", primary},
               {"SELECT set_config('work_mem', '1MB', false)", primary},
               {"SELECT audit('x')", primary},
               {"SELECT * FROM customers WHERE id = bump()", primary},
               {"SELECT * FROM customers ORDER BY random()", primary},
               {"SELECT coalesce((SELECT audit('x')), 1)", primary},
               {"SELECT 1 FROM customers GROUP BY bump()", primary},
               {"SELECT count(*) FILTER (WHERE bump() > 1) FROM customers", primary},
               {"SELECT sum(balance) OVER (ORDER BY bump()) FROM customers", primary},
               {"SELECT * FROM audit('x')", primary},
               {"SELECT * FROM customers LIMIT bump()", primary},
               {"VALUES (bump())", primary},
               {"SELECT * FROM customers JOIN orders ON bump() = 1", primary},
               {"SELECT unheard_of(1)", primary},
               {"SELECT * FROM nowhere_to_be_seen", primary},
               {"SELECT * FROM scratch", primary},
               {"SELECT * FROM pg_temp.scratch", primary},
               {"SELECT * FROM fast", primary_read},
               {"SELECT * FROM quick", primary_read},
               {"SELECT * FROM noisy", primary},
               {"SELECT * FROM sneaky", primary},
               {"SELECT * FROM remote", primary},
               {"SELECT 1 <~!~> 2", primary},
               {"SELECT inet_server_addr()", primary_read},
               {"SELECT inet_server_port()", primary_read},
               {"SELECT pg_is_in_recovery()", primary_read},
               {"SELECT pg_backend_pid()", primary_read},
               {"SELECT pg_postmaster_start_time()", primary_read},
               {"SELECT pg_last_wal_replay_lsn()", primary_read},
               {"SELECT * FROM pg_stat_activity", primary_read},
               {"SELECT * FROM pg_locks", primary_read},
               {"SELECT * FROM pg_prepared_xacts", primary_read},
               {"SELECT * FROM pg_settings", primary_read},
               {"SHOW work_mem", primary_read},
               {"EXPLAIN ANALYZE DELETE FROM customers", primary},
               {"EXPLAIN ANALYZE SELECT bump()", primary},
               {"EXPLAIN SELECT * FROM nowhere_to_be_seen", primary},
               {"EXPLAIN EXECUTE q", primary},
               {"COPY customers FROM STDIN", primary},
               {"COPY customers TO '/tmp/x'", primary},
               {"COPY customers TO PROGRAM 'cat'", primary},
               {"COPY (DELETE FROM customers RETURNING *) TO STDOUT", primary},
               {"DECLARE c CURSOR WITH HOLD FOR SELECT * FROM customers", primary},
               {"DECLARE c CURSOR FOR SELECT bump()", primary},
               {"CALL something()", primary},
               {"DO $$ begin end $$", primary},
               {"TRUNCATE customers", primary},
               {"LOCK TABLE customers", primary},
               {"VACUUM customers", primary},
               {"ANALYZE", primary},
               {"CREATE TABLE x (a int)", primary},
               {"DROP TABLE x", primary},
               {"LISTEN a", primary},
               {"NOTIFY a", primary},
               {"PREPARE q AS SELECT 1", primary},
               {"EXECUTE q", primary},
               {"MERGE INTO customers USING orders ON true WHEN MATCHED THEN DELETE", primary},
               {"SELECT xmlelement(name a)", primary},
               {"THIS IS NO SQL", primary},
               {"SELECT 'unterminated", primary},
               {"SELECT 1; DELETE FROM customers", primary},
               {"SELECT 1; SELECT bump()", primary},
           });
}

TEST_CASE("lists in the topology override volatility", "[one_shard]") {
  world w(1);
  w.map.treat_as_read = {"random", "unheard_of", "audit"};
  w.map.treat_as_write = {"lower", "audit"};
  check(w, {
               {"SELECT random()", replica},
               {"SELECT unheard_of(1)", replica},
               {"SELECT lower('A')", primary},
               {"SELECT audit('A')", primary},
               {"SELECT random() FROM customers FOR UPDATE", primary},
           });
}

TEST_CASE("without a catalog every function and every table is unknown", "[one_shard]") {
  world w(1);
  w.context.schema = nullptr;
  check(w, {
               {"SELECT 1", replica},
               {"SELECT lower('A')", primary},
               {"SELECT * FROM customers", primary},
               {"SELECT * FROM pg_class", replica},
           });
}

TEST_CASE("a cast to a user's type may call user code", "[one_shard]") {
  world w(1);
  CHECK(w.told("SELECT 'x'::mood") == replica);
  w.schema.user_casts = true;
  CHECK(w.told("SELECT 'x'::mood") == primary);
  CHECK(w.told("SELECT 'x'::text") == replica);
}

TEST_CASE("replica use is part of the account", "[one_shard]") {
  world w(1);
  w.map.replicas = replica_use::off;
  CHECK(w.told("SELECT 1") == "shard s0 (primary: replicas are off)");
  w.map.replicas = replica_use::require;
  CHECK(w.told("SELECT 1") == "shard s0 (replica required)");
  CHECK(w.told("DELETE FROM customers") == primary);
}

TEST_CASE("what depends on the transaction's start or the server is marked", "[one_shard]") {
  const world w(1);
  const auto marked = [&](std::string_view sql) { return w.make(sql).plan->transaction_dependent; };
  CHECK(marked("SELECT now()"));
  CHECK(marked("SELECT transaction_timestamp()"));
  CHECK(marked("SELECT current_date"));
  CHECK(marked("SELECT current_timestamp(3)"));
  CHECK(marked("SELECT localtimestamp"));
  CHECK(marked("SELECT inet_server_port()"));
  CHECK(marked("SELECT pg_is_in_recovery()"));
  CHECK(marked("SELECT * FROM orders WHERE placed > now() - interval '1 day'"));
  CHECK_FALSE(marked("SELECT 1"));
  CHECK_FALSE(marked("SELECT current_user"));
  CHECK_FALSE(marked("SELECT lower('a')"));
}

TEST_CASE("what ties a session to its connection", "[one_shard]") {
  const world w(1);
  const auto pins = [&](std::string_view sql) { return w.make(sql).plan->pins; };
  CHECK(pins("SELECT set_config('app.tenant', '5', false)") == "set_config() of a custom setting");
  CHECK(pins("SELECT set_config('app.' || 'tenant', '5', false)") == "set_config() of a custom setting");
  CHECK(pins("SELECT set_config($1, $2, $3)") == "set_config() of a custom setting");
  CHECK(pins("SELECT 1; SELECT set_config('app.tenant', '5', false)") == "set_config() of a custom setting");
  CHECK(pins("SELECT set_config('app.tenant', '5', true)").empty());
  CHECK(pins("SELECT set_config('TimeZone', 'UTC', false)").empty());
  CHECK(pins("SELECT setseed(0.5)") == "setseed()");
  CHECK(pins("SELECT 1").empty());
  CHECK(w.make("SELECT lastval()").plan->sequence_memory);
  CHECK_FALSE(w.make("SELECT nextval('a')").plan->sequence_memory);
}
