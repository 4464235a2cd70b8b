// The questions that fill a catalog. Each is one SELECT of text columns; catalog_rows.cpp reads its rows in the same
// order. $1, where it stands, is an array of "schema.name": the tables that the topology names.
#pragma once

namespace pgbraid::proxy::catalog_sql {

// 16384 is the lowest OID that is not of the server's own making (FirstNormalObjectId, transam.h).
//
// pgbraid.id() is left out among functions: the router knows it by its name and its schema.

/// Moves whenever a definition that a catalog is made from changes: every change writes a new row version. Temporary
/// objects come and go without moving it.
inline constexpr const char* token = R"(
WITH temporary AS MATERIALIZED (SELECT oid FROM pg_class WHERE relpersistence = 't')
SELECT string_agg(n || ':' || s, ',') FROM (
  SELECT count(*) AS n, coalesce(sum(xmin::text::int8), 0) AS s FROM pg_class WHERE relpersistence <> 't'
  UNION ALL SELECT count(*), coalesce(sum(xmin::text::int8 + attnum), 0) FROM pg_attribute WHERE attrelid NOT IN (SELECT oid FROM temporary)
  UNION ALL SELECT count(*), coalesce(sum(xmin::text::int8), 0) FROM pg_attrdef WHERE adrelid NOT IN (SELECT oid FROM temporary)
  UNION ALL SELECT count(*), coalesce(sum(xmin::text::int8), 0) FROM pg_proc
  UNION ALL SELECT count(*), coalesce(sum(xmin::text::int8), 0) FROM pg_constraint WHERE conrelid NOT IN (SELECT oid FROM temporary)
  UNION ALL SELECT count(*), coalesce(sum(xmin::text::int8), 0) FROM pg_trigger WHERE tgrelid NOT IN (SELECT oid FROM temporary)
  UNION ALL SELECT count(*), coalesce(sum(xmin::text::int8), 0) FROM pg_index WHERE indrelid NOT IN (SELECT oid FROM temporary)
  UNION ALL SELECT count(*), coalesce(sum(xmin::text::int8), 0) FROM pg_inherits
  UNION ALL SELECT count(*), coalesce(sum(xmin::text::int8), 0) FROM pg_description
             WHERE classoid = 'pg_class'::regclass AND objsubid = 0 AND objoid NOT IN (SELECT oid FROM temporary)
  UNION ALL SELECT count(*), coalesce(sum(xmin::text::int8), 0) FROM pg_rewrite WHERE ev_class NOT IN (SELECT oid FROM temporary)
  UNION ALL SELECT count(*), coalesce(sum(xmin::text::int8), 0) FROM pg_policy
  UNION ALL SELECT count(*), coalesce(sum(xmin::text::int8), 0) FROM pg_type WHERE typnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_temp_')
  UNION ALL SELECT count(*), coalesce(sum(xmin::text::int8), 0) FROM pg_operator
  UNION ALL SELECT count(*), coalesce(sum(xmin::text::int8), 0) FROM pg_cast
  UNION ALL SELECT count(*), coalesce(sum(xmin::text::int8), 0) FROM pg_collation
  UNION ALL SELECT count(*), coalesce(sum(xmin::text::int8), 0) FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'
  UNION ALL SELECT count(*), coalesce(sum(xmin::text::int8), 0) FROM pg_db_role_setting
  UNION ALL SELECT count(*), coalesce(sum(hashtext(name || reset_val)), 0) FROM pg_settings
             WHERE name IN ('default_transaction_isolation', 'default_transaction_read_only', 'search_path', 'DateStyle', 'IntervalStyle',
                            'TimeZone', 'standard_conforming_strings')) t)";

/// schema
inline constexpr const char* schemas = R"(
SELECT nspname FROM pg_namespace WHERE nspname <> 'pg_toast' AND nspname !~ '^pg_(toast_)?temp_')";

