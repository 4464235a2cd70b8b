// The small syntax tree of ours: what routing needs to know of a statement, and nothing of libpg_query's types.
// Shape: PostgreSQL 15's raw parse tree (src/include/nodes/parsenodes.h), with everything routing does not read folded
// into expr_kind::other / statement_kind::other, which planners must treat as "not understood".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pgbraid::router::sql {

struct select_query;
using select_ptr = std::unique_ptr<select_query>;

/// Possibly qualified name, outermost part first: {"public", "orders"}.
using qualified_name = std::vector<std::string>;

/// A type as it was written, before any catalog look-up.
struct type_name {
  qualified_name name;  ///< the grammar's own spelling: int is {"pg_catalog","int4"}
  std::vector<std::int32_t> modifiers;
  bool array = false;
  bool set_of = false;

  friend bool operator==(const type_name&, const type_name&) = default;
};

enum class constant_kind : std::uint8_t { null, boolean, integer, decimal, string, bit_string };

enum class expr_kind : std::uint8_t {
  constant,       ///< `constant`, `text`
  parameter,      ///< `number` is n of $n
  column,         ///< `name` (1 to 4 parts); a trailing "*" sets `star`
  call,           ///< function call: `name`, children = arguments, and the flags below
  op,             ///< operator: name.back() is its symbol, children = one (prefix) or two operands
  op_any,         ///< left op ANY/SOME (array): children = left, array
  op_all,         ///< left op ALL (array)
  in_list,        ///< left [NOT] IN (a, b, ...): children = left, then the elements; `negated`; name = "=" or "<>"
  like,           ///< LIKE, ILIKE, SIMILAR: name is the operator
  between,        ///< `negated`; children = left, low, high
  nullif,         ///< children = two
  distinct_from,  ///< IS [NOT] DISTINCT FROM: `negated`
  and_,           ///< children = two or more
  or_,
  not_,
  null_test,     ///< IS [NOT] NULL: `negated`
  boolean_test,  ///< IS [NOT] TRUE, FALSE, UNKNOWN: name = "true", "false" or "unknown"; `negated`
  cast,          ///< `type`, one child
  collate,       ///< `name` is the collation, one child
  case_,  ///< children: test (may be absent), when/then pairs, else (always there: a NULL without location if not
          ///< written)
  coalesce,
  greatest_least,  ///< name = "greatest" or "least"
  array,           ///< ARRAY[...]
  row,             ///< ROW(...) or (a, b)
  subquery,        ///< EXISTS, IN (SELECT), op ANY (SELECT), scalar, ARRAY(SELECT): `sublink`, `query`, children = test
                   ///< expression if any
  sql_value,       ///< CURRENT_TIMESTAMP, CURRENT_USER...: name = lower-case word
  indirection,     ///< a[1], (x).field; children[0] is the base, then the subscripts; name = the fields; `star`
  default_,        ///< DEFAULT in VALUES or SET
  grouping,        ///< GROUPING(...)
  current_of,
  other  ///< anything else: not understood
};

enum class sublink_kind : std::uint8_t { exists, any, all, scalar, array };

struct sort_key;

/// One expression node. Which members mean something depends on `kind`. Children are owned.
struct expr {
  expr_kind kind = expr_kind::other;
  std::int32_t location = -1;  ///< byte offset in the whole text that was parsed; -1 when the grammar gives none
  constant_kind constant = constant_kind::null;
  std::string text;         ///< a constant's value: digits for numbers (with '-' where folded in), content for strings
  std::int32_t number = 0;  ///< parameter number
  qualified_name name;
  type_name type;
  std::vector<std::unique_ptr<expr>> children;
  select_ptr query;
  sublink_kind sublink = sublink_kind::scalar;
  bool negated = false;
  bool star = false;      ///< count(*) or a column reference ending in *
  bool distinct = false;  ///< agg(DISTINCT ...)
  bool over = false;      ///< a window function call
  bool within_group = false;
  bool variadic = false;
  std::unique_ptr<expr> filter;
  std::vector<sort_key> order;                ///< agg(... ORDER BY ...)
  std::vector<std::unique_ptr<expr>> window;  ///< inline OVER (...): its PARTITION BY, ORDER BY and frame expressions
};
using expr_ptr = std::unique_ptr<expr>;

enum class nulls_order : std::uint8_t { standard, first, last };

struct sort_key {
  expr_ptr value;
  bool descending = false;
  bool using_operator = false;  ///< ORDER BY x USING <
  nulls_order nulls = nulls_order::standard;
};

