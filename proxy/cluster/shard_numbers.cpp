// Numbers of shards; see shard_numbers.hpp.
#include "proxy/cluster/shard_numbers.hpp"

#include "proxy/cluster/own_schema.hpp"
#include "proxy/cluster/prepared_id.hpp"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

namespace pgbraid::proxy {

namespace asio = boost::asio;

namespace {

/// Moves with the body below: older ones are made anew, and those of a later pgbraid are left alone.
constexpr unsigned body_version = 1;

constexpr std::string_view body_mark = "\n-- pgbraid ids, version ";

/// A constant of SQL, in a body that stands in quotes of its own.
std::string literal(std::string_view text) {
  std::string out = " E'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += c;
    out += c;
  }
  return out + "'";
}

/// Takes `before` and the number behind it from the front.
bool take(std::string_view& text, std::string_view before, unsigned& number) {
  if (!text.starts_with(before)) return false;
  text.remove_prefix(before.size());
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool take_heading(std::string_view text, unsigned& version, shard_number& out) {
  if (!take(text, body_mark, version) || !take(text, ": number ", out.number) || !take(text, ", given ", out.given))
    return false;
  constexpr std::string_view before = ", shard ";
  const std::size_t end = text.find('\n');
  if (!text.starts_with(before) || end == text.npos || out.number >= shard_number_count) return false;
  out.identity = text.substr(before.size(), end - before.size());
  return !out.identity.empty();
}

// All names are qualified: it runs with its owner's rights, in the caller's search_path, since setting one would cost
// a third of a call. What keeps two ids of a server apart are the milliseconds and the counter's low bits. So the
// counter is drawn within the millisecond (8192 numbers are not drawn in one), and a clock that has been set back by
// more than a moment is waited for, or refused: id_time is how far it has been, written down at most ten times a
// second. Whether this is the server that the number was given to is looked at as often.
constexpr std::string_view body_code = R"(
DECLARE
  epoch CONSTANT pg_catalog.int8 := 1735689600000;  -- 2025-01-01
  now_ms pg_catalog.int8;
  seen_ms pg_catalog.int8;
  counted pg_catalog.int8;
  elsewhere CONSTANT pg_catalog.bool := pg_catalog.current_database() OPERATOR(pg_catalog.<>) @database@::pg_catalog.name;
BEGIN
  LOOP
    seen_ms := coalesce(pg_catalog.pg_sequence_last_value('pgbraid.id_time'::pg_catalog.regclass), 0);
    now_ms := pg_catalog.floor(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.*) 1000::pg_catalog.float8)::pg_catalog.int8 OPERATOR(pg_catalog.-) epoch;
    IF now_ms OPERATOR(pg_catalog.<) seen_ms THEN
      IF now_ms OPERATOR(pg_catalog.+) 1000 OPERATOR(pg_catalog.<) seen_ms THEN
        RAISE EXCEPTION 'the server''s clock is % seconds behind the ids that it has given', (seen_ms OPERATOR(pg_catalog.-) now_ms) OPERATOR(pg_catalog./) 1000
          USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Set the clock right. If it was the clock before that was wrong, see "Ids" in pgbraid''s manual.';
      END IF;
      PERFORM pg_catalog.pg_sleep((seen_ms OPERATOR(pg_catalog.-) now_ms)::pg_catalog.float8 OPERATOR(pg_catalog./) 1000::pg_catalog.float8);
      CONTINUE;
    ELSIF now_ms OPERATOR(pg_catalog.>=) (seen_ms OPERATOR(pg_catalog.+) 100) OR elsewhere THEN
      IF elsewhere OR (SELECT c.system_identifier OPERATOR(pg_catalog.<>) @system@ FROM pg_catalog.pg_control_system() AS c) THEN
        RAISE EXCEPTION 'this shard has no number for its ids yet'
          USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'The function pgbraid.id() is a copy of another shard''s.',
                HINT = 'pgbraid gives the number when it sees the primaries of all shards.';
      ELSIF now_ms OPERATOR(pg_catalog.>=) 2199023255552 THEN
        RAISE EXCEPTION 'the server''s clock is beyond the year 2094' USING ERRCODE = 'object_not_in_prerequisite_state';
      END IF;
      PERFORM pg_catalog.setval('pgbraid.id_time'::pg_catalog.regclass, now_ms);
    END IF;
    counted := pg_catalog.nextval('pgbraid.id_number'::pg_catalog.regclass);
    EXIT WHEN now_ms OPERATOR(pg_catalog.=) (pg_catalog.floor(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.*) 1000::pg_catalog.float8)::pg_catalog.int8 OPERATOR(pg_catalog.-) epoch);
  END LOOP;
  RETURN (now_ms OPERATOR(pg_catalog.<<) 22) OPERATOR(pg_catalog.|) (@number@::pg_catalog.int8 OPERATOR(pg_catalog.<<) 13) OPERATOR(pg_catalog.|) (counted OPERATOR(pg_catalog.&) 8191);
END
)";

std::string filled(std::string_view code, std::string_view mark, std::string_view value) {
  std::string out{code};
  const std::size_t at = out.find(mark);
  return out.replace(at, mark.size(), value);
}

}  // namespace

