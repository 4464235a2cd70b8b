// INSERT, UPDATE, DELETE, MERGE and COPY.
#include <string>
#include <utility>
#include <vector>

#include "router/sql/merge_query.hpp"
#include "router/sql/raw_tree.hpp"

namespace pgbraid::router::sql::raw {
namespace {

std::string alias_of(const RangeVar& relation) {
  return relation.alias == nullptr ? std::string() : text_of(relation.alias->aliasname);
}

}  // namespace

/// SET (a, b) = (1, 2) comes as two targets that share one row: each gets its own element. With a subquery the first
/// one gets the whole of it, and the others have no value.
void reader::read_assignments(const List* nodes, std::vector<target>& out, bool& multi_assign) {
  for (const ResTarget* node : list_view<ResTarget>(nodes)) {
    if (too_deep_) return;
    target& entry = out.emplace_back();
    entry.name = text_of(node->name);
    entry.indirection = node->indirection != nullptr;
    entry.location = node->location;
    check_subscripts(node->indirection);
    const auto* part = as<MultiAssignRef>(node->val, T_MultiAssignRef);
    if (part == nullptr) {
      entry.value = read_expr(node->val);
      continue;
    }
    multi_assign = true;
    const auto* row = as<RowExpr>(part->source, T_RowExpr);
    const auto index = static_cast<std::size_t>(part->colno - 1);
    if (row != nullptr && list_view<>(row->args).size() == static_cast<std::size_t>(part->ncolumns)) {
      entry.value = read_expr(list_view<>(row->args)[index]);
    } else if (index == 0) {
      unparsable_ = unparsable_ || as<SubLink>(part->source, T_SubLink) == nullptr;
      entry.value = read_expr(part->source);
    }
  }
}

void reader::read_insert(const InsertStmt& node, statement& out) {
  out.kind = statement_kind::insert;
  out.insert = std::make_unique<insert_query>();
  insert_query& insert = *out.insert;
  insert.with = read_with(node.withClause);
  insert.table = name_of(*node.relation);
  insert.alias = alias_of(*node.relation);
  read_targets(node.cols, insert.columns);
  if (node.selectStmt != nullptr) insert.source = read_select(node.selectStmt);
  insert.overriding = node.override != OVERRIDING_NOT_SET;
  insert.overriding_user = node.override == OVERRIDING_USER_VALUE;
  read_targets(node.returningList, insert.returning);
  const OnConflictClause* conflict = node.onConflictClause;
  if (conflict == nullptr) return;
  insert.on_conflict = true;
  insert.on_conflict_update = conflict->action == ONCONFLICT_UPDATE;
  bool multi_assign = false;
  read_assignments(conflict->targetList, insert.conflict_set, multi_assign);
  if (conflict->infer != nullptr) {
    for (const IndexElem* element : list_view<IndexElem>(conflict->infer->indexElems)) {
      if (element->expr != nullptr) {
        insert.conflict_exprs.push_back(read_expr(element->expr));
        continue;
      }
      auto column = std::make_unique<expr>();
      column->kind = expr_kind::column;
      column->name = {text_of(element->name)};
      insert.conflict_exprs.push_back(std::move(column));
    }
    if (conflict->infer->whereClause != nullptr)
      insert.conflict_exprs.push_back(read_expr(conflict->infer->whereClause));
  }
  if (conflict->whereClause != nullptr) insert.conflict_exprs.push_back(read_expr(conflict->whereClause));
}

void reader::read_update(const UpdateStmt& node, statement& out) {
  out.kind = statement_kind::update;
  out.update = std::make_unique<update_query>();
  update_query& update = *out.update;
  update.with = read_with(node.withClause);
  update.table = name_of(*node.relation);
  update.only = !node.relation->inh;
  update.alias = alias_of(*node.relation);
  read_assignments(node.targetList, update.set, update.multi_assign);
  read_from_list(node.fromClause, update.from);
  update.where = read_expr(node.whereClause);
  read_targets(node.returningList, update.returning);
}

void reader::read_delete(const DeleteStmt& node, statement& out) {
  out.kind = statement_kind::delete_;
  out.delete_ = std::make_unique<delete_query>();
  delete_query& query = *out.delete_;
  query.with = read_with(node.withClause);
  query.table = name_of(*node.relation);
  query.only = !node.relation->inh;
  query.alias = alias_of(*node.relation);
  read_from_list(node.usingClause, query.using_);
  query.where = read_expr(node.whereClause);
  read_targets(node.returningList, query.returning);
}

void reader::read_merge(const MergeStmt& node, statement& out) {
  out.kind = statement_kind::merge;
  auto merge = std::make_shared<merge_query>();
  merge->with = read_with(node.withClause);
  merge->table = name_of(*node.relation);
  merge->only = !node.relation->inh;
  merge->alias = alias_of(*node.relation);
  merge->source.push_back(read_from(node.sourceRelation));
  merge->condition = read_expr(node.joinCondition);
  for (const MergeWhenClause* clause : list_view<MergeWhenClause>(node.mergeWhenClauses)) {
    if (too_deep_) return;
    merge_action& action = merge->actions.emplace_back();
    action.matched = clause->matched;
    if (clause->condition != nullptr) action.condition = read_expr(clause->condition);
    switch (clause->commandType) {
      case CMD_UPDATE: {
        action.kind = merge_action_kind::update;
        bool multi_assign = false;
        read_assignments(clause->targetList, action.set, multi_assign);
        break;
      }
      case CMD_DELETE:
        action.kind = merge_action_kind::delete_;
        break;
      case CMD_INSERT:
        action.kind = merge_action_kind::insert;
        action.insert = std::make_unique<insert_query>(read_merge_insert(*clause));
        break;
      case CMD_NOTHING:
        break;
      default:
        unparsable_ = true;
        break;
    }
  }
  out.merge = std::move(merge);
}

/// As INSERT ... VALUES with one row; without any, it is DEFAULT VALUES.
insert_query reader::read_merge_insert(const MergeWhenClause& clause) {
  insert_query insert;
  read_targets(clause.targetList, insert.columns);
  insert.overriding = clause.override != OVERRIDING_NOT_SET;
  insert.overriding_user = clause.override == OVERRIDING_USER_VALUE;
  if (clause.values == nullptr) return insert;
  insert.source = std::make_unique<select_query>();
  read_exprs(clause.values, insert.source->values.emplace_back());
  return insert;
}

void reader::read_copy(const CopyStmt& node, statement& out) {
  out.kind = statement_kind::copy;
  out.copy = std::make_unique<copy_statement>();
  copy_statement& copy = *out.copy;
  if (node.relation != nullptr) copy.table = name_of(*node.relation);
  copy.columns = strings_of(node.attlist);
  copy.from = node.is_from;
  copy.program = node.is_program;
  copy.file = text_of(node.filename);
  for (const DefElem* option : list_view<DefElem>(node.options)) {
    copy_option& entry = copy.options.emplace_back();
    entry.name = text_of(option->defname);
    if (option->arg == nullptr) continue;
    if (option->arg->type == T_List) {
      entry.values = strings_of(reinterpret_cast<const List*>(option->arg));
    } else {
      entry.values.push_back(textual(option->arg));
    }
  }
  if (node.query != nullptr) {
    const level here(*this);
    if (here) copy.query = std::make_unique<statement>(read_statement(node.query));
  }
  if (node.whereClause != nullptr) out.arguments.push_back(read_expr(node.whereClause));
}

}  // namespace pgbraid::router::sql::raw
