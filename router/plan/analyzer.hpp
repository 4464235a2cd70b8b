// The walk over one statement that fills an analysis. Its parts stand in files of their own: queries.cpp (levels and
// FROM), expressions.cpp (functions, constants, subqueries), writes.cpp (INSERT, UPDATE, DELETE), merge_into.cpp
// (MERGE).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "router/plan/analysis.hpp"
#include "router/plan/keys.hpp"

namespace pgbraid::router {

class analyzer {
 public:
  analyzer(const plan_context& context, constant_marks& marks, analysis& out)
      : context_(context), names_(context), marks_(marks), out_(out), functions_(context, out.functions) {}

  // queries.cpp
  void read_statement(const sql::statement& s, std::size_t parent, bool top);
  void read_select(const sql::select_query& q, std::size_t parent, bool top);
  std::size_t add_use(const sql::qualified_name& name, const std::string& alias, std::size_t level, table_role role);
  std::size_t add_use(resolved_table table, const std::string& alias, std::size_t level, table_role role);

  // expressions.cpp
  /// What constants directly under an expression are: part of the plan, or free.
  enum class literal : std::uint8_t { pinned, free };
  void read_expr(const sql::expr& e, std::size_t level, literal constants);
  void read_expr(const sql::expr_ptr& e, std::size_t level, literal constants) {
    if (e != nullptr) read_expr(*e, level, constants);
  }

  // writes.cpp
  void read_insert(const sql::insert_query& q, std::size_t parent);
  void read_update(const sql::update_query& q, std::size_t parent);
  void read_delete(const sql::delete_query& q, std::size_t parent);
  void judge_write(std::size_t use);
  void judge_constraints(const table_use& use);
  void note_timed_code(const table_use& use);

  // claims_written.cpp
  void count_claims(const table_use& use);
  void name_claimed(const table_use& use, const std::string& column);
  void claim_rows(const sql::insert_query& q, std::size_t use, bool top);
  void claim_changes(const sql::update_query& q, std::size_t use, bool top);

  // merge_into.cpp
  void read_merge(const sql::merge_query& q, std::size_t parent);

 private:
  // queries.cpp
  void read_with(const sql::with_clause& with, std::size_t parent);
  void leave_with(std::size_t outer);
  void read_core(const sql::select_query& q, std::size_t parent, bool top);
  void read_from(const std::vector<sql::from_item>& items, std::size_t level);
  void read_from_item(const sql::from_item& item, std::size_t level);
  void read_join(const sql::from_item& item, std::size_t level);
  void read_where(const sql::expr_ptr& where, std::size_t level);
  void read_targets(const std::vector<sql::target>& targets, std::size_t level);
  void read_sort_keys(const std::vector<sql::sort_key>& keys, std::size_t level);
  struct common_entry {
    std::string name;
    std::size_t first = 0, last = 0;  ///< query levels, `last` excluded; none of what writes
    bool read = false;
    written_entry written{};
  };
  /// The WITH entry in scope that a relation of this name is, or nullptr: it is read.
  [[nodiscard]] const common_entry* read_common_table(const sql::qualified_name& name);
  void judge_relation(const resolved_table& table, table_role role);
  void judge_code(const resolved_table& table, table_role role);
  void judge_readable(const resolved_table& table);

  // expressions.cpp
  [[nodiscard]] bool inserts_at(std::size_t level) const;
  void read_children(const sql::expr& e, std::size_t level, literal constants);
  void read_call(const sql::expr& e, std::size_t level);
  void read_column(const sql::expr& e, std::size_t level);
  void read_constant(const sql::expr& e, literal constants);

  // writes.cpp
  [[nodiscard]] resolved_table written_table(const sql::qualified_name& name, const sql::with_clause& with) const;
  void judge_hidden_columns(const table_use& use);
  void judge_conflict_action(const sql::insert_query& q, std::size_t use);
  void look_at_sequences(const sql::insert_query& q, const table_use& use);
  void refuse_sequence(const std::string& name, const table_use& use);
  void look_at_defaults(const sql::insert_query& q, const table_use& use);
  void note_moments(const sql::insert_query& q, const table_use& use);
  [[nodiscard]] bool rows_stand_alone(const sql::insert_query& q, const table_use& use);
  [[nodiscard]] std::vector<const column*> left_to_default(const sql::insert_query& q, const table_use& use) const;
  void set_to_default(const std::string& name, std::size_t use);
  void read_new_key(const sql::target& set, std::size_t use);
  void read_rows(const sql::insert_query& q, std::size_t use);
  void read_key_of_rows(const sql::insert_query& q, key_place place);
  void miss_key(key_place place);
  [[nodiscard]] std::size_t position_of(const std::string& column, const sql::insert_query& q, const table_use& use) const;

  // merge_into.cpp
  void read_merged_update(const sql::merge_action& action, std::size_t target);
  void read_merged_insert(const sql::insert_query& q, std::size_t target);
  [[nodiscard]] bool is_stored_as(const sql::expr& value, std::size_t level, const column& key) const;
  void read_merged_key(const sql::insert_query& q, key_place place);
  void tie_target_to_source(std::size_t target);

  [[nodiscard]] bool several() const { return !context_.map->one_shard(); }
  std::size_t add_level(std::size_t parent);

  const plan_context& context_;
  name_resolver names_;
  constant_marks& marks_;
  analysis& out_;
  function_reader functions_;
  std::size_t on_level_ = nowhere;           ///< the level whose ON condition is being read
  const sql::from_item* on_join_ = nullptr;  ///< and the join it belongs to
  std::size_t with_depth_ = 0;               ///< how many WITH entries the statement being read stands in
  bool row_is_read_ = false;  ///< the column that is being read may be a whole row, and its type does not count
  std::vector<common_entry> common_tables_;  ///< the WITH entries in scope, innermost last
};

}  // namespace pgbraid::router
