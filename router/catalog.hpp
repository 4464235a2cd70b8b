// What the router knows of a database's schema: an immutable value, filled by the control plane from the servers' own
// catalogs, read by planners without a lock.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pgbraid::router {

using oid = std::uint32_t;

/// OIDs of pg_catalog's types that routing knows by heart (src/include/catalog/pg_type.dat).
namespace type_oid {
inline constexpr oid boolean = 16, bytea = 17, int8 = 20, int2 = 21, int4 = 23, text = 25, oid_type = 26, float4 = 700,
                     float8 = 701, unknown = 705, bpchar = 1042, varchar = 1043, date = 1082, time = 1083,
                     timestamp = 1114, timestamptz = 1184, interval = 1186, numeric = 1700, uuid = 2950;
}

struct column {
  std::string name;
  oid type = 0;
  std::int32_t modifier = -1;
  bool deterministic = true;   ///< its collation is deterministic (or it has none)
  bool has_default = false;
  bool generated = false;      ///< GENERATED ALWAYS AS (...) STORED or GENERATED ALWAYS AS IDENTITY
  oid base_type = 0;           ///< of a domain: the type below it and all domains between; 0 for any other type
  bool default_varies = false;     ///< its default is no constant
  bool default_of_moment = false;  ///< its default is one value in all rows of a statement, another in the next: now()
  bool default_collation = true;   ///< its collation is the database's own (or it has none)
  bool byte_order = false;         ///< it has a collation, and that compares the bytes of UTF-8
  std::string default_text{};      ///< of a default that varies: the expression, "" for an identity
  bool identity = false;           ///< GENERATED ... AS IDENTITY
  std::string draws{};             ///< its default or identity draws from a sequence: the expression that does; "" for any other
  friend bool operator==(const column&, const column&) = default;
};

/// A column whose values are kept apart over all shards: see plan/claims.hpp.
struct claimed_column {
  std::string column;
  std::string constraint;  ///< the unique constraint, or index, that keeps them apart on each shard
  friend bool operator==(const claimed_column&, const claimed_column&) = default;
};

/// A table, view, sequence or index-like relation.
struct relation {
  oid id = 0;
  std::string schema, name;
  char kind = 'r';             ///< pg_class.relkind
  char persistence = 'p';      ///< pg_class.relpersistence: p, u (unlogged), t
  std::vector<column> columns; ///< live columns in attnum order
  // What holds on one shard only; empty when nothing does. Filled for tables the topology names as sharded.
  std::vector<std::string> unenforced;   ///< e.g. `unique constraint "orders_pkey" does not contain the sharding key`
  std::vector<claimed_column> claimed;   ///< likewise
  std::vector<std::string> user_code;    ///< triggers, rules, policies, column defaults and checks that call user code: the functions' names
  std::vector<std::string> policy_code;  ///< those of them that decide which rows are read
  std::vector<std::string> row_code;     ///< functions of triggers that are known to look at nothing but the row
  std::vector<std::string> timed_code;   ///< those of them that write down the time of the shard's own transaction
  // A column's type has different OIDs on different shards: it is made of further ones, which its binary form names by
  // their OIDs, or (renumbered) it is not, and other OIDs in messages are all that there is to it: see type_numbers.
  bool types_differ = false, types_renumbered = false;
  std::string types_differ_detail;
  std::vector<std::string> primary_key;  ///< its columns; empty without one. Filled like the above
  std::vector<std::vector<std::string>> unique_keys;  ///< columns of which no two rows may have the same; "": an expression
  std::vector<std::string> refers_to;                 ///< "schema.name" of the tables of its foreign keys
  bool row_security = false;             ///< policies may hide rows from some users
  bool writes_spread = false;            ///< what is written to it may change other tables: triggers, rules, cascades, inheritance
  // Views only:
  bool view_read_safe = false;           ///< its definition, read all the way down, calls no volatile function, locks nothing
  std::vector<std::string> view_relations;  ///< "schema.name" of every relation it reads, all the way down
  std::string definition;                ///< its query, written with nothing but pg_catalog in the search path
  friend bool operator==(const relation&, const relation&) = default;
};

/// The worst of all functions that share a name (any schema, any arguments).
struct function_traits {
  bool any_volatile = false;
  bool any_stable = false;
  bool any_user_code = false;  ///< some candidate is neither in pg_catalog nor written in C or internal
  bool any_aggregate = false;
  bool any_window = false;
  bool any_set_returning = false;
  bool pg_catalog_only = true;
  friend bool operator==(const function_traits&, const function_traits&) = default;
};

struct case_hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view v) const noexcept { return std::hash<std::string_view>{}(v); }
};

/// The OIDs that types outside pg_catalog have on one shard, as far as they are not the first shard's, which clients know.
struct type_numbers {
  std::unordered_map<oid, oid> to_first, from_first;
  friend bool operator==(const type_numbers&, const type_numbers&) = default;
};

/// One database's catalog. Never changed once it is shared.
struct catalog {
  std::uint64_t version = 0;                                 ///< grows with every change of content
  std::map<std::string, relation, std::less<>> relations;    ///< by "schema.name"
  std::unordered_map<std::string, function_traits, case_hash, std::equal_to<>> functions;  ///< by bare name
  std::set<std::string, std::less<>> schemas;
  std::set<std::string, std::less<>> user_operators;         ///< symbols that some operator outside pg_catalog has
  std::set<std::string, std::less<>> volatile_operators;     ///< symbols of which some candidate is volatile
  std::set<std::string, std::less<>> code_operators;         ///< symbols behind which some candidate has user code
  std::set<std::string, std::less<>> user_types;             ///< bare names of types outside pg_catalog
  std::set<std::string, std::less<>>
      code_types;  ///< those of them that have a CHECK with user code, or are made of such
  std::set<std::string, std::less<>> user_collations;        ///< bare names of collations outside pg_catalog
  std::string single_writer = "the servers have not been asked yet";  ///< why a transaction may write to one shard only; "": to several
  std::string no_claims = "the servers have not been asked yet";  ///< why values cannot be kept apart over the shards; "": they can
  std::vector<type_numbers> types;                           ///< by shard; empty: they are alike on all
  bool user_casts = false;                                   ///< a cast outside pg_catalog calls user code
  // Defaults that change what BEGIN means (pg_db_role_setting and the servers' configuration), by role; "" for all.
  std::map<std::string, std::string, std::less<>> default_isolation;
  std::map<std::string, bool, std::less<>> default_read_only;
  std::map<std::string, std::string, std::less<>> default_search_path;
  std::uint64_t defaults = 0;                                ///< changes with anything that a role or a database sets

  /// The relation, or nullptr.
  [[nodiscard]] const relation* find_relation(std::string_view schema, std::string_view name) const;

  friend bool operator==(const catalog&, const catalog&) = default;
};

}  // namespace pgbraid::router