std::string id_function_body(const shard_number& number, std::string_view system_identifier,
                             std::string_view database) {
  std::string out = fmt::format("{}{}: number {}, given {}, shard {}", body_mark, body_version, number.number,
                                number.given, number.identity);
  // The name last: it may look like anything.
  std::string code = filled(body_code, "@system@", fmt::format("{}::pg_catalog.int8", system_identifier));
  code = filled(code, "@number@", std::to_string(number.number));
  return out + filled(code, "@database@", literal(database));
}

std::optional<shard_number> parse_id_function(std::string_view body) {
  unsigned version = 0;
  shard_number out;
  return take_heading(body, version, out) ? std::optional{std::move(out)} : std::nullopt;
}

std::vector<std::optional<shard_number>> give_numbers(const std::vector<numbered_shard>& shards) {
  std::vector<std::optional<shard_number>> out(shards.size());
  std::set<unsigned> taken;
  unsigned given = 0;
  bool any = false;
  for (const bool at_home : {true, false}) {
    for (std::size_t i = 0; i < shards.size(); ++i) {
      const std::optional<shard_number>& found = shards[i].found;
      if (!found || (found->identity == shards[i].identity) != at_home) continue;
      any = true;
      given = std::max({given, found->number, found->given});
      if (taken.insert(found->number).second) out[i] = {found->number, 0, shards[i].identity};
    }
  }
  // Numbers of shards that are gone come again only when all have been used: their ids may be among the others' rows.
  unsigned lowest = 0;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    if (out[i]) continue;
    unsigned next = any ? given + 1 : 0;
    if (next >= shard_number_count) {
      while (taken.contains(lowest)) ++lowest;
      next = lowest;
    }
    if (next >= shard_number_count) break;
    any = true;
    given = std::max(given, next);
    taken.insert(next);
    out[i] = {next, 0, shards[i].identity};
  }
  for (auto& each : out) {
    if (each) each->given = std::min(given, shard_number_count - 1);
  }
  return out;
}

bool needs_number(const numbered_shard& shard, const std::optional<shard_number>& wanted) {
  return wanted && (!shard.current || shard.found != wanted);
}

asio::awaitable<number_reading> read_number(pg_connection& connection, std::chrono::milliseconds timeout) {
  number_reading out;
  const pg_answer answer = co_await connection.query(
      "SELECT (SELECT system_identifier FROM pg_control_system()), current_database(), NOT pg_is_in_recovery(), "
      "n.oid IS NOT NULL, p.prosrc, p.prosecdef AND (o.rolsuper OR o.rolname = current_user) "
      "FROM (SELECT to_regnamespace('pgbraid')::oid AS oid) n "
      "LEFT JOIN pg_proc p ON p.pronamespace = n.oid AND p.proname = 'id' AND p.pronargs = 0 "
      "LEFT JOIN pg_roles o ON o.oid = p.proowner",
      {}, timeout);
  out.error = answer.error;
  if (out.error.empty() && answer.rows.size() != 1) out.error = "the server gave no answer";
  if (!out.error.empty()) co_return out;
  const pg_row& row = answer.rows.front();
  numbered_shard& shard = out.shard;
  shard.system_identifier = row[0].value_or("");
  shard.database = row[1].value_or("");
  std::uint64_t system_identifier = 0;
  std::from_chars(shard.system_identifier.data(), shard.system_identifier.data() + shard.system_identifier.size(),
                  system_identifier);
  shard.identity = shard_identity(system_identifier, shard.database);
  shard.primary = row[2] == "t";
  shard.schema = row[3] == "t";
  unsigned version = 0;
  shard_number found;
  if (row[4] && take_heading(*row[4], version, found)) shard.found = std::move(found);
  shard.current = shard.found && version >= body_version && row[5] == "t";
  co_return out;
}

asio::awaitable<std::string> lock_numbers(pg_connection& connection, std::chrono::milliseconds timeout) {
  const pg_answer answer = co_await connection.query(
      "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; " + std::string{lock_own_schema}, {}, timeout);
  co_return answer.error;
}

asio::awaitable<std::string> make_id_function(pg_connection& connection, numbered_shard shard, shard_number number,
                                              std::chrono::milliseconds timeout) {
  std::string sql;
  if (!shard.schema) sql += "CREATE SCHEMA pgbraid; ";
  sql +=
      "CREATE SEQUENCE IF NOT EXISTS pgbraid.id_number; CREATE SEQUENCE IF NOT EXISTS pgbraid.id_time; "
      "CREATE OR REPLACE FUNCTION pgbraid.id() RETURNS pg_catalog.int8 LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE "
      "SECURITY DEFINER AS " +
      literal(id_function_body(number, shard.system_identifier, shard.database)) + "; ";
  // Somebody else's, such as a restored one: it must be able to draw from the sequences.
  if (!shard.current) {
    sql +=
        "ALTER SEQUENCE pgbraid.id_number OWNER TO CURRENT_USER; ALTER SEQUENCE pgbraid.id_time OWNER TO CURRENT_USER; "
        "ALTER FUNCTION pgbraid.id() OWNER TO CURRENT_USER; ";
  }
  sql += "GRANT USAGE ON SCHEMA pgbraid TO PUBLIC; GRANT EXECUTE ON FUNCTION pgbraid.id() TO PUBLIC";
  const pg_answer answer = co_await connection.query(std::move(sql), {}, timeout);
  co_return answer.error;
}

}  // namespace pgbraid::proxy
