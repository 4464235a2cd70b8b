// One shard's catalog as it came from the server: rows turned into values, nothing judged yet. Pure.
#pragma once

#include "proxy/cluster/pg_connection.hpp"
#include "router/catalog.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pgbraid::proxy {

/// A unique or exclusion constraint, a unique index or a foreign key of a table that the topology names.
struct constraint_facts {
  struct part {
    std::optional<std::string> column;  ///< none: an expression
    std::string foreign_column;         ///< foreign keys
    std::string op;                     ///< exclusion constraints: the operator's symbol
  };
  std::string table;  ///< "schema.name", the root of a partitioned table
  char kind = 'u';    ///< pg_constraint.contype, or i for a unique index
  std::string name;
  std::string foreign_table;
  std::vector<part> parts;
  /// Why a unique one does not keep any two values of its column apart: "is partial"; of a foreign key: that it may
  /// give its own columns another value. "": neither is so.
  std::string peculiar{};
};

/// A default or identity that draws from a sequence.
struct sequence_facts {
  std::string table, column;
};

/// Something of a table that runs when rows are read or written and is not of the server's own making.
struct code_facts {
  std::string table;
  std::string what;                     ///< `trigger "x"`
  std::optional<std::string> function;  ///< "schema.name"; none: a rule, or a policy that reads another relation
  bool policy = false;                  ///< one that decides what is read
  std::string reads;  ///< a policy's: "schema.name" of that relation, pg_catalog for any of the server's own; else ""
  bool gives_row =
      false;  ///< a trigger whose function returns the row that is inserted, or the one that it is updated to
};

/// A function of triggers that looks at nothing but the row.
struct row_trigger {
  std::set<std::string, std::less<>> assigned;  ///< columns of the row that it may change
  bool whole_row = false;                       ///< it may change any of them
  bool told_time = false;                       ///< it may give another row in another statement
  bool by_chance = false;                       ///< it may give another row each time
};

struct view_function {
  std::string name;  ///< "schema.name"
  bool is_volatile = false;
  bool user_code = false;
};

struct view_facts {
  std::string definition;                ///< written with only pg_catalog in the search path
  std::vector<view_function> functions;  ///< outside pg_catalog, operators' and casts' functions included
};

struct type_facts {
  std::string name;                ///< "schema.name"
  std::vector<router::oid> parts;  ///< element, base, subtype, attributes
};

using view_map = std::map<std::string, view_facts, std::less<>>;

struct shard_catalog {
  router::catalog content;                  ///< without what needs judging: constraints, code, views
  std::map<router::oid, type_facts> types;  ///< outside pg_catalog
  std::vector<constraint_facts> constraints;
  std::vector<sequence_facts> sequences;
  std::vector<code_facts> code;
  std::map<std::string, row_trigger, std::less<>>
      row_triggers;  ///< by "schema.name" of their functions: those that are known to read no table
  view_map views;  ///< outside pg_catalog and information_schema
  std::set<std::string, std::less<>> heirs;                  ///< tables that inherit from others, partitions included
  std::map<std::string, std::string, std::less<>> declared;  ///< comments of tables that speak to pgbraid
};

/// The answers to the questions of catalog_sql.hpp of the same names.
struct catalog_answers {
  std::vector<pg_row> schemas, relations, heirs, declared, columns, functions, bodies, row_triggers, operators, types,
      domain_checks, collations, user_casts, role_settings, server_settings, views, view_functions, constraints,
      sequences, user_code;
};

/// `functions`: theirs are judged too, which costs more than all else.
[[nodiscard]] shard_catalog read_catalog(const catalog_answers& answers, bool functions = true);

/// An array literal for a parameter of type text[].
[[nodiscard]] std::string array_literal(const std::vector<std::string>& values);

}  // namespace pgbraid::proxy