/// oid, schema, name, kind, persistence, has policies, what is written to it may change other tables
inline constexpr const char* relations = R"(
WITH spread AS (
  SELECT tgrelid AS oid FROM pg_trigger WHERE NOT tgisinternal
  UNION SELECT ev_class FROM pg_rewrite WHERE rulename <> '_RETURN'
  UNION SELECT confrelid FROM pg_constraint WHERE contype = 'f' AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))
  UNION SELECT inhrelid FROM pg_inherits
  UNION SELECT inhparent FROM pg_inherits
  UNION SELECT polrelid FROM pg_policy
  UNION SELECT coalesce(f.adrelid, nullif(k.conrelid, 0), a.attrelid)
    FROM pg_depend d JOIN pg_proc p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid
    LEFT JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid
    LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
    LEFT JOIN pg_attribute a ON k.contypid <> 0 AND a.atttypid = k.contypid
   WHERE p.oid >= 16384 AND p.provolatile = 'v'
     AND (p.proname, p.pronargs, p.pronamespace) IS DISTINCT FROM ('id', 0, to_regnamespace('pgbraid')))
SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.relrowsecurity, c.oid IN (SELECT oid FROM spread WHERE oid IS NOT NULL)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname <> 'pg_toast' AND n.nspname !~ '^pg_(toast_)?temp_' AND c.relkind NOT IN ('t', 'c')
   AND (c.oid >= 16384 OR c.relkind NOT IN ('i', 'I')))";

/// "schema.name" of every table that inherits from another, partitions included
inline constexpr const char* heirs = R"(
SELECT DISTINCT n.nspname || '.' || c.relname
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname !~ '^pg_(toast_)?temp_')";

/// "schema.name" of every table whose comment speaks to pgbraid, the comment
inline constexpr const char* declared = R"(
SELECT n.nspname || '.' || c.relname, d.description
  FROM pg_description d JOIN pg_class c ON c.oid = d.objoid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE d.classoid = 'pg_class'::regclass AND d.objsubid = 0 AND d.description LIKE '%pgbraid:%' AND c.relkind IN ('r', 'p')
   AND n.nspname !~ '^pg_(toast_)?temp_')";

/// relation's oid, name, type, modifier, deterministic, has default, generated, a domain's base type, default varies,
/// default of the moment, default collation, byte order, default, identity, what draws it from a sequence; by relation
/// and position
inline constexpr const char* columns = R"(
SELECT a.attrelid, a.attname, a.atttypid, a.atttypmod, coalesce(k.collisdeterministic, true),
       a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL, a.attgenerated <> '' OR a.attidentity = 'a',
       CASE WHEN t.typtype = 'd' THEN (
         WITH RECURSIVE base AS (SELECT t.typbasetype AS oid UNION ALL
                                 SELECT b.typbasetype FROM base JOIN pg_type b USING (oid) WHERE b.typtype = 'd')
         SELECT base.oid FROM base JOIN pg_type b USING (oid) WHERE b.typtype <> 'd') END,
       a.attidentity <> '' OR coalesce(a.attgenerated = '' AND coalesce(pg_get_expr(d.adbin, d.adrelid), t.typdefault) ~* '\(|\m(current_|local|session_|user)', false),
       coalesce(a.attgenerated = '' AND coalesce(pg_get_expr(d.adbin, d.adrelid), t.typdefault) ~* '\m(now|transaction_timestamp|statement_timestamp|timeofday|age|current_\w+|localtime\w*)\M', false),
       a.attcollation IN (0, 100), o.utf8 AND (a.attcollation IN (950, 951) OR a.attcollation = 100 AND o.bytes),
       CASE WHEN a.attgenerated = '' THEN coalesce(pg_get_expr(d.adbin, d.adrelid), t.typdefault) END, a.attidentity <> '',
       CASE WHEN a.attidentity <> '' THEN (
              SELECT 'nextval(' || quote_literal(quote_ident(sn.nspname) || '.' || quote_ident(s.relname)) || '::regclass)'
                FROM pg_depend x JOIN pg_class s ON s.oid = x.objid AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace
               WHERE x.classid = 'pg_class'::regclass AND x.refclassid = 'pg_class'::regclass AND x.refobjid = a.attrelid
                 AND x.refobjsubid = a.attnum AND x.deptype = 'i')
            WHEN a.attgenerated = '' AND pg_get_expr(d.adbin, d.adrelid) ~ '\mnextval\(' THEN pg_get_expr(d.adbin, d.adrelid) END
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
  CROSS JOIN (SELECT pg_encoding_to_char(encoding) = 'UTF8' AS utf8,
                     datcollate IN ('C', 'POSIX') AND coalesce(to_jsonb(d)->>'datlocprovider', 'c') = 'c' AS bytes
                FROM pg_database d WHERE datname = current_database()) o
  LEFT JOIN pg_collation k ON k.oid = a.attcollation LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind NOT IN ('t', 'c', 'i', 'I')
 ORDER BY a.attrelid, a.attnum)";

