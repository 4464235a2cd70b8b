// Statements that write through the parser: what the tree says, as a table of SQL in named groups.
#include <catch2/catch.hpp>

#include "sql_table.hpp"

using pgbraid::router::sql::test::check_table;

TEST_CASE("INSERT") {
  check_table({
      {"insert into s.t values (1, 'a')", "insert s.t (select (row 1 'a'))"},
      {"insert into t as x (a,b) values (1, default), ($1, 2) returning a as z, *",
       "insert t=x (columns a b) (select (row 1 (default)) (row $1 2)) (returning z=a *)"},
      {"insert into t (a[1], b.c) values (1, 2)", "insert t (columns a[] b[]) (select (row 1 2))"},
      {"insert into t (a[f(1)]) values (1)", "insert t (columns a[]) (select (row 1)) UNPARSABLE"},
      {"insert into t default values", "insert t"},
      {"insert into t overriding user value select * from u", "insert t (select (targets *) (from u)) overriding"},
      {"insert into t values (1) on conflict do nothing", "insert t (select (row 1)) on_conflict"},
      {"insert into t (a,b) values (1, 2) on conflict (a, lower(b)) where x do update set b = excluded.b where t.b <> "
       "1",
       "insert t (columns a b) (select (row 1 2)) on_conflict_update (set b=excluded.b) (exprs a (call lower b) x (op "
       "<> t.b 1))"},
      {"with x as (select 1) insert into t select * from x",
       "insert (with x:(select (targets 1))) t (select (targets *) (from x))"},
  });
}

TEST_CASE("UPDATE and DELETE") {
  check_table({
      {"update t set a = 1, b = default, c[1] = 3 where x = $1 returning *",
       "update t (set a=1 b=(default) c[]=3) (where (op = x $1)) (returning *)"},
      {"update only s.t as u set (a,b) = (1,2) from v where u.x = v.x",
       "update only:s.t=u multi (set a=1 b=2) (from v) (where (op = u.x v.x))"},
      {"update t set (a,b) = (select 1,2)", "update t multi (set a=(subquery scalar (select (targets 1 2))) b)"},
      {"update t set a = 1 where current of c", "update t (set a=1) (where (current_of c))"},
      {"delete from only t x using u where x.a = u.a returning x.a",
       "delete only:t=x (using u) (where (op = x.a u.a)) (returning x.a)"},
      {"with d as (delete from t returning *) select * from d",
       "(select (with d:delete t (returning *)) (targets *) (from d))"},
      {"merge into t using s on t.a = s.a when matched then delete",
       "merge t (using s) (on (op = t.a s.a)) (matched delete)"},
      {"with c as (select 1) merge into only x.t as y using (values (1)) v(a) on y.a = v.a when matched and v.a > 2 "
       "then update "
       "set b = default, (c, d) = (1, 2) when matched then do nothing when not matched then insert (a) overriding "
       "system value "
       "values (v.a) when not matched then insert default values",
       "merge (with c:(select (targets 1))) only:x.t=y (using (select (row 1))=v(a)) (on (op = y.a v.a)) (matched (op "
       "> "
       "v.a 2) update (set b=(default) c=1 d=2)) (matched nothing) (not_matched insert (columns a) overriding (select "
       "(row v.a))) (not_matched insert)"},
  });
}

TEST_CASE("COPY") {
  check_table({
      {"copy t(a,b) from stdin with (format csv, force_null (a,b), header)",
       "copy t (columns a b) from format=csv force_null=a,b header="},
      {"copy s.t to stdout", "copy s.t to"},
      {R"(copy t from '/tmp/x' csv quote '"')", R"(copy t from '/tmp/x' format=csv quote=")"},
      {"copy (select 1) to program 'gzip'", "copy  to program 'gzip' (query (select (targets 1)))"},
      {"copy t from stdin where a > 1", "copy t from (arguments (op > a 1))"},
  });
}
