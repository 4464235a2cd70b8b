// What one statement is made of, as routing sees it: query levels, the tables each of them ranges over, and how their
// sharding keys are tied. Filled by analyze(), judged by the steps of the planner.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "router/plan/constants.hpp"
#include "router/plan/functions.hpp"
#include "router/plan/names.hpp"
#include "router/plan/route.hpp"
#include "router/sql/merge_query.hpp"

namespace pgbraid::router {

inline constexpr oid mixed_types = static_cast<oid>(-1);
inline constexpr std::size_t nowhere = static_cast<std::size_t>(-1);

/// How a statement touches a table.
enum class table_role : std::uint8_t { read, insert, update, delete_ };

/// A column of a sharding key.
struct key_column {
  const column* stored = nullptr;  ///< in the catalog
  std::string name;                ///< as an occurrence of the table shows it: a column alias may rename it
};

/// One occurrence of a relation in one query level.
struct table_use {
  resolved_table table;
  std::string alias;     ///< what columns are qualified with
  bool aliased = false;  ///< `alias` was written: the table's own name and schema no longer qualify
  std::vector<std::string> column_aliases;
  std::size_t level = 0;
  table_role role = table_role::read;
  std::vector<key_column> keys;  ///< sharded: the key's columns, if rows can be found by them; else empty
  std::shared_ptr<const value_map> values;  ///< sharded by ranges or a list: which; null: by buckets

