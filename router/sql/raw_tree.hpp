// Reads libpg_query's raw parse tree (PostgreSQL 15's src/include/nodes/parsenodes.h) into our syntax tree.
// Internal to router/sql: the only header that shows PostgreSQL's own types. Those headers are C and full of macros, so
// this one is included last, and only by parser.cpp and the raw_*.cpp files beside it.
#pragma once

#include "router/sql/ast.hpp"

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

extern "C" {
#include <pg_query.h>
// Both headers define these.
#undef PG_VERSION
#undef PG_VERSION_NUM
#include <pg_query_internal.h>

#include <nodes/parsenodes.h>
#include <nodes/primnodes.h>
}

namespace pgbraid::router::sql::raw {

/// Levels of our tree, chains such as 1+1+1 included. What walks our tree may recurse: 4,000 frames of up to 2 KB stay
/// inside an 8 MB stack.
inline constexpr std::int32_t max_tree_depth = 4000;
/// Levels that this reader itself recurses through (chains are read in a loop and do not count).
inline constexpr std::int32_t max_nesting = 1000;

/// The elements of one of PostgreSQL's lists, NULL (NIL) being the empty list. Borrowed; lives as long as the tree.
template <class Element = Node>
class list_view {
 public:
  explicit list_view(const List* list) : list_(list) {}

  class iterator {
   public:
    explicit iterator(const ListCell* cell) : cell_(cell) {}
    const Element* operator*() const { return static_cast<const Element*>(cell_->ptr_value); }
    iterator& operator++() {
      ++cell_;
      return *this;
    }
    bool operator!=(const iterator& other) const { return cell_ != other.cell_; }

   private:
    const ListCell* cell_;
  };

  iterator begin() const { return iterator(list_ == nullptr ? nullptr : list_->elements); }
  iterator end() const { return iterator(list_ == nullptr ? nullptr : list_->elements + list_->length); }
  std::size_t size() const { return list_ == nullptr ? 0 : static_cast<std::size_t>(list_->length); }
  bool empty() const { return size() == 0; }
  const Element* operator[](std::size_t at) const { return static_cast<const Element*>(list_->elements[at].ptr_value); }

 private:
  const List* list_;
};

/// `node` as a T when its tag says so, else nullptr.
template <class T>
const T* as(const Node* node, NodeTag tag) {
  return node != nullptr && node->type == tag ? reinterpret_cast<const T*>(node) : nullptr;
}

inline std::string text_of(const char* text) {
  return text == nullptr ? std::string() : std::string(text);
}

/// What a String, Integer, Float or Boolean node, an A_Const or a bare word says, as text.
std::string textual(const Node* node);
qualified_name name_of(const RangeVar& relation);
/// A list of String nodes; a name in a form that is no such list gives an empty one.
qualified_name name_of(const List* strings);
std::vector<std::string> strings_of(const List* strings);
bool is_temporary(const RangeVar* relation);

/// One pass over one raw tree. Sets flags instead of failing: look at too_deep() when done.
class reader {
 public:
  /// Reads one statement; location and length are the caller's to set.
  statement read_statement(const Node* node);

  /// True when the tree went deeper than the limits above; what was read must then be thrown away.
  [[nodiscard]] bool too_deep() const { return too_deep_; }

 private:
  class level;

  // raw_expressions.cpp
  expr_ptr read_expr(const Node* node);
  void read_exprs(const List* nodes, std::vector<expr_ptr>& out);
  expr_ptr read_leaf(const Node* node);
  expr_ptr read_above(const Node* node, expr_ptr inner);
  expr_ptr read_call(const FuncCall& call);
  expr_ptr read_operator(const A_Expr& node, expr_ptr left);
  expr_ptr not_understood(std::int32_t location);

  // raw_leaves.cpp
  expr_ptr read_constant(const A_Const& node);
  expr_ptr read_column(const ColumnRef& node);
  expr_ptr read_case(const CaseExpr& node);
  expr_ptr read_sublink(const SubLink& node);
  expr_ptr read_sql_value(const SQLValueFunction& node);
  expr_ptr read_xml(const XmlExpr& node);
  type_name read_type(const TypeName& node);
  sort_key read_sort_key(const SortBy& node);
  void read_window(const WindowDef& node, std::vector<expr_ptr>& out);

  // raw_queries.cpp
  select_ptr read_select(const Node* node);
  select_ptr read_one_select(const SelectStmt& node);
  from_item read_from(const Node* node);
  from_item read_one_from(const Node* node);
  void read_from_list(const List* nodes, std::vector<from_item>& out);
  void read_alias(const Alias* alias, from_item& out);
  void read_function_columns(const List* definitions, from_item& out);
  void read_group_by(const List* nodes, select_query& out);
  void read_targets(const List* nodes, std::vector<target>& out);
  void read_sort_keys(const List* nodes, std::vector<sort_key>& out);
  with_clause read_with(const WithClause* node);
  void check_subscripts(const List* indirection);

  // raw_writes.cpp
  void read_insert(const InsertStmt& node, statement& out);
  void read_update(const UpdateStmt& node, statement& out);
  void read_delete(const DeleteStmt& node, statement& out);
  void read_merge(const MergeStmt& node, statement& out);
  insert_query read_merge_insert(const MergeWhenClause& clause);
  void read_copy(const CopyStmt& node, statement& out);
  void read_assignments(const List* nodes, std::vector<target>& out, bool& multi_assign);

  // raw_statements.cpp
  void read_any(const Node* node, statement& out);
  void read_inner(const Node* node, statement& out);
  void read_transaction(const TransactionStmt& node, statement& out);
  void read_modes(const List* options, transaction_modes& out);
  void read_set(const VariableSetStmt& node, statement& out);
  bool read_session(const Node* node, statement& out);
  bool read_prepared_or_cursor(const Node* node, statement& out);
  bool read_maintenance(const Node* node, statement& out);

  // raw_ddl.cpp, raw_objects.cpp
  bool read_ddl(const Node* node, statement& out);
  bool read_ddl_on_relation(const Node* node, statement& out);
  void read_create_table(const CreateStmt& node, statement& out);

  std::int32_t depth_ = 0;
  std::int32_t nesting_ = 0;
  bool too_deep_ = false;
  bool unparsable_ = false;
};

/// One level of recursion; false when there is none left. Also carries `chain`, the levels that a loop built above.
class reader::level {
 public:
  explicit level(reader& owner, std::int32_t chain = 0) : owner_(owner), levels_(chain + 1) {
    owner_.depth_ += levels_;
    ++owner_.nesting_;
    if (owner_.depth_ > max_tree_depth || owner_.nesting_ > max_nesting) owner_.too_deep_ = true;
  }
  ~level() {
    owner_.depth_ -= levels_;
    --owner_.nesting_;
  }
  level(const level&) = delete;
  level& operator=(const level&) = delete;
  explicit operator bool() const { return !owner_.too_deep_; }

 private:
  reader& owner_;
  std::int32_t levels_;
};

/// "CREATE TABLE" and friends: the word PostgreSQL uses for a kind of object.
const char* object_word(ObjectType type);
void add_relation(const RangeVar* relation, std::vector<qualified_name>& out);
/// The relation that COMMENT, DROP, SECURITY LABEL, ALTER ... name in a list of name parts, if `type` is one that has
/// any.
void add_named_object(ObjectType type, const Node* object, std::vector<qualified_name>& out);
/// Tag of a command that defines something else than a relation; "" for all other commands.
std::string plain_tag(const Node* node);

}  // namespace pgbraid::router::sql::raw