/// name, volatile, stable, user code, aggregate, window, set returning, in pg_catalog only, nothing but user code. The
/// built-in functions listed run queries that they are given as text, or read tables that they are given by name: as
/// good as user code.
inline constexpr const char* functions = R"(
SELECT p.proname, bool_or(p.provolatile = 'v'), bool_or(p.provolatile = 's'),
       bool_or(p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal')
               OR p.oid < 16384 AND p.proname ~ '^(query|cursor|table|schema|database)_to_xml|^ts_stat$|^ts_rewrite$'),
       bool_or(p.prokind = 'a'), bool_or(p.prokind = 'w'), bool_or(p.proretset), bool_and(n.nspname = 'pg_catalog'),
       bool_and(p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal'))
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE (p.proname, p.pronargs, n.nspname) IS DISTINCT FROM ('id', 0, 'pgbraid')
 GROUP BY 1)";

/// name, might be proved to read no table (nothing about it that its body does not say), language, body (of one in
/// standard SQL its whole definition), the defaults of its arguments, what stands between the name and the body of a
/// function with such arguments, whether it is one in standard SQL; of every function that is user code. An aggregate
/// made of such functions is told as a body that calls them.
inline constexpr const char* bodies = R"(
SELECT p.proname, l.lanname IN ('sql', 'plpgsql') AND p.prokind = 'f' AND NOT p.prosecdef AND p.proconfig IS NULL
                  AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype),
       l.lanname, CASE WHEN l.lanname = 'sql' AND p.prosrc = '' THEN pg_get_functiondef(p.oid) ELSE p.prosrc END,
       coalesce(pg_get_expr(p.proargdefaults, 0), ''),
       format('(%s) RETURNS %s%s',
              array_to_string(ARRAY(SELECT quote_ident(a.name) || ' int' FROM unnest(p.proargnames) AS a(name) WHERE a.name <> ''), ', '),
              CASE WHEN p.proretset THEN 'SETOF ' ELSE '' END,
              CASE WHEN p.prorettype = 'void'::regtype OR p.proargmodes && '{o,b,t}'::"char"[] THEN 'void' ELSE 'int' END),
       l.lanname = 'sql' AND p.prosrc = ''
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
 WHERE p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal')
   AND (p.proname, p.pronargs, p.pronamespace) IS DISTINCT FROM ('id', 0, to_regnamespace('pgbraid'))
UNION ALL
SELECT p.proname, true, 'sql', 'SELECT ' || string_agg(quote_ident(f.proname) || '()', ', ' ORDER BY f.proname), '', '', false
  FROM pg_aggregate g JOIN pg_proc p ON p.oid = g.aggfnoid
  JOIN pg_proc f ON f.oid IN (g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggserialfn, g.aggdeserialfn, g.aggmtransfn,
                              g.aggminvtransfn, g.aggmfinalfn)
  JOIN pg_language l ON l.oid = f.prolang
 WHERE f.oid >= 16384 AND l.lanname NOT IN ('c', 'internal')
 GROUP BY p.oid, p.proname)";

/// "schema.name", body, language; of functions in PL/pgSQL that do nothing but what their body says, and are called for
/// rows of tables alone, and of those written in C
inline constexpr const char* row_triggers = R"(
SELECT n.nspname || '.' || p.proname, p.prosrc, l.lanname
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.oid >= 16384 AND l.lanname IN ('plpgsql', 'c') AND p.prorettype = 'trigger'::regtype AND (l.lanname = 'c' OR NOT p.prosecdef)
   AND (l.lanname = 'c' OR p.proconfig IS NULL)
   AND (l.lanname = 'c' OR NOT EXISTS (SELECT FROM pg_trigger g
                    WHERE g.tgfoid = p.oid AND (g.tgtype & 1 = 0 OR g.tgtype & 64 <> 0
                                                OR g.tgqual::text ~ '\{(FUNCEXPR|SQLVALUEFUNCTION|COERCEVIAIO) '))))";

