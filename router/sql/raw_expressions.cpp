// Expressions: operators, calls and what stands above them. Chains that lean left (1+1+1, a.b[1]::int IS NULL) are read
// in a loop, all else by counted recursion.
#include <string>
#include <utility>
#include <vector>

#include "router/sql/raw_tree.hpp"

namespace pgbraid::router::sql::raw {
namespace {

/// The operand on which `node` leans, when reading it in a loop is right; nullptr for all that starts a new expression.
const Node* leaning_on(const Node* node) {
  switch (node->type) {
    case T_A_Expr: {
      const auto* op = reinterpret_cast<const A_Expr*>(node);
      // A prefix operator leans on its right operand.
      return op->kind == AEXPR_OP && op->lexpr == nullptr ? op->rexpr : op->lexpr;
    }
    case T_TypeCast:
      return reinterpret_cast<const TypeCast*>(node)->arg;
    case T_CollateClause:
      return reinterpret_cast<const CollateClause*>(node)->arg;
    case T_NullTest:
      return reinterpret_cast<const Node*>(reinterpret_cast<const NullTest*>(node)->arg);
    case T_BooleanTest:
      return reinterpret_cast<const Node*>(reinterpret_cast<const BooleanTest*>(node)->arg);
    case T_A_Indirection:
      return reinterpret_cast<const A_Indirection*>(node)->arg;
    case T_BoolExpr: {
      const auto* logic = reinterpret_cast<const BoolExpr*>(node);
      return logic->boolop == NOT_EXPR ? list_view<>(logic->args)[0] : nullptr;
    }
    default:
      return nullptr;
  }
}

expr_ptr make(expr_kind kind, std::int32_t location) {
  auto out = std::make_unique<expr>();
  out->kind = kind;
  out->location = location;
  return out;
}

expr_ptr with_child(expr_kind kind, std::int32_t location, expr_ptr child) {
  expr_ptr out = make(kind, location);
  out->children.push_back(std::move(child));
  return out;
}

}  // namespace

expr_ptr reader::not_understood(std::int32_t location) {
  unparsable_ = true;
  return make(expr_kind::other, location);
}

void reader::read_exprs(const List* nodes, std::vector<expr_ptr>& out) {
  const list_view<> view(nodes);
  out.reserve(out.size() + view.size());
  for (const Node* node : view) {
    if (too_deep_) return;
    out.push_back(read_expr(node));
  }
}

expr_ptr reader::read_expr(const Node* node) {
  if (node == nullptr || too_deep_) return nullptr;
  const Node* inner = leaning_on(node);
  if (inner == nullptr) {
    const level here(*this);
    return here ? read_leaf(node) : nullptr;
  }
  std::vector<const Node*> chain;
  while (inner != nullptr) {
    chain.push_back(node);
    if (chain.size() > static_cast<std::size_t>(max_tree_depth)) {
      too_deep_ = true;
      return nullptr;
    }
    node = inner;
    inner = leaning_on(node);
  }
  // The whole chain is charged while any operand of it is read: an upper bound of where that operand stands.
  const level here(*this, static_cast<std::int32_t>(chain.size()));
  if (!here) return nullptr;
  expr_ptr out = read_leaf(node);
  while (!chain.empty() && !too_deep_) {
    out = read_above(chain.back(), std::move(out));
    chain.pop_back();
  }
  return out;
}

expr_ptr reader::read_above(const Node* node, expr_ptr inner) {
  switch (node->type) {
    case T_A_Expr:
      return read_operator(*reinterpret_cast<const A_Expr*>(node), std::move(inner));
    case T_BoolExpr:
      return with_child(expr_kind::not_, reinterpret_cast<const BoolExpr*>(node)->location, std::move(inner));
    case T_TypeCast: {
      const auto& cast = *reinterpret_cast<const TypeCast*>(node);
      // TRUE and FALSE come as constants under a cast that nobody wrote.
      if (cast.location == -1 && inner != nullptr && inner->kind == expr_kind::constant &&
          inner->constant == constant_kind::boolean)
        return inner;
      expr_ptr out = with_child(expr_kind::cast, cast.location, std::move(inner));
      out->type = read_type(*cast.typeName);
      return out;
    }
    case T_CollateClause: {
      const auto& collate = *reinterpret_cast<const CollateClause*>(node);
      expr_ptr out = with_child(expr_kind::collate, collate.location, std::move(inner));
      out->name = name_of(collate.collname);
      return out;
    }
    case T_NullTest: {
      const auto& test = *reinterpret_cast<const NullTest*>(node);
      expr_ptr out = with_child(expr_kind::null_test, test.location, std::move(inner));
      out->negated = test.nulltesttype == IS_NOT_NULL;
      return out;
    }
    case T_BooleanTest: {
      const auto& test = *reinterpret_cast<const BooleanTest*>(node);
      expr_ptr out = with_child(expr_kind::boolean_test, test.location, std::move(inner));
      const bool is_true = test.booltesttype == IS_TRUE || test.booltesttype == IS_NOT_TRUE;
      const bool is_false = test.booltesttype == IS_FALSE || test.booltesttype == IS_NOT_FALSE;
      out->negated =
          test.booltesttype == IS_NOT_TRUE || test.booltesttype == IS_NOT_FALSE || test.booltesttype == IS_NOT_UNKNOWN;
      out->name = {is_true ? "true" : is_false ? "false" : "unknown"};
      return out;
    }
    default:
      break;
  }
  // leaning_on() names no further kinds: this is an A_Indirection.
  const auto& selection = *reinterpret_cast<const A_Indirection*>(node);
  expr_ptr out = with_child(expr_kind::indirection, -1, std::move(inner));
  for (const Node* step : list_view<>(selection.indirection)) {
    if (step->type == T_A_Star) {
      out->star = true;
    } else if (const auto* field = as<String>(step, T_String)) {
      out->name.push_back(text_of(field->sval));
    } else if (const auto* subscript = as<A_Indices>(step, T_A_Indices)) {
      if (subscript->lidx != nullptr) out->children.push_back(read_expr(subscript->lidx));
      if (subscript->uidx != nullptr) out->children.push_back(read_expr(subscript->uidx));
    } else {
      unparsable_ = true;
    }
  }
  return out;
}

expr_ptr reader::read_operator(const A_Expr& node, expr_ptr left) {
  const auto build = [&](expr_kind kind) {
    expr_ptr out = with_child(kind, node.location, std::move(left));
    out->name = name_of(node.name);
    return out;
  };
  const auto binary = [&](expr_kind kind) {
    expr_ptr out = build(kind);
    out->children.push_back(read_expr(node.rexpr));
    return out;
  };
  switch (node.kind) {
    case AEXPR_OP:
      // Of a prefix operator, `left` is the only operand there is.
      if (node.lexpr == nullptr) return build(expr_kind::op);
      return binary(expr_kind::op);
    case AEXPR_OP_ANY:
      return binary(expr_kind::op_any);
    case AEXPR_OP_ALL:
      return binary(expr_kind::op_all);
    case AEXPR_DISTINCT:
    case AEXPR_NOT_DISTINCT: {
      expr_ptr out = binary(expr_kind::distinct_from);
      out->negated = node.kind == AEXPR_NOT_DISTINCT;
      return out;
    }
    case AEXPR_NULLIF:
      return binary(expr_kind::nullif);
    case AEXPR_LIKE:
    case AEXPR_ILIKE:
    case AEXPR_SIMILAR: {
      expr_ptr out = binary(expr_kind::like);
      out->negated = !out->name.empty() && out->name.back().starts_with('!');
      return out;
    }
    case AEXPR_IN: {
      expr_ptr out = build(expr_kind::in_list);
      out->negated = !out->name.empty() && out->name.back() == "<>";
      read_exprs(reinterpret_cast<const List*>(node.rexpr), out->children);
      return out;
    }
    case AEXPR_BETWEEN:
    case AEXPR_NOT_BETWEEN: {
      expr_ptr out = build(expr_kind::between);
      out->negated = node.kind == AEXPR_NOT_BETWEEN;
      read_exprs(reinterpret_cast<const List*>(node.rexpr), out->children);
      return out;
    }
    case AEXPR_BETWEEN_SYM:
    case AEXPR_NOT_BETWEEN_SYM: {
      // Its bounds may stand in either order: no range that a planner may read as low to high.
      expr_ptr out = build(expr_kind::op);
      out->name = {"<="};
      out->negated = node.kind == AEXPR_NOT_BETWEEN_SYM;
      read_exprs(reinterpret_cast<const List*>(node.rexpr), out->children);
      return out;
    }
  }
  return not_understood(node.location);
}

expr_ptr reader::read_call(const FuncCall& call) {
  expr_ptr out = make(expr_kind::call, call.location);
  out->name = name_of(call.funcname);
  // Its arguments are looked at by their places.
  const bool by_place = !out->name.empty() && out->name.back() == "set_config";
  for (const Node* argument : list_view<>(call.args)) {
    const auto* named = as<NamedArgExpr>(argument, T_NamedArgExpr);
    if (named == nullptr) continue;
    if (by_place) unparsable_ = true;
    out->text += text_of(named->name) + ",";
  }
  read_exprs(call.args, out->children);
  read_sort_keys(call.agg_order, out->order);
  out->filter = read_expr(call.agg_filter);
  out->star = call.agg_star;
  out->distinct = call.agg_distinct;
  out->within_group = call.agg_within_group;
  out->variadic = call.func_variadic;
  if (call.over != nullptr) {
    out->over = true;
    read_window(*call.over, out->window);
  }
  return out;
}

expr_ptr reader::read_leaf(const Node* node) {
  const auto of_list = [this](expr_kind kind, std::int32_t location, const List* children) {
    expr_ptr out = make(kind, location);
    read_exprs(children, out->children);
    return out;
  };
  switch (node->type) {
    case T_A_Const:
      return read_constant(*reinterpret_cast<const A_Const*>(node));
    case T_ColumnRef:
      return read_column(*reinterpret_cast<const ColumnRef*>(node));
    case T_FuncCall:
      return read_call(*reinterpret_cast<const FuncCall*>(node));
    case T_ParamRef: {
      const auto& parameter = *reinterpret_cast<const ParamRef*>(node);
      if (parameter.number <= 0) return not_understood(parameter.location);
      expr_ptr out = make(expr_kind::parameter, parameter.location);
      out->number = parameter.number;
      return out;
    }
    case T_BoolExpr: {
      const auto& logic = *reinterpret_cast<const BoolExpr*>(node);
      return of_list(logic.boolop == AND_EXPR ? expr_kind::and_ : expr_kind::or_, logic.location, logic.args);
    }
    case T_SubLink:
      return read_sublink(*reinterpret_cast<const SubLink*>(node));
    case T_CaseExpr:
      return read_case(*reinterpret_cast<const CaseExpr*>(node));
    case T_CoalesceExpr: {
      const auto& coalesce = *reinterpret_cast<const CoalesceExpr*>(node);
      return of_list(expr_kind::coalesce, coalesce.location, coalesce.args);
    }
    case T_MinMaxExpr: {
      const auto& extreme = *reinterpret_cast<const MinMaxExpr*>(node);
      expr_ptr out = of_list(expr_kind::greatest_least, extreme.location, extreme.args);
      out->name = {extreme.op == IS_GREATEST ? "greatest" : "least"};
      return out;
    }
    case T_A_ArrayExpr: {
      const auto& array = *reinterpret_cast<const A_ArrayExpr*>(node);
      return of_list(expr_kind::array, array.location, array.elements);
    }
    case T_RowExpr: {
      const auto& row = *reinterpret_cast<const RowExpr*>(node);
      return of_list(expr_kind::row, row.location, row.args);
    }
    case T_GroupingFunc: {
      const auto& grouping = *reinterpret_cast<const GroupingFunc*>(node);
      return of_list(expr_kind::grouping, grouping.location, grouping.args);
    }
    case T_SQLValueFunction:
      return read_sql_value(*reinterpret_cast<const SQLValueFunction*>(node));
    case T_SetToDefault:
      return make(expr_kind::default_, reinterpret_cast<const SetToDefault*>(node)->location);
    case T_CurrentOfExpr: {
      expr_ptr out = make(expr_kind::current_of, -1);
      out->name = {text_of(reinterpret_cast<const CurrentOfExpr*>(node)->cursor_name)};
      return out;
    }
    case T_NamedArgExpr: {
      return read_expr(reinterpret_cast<const Node*>(reinterpret_cast<const NamedArgExpr*>(node)->arg));
    }
    case T_XmlExpr:
      return read_xml(*reinterpret_cast<const XmlExpr*>(node));
    default:
      return not_understood(-1);
  }
}

}  // namespace pgbraid::router::sql::raw