enum class from_kind : std::uint8_t { relation, subquery, function, join, values_like_other };
enum class join_kind : std::uint8_t { inner, left, right, full, cross };

/// One item of a FROM list.
struct from_item {
  from_kind kind = from_kind::values_like_other;
  qualified_name name;  ///< relation
  bool only = false;    ///< ONLY t
  std::string alias;    ///< "" when there is none
  std::vector<std::string> column_aliases;
  bool lateral = false;
  select_ptr query;                 ///< subquery
  std::vector<expr_ptr> functions;  ///< function; with `tablesample`: its arguments
  std::vector<type_name> column_types;  ///< function: of a column definition list, AS x(id bigint, ...)
  bool ordinality = false;          ///< WITH ORDINALITY
  join_kind join = join_kind::cross;
  bool natural = false;
  std::vector<std::string> using_columns;
  std::string using_alias;  ///< USING (...) AS alias: of the merged columns alone; "" when there is none
  expr_ptr condition;  ///< ON
  std::unique_ptr<from_item> left, right;
  bool tablesample = false;
  std::int32_t location = -1;
};

struct target {
  expr_ptr value;
  std::string name;          ///< AS name, or the column of INSERT / UPDATE SET
  bool indirection = false;  ///< SET a[1] = or a.b =
  std::int32_t location = -1;
};

struct statement;
struct common_table {
  std::string name;
  std::vector<std::string> columns;
  bool materialized = false;
  std::unique_ptr<statement> query;  ///< SELECT or a data-modifying statement
};

struct with_clause {
  bool recursive = false;
  std::vector<common_table> tables;
};

enum class set_operation : std::uint8_t { none, union_, intersect, except };

/// SELECT, VALUES, or a set operation over two of them.
struct select_query {
  with_clause with;
  std::vector<target> targets;
  bool distinct = false;
  std::vector<expr_ptr> distinct_on;
  std::vector<from_item> from;
  expr_ptr where;
  std::vector<expr_ptr> group_by;
  bool grouping_sets = false;
  bool group_distinct = false;
  expr_ptr having;
  std::vector<expr_ptr> windows;  ///< WINDOW clause: every expression in it
  std::vector<std::vector<expr_ptr>> values;
  std::vector<sort_key> order_by;
  expr_ptr limit, offset;
  bool limit_with_ties = false;
  bool locking = false;    ///< FOR UPDATE / SHARE ...
  bool lock_waits = true;  ///< without SKIP LOCKED and NOWAIT
  bool into = false;     ///< SELECT INTO
  set_operation set_op = set_operation::none;
  bool set_all = false;
  select_ptr left, right;
};

enum class statement_kind : std::uint8_t {
  empty,
  select,
  insert,
  update,
  delete_,
  merge,
  copy,
  explain,
  begin,
  commit,
  rollback,
  savepoint,
  release,
  rollback_to,
  prepare_transaction,
  commit_prepared,
  rollback_prepared,
  set,
  set_local,
  reset,
  show,
  set_transaction,
  set_session_characteristics,
  set_constraints,
  discard,
  prepare,
  execute,
  deallocate,
  declare_cursor,
  fetch,
  close_cursor,
  listen,
  unlisten,
  notify,
  lock,
  truncate,
  call,
  do_,
  vacuum,
  analyze,
  checkpoint,
  load,
  ddl,   ///< CREATE, ALTER, DROP, GRANT, COMMENT, REINDEX, CLUSTER, REFRESH, ...: `tag` says which
  other  ///< parsed, but nothing that routing knows
};

struct insert_query {
  with_clause with;
  qualified_name table;
  std::string alias;
  std::vector<target> columns;  ///< empty: no column list
  select_ptr source;            ///< VALUES or SELECT; absent: DEFAULT VALUES
  bool overriding = false;       ///< OVERRIDING SYSTEM VALUE or OVERRIDING USER VALUE
  bool overriding_user = false;  ///< the latter
  bool on_conflict = false, on_conflict_update = false;
  std::vector<target> conflict_set;
  std::vector<expr_ptr> conflict_exprs;  ///< inference expressions and both WHEREs
  std::vector<target> returning;
};

struct update_query {
  with_clause with;
  qualified_name table;
  bool only = false;
  std::string alias;
  std::vector<target> set;
  bool multi_assign = false;  ///< SET (a, b) = ...
  std::vector<from_item> from;
  expr_ptr where;
  std::vector<target> returning;
};