/// symbol, outside pg_catalog, volatile, user code: only those of which one is true
inline constexpr const char* operators = R"(
SELECT o.oprname, bool_or(n.nspname <> 'pg_catalog'), bool_or(coalesce(p.provolatile, 'i') = 'v'),
       bool_or(p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal'))
  FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace LEFT JOIN pg_proc p ON p.oid = o.oprcode
  LEFT JOIN pg_language l ON l.oid = p.prolang
 GROUP BY 1 HAVING bool_or(n.nspname <> 'pg_catalog' OR coalesce(p.provolatile, 'i') = 'v'))";

/// oid, schema, name, oid of a type that it is made of (NULL: of none); one row for each part
inline constexpr const char* types = R"(
SELECT t.oid, n.nspname, t.typname, p.part
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN LATERAL (
    SELECT t.typelem AS part WHERE t.typelem <> 0
    UNION ALL SELECT t.typbasetype WHERE t.typbasetype <> 0
    UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE t.oid IN (r.rngtypid, (to_jsonb(r) ->> 'rngmultitypid')::oid)
    UNION ALL SELECT a.atttypid FROM pg_attribute a
               WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) p ON true
 WHERE n.nspname NOT IN ('pg_catalog', 'pg_toast') AND n.nspname !~ '^pg_(toast_)?temp_')";

/// oid of a domain, name of a function of users that one of its CHECKs calls
inline constexpr const char* domain_checks = R"(
SELECT DISTINCT c.contypid, p.proname
  FROM pg_constraint c JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.objid = c.oid
  LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
  JOIN pg_proc p ON p.oid = CASE WHEN d.refclassid = 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode END
  JOIN pg_language l ON l.oid = p.prolang
 WHERE c.contypid <> 0 AND p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal'))";

/// name
inline constexpr const char* collations = R"(
SELECT k.collname FROM pg_collation k JOIN pg_namespace n ON n.oid = k.collnamespace WHERE n.nspname <> 'pg_catalog')";

/// true or false
inline constexpr const char* user_casts = R"(
SELECT EXISTS (SELECT FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc JOIN pg_language l ON l.oid = p.prolang
                WHERE p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal')))";

/// role ('' for all), specific to this database, "name=value", of this connection's own role
inline constexpr const char* role_settings = R"(
SELECT coalesce(r.rolname, ''), s.setdatabase <> 0, x.setting, coalesce(r.rolname = current_user, false)
  FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole CROSS JOIN unnest(s.setconfig) AS x(setting)
 WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
   AND (s.setrole = 0 OR r.oid IS NOT NULL)
 ORDER BY 1, 2, 3)";

/// name, what a RESET on this connection would give, built-in value; those that clients are told of at their login too
inline constexpr const char* server_settings = R"(
SELECT name, reset_val, boot_val FROM pg_settings
 WHERE name IN ('default_transaction_isolation', 'default_transaction_read_only', 'search_path', 'DateStyle', 'IntervalStyle',
                'TimeZone', 'standard_conforming_strings')
 ORDER BY name)";

/// oid, definition
inline constexpr const char* views = R"(
SELECT c.oid, pg_get_viewdef(c.oid) FROM pg_class c WHERE c.relkind = 'v' AND c.oid >= 16384)";

/// oid of a view, "schema.name" of a function outside pg_catalog that its definition calls in whatever way, volatile,
/// user code
inline constexpr const char* view_functions = R"(
SELECT DISTINCT r.ev_class, n.nspname || '.' || p.proname, p.provolatile = 'v', l.lanname NOT IN ('c', 'internal')
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class AND c.relkind = 'v'
  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
  LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
  JOIN pg_proc p ON p.oid = CASE WHEN d.refclassid = 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode END
  JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.oid >= 16384)";

// The named tables and all that inherits from them, partitions included, each under the name of its root.
#define PGBRAID_TABLE_TREE                                                                    \
  "WITH RECURSIVE tree AS ("                                                                  \
  " SELECT c.oid, n.nspname || '.' || c.relname AS root"                                      \
  "   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"                          \
  "  WHERE n.nspname || '.' || c.relname = ANY ($1::text[]) AND c.relkind IN ('r', 'p', 'f')" \
  " UNION SELECT i.inhrelid, t.root FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid)"