  /// The part of the key that a column of the table is, by its name there; nowhere for none.
  [[nodiscard]] std::size_t key_part(std::string_view column) const;
  /// The same by the name that this occurrence shows.
  [[nodiscard]] std::size_t shown_part(std::string_view name) const;
  /// The key's columns, for messages: "tenant, id".
  [[nodiscard]] std::string key_label() const;
};

/// One query level: a SELECT core, or one INSERT, UPDATE, DELETE or MERGE.
struct query_level {
  std::size_t parent = nowhere;                 ///< the level whose columns this one may refer to
  const sql::from_item* parent_root = nullptr;  ///< this level stands in ON of that join: of the parent it sees no more
  const std::vector<sql::from_item>* from = nullptr;
  const sql::select_query* query = nullptr;  ///< the SELECT core; none for what writes
  std::size_t target = nowhere;              ///< UPDATE, DELETE, MERGE, INSERT: the use that is written
  bool top = false;              ///< the statement's own SELECT
  bool unread = false;           ///< of a SELECT in WITH that nobody reads
  // What keeps the answers of several shards from being put one behind the other; the first of each, "" for none.
  std::string aggregate, window;
  bool plain_count = false;  ///< the only aggregates are count(*)
  bool exact = true;         ///< no aggregate of it depends on the order of the rows
  bool grouped = false, having = false, distinct = false, ordered = false, limited = false;
  bool values = false;  ///< VALUES rows
  bool array = false;   ///< of ARRAY(SELECT ...): the order of its rows shows
  bool tablesample = false;
  bool samples_copies = false;  ///< of a table of which every shard has all rows
  std::string system_column;
  bool whole_row = false;
  bool row_value = false;  ///< of a table, and so that the row's own type may come out of it
  std::string by_row;      ///< a call that gives another value each time: random(); "" for none
  bool of_written_row = false;  ///< it names a column of the rows that the statement writes: asked for each of them
};

/// One column of the key of one table use.
struct key_place {
  std::size_t use = 0, part = 0;
  friend bool operator==(const key_place&, const key_place&) = default;
};

/// "What confines the values of `from`, confines those of `to`": an equality of two keys' columns that filters rows of
/// the table of `to`.
struct key_edge {
  key_place from, to;
  friend bool operator==(const key_edge&, const key_edge&) = default;
};

/// A condition that confines a key's column to some values, or to those within bounds.
struct key_tie {
  key_place place;
  std::vector<key_source> sources;
  bool insert_row = false;
  std::vector<key_bound> bounds{};
};

/// A WITH entry that writes, and what it writes.
struct written_entry {
  const sql::common_table* entry = nullptr;
  std::size_t use = nowhere;
};

/// Everything that was found in one statement.
struct analysis {
  std::vector<table_use> uses;
  std::vector<query_level> levels;
  std::vector<key_edge> edges;
  std::vector<key_tie> ties;
  std::unordered_map<const sql::from_item*, std::size_t> use_of;  ///< FROM items that are relations
  std::unordered_map<const sql::from_item*, written_entry> returned;  ///< FROM items that name what a WITH entry writes
  std::vector<std::size_t> parameter_uses;                        ///< how often $n occurs, by n-1
  std::vector<std::size_t> parameter_ties;                        ///< how often as a key's value
  std::vector<oid> parameter_types;  ///< of these keys: 0 for none, mixed_types where they would read it differently
  /// Columns that are named with a schema (schema.table.column), and the table use that each of them means.
  std::vector<std::pair<const sql::expr*, std::size_t>> schema_columns;
  std::vector<std::string> common_names;  ///< names of all WITH entries
  std::vector<const sql::expr*> moments;  ///< calls that give one value for the whole statement: now(), current_date
  bool moment_in_from = false;            ///< one of them stands for a table: FROM now()
  /// A function of a trigger that writes down the time of the shard that it runs on, and its table; "" for none.
  std::string timed_code, timed_table;
  std::vector<std::string> moment_defaults;  ///< columns of rows to insert that are left to a default of that kind
  /// Several shards: columns of rows to insert that are left to a sequence; keys, and any column of a reference table,
  /// also to another default that gives each row its own.
  std::vector<std::string> drawn;
  std::vector<const sql::expr*> draws;    ///< calls of nextval(), currval(), lastval(), setval()
  function_facts functions;
  bool locking = false, into = false, writes = false;
  bool locking_below = false;  ///< in a subquery or a part of a set operation
  bool common_tables = false, set_operation = false;
  bool mirrored = false;        ///< writes to a reference table
  const sql::select_query* insert_source = nullptr;  ///< INSERT ... SELECT into a sharded table: the SELECT
  const sql::merge_query* merge = nullptr;  ///< MERGE: each of its INSERTs is a use of its own beside the target
  bool key_unknown = false;                          ///< INSERT ... VALUES: a key must be evaluated first
  bool conflict_source = false;                      ///< INSERT ... SELECT ... ON CONFLICT: which row comes first shows
  bool default_differs = false;          ///< a column that is left to its default would get another value on each shard
  std::size_t key_source_use = nowhere;  ///< the table use whose key it gives the written table's
  bool moves = false;                     ///< UPDATE that gives the key another value: rows may leave their shard
  std::optional<key_source> new_key;      ///< and that value, where it is known beforehand
  std::size_t claiming_writes = 0;        ///< that may give a row a value which must be claimed; see claims.hpp
  std::size_t claims_known = 0;           ///< those of them whose values are known
  std::string claimed_column, claimed_table;  ///< of the first of them
  std::shared_ptr<claim_plan> claims;         ///< the values; null: none
  bool rows_may_split = false;  ///< INSERT ... VALUES whose rows mean the same in statements of their own
  bool bare_names = false;      ///< a column is named without its table, or by NATURAL, USING or the star of a subquery
  bool not_understood = false;
  bool unresolved = false;  ///< several shards: a column that no table here can have: of a query outside, or a mistake
  std::string relation_write;  ///< why a relation keeps the statement from being a read, "" if none does
  bool relation_needs_primary = false;
  std::optional<protocol::error_report> refusal;  ///< several shards: the first rule that was broken
  /// Several shards: a table whose types only the designated shard can tell clients of, where rows of it are read.
  std::optional<protocol::error_report> types_differ;
  /// The same of a table whose types only have other OIDs (relation::types_renumbered): it matters to binary results.
  std::optional<protocol::error_report> types_renumbered;
  /// Of a table that is written (relation::types_differ): its rows must not be told in binary, nor come so.
  std::optional<protocol::error_report> written_types_differ;

  /// Notes that a value of a key of type `key_type` comes from here, if it is a parameter.
  void note_drawn(const std::string& column) {
    if (std::find(drawn.begin(), drawn.end(), column) == drawn.end()) drawn.push_back(column);
  }
  void note_tie(const key_source& source, oid key_type);
  void refuse(protocol::error_report error) {
    if (!refusal) refusal = std::move(error);
  }
};

/// Reads a SELECT, INSERT, UPDATE, DELETE or MERGE with all its query levels. Over several shards the rules that no key
/// can mend (unlisted tables, user code, writes to reference tables...) are checked on the way.
void analyze(const sql::statement& statement, const plan_context& context, constant_marks& marks, analysis& out);

/// Notes one table that a statement names outside any query (COPY orders TO ...), as a level of its own.
std::size_t analyze_table(const sql::qualified_name& name, table_role role, const plan_context& context, analysis& out);

/// True if each $n in a part of the statement's text stands nowhere else in it: its type is then the same wherever the part is
/// put.
[[nodiscard]] bool names_parameters_once(std::string_view part, const analysis& a);

/// Adds what the catalog says about the key: fills keys and values of a sharded use.
void describe_key(table_use& use, const topology& map);

}  // namespace pgbraid::router
