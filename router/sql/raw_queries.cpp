// SELECT, VALUES, set operations, FROM lists and WITH. Chains of UNION and of JOIN lean left and are read in a loop.
#include <string>
#include <utility>
#include <vector>

#include "router/sql/raw_tree.hpp"

namespace pgbraid::router::sql::raw {
namespace {

/// libpg_query moved LIMIT_OPTION_DEFAULT to the front of LimitOption, so that PostgreSQL's own header does not fit.
constexpr int limit_with_ties = 2;

set_operation operation_of(SetOperation op) {
  switch (op) {
    case SETOP_UNION:
      return set_operation::union_;
    case SETOP_INTERSECT:
      return set_operation::intersect;
    case SETOP_EXCEPT:
      return set_operation::except;
    default:
      return set_operation::none;
  }
}

}  // namespace

with_clause reader::read_with(const WithClause* node) {
  with_clause out;
  if (node == nullptr) return out;
  out.recursive = node->recursive;
  for (const CommonTableExpr* table : list_view<CommonTableExpr>(node->ctes)) {
    if (too_deep_) break;
    common_table entry;
    entry.name = text_of(table->ctename);
    entry.columns = strings_of(table->aliascolnames);
    entry.materialized = table->ctematerialized == CTEMaterializeAlways;
    const level here(*this);
    if (here) entry.query = std::make_unique<statement>(read_statement(table->ctequery));
    out.tables.push_back(std::move(entry));
  }
  return out;
}

select_ptr reader::read_select(const Node* node) {
  const auto* select = as<SelectStmt>(node, T_SelectStmt);
  if (select == nullptr) {
    // Only SELECT can stand here; were it something else, an empty query must not look like one.
    unparsable_ = true;
    return nullptr;
  }
  std::vector<const SelectStmt*> chain;
  for (; select->op != SETOP_NONE; select = select->larg) {
    chain.push_back(select);
    if (chain.size() > static_cast<std::size_t>(max_tree_depth)) {
      too_deep_ = true;
      return nullptr;
    }
  }
  const level here(*this, static_cast<std::int32_t>(chain.size()));
  if (!here) return nullptr;
  select_ptr out = read_one_select(*select);
  for (; !chain.empty() && !too_deep_; chain.pop_back()) {
    const SelectStmt& top = *chain.back();
    select_ptr above = read_one_select(top);
    above->set_op = operation_of(top.op);
    above->set_all = top.all;
    above->left = std::move(out);
    above->right = read_select(reinterpret_cast<const Node*>(top.rarg));
    out = std::move(above);
  }
  return out;
}

select_ptr reader::read_one_select(const SelectStmt& node) {
  auto out = std::make_unique<select_query>();
  out->with = read_with(node.withClause);
  read_targets(node.targetList, out->targets);
  const list_view<> distinct(node.distinctClause);
  out->distinct = !distinct.empty();
  // Plain DISTINCT is a list of one NIL.
  if (!distinct.empty() && distinct[0] != nullptr) read_exprs(node.distinctClause, out->distinct_on);
  read_from_list(node.fromClause, out->from);
  out->where = read_expr(node.whereClause);
  read_group_by(node.groupClause, *out);
  out->group_distinct = node.groupDistinct;
  out->having = read_expr(node.havingClause);
  for (const WindowDef* window : list_view<WindowDef>(node.windowClause)) read_window(*window, out->windows);
  const list_view<List> rows(node.valuesLists);
  out->values.reserve(rows.size());
  for (const List* row : rows) {
    if (too_deep_) break;
    read_exprs(row, out->values.emplace_back());
  }
  read_sort_keys(node.sortClause, out->order_by);
  out->limit = read_expr(node.limitCount);
  out->offset = read_expr(node.limitOffset);
  out->limit_with_ties = static_cast<int>(node.limitOption) == limit_with_ties;
  for (const LockingClause* lock : list_view<LockingClause>(node.lockingClause)) {
    out->locking = true;
    out->lock_waits = out->lock_waits && lock->waitPolicy == LockWaitBlock;
  }
  out->into = node.intoClause != nullptr;
  return out;
}

void reader::read_group_by(const List* nodes, select_query& out) {
  const level here(*this);
  if (!here) return;
  for (const Node* node : list_view<>(nodes)) {
    if (const auto* sets = as<GroupingSet>(node, T_GroupingSet)) {
      out.grouping_sets = true;
      read_group_by(sets->content, out);
    } else {
      out.group_by.push_back(read_expr(node));
    }
  }
}

void reader::read_targets(const List* nodes, std::vector<target>& out) {
  const list_view<ResTarget> view(nodes);
  out.reserve(view.size());
  for (const ResTarget* node : view) {
    if (too_deep_) return;
    target& entry = out.emplace_back();
    entry.value = read_expr(node->val);
    entry.name = text_of(node->name);
    entry.indirection = node->indirection != nullptr;
    entry.location = node->location;
    check_subscripts(node->indirection);
  }
}

/// Our tree keeps no subscripts of targets (SET a[f(x)] = 1): unless they are plain values, something was lost.
void reader::check_subscripts(const List* indirection) {
  for (const Node* step : list_view<>(indirection)) {
    const auto* subscript = as<A_Indices>(step, T_A_Indices);
    if (subscript == nullptr) continue;
    for (const Node* bound : {subscript->lidx, subscript->uidx})
      if (bound != nullptr && bound->type != T_A_Const && bound->type != T_ParamRef) unparsable_ = true;
  }
}

void reader::read_alias(const Alias* alias, from_item& out) {
  if (alias == nullptr) return;
  out.alias = text_of(alias->aliasname);
  out.column_aliases = strings_of(alias->colnames);
}

/// AS f(a int, b text): the definitions name the columns of a function that returns records.
void reader::read_function_columns(const List* definitions, from_item& out) {
  for (const ColumnDef* column : list_view<ColumnDef>(definitions)) {
    out.column_aliases.push_back(text_of(column->colname));
    out.column_types.push_back(column->typeName == nullptr ? type_name{} : read_type(*column->typeName));
  }
}

void reader::read_from_list(const List* nodes, std::vector<from_item>& out) {
  const list_view<> view(nodes);
  out.reserve(view.size());
  for (const Node* node : view) {
    if (too_deep_) return;
    out.push_back(read_from(node));
  }
}

from_item reader::read_from(const Node* node) {
  std::vector<const JoinExpr*> chain;
  while (const auto* join = as<JoinExpr>(node, T_JoinExpr)) {
    chain.push_back(join);
    node = join->larg;
    if (chain.size() > static_cast<std::size_t>(max_tree_depth)) {
      too_deep_ = true;
      return {};
    }
  }
  const level here(*this, static_cast<std::int32_t>(chain.size()));
  if (!here) return {};
  from_item out = read_one_from(node);
  for (; !chain.empty() && !too_deep_; chain.pop_back()) {
    const JoinExpr& join = *chain.back();
    from_item above;
    above.kind = from_kind::join;
    above.natural = join.isNatural;
    above.using_columns = strings_of(join.usingClause);
    switch (join.jointype) {
      case JOIN_INNER:
        above.join = join.quals == nullptr && join.usingClause == nullptr && !join.isNatural ? join_kind::cross
                                                                                             : join_kind::inner;
        break;
      case JOIN_LEFT:
        above.join = join_kind::left;
        break;
      case JOIN_RIGHT:
        above.join = join_kind::right;
        break;
      case JOIN_FULL:
        above.join = join_kind::full;
        break;
      default:
        unparsable_ = true;
        break;
    }
    if (join.join_using_alias != nullptr) above.using_alias = text_of(join.join_using_alias->aliasname);
    above.left = std::make_unique<from_item>(std::move(out));
    above.right = std::make_unique<from_item>(read_from(join.rarg));
    above.condition = read_expr(join.quals);
    read_alias(join.alias, above);
    out = std::move(above);
  }
  return out;
}

from_item reader::read_one_from(const Node* node) {
  from_item out;
  if (const auto* relation = as<RangeVar>(node, T_RangeVar)) {
    out.kind = from_kind::relation;
    out.name = name_of(*relation);
    out.only = !relation->inh;
    out.location = relation->location;
    read_alias(relation->alias, out);
    return out;
  }
  if (const auto* subselect = as<RangeSubselect>(node, T_RangeSubselect)) {
    out.kind = from_kind::subquery;
    out.lateral = subselect->lateral;
    out.query = read_select(subselect->subquery);
    read_alias(subselect->alias, out);
    return out;
  }
  if (const auto* function = as<RangeFunction>(node, T_RangeFunction)) {
    out.kind = from_kind::function;
    out.lateral = function->lateral;
    out.ordinality = function->ordinality;
    read_alias(function->alias, out);
    for (const List* pair : list_view<List>(function->functions)) {
      const list_view<> parts(pair);
      out.functions.push_back(read_expr(parts[0]));
      read_function_columns(reinterpret_cast<const List*>(parts[1]), out);
    }
    read_function_columns(function->coldeflist, out);
    return out;
  }
  if (const auto* sample = as<RangeTableSample>(node, T_RangeTableSample)) {
    out = read_from(sample->relation);
    out.tablesample = true;
    // Others (of extensions) may take so many rows, from each shard.
    const std::string method = name_of(sample->method).empty() ? std::string{} : name_of(sample->method).back();
    unparsable_ = unparsable_ || (method != "system" && method != "bernoulli");
    read_exprs(sample->args, out.functions);
    if (sample->repeatable != nullptr) out.functions.push_back(read_expr(sample->repeatable));
    return out;
  }
  unparsable_ = true;
  return out;
}

}  // namespace pgbraid::router::sql::raw