/// table, kind (p, u, x, f, or i for a unique index; a deferrable primary key, which may be broken for a while, is a
/// u), name, column (NULL: an expression), foreign table, foreign column, operator, place, why it does not keep any two
/// values of its first column apart, or, of a foreign key, that it may give its own columns another value ('': neither
/// is so), OID of it; one row for each column, in order
inline constexpr const char* constraints = PGBRAID_TABLE_TREE R"(, kept AS (
  SELECT i.indexrelid AS oid,
         CASE WHEN c.relkind <> 'r' OR EXISTS (SELECT FROM pg_inherits h WHERE c.oid IN (h.inhrelid, h.inhparent))
              THEN 'is one of a table with partitions or inheritance'
              WHEN i.indpred IS NOT NULL THEN 'is partial'
              WHEN NOT i.indimmediate THEN 'is deferrable'
              WHEN NOT (i.indisvalid AND i.indisready AND i.indislive) THEN 'is not valid'
              WHEN coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false) THEN 'takes nulls for equal'
              WHEN am.amname <> 'btree' OR i.indcollation[0] <> a.attcollation
                   OR NOT EXISTS (SELECT FROM pg_opclass oc JOIN pg_namespace ns ON ns.oid = oc.opcnamespace
                                   WHERE oc.oid = i.indclass[0] AND oc.opcdefault AND ns.nspname = 'pg_catalog')
              THEN 'compares in a way of its own'
              WHEN pg_get_expr(d.adbin, d.adrelid) !~ '^NULL(::[a-z ]+(\([0-9]+\))?)?$' THEN 'is on a column with a default'
              ELSE '' END AS why_not
    FROM tree t JOIN pg_class c ON c.oid = t.oid JOIN pg_index i ON i.indrelid = c.oid AND i.indisunique
    JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_am am ON am.oid = ic.relam
    LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] AND a.attnum > 0
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum)
SELECT t.root, CASE WHEN con.contype = 'p' AND con.condeferrable THEN 'u' ELSE con.contype::text END, con.conname,
       a.attname, fn.nspname || '.' || fc.relname, fa.attname, o.oprname, k.place,
       CASE WHEN con.contype <> 'f' THEN coalesce(u.why_not, '')
            WHEN con.confupdtype IN ('c', 'd') OR con.confdeltype = 'd' THEN 'changes its own columns' ELSE '' END, con.oid
  FROM tree t JOIN pg_constraint con ON con.conrelid = t.oid AND con.contype IN ('p', 'u', 'x', 'f') AND con.conparentid = 0
  LEFT JOIN kept u ON u.oid = con.conindid AND con.contype IN ('p', 'u')
  CROSS JOIN LATERAL unnest(con.conkey, con.confkey, con.conexclop) WITH ORDINALITY AS k(col, fcol, op, place)
  LEFT JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.col AND k.col > 0
  LEFT JOIN pg_attribute fa ON fa.attrelid = con.confrelid AND fa.attnum = k.fcol
  LEFT JOIN pg_class fc ON fc.oid = con.confrelid LEFT JOIN pg_namespace fn ON fn.oid = fc.relnamespace
  LEFT JOIN pg_operator o ON o.oid = k.op
UNION ALL
SELECT t.root, 'i', ic.relname, a.attname, NULL, NULL, NULL, k.place, u.why_not, ic.oid
  FROM tree t JOIN pg_index i ON i.indrelid = t.oid AND i.indisunique JOIN pg_class ic ON ic.oid = i.indexrelid
  JOIN kept u ON u.oid = ic.oid
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(col, place)
  LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.col AND k.col > 0
 WHERE k.place <= i.indnkeyatts
   AND NOT EXISTS (SELECT FROM pg_constraint con WHERE con.conindid = i.indexrelid AND con.contype IN ('p', 'u', 'x'))
 ORDER BY 1, 2, 3, 10, 8)";