struct delete_query {
  with_clause with;
  qualified_name table;
  bool only = false;
  std::string alias;
  std::vector<from_item> using_;
  expr_ptr where;
  std::vector<target> returning;
};

struct merge_query;  // merge_query.hpp

/// FORMAT csv, FORCE_QUOTE (a, b), ...: an option without a value has no values.
struct copy_option {
  std::string name;
  std::vector<std::string> values;

  friend bool operator==(const copy_option&, const copy_option&) = default;
};

struct copy_statement {
  qualified_name table;  ///< empty when COPY (query)
  std::vector<std::string> columns;
  std::unique_ptr<statement> query;
  bool from = false;
  bool program = false;
  std::string file;                  ///< "" for STDIN / STDOUT
  std::vector<copy_option> options;  ///< as the grammar spells them, the old syntax included
};

enum class isolation_level : std::uint8_t { unset, read_uncommitted, read_committed, repeatable_read, serializable };

/// BEGIN's, SET TRANSACTION's options.
struct transaction_modes {
  isolation_level isolation = isolation_level::unset;
  std::optional<bool> read_only;
  std::optional<bool> deferrable;
  bool snapshot = false;  ///< SET TRANSACTION SNAPSHOT
  bool chain = false;     ///< COMMIT / ROLLBACK AND CHAIN

  friend bool operator==(const transaction_modes&, const transaction_modes&) = default;
};

/// SET / SET LOCAL / RESET / SHOW.
struct variable_statement {
  std::string name;                 ///< lower case; "all" for RESET ALL / SHOW ALL
  std::vector<std::string> values;  ///< textual values; empty with `to_default`
  bool to_default = false;
  bool from_current = false;
};

/// One parsed statement. The members of the other kinds are empty.
/// A column that ALTER TABLE drops, renames or gives another type.
struct changed_column {
  std::string name;
  std::string type;  ///< the new one's bare name; "" for any other change
};

/// Columns of which no two rows may have the same values; "": an expression, or a column by a collation of its own.
using unique_columns = std::vector<std::string>;

struct statement {
  statement_kind kind = statement_kind::empty;
  std::string tag;            ///< ddl, other: the command as a user would name it ("CREATE TABLE")
  std::int32_t location = 0;  ///< byte offset in the whole text
  std::int32_t length = 0;    ///< bytes; always filled (to the end of the text for the last one)
  select_ptr select;
  std::unique_ptr<insert_query> insert;
  std::unique_ptr<update_query> update;
  std::unique_ptr<delete_query> delete_;
  std::shared_ptr<const merge_query> merge;
  std::unique_ptr<copy_statement> copy;
  std::unique_ptr<statement> inner;  ///< explain: the explained; prepare: the prepared; declare_cursor, CREATE TABLE
                                     ///< AS, CREATE VIEW: the query
  bool explain_analyze = false;
  transaction_modes modes;
  variable_statement variable;
  std::string name;        ///< savepoint, prepared statement, cursor, channel, global transaction id; "" for ALL or *;
                           ///< CREATE INDEX: the index, "" if it is to get one; RENAME: the new name
  bool hold = false;       ///< declare_cursor WITH HOLD
  bool temporary = false;  ///< ddl that creates a temporary object
  bool if_not_exists = false;              ///< CREATE TABLE
  bool unparsable_parts = false;           ///< something in the statement was folded into `other`
  std::vector<qualified_name> relations;   ///< ddl, lock, truncate, vacuum, analyze: the tables it names
  std::vector<changed_column> changed;     ///< ALTER TABLE
  std::vector<std::string> new_types;      ///< ALTER TABLE: bare names of the types that columns get
  bool columns_alone = false;  ///< ALTER TABLE: of columns and constraints: what the columns that stay get by default,
                               ///< and what runs behind a write, is as before, unless it is by `new_types`
  bool unique = false;  ///< CREATE INDEX
  std::vector<unique_columns>
      uniques;  ///< CREATE INDEX, ALTER TABLE: what is to be unique from now on among rows that are there
  std::vector<qualified_name> routines;    ///< CREATE, ALTER, DROP of functions and procedures: those, under each name
  std::vector<expr_ptr> arguments;         ///< execute: its arguments; call: one, the call itself; copy: its WHERE
  std::vector<type_name> parameter_types;  ///< prepare: the types it declares
};

}  // namespace pgbraid::router::sql
