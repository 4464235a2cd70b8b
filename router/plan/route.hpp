// A route: where one execution of a statement goes, as a plain, comparable, printable value. And the plan it comes
// from.
#pragma once

#include "protocol/errors.hpp"
#include "router/catalog.hpp"
#include "router/sql/ast.hpp"
#include "router/topology.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace pgbraid::router {

enum class access : std::uint8_t {
  read,  ///< proved to be one: may go to a replica
  write  ///< everything else
};

/// Exactly one shard, named.
struct to_shard {
  shard_index shard = 0;
  friend bool operator==(const to_shard&, const to_shard&) = default;
};
/// Any one shard gives the same answer (reference tables, constants).
struct to_any {
  friend bool operator==(const to_any&, const to_any&) = default;
};
/// Several shards, whose rows are concatenated in this order.
struct to_many {
  std::vector<shard_index> shards;  ///< ascending, two or more
  std::vector<shard_index> rows{};  ///< INSERT: the shard of each row of VALUES, see rows.hpp; empty: all get the statement
  bool mirrored = false;            ///< all do the same to what they all have; the first, which goes ahead, answers for all
  friend bool operator==(const to_many&, const to_many&) = default;
};
/// All shards that have rows, whose rows one server then answers the statement over (see gather.hpp).
struct to_gather {
  std::vector<shard_index> shards;  ///< ascending, two or more
  shard_index described_on = 0;     ///< where it is prepared and described
  bool merged = false;              ///< their answers may be merged in their order instead, see merge.hpp
  friend bool operator==(const to_gather&, const to_gather&) = default;
};
/// Not at all: the client gets this error.
class to_refusal {
 public:
  explicit to_refusal(protocol::error_report error) : error_{std::make_shared<const protocol::error_report>(std::move(error))} {}
  [[nodiscard]] const protocol::error_report& error() const noexcept { return *error_; }
  friend bool operator==(const to_refusal& left, const to_refusal& right) { return left.error() == right.error(); }

 private:
  std::shared_ptr<const protocol::error_report> error_;  ///< apart: each session has room for a route, and few are refusals
};

using route_target = std::variant<to_shard, to_any, to_many, to_gather, to_refusal>;

struct route {
  route_target target = to_any{};
  access mode = access::write;
  bool needs_primary =
      false;  ///< a read that only a primary can answer (server identity, unlogged table, catalog of now)
  bool wants_replica = false;  ///< a hint: a read that may go to a replica though reads do not usually

  friend bool operator==(const route&, const route&) = default;
};

/// A one-line account: "shard s1 (replica allowed)", "shards s0, s1 concatenated", "refused: ...".
[[nodiscard]] std::string to_string(const route& r, const topology& t);

/// What the session itself must know of a statement, beside where it goes.
enum class session_effect : std::uint8_t {
  none,
  begin,
  commit,
  rollback,
  savepoint,
  release,
  rollback_to,
  set_transaction,
  two_phase,  ///< PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED
  set,
  set_local,
  reset,
  set_config,  ///< over several shards: SELECT of set_config() and of nothing else, see plan::configures
  show,
  discard,
  set_session_characteristics,
  set_constraints,
  prepare,
  execute,
  deallocate,  ///< SQL level
  declare_cursor,
  use_cursor,  ///< FETCH, MOVE, CLOSE
  listen,
  unlisten,
  notify,
  temporary,  ///< creates a temporary object
  user_code,  ///< reaches user code (DO, CALL, user functions): may leave session state behind
  copy_in,
  copy_out,
  load,
  other
};

/// What a statement that goes to all shards makes of transaction blocks.
enum class block_rule : std::uint8_t {
  any,      ///< it goes to all of them in one transaction, the client's or one of its own
  either,   ///< so it does within a block; outside of one it goes over one shard after the other
  outside,  ///< that is its only way: within a block it is an error
  within    ///< outside of a block it is an error
};

/// Where one candidate value of the sharding key comes from.
struct key_source {
  enum class origin : std::uint8_t { constant, parameter, pinned } from = origin::pinned;
  std::uint16_t index = 0;  ///< constant: index into token_scan::constants; parameter: n-1 of $n
  bool negated = false;     ///< constant: a minus stands before it
  oid literal_type =
      0;  ///< constant: type it was cast to, 0 for the literal's own; parameter: type it was cast to, 0 for declared
  std::string pinned;  ///< pinned: the value as text
  bool null = false;   ///< pinned NULL
  bool array = false;  ///< it is an array of such values; literal_type is that of its elements
  bool shared = false;  ///< parameter: it stands elsewhere too, which may give it another type where none is declared
  friend bool operator==(const key_source&, const key_source&) = default;
};

class value_map;      // value_map.hpp
class key_directory;  // key_directory.hpp