/// table, column whose default or identity draws a number from a sequence
inline constexpr const char* sequences = PGBRAID_TABLE_TREE R"(
SELECT DISTINCT t.root, a.attname
  FROM tree t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type ty ON ty.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) ~ 'nextval\(' OR ty.typdefault ~ 'nextval\('
    OR EXISTS (SELECT FROM pg_depend x JOIN pg_class s ON s.oid = x.refobjid AND s.relkind = 'S'
                WHERE x.classid = 'pg_attrdef'::regclass AND x.objid = d.oid AND x.refclassid = 'pg_class'::regclass))";

/// table, what calls it, "schema.name" of the user's function (NULL: it is a rule, or reads another relation), whether
/// it is a policy, "schema.name" of another relation that the policy reads (the server's own ones all as pg_catalog,
/// since dependencies on them are not recorded), whether it is a trigger that gives the row that is written
inline constexpr const char* user_code = PGBRAID_TABLE_TREE R"(, parts AS (
  SELECT t.root, 'pg_attrdef'::regclass AS class, d.oid, 'the default of column "' || a.attname || '"' AS what
    FROM tree t JOIN pg_attrdef d ON d.adrelid = t.oid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.adnum
  UNION ALL SELECT t.root, 'pg_constraint'::regclass, c.oid, 'constraint "' || c.conname || '"'
    FROM tree t JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype = 'c'
  UNION ALL SELECT t.root, 'pg_constraint'::regclass, c.oid, 'constraint "' || c.conname || '" of a domain'
    FROM tree t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 JOIN pg_constraint c ON c.contypid = a.atttypid
   WHERE NOT a.attisdropped AND c.contypid <> 0
  UNION ALL SELECT t.root, 'pg_class'::regclass, i.indexrelid, 'an index'
    FROM tree t JOIN pg_index i ON i.indrelid = t.oid
  UNION ALL SELECT t.root, 'pg_trigger'::regclass, g.oid, 'trigger "' || g.tgname || '"'
    FROM tree t JOIN pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal AND g.tgenabled <> 'D'
  UNION ALL SELECT t.root, 'pg_policy'::regclass, p.oid, 'policy "' || p.polname || '"'
    FROM tree t JOIN pg_policy p ON p.polrelid = t.oid JOIN pg_class c ON c.oid = t.oid AND c.relrowsecurity)
SELECT DISTINCT x.root, x.what, n.nspname || '.' || p.proname,
       x.class = 'pg_policy'::regclass AND EXISTS (SELECT FROM pg_policy y WHERE y.oid = x.oid AND y.polcmd IN ('*', 'r')), NULL,
       x.class = 'pg_trigger'::regclass AND EXISTS (SELECT FROM pg_trigger y WHERE y.oid = x.oid AND y.tgtype & 3 = 3 AND y.tgtype & 20 <> 0)
  FROM parts x JOIN pg_depend d ON d.classid = x.class AND d.objid = x.oid
  LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
  JOIN pg_proc p ON p.oid = CASE WHEN d.refclassid = 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode END
  JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.oid >= 16384 AND (l.lanname NOT IN ('c', 'internal') OR l.lanname = 'c' AND x.class = 'pg_trigger'::regclass)
   AND (p.proname, p.pronargs, n.nspname) IS DISTINCT FROM ('id', 0, 'pgbraid')
UNION ALL SELECT t.root, 'rule "' || r.rulename || '"', NULL, false, NULL, false
  FROM tree t JOIN pg_rewrite r ON r.ev_class = t.oid AND r.rulename <> '_RETURN' AND r.ev_enabled <> 'D'
UNION SELECT x.root, x.what, NULL, p.polcmd IN ('*', 'r'), n.nspname || '.' || c.relname, false
  FROM parts x JOIN pg_policy p ON p.oid = x.oid
  JOIN pg_depend d ON d.classid = x.class AND d.objid = x.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> p.polrelid
  JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE x.class = 'pg_policy'::regclass
UNION ALL SELECT x.root, x.what, NULL, p.polcmd IN ('*', 'r'), 'pg_catalog', false
  FROM parts x JOIN pg_policy p ON p.oid = x.oid
 WHERE x.class = 'pg_policy'::regclass
   AND EXISTS (SELECT FROM regexp_matches(concat(p.polqual, p.polwithcheck), ':relid (\d+)', 'g') AS m
                WHERE m[1]::oid BETWEEN 1 AND 16383))";

#undef PGBRAID_TABLE_TREE

}  // namespace pgbraid::proxy::catalog_sql
