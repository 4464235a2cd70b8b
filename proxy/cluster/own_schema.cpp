#include "proxy/cluster/own_schema.hpp"

namespace pgbraid::proxy {

namespace {

constexpr const char* others_sql = R"(
WITH trusted AS (SELECT oid FROM pg_roles WHERE rolsuper OR rolname = current_user)
SELECT format('schema pgbraid belongs to role %s', nspowner::regrole)
  FROM pg_namespace WHERE nspname = 'pgbraid' AND nspowner NOT IN (SELECT oid FROM trusted)
UNION ALL
SELECT format('%s is not a plain table of pgbraid''s own', c.oid::regclass)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'pgbraid' AND c.relkind NOT IN ('i', 'S', 'c', 't')
   AND (c.relkind <> 'r' OR c.relhasrules OR c.relrowsecurity OR c.relowner NOT IN (SELECT oid FROM trusted)
        OR EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid))
LIMIT 1)";

}  // namespace

boost::asio::awaitable<std::string> problem_of_own_schema(pg_connection& connection,
                                                          std::chrono::milliseconds timeout) {
  pg_answer answer = co_await connection.query(others_sql, {}, timeout);
  if (!answer.ok()) co_return answer.error;
  co_return answer.rows.empty() ? std::string{} : answer.rows.front()[0].value_or("");
}

}  // namespace pgbraid::proxy