/// One end of an interval that a key is compared with.
struct key_bound {
  key_source value;
  bool lower = false, inclusive = false;
  friend bool operator==(const key_bound&, const key_bound&) = default;
};

/// The values that one group of co-located tables may be tied to: the union of its sources. Of a key of several columns
/// there is one in `parts` for each of them: all their combinations, or, where they are rows, the first of each, the
/// second of each...
struct key_group {
  std::string table, key;  ///< for messages
  oid key_type = 0;
  std::int32_t modifier = -1;  ///< the column's atttypmod for an inserted value, -1 for a compared one
  std::vector<key_source> sources;
  bool insert_row = false;  ///< sources are rows of VALUES, in order; NULL is an error rather than "matches nothing"
  bool unread =
      false;  ///< in a WITH entry that nobody reads: a value that cannot be read as the key's is no error there
  bool new_key = false;     ///< the value that UPDATE gives the key: its rows go to that shard
  std::vector<key_bound> bounds{};              ///< instead of sources: all of these hold
  std::shared_ptr<const value_map> values{};    ///< see table_use
  std::vector<key_group> parts{};               ///< of a key of several columns; itself it has no sources then

  /// True if it can mean no more than one shard, whatever the values are.
  [[nodiscard]] bool single() const;
  friend bool operator==(const key_group&, const key_group&) = default;
};

/// How the shards of one execution are found.
struct fixed_target {
  route_target target;
  friend bool operator==(const fixed_target&, const fixed_target&) = default;
};
/// All groups together must mean one shard, or (one group, `scatter`) the union of its shards.
struct keyed_target {
  std::vector<key_group> groups;
  bool scatter_allowed = false;            ///< several shards may be asked and concatenated
  bool split_allowed = false;              ///< the sources are rows of VALUES, each of which may go to its own shard
  bool stays = false;                      ///< staged: the shards of its keys are all that take part
  std::vector<shard_index> gather;         ///< otherwise: the shards to gather from, empty when that cannot be
  protocol::error_report several_refusal;  ///< told when several shards would be needed and that is not allowed
  friend bool operator==(const keyed_target&, const keyed_target&) = default;
};

/// An argument of set_config().
struct config_argument {
  std::int32_t parameter = 0;  ///< n of $n; 0: a constant
  bool null = false;           ///< the constant is NULL
  std::string text;            ///< the constant otherwise; not kept of a value
  friend bool operator==(const config_argument&, const config_argument&) = default;
};

/// A call of set_config() that every server of the session must make.
struct config_call {
  config_argument name, value, local;
  friend bool operator==(const config_call&, const config_call&) = default;
};

struct copy_format;  // copy_format.hpp
struct copy_layout;  // copy_splitter.hpp
struct merge_order;  // merge.hpp
struct claim_plan;  // claims.hpp
struct explain_layout;  // explain.hpp

/// In plan::calls and plan::alters: some function, whichever.
inline constexpr std::string_view any_function = "()";
/// In plan::alters: what any statement with a table or a function may go by, such as a type.
inline constexpr std::string_view anything = "*";

