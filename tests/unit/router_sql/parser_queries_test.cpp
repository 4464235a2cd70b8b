// Queries through the parser: what the tree says, as a table of SQL in named groups.
#include <catch2/catch.hpp>

#include "sql_table.hpp"

using pgbraid::router::sql::test::check_table;

TEST_CASE("constants keep their kind and sign") {
  check_table({
      {"select 1, -5, - 5, +5, -a, -1.5, - -1, 3000000000, -2147483648, 1.5, 1e3",
       "(select (targets 1 -5 -5 (op + 5) (op - a) decimal:-1.5 1 3000000000 -2147483648 decimal:1.5 decimal:1e3))"},
      {R"(select 'x', b'101', x'1f', N'foo', E'a\tb', $$d$$, U&'\0061')",
       "(select (targets 'x' bits:b101 bits:x1f (cast pg_catalog.bpchar 'foo') 'a\tb' 'd' 'a'))"},
      {"select true, false, null, true::bool, 't'::bool",
       "(select (targets true false null (cast bool true) (cast bool 't')))"},
      {"select $1, $22", "(select (targets $1 $22))"},
  });
}

TEST_CASE("operators and conditions") {
  check_table({
      {"select 1+2*3-4, a || b, @a, a operator(pg_catalog.+) b from t",
       "(select (targets (op - (op + 1 (op * 2 3)) 4) (op || a b) (op @ a) (op pg_catalog.+ a b)) (from t))"},
      {"select 1 from t where a = 1 and b = 2 and (c = 3 or d = 4) and not e",
       "(select (targets 1) (from t) (where (and (op = a 1) (op = b 2) (or (op = c 3) (op = d 4)) (not e))))"},
      {"select 1 from t where x in (1,2) and y not in (3, $1) and z = any($1) and w <> all(array[1])",
       "(select (targets 1) (from t) (where (and (in = x 1 2) (in negated <> y 3 $1) (any = z $1) (all <> w (array "
       "1)))))"},
      {"select 1 from t where a like 'x%' and b not ilike 'y' and c similar to 'z'",
       "(select (targets 1) (from t) (where (and (like ~~ a 'x%') (like negated !~~* b 'y') (like ~ c (call "
       "pg_catalog.similar_to_escape 'z')))))"},
      {"select 1 from t where a between 1 and 2 or b not between 3 and 4",
       "(select (targets 1) (from t) (where (or (between BETWEEN a 1 2) (between negated NOT BETWEEN b 3 4))))"},
      {"select a between symmetric 1 and 2", "(select (targets (op <= a 1 2)))"},
      {"select a is null, b is not null, c is true, d is not unknown, e is not false",
       "(select (targets (null_test a) (null_test negated b) (boolean_test true c) (boolean_test negated unknown d) "
       "(boolean_test negated false e)))"},
      {"select e is distinct from f, g is not distinct from h, nullif(a, b)",
       "(select (targets (distinct_from = e f) (distinct_from negated = g h) (nullif = a b)))"},
      {"select (a, b) = (1, 2), row(1), (a, b) in ((1, 2), (3, 4))",
       "(select (targets (op = (row a b) (row 1 2)) (row 1) (in = (row a b) (row 1 2) (row 3 4))))"},
  });
}

TEST_CASE("names, types and calls") {
  check_table({
      {R"(select a, t.a, s.t.a, d.s.t.a, t.*, *, "A b")", "(select (targets a t.a s.t.a d.s.t.a t.* * A b))"},
      {"select 'x'::varchar(10), cast(1 as numeric(10,2)), a::int[], date '2020-01-01', interval '1' day, interval(3) "
       "'1'",
       "(select (targets (cast pg_catalog.varchar,10 'x') (cast pg_catalog.numeric,10,2 1) (cast pg_catalog.int4[] a) "
       "(cast date '2020-01-01') (cast pg_catalog.interval,8 '1') (cast pg_catalog.interval,32767,3 '1')))"},
      {R"(select a collate "C", a at time zone 'UTC', extract(year from a))",
       "(select (targets (collate C a) (call pg_catalog.timezone 'UTC' a) (call pg_catalog.extract 'year' a)))"},
      {"select f(), s.f(1, a), f(variadic a), f(distinct a), count(*), f(a => 1)",
       "(select (targets (call f) (call s.f 1 a) (call f variadic a) (call f distinct a) (call count *) (call f 1)))"},
      {"select sum(a) filter (where b > 1), string_agg(a, ',' order by b desc nulls last), mode() within group (order "
       "by c)",
       "(select (targets (call sum a (filter (op > b 1))) (call string_agg a ',' (order b desc nulls_last)) (call mode "
       "within_group (order c))))"},
      {"select rank() over (partition by a order by b), sum(c) over w, sum(d) over (order by e rows between 1 "
       "preceding and 2 following) from t window w as (order by f)",
       "(select (targets (call rank over (window a b)) (call sum over c) (call sum over d (window e 1 2))) (from t) "
       "(windows f))"},
      {"select coalesce(a, 1), greatest(a, b), least(1, 2), grouping(a)",
       "(select (targets (coalesce a 1) (extreme greatest a b) (extreme least 1 2) (grouping a)))"},
      {"select case a when 1 then 2 end, case when a then 1 else 2 end",
       "(select (targets (case a 1 2 null) (case a 1 2)))"},
      {"select current_timestamp(3), localtime, current_date, current_user, current_schema",
       "(select (targets (sql_value current_timestamp) (sql_value localtime) (sql_value current_date) (sql_value "
       "current_user) (sql_value current_schema)))"},
      {"select array[1,2], array(select 1), a[1], a[1:2], (a).b, (a).b[1].c, (f(1)).*",
       "(select (targets (array 1 2) (subquery array (select (targets 1))) (indirection a 1) (indirection a 1 2) "
       "(indirection b a) (indirection b.c a 1) (indirection * (call f 1))))"},
      {"select xmlelement(name foo, a)", "(select (targets (other a))) UNPARSABLE"},
      {"select f(2)::public.geometry(Point, 4326)",
       "(select (targets (cast public.geometry,4326 (call f 2)))) UNPARSABLE"},
  });
}

