#include "proxy/cluster/claim_function.hpp"

#include "proxy/cluster/catalog_rows.hpp"
#include "proxy/cluster/own_schema.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <string_view>
#include <utility>
#include <vector>

namespace pgbraid::proxy {

namespace asio = boost::asio;

namespace {

/// Moves with the body below: older ones are made anew, and those of a later pgbraid are left alone.
constexpr unsigned body_version = 1;

constexpr std::string_view body_mark = "\n-- pgbraid claims, version ";

// It runs with its owner's rights, so it touches plain tables that the topology lists, columns of the server's own
// types, and nothing whose name the caller could have chosen. A lock's number is made from names, which are the same on
// every shard; that two values, or an application's own lock, may share one costs a wait. Many values at once are
// locked as the whole column, which nobody may claim a value of meanwhile.
constexpr std::string_view body_code = R"(
DECLARE
  most CONSTANT int := 500;
  about record;
  whole bigint;
  stored text;
  wanted text[];
  locks bigint[];
  there text;
BEGIN
  SELECT c.oid, n.oid AS namespace, c.relname, a.attname, t.typname, format('%I.%I', n.nspname, c.relname) AS name,
         CASE WHEN t.typname = 'varchar' THEN nullif(a.atttypmod, -1) - 4 END AS length
    INTO about
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN pg_type t ON t.oid = a.atttypid
   WHERE c.oid = of_table::regclass AND c.relkind = 'r' AND c.relpersistence <> 't' AND a.attname = of_column
     AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'text'::regtype, 'varchar'::regtype, 'uuid'::regtype)
     AND EXISTS (SELECT FROM pgbraid.claimable l
                  WHERE n.nspname LIKE l.in_schema AND c.relname LIKE l.of_table AND a.attname = l.of_column);
  IF NOT FOUND THEN
    RAISE EXCEPTION 'column "%" of % is not one whose values pgbraid keeps apart', of_column, of_table
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  -- Who has become another role by SET ROLE is still the one who logged in.
  IF NOT coalesce(has_schema_privilege(session_user, about.namespace, 'USAGE')
                  AND has_any_column_privilege(session_user, about.oid, 'INSERT, UPDATE'), false)
     AND NOT EXISTS (SELECT FROM pg_roles r
                      WHERE pg_has_role(session_user, r.oid, 'MEMBER') AND has_schema_privilege(r.oid, about.namespace, 'USAGE')
                        AND has_any_column_privilege(r.oid, about.oid, 'INSERT, UPDATE')) THEN
    RAISE EXCEPTION 'permission denied for table %', about.relname USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF NOT coalesce(has_schema_privilege(about.namespace, 'USAGE') AND has_column_privilege(about.oid, of_column, 'SELECT')
                  AND has_table_privilege(about.oid, 'UPDATE'), false) THEN
    RAISE EXCEPTION 'pgbraid cannot look for values in table %, which role "%" may not read and lock', about.name, current_user
      USING ERRCODE = 'insufficient_privilege', HINT = format('GRANT SELECT, UPDATE ON %s TO %I', about.name, current_user);
  END IF;
  -- The name means this very table until the transaction ends, whatever somebody has been waiting to put in its place.
  EXECUTE format('LOCK TABLE ONLY %s IN ROW SHARE MODE', about.name);
  PERFORM FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = about.attname AND NOT a.attisdropped
          JOIN pg_type t ON t.oid = a.atttypid
   WHERE c.oid = about.oid AND c.oid = to_regclass(about.name) AND c.relkind = 'r' AND t.typname = about.typname
     AND t.typnamespace = 'pg_catalog'::regnamespace;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'table % has been changed meanwhile', about.name USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  -- As a row would have them: blanks beyond the length of a varchar are cut off, and anything else there is an error.
  stored := format('v::%I', about.typname);
  IF about.length IS NOT NULL THEN
    stored := format('CASE WHEN rtrim(substr(v, %2$s)) = '''' THEN left(v, %1$s) ELSE v END::varchar', about.length, about.length + 1);
  END IF;
  EXECUTE format('SELECT array_agg(DISTINCT (%s)::text) FROM unnest($1) v WHERE v IS NOT NULL', stored) INTO wanted USING claimed;
  IF wanted IS NOT NULL THEN
    whole := hashtextextended(format('pgbraid %s.%I', about.name, about.attname), 0);
    IF cardinality(wanted) > most THEN
      PERFORM pg_advisory_xact_lock(whole);
    ELSE
      PERFORM pg_advisory_xact_lock_shared(whole);
      locks := ARRAY(SELECT DISTINCT hashtextextended(v, whole) FROM unnest(wanted) v ORDER BY 1);
      FOR i IN 1 .. cardinality(locks) LOOP
        PERFORM pg_advisory_xact_lock(locks[i]);
      END LOOP;
    END IF;
  END IF;
  IF elsewhere IS NULL OR array_remove(elsewhere, NULL) = '{}' THEN
    RETURN NULL;
  END IF;
  IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
    RAISE EXCEPTION 'values are kept apart over shards in READ COMMITTED transactions only'
      USING ERRCODE = 'feature_not_supported';
  END IF;
  EXECUTE format('SELECT r.%1$I::text FROM %2$s r WHERE r.%1$I OPERATOR(pg_catalog.=) '
                 'ANY (ARRAY(SELECT %3$s FROM unnest($1) v WHERE v IS NOT NULL)) LIMIT 1 FOR KEY SHARE',
                 about.attname, about.name, stored)
    INTO there USING elsewhere;
  RETURN there;
END
)";

constexpr const char* make_objects = R"(
CREATE SCHEMA IF NOT EXISTS pgbraid;
CREATE TABLE IF NOT EXISTS pgbraid.claimable (in_schema text, of_table text, of_column text, PRIMARY KEY (in_schema, of_table, of_column));
CREATE OR REPLACE FUNCTION pgbraid.claim_values(of_table text, of_column text, claimed text[], elsewhere text[]) RETURNS text
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off
  AS $pgbraid${}$pgbraid$;
ALTER TABLE pgbraid.claimable OWNER TO CURRENT_USER;
ALTER FUNCTION pgbraid.claim_values(text, text, text[], text[]) OWNER TO CURRENT_USER;
REVOKE ALL ON pgbraid.claimable FROM PUBLIC;
GRANT USAGE ON SCHEMA pgbraid TO PUBLIC;
GRANT EXECUTE ON FUNCTION pgbraid.claim_values(text, text, text[], text[]) TO PUBLIC;
)";

// Only what its owner can be trusted with is left as it is.
constexpr const char* look_at_function = R"(
SELECT p.prosrc FROM pg_proc p JOIN pg_roles o ON o.oid = p.proowner JOIN pg_class c ON c.oid = to_regclass('pgbraid.claimable')
 WHERE p.oid = to_regprocedure('pgbraid.claim_values(text, text, text[], text[])') AND p.prosecdef
   AND (o.rolsuper OR o.rolname = current_user) AND c.relowner = p.proowner)";

constexpr const char* look_at_columns = R"(
SELECT count(*) FROM (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) EXCEPT SELECT * FROM pgbraid.claimable) lacking)";

constexpr const char* add_columns = R"(
INSERT INTO pgbraid.claimable SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::text[]) AS listed ON CONFLICT DO NOTHING)";

/// Array literals of schemas, tables and columns; names as patterns of LIKE.
std::vector<std::string> listed(const router::topology& map) {
  std::array<std::vector<std::string>, 3> columns;
  const auto add = [&](std::string_view schema, std::string_view table, const router::sharded_table& sharding) {
    for (const std::string& column : sharding.unique) {
      columns[0].push_back(like_pattern(schema));
      columns[1].push_back(like_pattern(table));
      columns[2].push_back(column);
    }
  };
  // A name may have these characters itself, and is a pattern that fits it then too.
  for (const auto& [name, sharding] : map.tables) {
    const std::size_t dot = name.find('.');
    add(std::string_view{name}.substr(0, dot), std::string_view{name}.substr(dot + 1), sharding);
  }
  for (const router::table_pattern& pattern : map.patterns) add(pattern.schema, pattern.table, pattern.sharding);
  std::vector<std::string> out;
  for (const std::vector<std::string>& each : columns) out.push_back(array_literal(each));
  return out;
}

bool is_current(const pg_answer& answer) {
  if (answer.rows.empty()) return false;
  const std::string body = answer.rows.front()[0].value_or("");
  if (!body.starts_with(body_mark)) return false;
  unsigned version = 0;
  (void)std::from_chars(body.data() + body_mark.size(), body.data() + body.size(), version);
  return version >= body_version;
}

/// Makes the function and its table; "" or why not.
asio::awaitable<std::string> make_objects_on(pg_connection& connection, std::chrono::milliseconds timeout) {
  const std::string body = fmt::format("{}{}{}", body_mark, body_version, body_code);
  const pg_answer made =
      co_await connection.query("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; " + std::string{lock_own_schema} +
                                    fmt::format(fmt::runtime(make_objects), body) + "COMMIT",
                                {}, timeout);
  if (!made.ok() && connection.is_open()) (void)co_await connection.query("ROLLBACK", {}, timeout);
  co_return made.error;
}

}  // namespace

asio::awaitable<std::string> make_claim_function(pg_connection& connection, const router::topology& map,
                                                 std::chrono::milliseconds timeout) {
  const pg_answer there = co_await connection.query(look_at_function, {}, timeout);
  if (!there.ok()) co_return there.error;
  if (!is_current(there)) {
    std::string failed = co_await make_objects_on(connection, timeout);
    if (!failed.empty()) co_return failed;
  }
  pg_answer columns = co_await connection.query(look_at_columns, listed(map), timeout);
  if (columns.ok() && !columns.rows.empty() && columns.rows.front()[0] != "0")
    columns = co_await connection.query(add_columns, listed(map), timeout);
  co_return columns.error;
}

std::string like_pattern(std::string_view pattern) {
  std::string out;
  for (const char c : pattern) {
    if (c == '%' || c == '_' || c == '\\') out += '\\';
    out += c == '*' ? '%' : c == '?' ? '_' : c;
  }
  return out;
}

}  // namespace pgbraid::proxy
