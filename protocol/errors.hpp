// The one table of everything pgbraid itself can tell a client, and the value that carries one such answer.
// Source: the manual's appendix "PostgreSQL Error Codes" and chapter "Error and Notice Message Fields".
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace pgbraid::protocol {

/// How far an error reaches: `error` ends the statement, `fatal` ends the session.
enum class severity : std::uint8_t { error, fatal };

// One row for each error: identifier, SQLSTATE, severity, text (fmt placeholders), hint ("" for none).
// clang-format off
#define PGBRAID_ERROR_TABLE(row)                                                                                        \
  /* protocol and session */                                                                                            \
  row(protocol_violation, "08P01", fatal, "protocol violation: {}", "")                                                 \
  row(message_too_large, "54000", error, "message of {} bytes exceeds the limit of {} bytes",                           \
      "Send the data in smaller parts, or raise limits.max_message in the topology.")                                   \
  row(unsupported_protocol, "0A000", fatal, "unsupported frontend protocol {}.{}: pgbraid supports 3.0", "")            \
  row(missing_user, "28000", fatal, "no PostgreSQL user name specified in startup packet", "")                          \
  row(no_such_database, "3D000", fatal, "database \"{}\" does not exist",                                               \
      "Databases are listed under \"databases\" in the topology.")                                                      \
  row(authentication_failed, "28P01", fatal, "password authentication failed for user \"{}\"", "")                      \
  row(replication_over_shards, "0A000", fatal, "database \"{}\" has several shards: a replication connection goes to one server", \
      "Connect to the server itself for replication.")                                                                  \
  row(transaction_left_open, "0A000", fatal, "transaction blocks are not allowed in statement pooling mode",             \
      "Set pool.mode to transaction for clients that use them.")                                                        \
  row(shutting_down, "57P01", fatal, "terminating connection: pgbraid is shutting down", "")                            \
  row(too_many_clients, "53300", fatal, "sorry, too many clients already (limits.max_clients is {})", "")               \
  row(too_many_clients_of_user, "53300", fatal, "too many connections for role \"{}\" (the limit is {})", "")               \
  row(too_many_clients_of_database, "53300", fatal, "too many connections for database \"{}\" (the limit is {})", "")       \
  row(idle_in_transaction_timeout, "25P03", fatal, "terminating connection due to idle-in-transaction timeout", "")     \
  row(transaction_timeout, "25P04", fatal, "terminating connection due to transaction timeout", "")                     \
  row(idle_client_timeout, "57P05", fatal, "terminating connection due to idle-session timeout", "")                    \
  row(listener_lost, "57P01", fatal, "terminating connection: the server connection that listened for it is lost: {}",  \
      "Notifications may have been missed: connect, LISTEN, and look for what they would have told.")                   \
  row(listener_too_slow, "53400", fatal, "terminating connection: more than {} bytes of notifications wait for it",     \
      "Read them sooner, keep transactions short, or raise limits.max_notifications.")                                  \
  row(query_timeout, "57014", fatal, "terminating connection: a statement went on after it was cancelled", "")          \
  row(login_timeout, "57014", fatal, "canceling authentication due to timeout", "{}")                             \
  row(tls_required, "28000", fatal, "connection is not encrypted: TLS is required here",                                \
      "Connect with sslmode=require, or set listen.tls.mode to allow.")                                                 \
  row(access_denied, "28000", fatal, "no access rule admits user \"{}\" to database \"{}\" from {}, {}",                \
      "Rules are listed under auth.rules in the topology; the first that fits decides.")                                \
  row(password_lookup_failed, "08006", fatal, "the password of user \"{}\" could not be looked up",                     \
      "See the log of pgbraid.")                                                                                        \
  row(certificate_refused, "28000", fatal, "certificate authentication failed for user \"{}\"", "")                     \
  row(database_not_served, "57P03", fatal, "database \"{}\" is not served: {}", "See the log of pgbraid.")              \
  row(internal, "XX000", error, "internal error: {}", "Please report this as a bug of pgbraid.")                        \
  /* servers */                                                                                                         \
  row(no_server, "08006", error, "no {} of shard \"{}\" is available: {}", "")                                          \
  row(server_lost, "08006", error, "the connection to the server was lost: {}",                                         \
      "Nothing of the statement's transaction has been committed: begin it anew.")                                      \
  row(outcome_unknown, "40003", error, "the connection to the server was lost before it answered: {}",                  \
      "The outcome is unknown: it may have been committed or not. It has not been run again.")                          \
  row(server_unreachable, "08006", error, "login to the server failed: {}", "Nothing has been sent to it.")             \
  row(not_a_primary, "08006", error, "{} is a standby and not the primary that it was taken for",                       \
      "The statement has not been sent.")                                                                               \
  row(hold_full, "53400", error, "too many statements wait for a primary already: {}",                                  \
      "The statement has not been sent. Raise failover.max_held or failover.max_held_bytes.")                           \
  row(server_login_failed, "08006", error, "login to the server failed: {}", "")                                        \
  row(pool_timeout, "53300", error, "no server connection became free within {}",                                       \
      "Raise pool.size, or look for long transactions.")                                                                \
  row(query_canceled, "57014", error, "canceling statement due to user request", "")                                    \
  row(transaction_aborted, "25P02", error,                                                                              \
      "current transaction is aborted, commands ignored until end of transaction block", "")                            \
  row(execute_arguments, "42601", error, "wrong number of parameters for prepared statement \"{}\"", "")                 \
  row(no_such_statement, "26000", error, "prepared statement \"{}\" does not exist", "")                                \
  row(duplicate_statement, "42P05", error, "prepared statement \"{}\" already exists", "")                              \
  row(parameter_count, "08P01", error,                                                                                  \
      "bind message supplies {} parameters, but prepared statement \"{}\" requires {}", "")                             \
  row(parameter_formats, "08P01", error, "bind message has {} parameter formats but {} parameters", "")                 \
  row(no_such_portal, "34000", error, "portal \"{}\" does not exist", "")                                               \
  row(sequence_memory, "55000", error, "currval() and lastval() tell what one server connection remembers",             \
      "Call them in the transaction that called nextval(), or use INSERT ... RETURNING.")                               \
  row(no_such_savepoint, "3B001", error, "savepoint \"{}\" does not exist", "")                                         \
  row(transaction_block, "0A000", error, "transaction blocks are not allowed in statement pooling mode",                \
      "Set pool.mode to transaction for clients that use them.")                                                        \
  row(result_type_changed, "0A000", error, "cached plan must not change result type", "")                               \
  row(inside_transaction, "25001", error, "{} cannot run inside a transaction block", "")                               \
  row(not_in_transaction, "25P01", error, "{} can only be used in transaction blocks", "")                              \
  row(server_results_differ, "XX000", error, "the shards describe this result differently: {}",                         \
      "Bring the schemas of the shards in line.")                                                                       \
  row(copies_differ, "40001", error, "could not write all copies of a reference table alike: their answers differ",       \
      "Somebody may have changed its rows meanwhile: try again. If it stays, a copy has other rows than the others.")   \
  row(copies_not_locked, "42501", error, "the copies of a reference table cannot be written alike: {}",                 \
      "What the statement reads must stay as it is until every shard has done it: grant UPDATE on these tables too.")   \
  row(token_invalid, "22023", error, "invalid value for parameter \"pgbraid.consistency_token\": {}",                     \
      "Give it, unchanged, what SHOW pgbraid.consistency_token has told.")                                              \
  row(token_foreign, "22023", error,                                                                                    \
      "this consistency token is not of database \"{}\": none of its shards has system identifier {}",                  \
      "Take it from a session on the same database, through any pgbraid before the same servers.")                      \
  row(token_lost, "22023", error, "what this consistency token stands for was lost when a server was promoted: {}",     \
      "Look at what is there now, and take a new token after the next write.")                                          \
  row(token_unfinished, "25001", error, "the consistency token of a transaction's writes is known when it has ended",   \
      "Ask for it after COMMIT.")                                                                                       \
  row(token_late, "25001", error, "a consistency token must be set before the transaction's snapshot is taken",         \
      "Set it before BEGIN, or before the first query.")                                                                \
  row(console_refused, "42501", fatal, "user \"{}\" may not open the console",                                          \
      "Users who may are listed under admin.users.")                                                                    \
  row(console_unknown, "42601", error, "the console does not know this command: {}",                                    \
      "It knows SHOW CLIENTS, SHOW SERVERS, SHOW TRANSACTIONS, SHOW DATABASES, PAUSE and RESUME.")                      \
  row(console_busy, "55006", error, "{} connections to the primary are still in use",                                     \
      "SHOW TRANSACTIONS tells whose; nothing is paused. What does not end within failover.hold is not waited for.")    \
  row(console_object, "42704", error, "{} \"{}\" is not in the topology", "")                                           \
  /* refusals of the router: see docs/sql-support.md */                                                                 \
  row(statement_too_complex, "54001", error, "statement too complex: {}", "")                                           \
  row(statement_too_long, "54000", error, "a statement of {} bytes is too long to be routed over several shards",       \
      "Raise limits.max_parse, or pass long values as bound parameters.")                                               \
  row(syntax_not_understood, "0A000", error, "pgbraid cannot parse this statement: {}",                                 \
      "Over several shards only statements of PostgreSQL 15's grammar can be routed.")                                  \
  row(unlisted_table, "0A000", error, "table \"{}\" is not in the topology of database \"{}\"",                         \
      "List it under sharding.tables, sharding.reference_tables or sharding.unsharded.")                                \
  row(unfit_table, "0A000", error, "table \"{}\" is meant to be sharded and cannot be: {}",                                    \
      "Make it alike on every shard, or list it in the topology.")                                                      \
  row(table_remade, "0A000", error, "{} has been redefined in this transaction",                                         \
      "COMMIT first: what it is now pgbraid learns then.")                                                              \
  row(definition_unknown, "55000", error, "{} has been redefined, and its definition could not be read yet",              \
      "A shard without a primary keeps it from being read: run the statement again.")                                   \
  row(definition_unfit, "0A000", error, "what this transaction has defined does not fit the topology: {}",                \
      "The topology's file says which tables are sharded, and by which columns.")                                       \
  row(unknown_table, "42P01", error, "relation \"{}\" does not exist", "pgbraid looks its catalog up again every few seconds.") \
  row(cross_shard_read, "0A000", error, "this query over several shards is not supported: {}", "{}")                    \
  row(gather_too_large, "53400", error,                                                                                 \
      "this query gathers more than {} bytes from the shards, most of them from table \"{}\"",                          \
      "Narrow it by conditions, tie it to keys of one shard, or raise limits.max_gather.")                              \
  row(gather_total_too_large, "53400", error,                                                                           \
      "all statements together may keep {} bytes of rows from the shards, and these are taken",                         \
      "Try again when others have ended, or raise limits.max_gather_total.")                                            \
  row(returned_too_large, "53400", error,                                                                               \
      "this statement returns more than {} bytes, which must be put in order before they are told",                     \
      "Write fewer rows at once, return less of them, or raise limits.max_gather.")                                     \
  row(row_too_large, "53400", error, "a row is larger than the {} bytes that may wait for rows of other shards",         \
      "Select less of it, leave out ORDER BY, or raise limits.max_gather.")                                             \
  row(copy_too_large, "53400", error,                                                                                   \
      "COPY into a reference table is kept until the first shard has taken it, up to {} bytes",                         \
      "Copy the data in smaller parts, or raise limits.max_gather.")                                                    \
  row(cross_shard_write, "0A000", error, "a write to more than one shard is not supported: {}",                         \
      "Tie the statement to one value of the sharding key.")                                                            \
  row(transaction_second_writer, "0A000", error,                                                                        \
      "this transaction has written to shard \"{}\" and cannot write to shard \"{}\": {}",                              \
      "Write to one shard in a transaction.")                                                                           \
  row(deadlock_detected, "40P01", error, "deadlock detected",                                                           \
      "Transactions over several shards waited for each other, and this one began last: run it again.")                 \
  row(replication_wait_canceled, "57014", error,                                                                        \
      "canceling wait for synchronous replication: the transaction has been rolled back on all shards", "")             \
  row(commit_unknown, "08007", error,                                                                                   \
      "the answer of the shard that decides the transaction cannot be relied on: {}",                                   \
      "It is committed on all shards or on none; which of the two is not known yet.")                                   \
  row(transaction_second_shard, "0A000", error,                                                                         \
      "a {} transaction stays on one shard: it began on \"{}\" and this statement needs \"{}\"",                        \
      "Use READ COMMITTED, or tie all statements to one shard. REPEATABLE READ over several takes reads.snapshot: consistent.") \
  row(snapshot_not_taken, "55P03", error,                                                                               \
      "no snapshot of several shards could be taken: commits over them have not ended",                                 \
      "Run the statement again; the log tells which of them are in doubt.")                              \
  row(missing_key, "0A000", error, "the INSERT gives no value for the sharding key \"{}\" of table \"{}\"",             \
      "Name the key's column and give it a value.")                                                                     \
  row(null_key, "23502", error, "null value for the sharding key \"{}\" of table \"{}\"",                               \
      "A row without a key belongs to no shard.")                                                                       \
  row(key_not_provable, "0A000", error, "the value of the sharding key \"{}\" of table \"{}\" is not known before the statement runs", \
      "Use a literal or a bound parameter of the key's own type.")                                                      \
  row(copy_key_unknown, "0A000", error,                                                                                 \
      "the sharding key \"{}\" of table \"{}\" cannot be read beyond doubt from \"{}\" (line {})",                    \
      "Write it as PostgreSQL itself does: dates as YYYY-MM-DD, times with their offset, in the server's encoding.")    \
  row(copy_not_split, "22P04", error, "the data cannot be split into rows (line {})", "")                               \
  row(copy_row_too_long, "54000", error, "the sharding key \"{}\" stands too far behind the beginning of its row (line {})", \
      "Name the key's column first, or raise limits.max_message in the topology.")                                      \
  row(key_change, "0A000", error, "UPDATE of the sharding key \"{}\" of table \"{}\" is not supported",                 \
      "DELETE the row and INSERT it anew.")                                                                             \
  row(invalid_key_value, "22P03", error, "incorrect binary data format for sharding key \"{}\" of type {}", "")         \
  row(invalid_key_text, "22P02", error, "invalid input syntax for type {}: \"{}\"", "")                                 \
  row(key_out_of_range, "22003", error, "value \"{}\" is out of range for type {}", "")                                 \
  row(key_too_long, "22001", error, "value too long for type {}({})", "")                                               \
  row(reference_write, "0A000", error, "a write to reference table \"{}\" is not supported over several shards",        \
      "Run the statement on every shard.")                                                                              \
  row(unenforced_constraint, "0A000", error, "a write to table \"{}\" is refused: {}",                                  \
      "List the table under sharding.accept_unenforced to accept that this holds on each shard alone.")                 \
  row(value_taken, "23505", error, "duplicate key value violates unique constraint \"{}\"", "")                          \
  row(claim_refused, "0A000", error, "column \"{}\" of table \"{}\" is unique over all shards: {}",                     \
      "Give it as a constant or a parameter, by INSERT ... VALUES or by UPDATE of a row that is tied to its key.")      \
  row(claims_too_large, "53400", error,                                                                                 \
      "values of a COPY that are unique over all shards are kept until they are claimed, up to {} bytes",               \
      "Copy the data in smaller parts, or raise limits.max_gather.")                                                    \
  row(user_code, "0A000", error, "{} may read or write sharded tables and would see one shard only",                    \
      "List it under sharding.shard_local if it does not depend on other shards' rows.")                                \
  row(ddl_over_shards, "0A000", error, "{} over several shards is not supported", "Run the statement on every shard.")  \
  row(session_feature, "0A000", error, "{} is not supported here: {}", "Connect to the one server that is meant for this.")                                              \
  row(hint_invalid, "22023", error, "invalid hint for pgbraid: {}", "{}")                                               \
  row(hint_impossible, "0A000", error, "{} cannot be left to shard \"{}\" by a hint: {}",                               \
      "Leave the hint out: RESET pgbraid.shard and pgbraid.key.")                                                       \
  row(hint_wants_replica, "25006", error, "a hint wants this statement on a replica, and it is a write: {}",            \
      "Leave the hint out: RESET pgbraid.target.")                                                                      \
  row(hint_other_shard, "23514", error,                                                                                 \
      "what this statement writes belongs on shard \"{}\", and a hint wants it on shard \"{}\"",                        \
      "Leave the hint out: the row's key says where it goes.")                                                          \
  row(key_unowned, "23514", error, "no shard owns the value \"{}\" of the sharding key \"{}\" of table \"{}\"",         \
      "List it for a shard, or name a shard for all other values: sharding.default_shard.")                             \
  row(types_differ, "0A000", error, "table \"{}\" has a type whose OID differs between the shards: {}",                 \
      "Create the type on all shards with the same OID, or cast the column to text in a view.")
// clang-format on

/// Every error that pgbraid itself can raise.
enum class error_id : std::uint16_t {
#define PGBRAID_ROW(id, state, level, text, hint) id,
  PGBRAID_ERROR_TABLE(PGBRAID_ROW)
#undef PGBRAID_ROW
};

/// One row of the table. All views point at static storage.
struct error_row {
  error_id id;
  std::string_view name;
  std::string_view sqlstate;
  severity level;
  std::string_view text;
  std::string_view hint;
};

/// The table's row of `id`.
[[nodiscard]] const error_row& row_of(error_id id) noexcept;

/// Number of rows; ids run from 0 to this, exclusive.
[[nodiscard]] std::size_t error_count() noexcept;

/// The fields that tell which constraint a row violates.
struct violated_constraint {
  std::string schema, table, name;
  friend bool operator==(const violated_constraint&, const violated_constraint&) = default;
};

/// One error ready to be told: the row plus this occasion's words. Comparable, so that routes are values.
struct error_report {
  error_id id{};
  std::string message;  ///< the row's text with its placeholders filled
  std::string detail;   ///< may be empty
  std::string hint;     ///< the row's hint unless this occasion has a better one
  std::optional<violated_constraint> violated{};  ///< none for almost all: every statement makes room for a report

  friend bool operator==(const error_report&, const error_report&) = default;
};

/// Fills the row's text with `args`. The hint is the row's own; a hint of "{}" is left empty for the caller to fill.
template <typename... Args>
[[nodiscard]] error_report make_error(error_id id, const Args&... args) {
  const error_row& row = row_of(id);
  return {id, fmt::format(fmt::runtime(row.text), args...), {}, std::string{row.hint == "{}" ? "" : row.hint}};
}

/// The same report with a DETAIL, respectively a HINT, of its own.
[[nodiscard]] error_report with_detail(error_report report, std::string detail);
[[nodiscard]] error_report with_hint(error_report report, std::string hint);

/// Appends an ErrorResponse frame for `report` to `out` (fields S, V, C, M, D, H, s, t, n).
void encode_error(std::string& out, const error_report& report);

}  // namespace pgbraid::protocol