/// What the planner works out once for a statement; immutable, shared by sessions of one worker through the cache.
struct plan {
  session_effect effect = session_effect::none;
  access mode = access::write;
  bool needs_primary = false;
  bool wants_replica = false;           ///< see route
  std::optional<shard_index> only;      ///< a hint: no row may go to another shard
  bool transaction_dependent =
      false;               ///< calls now(), txid_current()...: inside a transaction it belongs on the primary
  bool user_code = false;  ///< reaches user code or functions with session state, whatever the effect
  bool sequence_memory = false;  ///< calls currval() or lastval(): right only where nextval() was called
  bool last_drawn = false;       ///< calls lastval(): it is told where the last number was drawn, whatever of
  bool draws_elsewhere = false;  ///< may draw numbers for an unsharded table, on a shard that is not the designated one
  bool sets_sequences = false;   ///< may make a sequence go on from another number: setval(), definitions, TRUNCATE
  bool listening_channels = false;  ///< calls pg_listening_channels()
  std::string pins;        ///< the session must keep its backend from here on: why; "" for most
  bool opaque = false;     ///< not understood by the grammar: forwarded as it is (one shard only)
  std::variant<fixed_target, keyed_target> where = fixed_target{};
  // Statement-level details that the session needs; empty for most.
  sql::transaction_modes modes;
  sql::variable_statement variable;
  std::vector<config_call> configures;     ///< set_config: one for each column of its row
  std::string name;                        ///< savepoint, prepared statement, cursor, channel
  std::string tag;                         ///< for messages: "CREATE TABLE"
  block_rule blocks = block_rule::any;     ///< where it goes to several shards
  std::string inner_text;                  ///< prepare: the prepared statement's own text
  bool by_protocol = false;  ///< prepare: refused as it stands, but may be kept as the protocol's statements are
  std::uint32_t statement_count = 1;       ///< statements in the text
  bool one_by_one =
      false;  ///< several, which may be carried out by themselves, in one transaction, where they are refused together
  std::vector<std::string> reads, writes;  ///< tables, "schema.name"
  std::vector<std::string> defines;        ///< bare names of relations that a definition is of, new ones included
  bool remakes = false;                    ///< it makes, renames or drops them
  /// Bare names of what the catalog knows and a definition changes: relations that stay where they are, functions as
  /// "name()".
  std::vector<std::string> alters;
  bool alters_all = false;  ///< what columns get by default, and what runs behind reads and writes, changes as well
  bool makes_unique = false;  ///< what it defines or alters must have no two rows alike, in some columns, from now on
  bool by_columns =
      true;  ///< what is sent, or where, goes by the columns that the catalog knows of its tables, beside their keys
  /// What is behind it: functions that it calls or that run behind its tables, as "name()", and then any_function,
  /// which these may call; all that its views read.
  std::vector<std::string> calls;
  std::string declares;  ///< CREATE TABLE with a key in a hint: what keeps it, sent behind the statement
  std::string copy_locks;  ///< what comes before a write to reference tables, on every shard: see copy_locks.hpp
  std::shared_ptr<const claim_plan> claims;  ///< values that no other row may have on any shard; null for all else
  bool draws = false;                      ///< numbers of sequences must be drawn first, where it goes: see drawing.hpp
  bool whole_directory = false;            ///< all rows of the lookup table must be known first
  std::optional<shard_index> described_on;  ///< staged, or drawn first: the one shard that knows all of its tables
  bool staged = false;                     ///< over several shards something must be known first: see staged.hpp
  bool timed = false;  ///< where it goes to one shard, the time alone: that of the transaction, if it began on another
  // What consistency among all sessions goes by: table_mark() of the tables whose rows it may see, respectively change.
  std::vector<std::uint32_t> read_marks, write_marks;
  bool reads_more = true, writes_more = true;  ///< and those of others, which nobody knows
  std::shared_ptr<const copy_layout> copy;  ///< COPY FROM STDIN whose rows go to their own shards; null for all else
  /// COPY FROM STDIN into a reference table with times among its columns: 'now' would be another on each shard.
  std::shared_ptr<const copy_format> timed_data;
  std::shared_ptr<const merge_order> merge;  ///< a read that is gathered, whose shards' rows may be merged instead; null for all else
  std::shared_ptr<const explain_layout> explain;  ///< EXPLAIN of what several shards are asked for; null for all else
  /// Why another shard than the first must not be asked for its rows in binary, which may name types by OIDs; null: it may.
  std::shared_ptr<const protocol::error_report> no_binary;
  std::string reason;                      ///< one line for `pgbraid route`: why this way
};
using plan_ptr = std::shared_ptr<const plan>;

/// A table's name ("schema.name") as a number; two names may share one.
[[nodiscard]] std::uint32_t table_mark(std::string_view full_name) noexcept;

/// What someone says who knows better than the planner: in a comment of the statement, or by settings.
struct statement_hint {
  enum class server : std::uint8_t { any, primary, replica };
  std::string shard;               ///< its name; "": not said
  std::optional<std::string> key;  ///< the shard that owns this value of the sharding key
  server target = server::any;
  bool of_text = false;  ///< the shard or the key stands in the statement's text
  friend bool operator==(const statement_hint&, const statement_hint&) = default;
};

/// Everything a plan depends on beside the text.
struct plan_context {
  const topology* map = nullptr;
  const catalog* schema = nullptr;
  std::vector<std::string> search_path;  ///< effective, "$user" resolved, pg_catalog implicit
  std::string user;
  bool standard_conforming_strings = true;
  bool multibyte_unsafe = false;  ///< client_encoding is SJIS, BIG5, GBK, GB18030 (or JOHAB, SHIFT_JIS_2004, UHC)
  std::size_t max_parse_bytes = 1 << 20;
  bool utf8 = true;      ///< see literal_context
  statement_hint hint;   ///< by settings: those of the text come before it
};

/// A bound parameter as it came in Bind.
struct bound_parameter {
  std::string_view value;
  bool null = false;
  bool binary = false;
  oid type = 0;  ///< as declared in Parse; 0: inferred by the server
};

/// What turns text of a literal into a key: settings that change how literals are read.
struct literal_context {
  bool utf8 = true;     ///< client_encoding equals the servers' encoding, or all text is ASCII
  bool iso_ymd = true;  ///< unambiguous reading of ISO dates only (others are refused)
  std::string_view time_zone = "UTC";
  key_directory* directory = nullptr;  ///< of keys that are looked up; null: none is known
};

}  // namespace pgbraid::router
