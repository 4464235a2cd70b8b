// Commands that define: which one it is (`tag`, as PostgreSQL's command tags name them) and which relations it names.
#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "router/sql/raw_tree.hpp"

namespace pgbraid::router::sql::raw {
namespace {

std::string tag_of(const char* verb, ObjectType type) {
  return std::string(verb) + ' ' + object_word(type);
}

std::string reindex_tag(ReindexObjectType what) {
  switch (what) {
    case REINDEX_OBJECT_INDEX:
      return "REINDEX INDEX";
    case REINDEX_OBJECT_TABLE:
      return "REINDEX TABLE";
    case REINDEX_OBJECT_SCHEMA:
      return "REINDEX SCHEMA";
    case REINDEX_OBJECT_SYSTEM:
      return "REINDEX SYSTEM";
    case REINDEX_OBJECT_DATABASE:
      return "REINDEX DATABASE";
  }
  return "REINDEX";
}

void add_foreign_keys(const List* constraints, std::vector<qualified_name>& out) {
  for (const Node* node : list_view<>(constraints))
    if (const auto* constraint = as<Constraint>(node, T_Constraint)) add_relation(constraint->pktable, out);
}

void add_routine(const Node* object, std::vector<qualified_name>& out) {
  if (const auto* routine = as<ObjectWithArgs>(object, T_ObjectWithArgs)) out.push_back(name_of(routine->objname));
}

void add_relations(const List* relations, std::vector<qualified_name>& out) {
  for (const Node* node : list_view<>(relations)) add_relation(as<RangeVar>(node, T_RangeVar), out);
}

unique_columns columns_of(const List* elements) {
  unique_columns out;
  for (const IndexElem* element : list_view<IndexElem>(elements))
    out.push_back(element->name != nullptr && element->collation == nullptr ? element->name : "");
  return out;
}

/// Of an exclusion constraint those that are compared by "=".
unique_columns excluded_columns(const List* exclusions) {
  unique_columns out;
  for (const List* pair : list_view<List>(exclusions)) {
    const list_view<> parts{pair};
    const auto* element = parts.size() == 2 ? as<IndexElem>(parts[0], T_IndexElem) : nullptr;
    const auto* symbol = parts.size() == 2 ? as<List>(parts[1], T_List) : nullptr;
    const bool equal = symbol != nullptr && name_of(symbol) == qualified_name{"="};
    out.push_back(
        equal && element != nullptr && element->name != nullptr && element->collation == nullptr ? element->name : "");
  }
  return out;
}

/// One that is made from an index is as unique as that one.
void add_unique(const Constraint& constraint, std::vector<unique_columns>& out) {
  if (constraint.indexname != nullptr) return;
  if (constraint.contype == CONSTR_UNIQUE || constraint.contype == CONSTR_PRIMARY) {
    out.push_back(strings_of(constraint.keys));
  } else if (constraint.contype == CONSTR_EXCLUSION) {
    out.push_back(excluded_columns(constraint.exclusions));
  }
}

bool has_constraint(const ColumnDef& column, ConstrType type) {
  for (const Node* node : list_view<>(column.constraints)) {
    const auto* constraint = as<Constraint>(node, T_Constraint);
    if (constraint != nullptr && constraint->contype == type) return true;
  }
  return false;
}

/// A new column that is NULL in all rows may well be unique.
void add_unique_column(const ColumnDef& column, std::vector<unique_columns>& out) {
  if (!has_constraint(column, CONSTR_DEFAULT)) return;
  if (has_constraint(column, CONSTR_UNIQUE) || has_constraint(column, CONSTR_PRIMARY))
    out.push_back({text_of(column.colname)});
}

bool is_constant(const Node* value) {
  if (const auto* cast = as<TypeCast>(value, T_TypeCast)) value = cast->arg;
  return value == nullptr || value->type == T_A_Const;
}

/// Nothing that might call a function by its name.
bool calls_nothing(const Node* e) {
  if (e == nullptr || e->type == T_A_Const || e->type == T_ColumnRef) return true;
  if (const auto* list = as<List>(e, T_List)) {
    for (const Node* each : list_view<>(list)) {
      if (!calls_nothing(each)) return false;
    }
    return true;
  }
  if (const auto* cast = as<TypeCast>(e, T_TypeCast)) return calls_nothing(cast->arg);
  if (const auto* test = as<NullTest>(e, T_NullTest)) return calls_nothing(reinterpret_cast<const Node*>(test->arg));
  if (const auto* op = as<A_Expr>(e, T_A_Expr)) return calls_nothing(op->lexpr) && calls_nothing(op->rexpr);
  if (const auto* both = as<BoolExpr>(e, T_BoolExpr)) return calls_nothing(reinterpret_cast<const Node*>(both->args));
  return false;
}

/// A condition is looked at for each row that is written.
bool plain_constraint(const Constraint& constraint) {
  return constraint.contype != CONSTR_CHECK || calls_nothing(constraint.raw_expr);
}

/// Each value of such a column is given, or one constant.
bool plain_column(const ColumnDef& column) {
  const TypeName* type = column.typeName;
  if (type == nullptr || type->names == nullptr || type->setof) return false;
  for (const Node* node : list_view<>(column.constraints)) {
    const auto* constraint = as<Constraint>(node, T_Constraint);
    if (constraint == nullptr || !plain_constraint(*constraint)) return false;
    // What is unique may be without the sharding key.
    constexpr std::array others{CONSTR_IDENTITY, CONSTR_GENERATED, CONSTR_UNIQUE, CONSTR_PRIMARY, CONSTR_EXCLUSION};
    if (std::find(others.begin(), others.end(), constraint->contype) != others.end()) return false;
    if (constraint->contype == CONSTR_DEFAULT && !is_constant(constraint->raw_expr)) return false;
  }
  return true;
}

/// See statement::columns_alone.
bool changes_columns_alone(const AlterTableCmd& command) {
  switch (command.subtype) {
    case AT_AddColumn: {
      const auto* column = as<ColumnDef>(command.def, T_ColumnDef);
      return column != nullptr && plain_column(*column);
    }
    case AT_ColumnDefault:
      return is_constant(command.def);
    case AT_AddConstraint: {
      const auto* constraint = as<Constraint>(command.def, T_Constraint);
      return constraint != nullptr && plain_constraint(*constraint);
    }
    case AT_DisableTrig:
    case AT_DisableTrigAll:
    case AT_DisableTrigUser:
    case AT_ChangeOwner:
    case AT_AlterColumnType:
    case AT_DropColumn:
    case AT_SetNotNull:
    case AT_DropNotNull:
    case AT_ValidateConstraint:
    case AT_DropConstraint:
    case AT_SetStatistics:
    case AT_SetOptions:
    case AT_ResetOptions:
    case AT_SetStorage:
    case AT_ClusterOn:
    case AT_DropCluster:
    case AT_SetRelOptions:
    case AT_ResetRelOptions:
    case AT_ReplicaIdentity:
      return true;
    default:
      return false;
  }
}

void read_alter_table(const AlterTableStmt& node, statement& out) {
  out.tag = tag_of("ALTER", node.objtype);
  add_relation(node.relation, out.relations);
  out.columns_alone = true;
  for (const AlterTableCmd* command : list_view<AlterTableCmd>(node.cmds)) {
    const Node* definition = command->def;
    out.columns_alone = out.columns_alone && changes_columns_alone(*command);
    if (const auto* unique = as<Constraint>(definition, T_Constraint)) add_unique(*unique, out.uniques);
    if (command->subtype == AT_AddColumn && as<ColumnDef>(definition, T_ColumnDef) != nullptr)
      add_unique_column(*as<ColumnDef>(definition, T_ColumnDef), out.uniques);
    if (command->subtype == AT_DropColumn && command->name != nullptr) out.changed.push_back({command->name, {}});
    if (const auto* constraint = as<Constraint>(definition, T_Constraint)) {
      add_relation(constraint->pktable, out.relations);
    } else if (const auto* column = as<ColumnDef>(definition, T_ColumnDef)) {
      add_foreign_keys(column->constraints, out.relations);
      const TypeName* type = column->typeName;
      if (type != nullptr && type->names != nullptr) out.new_types.push_back(name_of(type->names).back());
      if (command->subtype == AT_AlterColumnType && command->name != nullptr) {
        const bool plain = type != nullptr && type->names != nullptr && type->arrayBounds == nullptr && !type->setof;
        out.changed.push_back({command->name, plain ? name_of(type->names).back() : std::string{}});
      }
    } else if (const auto* partition = as<PartitionCmd>(definition, T_PartitionCmd)) {
      add_relation(partition->name, out.relations);
    } else if (const auto* parent = as<RangeVar>(definition, T_RangeVar)) {
      add_relation(parent, out.relations);
    }
  }
}

}  // namespace

void add_relation(const RangeVar* relation, std::vector<qualified_name>& out) {
  if (relation != nullptr && relation->relname != nullptr) out.push_back(name_of(*relation));
}

void add_named_object(ObjectType type, const Node* object, std::vector<qualified_name>& out) {
  if (object == nullptr || object->type != T_List) return;
  qualified_name name = name_of(reinterpret_cast<const List*>(object));
  switch (type) {
    case OBJECT_TABLE:
    case OBJECT_VIEW:
    case OBJECT_MATVIEW:
    case OBJECT_SEQUENCE:
    case OBJECT_FOREIGN_TABLE:
    case OBJECT_INDEX:
      break;
    case OBJECT_COLUMN:
    case OBJECT_TRIGGER:
    case OBJECT_RULE:
    case OBJECT_POLICY:
    case OBJECT_TABCONSTRAINT:
      // The last part names what hangs on the relation.
      if (!name.empty()) name.pop_back();
      break;
    default:
      return;
  }
  if (!name.empty()) out.push_back(std::move(name));
}

void reader::read_create_table(const CreateStmt& node, statement& out) {
  out.temporary = is_temporary(node.relation);
  out.if_not_exists = node.if_not_exists;
  add_relation(node.relation, out.relations);
  add_relations(node.inhRelations, out.relations);
  add_foreign_keys(node.constraints, out.relations);
  add_foreign_keys(node.tableElts, out.relations);
  for (const Node* element : list_view<>(node.tableElts)) {
    if (const auto* column = as<ColumnDef>(element, T_ColumnDef)) {
      add_foreign_keys(column->constraints, out.relations);
    } else if (const auto* like = as<TableLikeClause>(element, T_TableLikeClause)) {
      add_relation(like->relation, out.relations);
    }
  }
}

bool reader::read_ddl(const Node* node, statement& out) {
  if (read_ddl_on_relation(node, out)) {
    out.kind = statement_kind::ddl;
    return true;
  }
  out.tag = plain_tag(node);
  if (out.tag.empty()) return false;
  if (const auto* made = as<CreateFunctionStmt>(node, T_CreateFunctionStmt)) {
    out.routines.push_back(name_of(made->funcname));
  } else if (const auto* altered = as<AlterFunctionStmt>(node, T_AlterFunctionStmt)) {
    if (altered->func != nullptr) out.routines.push_back(name_of(altered->func->objname));
  }
  out.kind = statement_kind::ddl;
  return true;
}

bool reader::read_ddl_on_relation(const Node* node, statement& out) {
  switch (node->type) {
    case T_CreateStmt:
      out.tag = "CREATE TABLE";
      read_create_table(*reinterpret_cast<const CreateStmt*>(node), out);
      return true;
    case T_CreateForeignTableStmt:
      out.tag = "CREATE FOREIGN TABLE";
      read_create_table(reinterpret_cast<const CreateForeignTableStmt*>(node)->base, out);
      return true;
    case T_CreateTableAsStmt: {
      const auto& create = *reinterpret_cast<const CreateTableAsStmt*>(node);
      out.tag = create.objtype == OBJECT_MATVIEW ? "CREATE MATERIALIZED VIEW" : "CREATE TABLE AS";
      out.temporary = is_temporary(create.into->rel);
      add_relation(create.into->rel, out.relations);
      read_inner(create.query, out);
      return true;
    }
    case T_ViewStmt: {
      const auto& view = *reinterpret_cast<const ViewStmt*>(node);
      out.tag = "CREATE VIEW";
      out.temporary = is_temporary(view.view);
      add_relation(view.view, out.relations);
      read_inner(view.query, out);
      return true;
    }
    case T_IndexStmt: {
      const auto& index = *reinterpret_cast<const IndexStmt*>(node);
      out.tag = "CREATE INDEX";
      out.name = text_of(index.idxname);
      out.unique = index.unique;
      if (index.unique) out.uniques.push_back(columns_of(index.indexParams));
      add_relation(index.relation, out.relations);
      return true;
    }
    case T_CreateSeqStmt: {
      const auto& sequence = *reinterpret_cast<const CreateSeqStmt*>(node);
      out.tag = "CREATE SEQUENCE";
      out.temporary = is_temporary(sequence.sequence);
      add_relation(sequence.sequence, out.relations);
      return true;
    }
    case T_AlterSeqStmt:
      out.tag = "ALTER SEQUENCE";
      add_relation(reinterpret_cast<const AlterSeqStmt*>(node)->sequence, out.relations);
      return true;
    case T_AlterTableStmt:
      read_alter_table(*reinterpret_cast<const AlterTableStmt*>(node), out);
      return true;
    case T_CreateTrigStmt: {
      const auto& trigger = *reinterpret_cast<const CreateTrigStmt*>(node);
      out.tag = "CREATE TRIGGER";
      add_relation(trigger.relation, out.relations);
      add_relation(trigger.constrrel, out.relations);
      return true;
    }
    case T_RuleStmt:
      out.tag = "CREATE RULE";
      add_relation(reinterpret_cast<const RuleStmt*>(node)->relation, out.relations);
      return true;
    case T_CreatePolicyStmt:
      out.tag = "CREATE POLICY";
      add_relation(reinterpret_cast<const CreatePolicyStmt*>(node)->table, out.relations);
      return true;
    case T_AlterPolicyStmt:
      out.tag = "ALTER POLICY";
      add_relation(reinterpret_cast<const AlterPolicyStmt*>(node)->table, out.relations);
      return true;
    case T_CreateStatsStmt:
      out.tag = "CREATE STATISTICS";
      add_relations(reinterpret_cast<const CreateStatsStmt*>(node)->relations, out.relations);
      return true;
    case T_ClusterStmt:
      out.tag = "CLUSTER";
      add_relation(reinterpret_cast<const ClusterStmt*>(node)->relation, out.relations);
      return true;
    case T_ReindexStmt: {
      const auto& reindex = *reinterpret_cast<const ReindexStmt*>(node);
      out.tag = reindex_tag(reindex.kind);
      out.name = text_of(reindex.name);
      add_relation(reindex.relation, out.relations);
      return true;
    }
    case T_RefreshMatViewStmt:
      out.tag = "REFRESH MATERIALIZED VIEW";
      add_relation(reinterpret_cast<const RefreshMatViewStmt*>(node)->relation, out.relations);
      return true;
    case T_DropStmt: {
      const auto& drop = *reinterpret_cast<const DropStmt*>(node);
      out.tag = tag_of("DROP", drop.removeType);
      for (const Node* object : list_view<>(drop.objects)) {
        add_named_object(drop.removeType, object, out.relations);
        add_routine(object, out.routines);
      }
      return true;
    }
    case T_RenameStmt: {
      const auto& rename = *reinterpret_cast<const RenameStmt*>(node);
      const bool part = rename.renameType == OBJECT_COLUMN || rename.renameType == OBJECT_ATTRIBUTE ||
                        rename.renameType == OBJECT_TABCONSTRAINT;
      out.tag = part && rename.relation != nullptr && rename.renameType != OBJECT_TABCONSTRAINT
                    ? tag_of("ALTER", rename.relationType)
                : part ? "ALTER TABLE"
                       : tag_of("ALTER", rename.renameType);
      if ((rename.renameType == OBJECT_TABLE || rename.renameType == OBJECT_VIEW) && rename.newname != nullptr)
        out.name = rename.newname;
      if (rename.renameType == OBJECT_COLUMN && rename.subname != nullptr) out.changed.push_back({rename.subname, {}});
      out.columns_alone = rename.renameType == OBJECT_COLUMN || rename.renameType == OBJECT_TABCONSTRAINT;
      add_routine(rename.object, out.routines);
      add_relation(rename.relation, out.relations);
      return true;
    }
    case T_AlterObjectSchemaStmt: {
      const auto& move = *reinterpret_cast<const AlterObjectSchemaStmt*>(node);
      out.tag = tag_of("ALTER", move.objectType);
      add_relation(move.relation, out.relations);
      add_routine(move.object, out.routines);
      return true;
    }
    case T_AlterObjectDependsStmt: {
      const auto& depends = *reinterpret_cast<const AlterObjectDependsStmt*>(node);
      out.tag = tag_of("ALTER", depends.objectType);
      add_relation(depends.relation, out.relations);
      return true;
    }
    case T_AlterOwnerStmt: {
      const auto& owner = *reinterpret_cast<const AlterOwnerStmt*>(node);
      out.tag = tag_of("ALTER", owner.objectType);
      add_relation(owner.relation, out.relations);
      return true;
    }
    case T_CommentStmt: {
      const auto& comment = *reinterpret_cast<const CommentStmt*>(node);
      out.tag = "COMMENT";
      add_named_object(comment.objtype, comment.object, out.relations);
      return true;
    }
    case T_SecLabelStmt: {
      const auto& label = *reinterpret_cast<const SecLabelStmt*>(node);
      out.tag = "SECURITY LABEL";
      add_named_object(label.objtype, label.object, out.relations);
      return true;
    }
    case T_GrantStmt: {
      const auto& grant = *reinterpret_cast<const GrantStmt*>(node);
      out.tag = grant.is_grant ? "GRANT" : "REVOKE";
      if (grant.targtype == ACL_TARGET_OBJECT) add_relations(grant.objects, out.relations);
      return true;
    }
    default:
      return false;
  }
}

}  // namespace pgbraid::router::sql::raw