TEST_CASE("subqueries") {
  check_table({
      {"select exists (select 1), (select 2), a in (select 3), b = any (select 4), c > all (select 5), d not in "
       "(select 6)",
       "(select (targets (subquery exists (select (targets 1))) (subquery scalar (select (targets 2))) (subquery any = "
       "a (select (targets 3))) (subquery any = b (select (targets 4))) (subquery all > c (select (targets 5))) (not "
       "(subquery any = d (select (targets 6))))))"},
      {"select * from (select a from t) s(x) where x = 1",
       "(select (targets *) (from (select (targets a) (from t))=s(x)) (where (op = x 1)))"},
      {"with x as (select 1), y(a,b) as materialized (insert into t values (1) returning *) select * from x, y",
       "(select (with x:(select (targets 1)) y(a,b)!:insert t (select (row 1)) (returning *)) (targets *) (from x y))"},
      {"with recursive r(n) as (select 1 union all select n+1 from r) select n from r",
       "(select (with recursive r(n):(select union all (select (targets 1)) (select (targets (op + n 1)) (from r)))) "
       "(targets n) (from r))"},
      {"with recursive r as (select 1) search breadth first by n set o select 1",
       "(select (with recursive r:(select (targets 1))) (targets 1))"},
  });
}

TEST_CASE("FROM") {
  check_table({
      {"select * from t, s.t as u, only v w(a,b), d.s.t", "(select (targets *) (from t s.t=u only:v=w(a,b) d.s.t))"},
      {"select * from a join b using (x) left join c on a.y = c.y natural join d cross join e",
       "(select (targets *) (from (cross (inner natural (left (inner a b (using x)) c (on (op = a.y c.y))) d) e)))"},
      {"select * from a right join (b full join c on true) on false",
       "(select (targets *) (from (right a (full b c (on true)) (on false))))"},
      {"select * from (a cross join b) as j(x, y)", "(select (targets *) (from (cross a b)=j(x,y)))"},
      {"select * from a join b using (x) as u", "(select (targets *) (from (inner a b (using x))))"},
      {"select * from t, lateral (select 1) l, generate_series(1,2) with ordinality as g(a,b)",
       "(select (targets *) (from t lateral:(select (targets 1))=l (functions (call generate_series 1 2) "
       "ordinality)=g(a,b)))"},
      {"select * from rows from (f(1) as (x int), g(2)) z, json_to_recordset('[]') as r(a int, b text)",
       "(select (targets *) (from (functions (call f 1) (call g 2))=z(x) (functions (call json_to_recordset "
       "'[]'))=r(a,b)))"},
      {"select * from t tablesample system(3) repeatable (4)", "(select (targets *) (from t (sample 3 4)))"},
      {"select * from xmltable('/r' passing a columns b int path 'c')",
       "(select (targets *) (from (other))) UNPARSABLE"},
  });
}

TEST_CASE("clauses of SELECT") {
  check_table({
      {"select distinct a from t", "(select distinct (targets a) (from t))"},
      {"select distinct on (a, b) a from t", "(select distinct (on a b) (targets a) (from t))"},
      {"select a from t group by a, 1 having count(*) > 1",
       "(select (targets a) (from t) (group a 1) (having (op > (call count *) 1)))"},
      {"select a from t group by distinct a", "(select (targets a) (from t) (group_distinct a))"},
      {"select a from t group by grouping sets ((a), rollup(b,c), ())",
       "(select (targets a) (from t) (grouping_sets a b c))"},
      {"select a from t order by 1, a desc, b nulls first, c using <",
       "(select (targets a) (from t) (order 1 a desc b nulls_first c using))"},
      {"select a from t limit 3 offset $1", "(select (targets a) (from t) (limit 3) (offset $1))"},
      {"select a from t limit all", "(select (targets a) (from t) (limit null))"},
      {"select a from t order by a fetch first 3 rows with ties",
       "(select (targets a) (from t) (order a) (limit_ties 3))"},
      {"select a from t for update skip locked", "(select (targets a) (from t) locking)"},
      {"select", "(select)"},
      {"values (1,'a'), (2, default)", "(select (row 1 'a') (row 2 (default)))"},
      {"table t", "(select (targets *) (from t))"},
      {"select 1 union all select 2 union select 3 order by 1 limit 2",
       "(select union (select union all (select (targets 1)) (select (targets 2))) (select (targets 3)) (order 1) "
       "(limit 2))"},
      {"select 1 intersect (select 2 except select 3)",
       "(select intersect (select (targets 1)) (select except (select (targets 2)) (select (targets 3))))"},
      {"select a as x, b y into temp z from t", "(select (targets x=a y=b) (from t) into) temporary (relations z)"},
      {"select 1 as a into z union select 2",
       "(select union (select (targets a=1) into) (select (targets 2)) into) (relations z)"},
  });
}
