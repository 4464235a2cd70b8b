// MERGE in our syntax tree: its target, its source and what is done with each pair of their rows. Shape: MergeStmt and
// MergeWhenClause of PostgreSQL 15's parsenodes.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "router/sql/ast.hpp"

namespace pgbraid::router::sql {

enum class merge_action_kind : std::uint8_t { nothing, insert, update, delete_ };

/// WHEN [NOT] MATCHED [AND condition] THEN action.
struct merge_action {
  merge_action_kind kind = merge_action_kind::nothing;
  bool matched = false;
  expr_ptr condition;
  std::vector<target> set;               ///< update
  std::unique_ptr<insert_query> insert;  ///< insert: its table is the target's, its source one row of VALUES
};

struct merge_query {
  with_clause with;
  qualified_name table;
  bool only = false;
  std::string alias;
  std::vector<from_item> source;  ///< one
  expr_ptr condition;             ///< ON
  std::vector<merge_action> actions;

  [[nodiscard]] bool inserts() const {
    for (const merge_action& each : actions) {
      if (each.kind == merge_action_kind::insert) return true;
    }
    return false;
  }
};

}  // namespace pgbraid::router::sql
