// Transactions, settings, prepared statements and cursors through the parser.
#include <catch2/catch.hpp>

#include "sql_table.hpp"

using pgbraid::router::sql::test::check_table;

TEST_CASE("transactions") {
  check_table({
      {"begin", "begin"},
      {"begin isolation level serializable read only deferrable", "begin isolation4 read_only deferrable"},
      {"start transaction isolation level repeatable read, read write, not deferrable",
       "begin isolation3 read_write not_deferrable"},
      {"commit", "commit"},
      {"end and chain", "commit chain"},
      {"rollback and no chain", "rollback"},
      {"abort and chain", "rollback chain"},
      {"savepoint a", "savepoint a"},
      {"release a", "release a"},
      {"rollback to savepoint a", "rollback_to a"},
      {"prepare transaction 'x'", "prepare_transaction x"},
      {"commit prepared 'x'", "commit_prepared x"},
      {"rollback prepared 'x'", "rollback_prepared x"},
      {"set transaction isolation level read committed", "set_transaction transaction isolation2"},
      {"set local transaction read only", "set_transaction transaction read_only"},
      {"set transaction snapshot '0003-1'", "set_transaction transaction snapshot '0003-1' snapshot"},
      {"set session characteristics as transaction read only, isolation level read uncommitted",
       "set_session_characteristics session characteristics isolation1 read_only"},
      {"set constraints all deferred", "set_constraints"},
  });
}

TEST_CASE("settings") {
  check_table({
      {"set x to 1", "set x '1'"},
      {R"(set x = 'a', "B", 1.5, on)", "set x 'a' 'B' '1.5' 'on'"},
      {"set Local Work_Mem to '1MB'", "set_local work_mem '1MB'"},
      {"set x to default", "set x to_default"},
      {"set session x from current", "set x from_current"},
      {"set time zone 'UTC'", "set timezone 'UTC'"},
      {"set time zone local", "set timezone to_default"},
      {"set time zone interval '1' hour", "set timezone '1' UNPARSABLE"},
      {"set search_path = a", "set search_path 'a'"},
      {"set schema 'a'", "set search_path 'a'"},
      {"set names 'utf8'", "set client_encoding 'utf8'"},
      {"set role me", "set role 'me'"},
      {"set session authorization default", "set session_authorization to_default"},
      {"reset x", "reset x"},
      {"reset all", "reset all"},
      {"show x", "show x"},
      {"show all", "show all"},
      {"show transaction isolation level", "show transaction_isolation"},
      {"show time zone", "show timezone"},
      {"discard all", "discard all"},
      {"discard plans", "discard plans"},
      {"discard temporary", "discard temp"},
      {"discard sequences", "discard sequences"},
  });
}

TEST_CASE("prepared statements, cursors, notifications") {
  check_table({
      {"prepare p as select $1", "prepare p (inner (select (targets $1)))"},
      {"prepare p(int, text[]) as insert into t values ($1, $2)",
       "prepare p (types pg_catalog.int4 text[]) (inner insert t (select (row $1 $2)))"},
      {"execute p(1, 'a')", "execute p (arguments 1 'a')"},
      {"deallocate p", "deallocate p"},
      {"deallocate all", "deallocate"},
      {"declare c cursor with hold for select 1", "declare_cursor c hold (inner (select (targets 1)))"},
      {"declare c scroll cursor for values (1)", "declare_cursor c (inner (select (row 1)))"},
      {"fetch 3 from c", "fetch c"},
      {"move c", "fetch c"},
      {"close c", "close_cursor c"},
      {"close all", "close_cursor"},
      {"listen ch", "listen ch"},
      {"unlisten ch", "unlisten ch"},
      {"unlisten *", "unlisten"},
      {"notify ch, 'p'", "notify ch"},
      {"explain select 1", "explain (inner (select (targets 1)))"},
      {"explain (analyze false, buffers) select 1", "explain (inner (select (targets 1)))"},
      {"explain (analyze) delete from t", "explain with_analyze (inner delete t)"},
      {"explain analyze select 1", "explain with_analyze (inner (select (targets 1)))"},
      {"explain (verbose, analyze 1, analyze off) select 1", "explain (inner (select (targets 1)))"},
      {"call s.f(1, $2)", "call f (arguments (call s.f 1 $2))"},
      {"do $$ begin end $$", "do"},
      {"load 'x'", "load x"},
      {"checkpoint", "checkpoint"},
  });
}
