// Expressions that lean on nothing: constants, columns, CASE, sublinks; and the names, types and sort keys they use.
#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "router/sql/raw_tree.hpp"

namespace pgbraid::router::sql::raw {
namespace {

expr_ptr make(expr_kind kind, std::int32_t location) {
  auto out = std::make_unique<expr>();
  out->kind = kind;
  out->location = location;
  return out;
}

/// Index: SQLValueFunctionOp.
constexpr std::array<const char*, 15> sql_value_words = {
    "current_date", "current_time", "current_time",   "current_timestamp", "current_timestamp",
    "localtime",    "localtime",    "localtimestamp", "localtimestamp",    "current_role",
    "current_user", "user",         "session_user",   "current_catalog",   "current_schema"};

}  // namespace

std::string textual(const Node* node) {
  if (node == nullptr) return {};
  switch (node->type) {
    case T_String:
      return text_of(reinterpret_cast<const String*>(node)->sval);
    case T_Float:
      return text_of(reinterpret_cast<const Float*>(node)->fval);
    case T_Integer:
      return std::to_string(reinterpret_cast<const Integer*>(node)->ival);
    case T_Boolean:
      return reinterpret_cast<const Boolean*>(node)->boolval ? "true" : "false";
    case T_BitString:
      return text_of(reinterpret_cast<const BitString*>(node)->bsval);
    case T_A_Star:
      return "*";
    case T_A_Const: {
      const auto& constant = *reinterpret_cast<const A_Const*>(node);
      return constant.isnull ? std::string() : textual(&constant.val.node);
    }
    case T_TypeCast:
      return textual(reinterpret_cast<const TypeCast*>(node)->arg);
    case T_TypeName:
      return strings_of(reinterpret_cast<const TypeName*>(node)->names).back();
    default:
      return {};
  }
}

qualified_name name_of(const RangeVar& relation) {
  qualified_name out;
  if (relation.catalogname != nullptr) out.emplace_back(relation.catalogname);
  if (relation.schemaname != nullptr) out.emplace_back(relation.schemaname);
  if (relation.relname != nullptr) out.emplace_back(relation.relname);
  return out;
}

std::vector<std::string> strings_of(const List* strings) {
  std::vector<std::string> out;
  const list_view<> view(strings);
  out.reserve(view.size());
  for (const Node* part : view) out.push_back(textual(part));
  return out;
}

qualified_name name_of(const List* strings) {
  for (const Node* part : list_view<>(strings))
    if (part == nullptr || part->type != T_String) return {};
  return strings_of(strings);
}

bool is_temporary(const RangeVar* relation) {
  if (relation == nullptr) return false;
  return relation->relpersistence == 't' ||
         (relation->schemaname != nullptr && std::strcmp(relation->schemaname, "pg_temp") == 0);
}

expr_ptr reader::read_constant(const A_Const& node) {
  expr_ptr out = make(expr_kind::constant, node.location);
  if (node.isnull) return out;
  switch (node.val.node.type) {
    case T_Integer:
      out->constant = constant_kind::integer;
      break;
    case T_Float: {
      // What does not fit an int4 comes as a Float node too; its text tells the two apart.
      const std::string digits = text_of(node.val.fval.fval);
      const bool whole = digits.find_first_not_of("0123456789", digits.starts_with('-') ? 1 : 0) == std::string::npos;
      out->constant = whole ? constant_kind::integer : constant_kind::decimal;
      break;
    }
    case T_Boolean:
      out->constant = constant_kind::boolean;
      break;
    case T_String:
      out->constant = constant_kind::string;
      break;
    case T_BitString:
      out->constant = constant_kind::bit_string;
      break;
    default:
      return not_understood(node.location);
  }
  out->text = textual(&node.val.node);
  return out;
}

expr_ptr reader::read_column(const ColumnRef& node) {
  expr_ptr out = make(expr_kind::column, node.location);
  for (const Node* part : list_view<>(node.fields)) {
    if (const auto* word = as<String>(part, T_String)) {
      out->name.push_back(text_of(word->sval));
    } else {
      out->star = true;
    }
  }
  return out;
}

expr_ptr reader::read_case(const CaseExpr& node) {
  expr_ptr out = make(expr_kind::case_, node.location);
  if (node.arg != nullptr) out->children.push_back(read_expr(reinterpret_cast<const Node*>(node.arg)));
  for (const CaseWhen* when : list_view<CaseWhen>(node.args)) {
    out->children.push_back(read_expr(reinterpret_cast<const Node*>(when->expr)));
    out->children.push_back(read_expr(reinterpret_cast<const Node*>(when->result)));
  }
  // An ELSE is always there, so that the number of children tells whether there is a test.
  if (node.defresult != nullptr) {
    out->children.push_back(read_expr(reinterpret_cast<const Node*>(node.defresult)));
  } else {
    out->children.push_back(make(expr_kind::constant, -1));
  }
  return out;
}

expr_ptr reader::read_sublink(const SubLink& node) {
  expr_ptr out = make(expr_kind::subquery, node.location);
  switch (node.subLinkType) {
    case EXISTS_SUBLINK:
      out->sublink = sublink_kind::exists;
      break;
    case ALL_SUBLINK:
      out->sublink = sublink_kind::all;
      break;
    case ANY_SUBLINK:
      out->sublink = sublink_kind::any;
      break;
    case EXPR_SUBLINK:
      out->sublink = sublink_kind::scalar;
      break;
    case ARRAY_SUBLINK:
      out->sublink = sublink_kind::array;
      break;
    default:
      return not_understood(node.location);
  }
  out->name = name_of(node.operName);
  // x IN (SELECT ...) carries no operator; it means "=".
  if (out->name.empty() && node.subLinkType == ANY_SUBLINK) out->name = {"="};
  if (node.testexpr != nullptr) out->children.push_back(read_expr(node.testexpr));
  out->query = read_select(node.subselect);
  return out;
}

expr_ptr reader::read_sql_value(const SQLValueFunction& node) {
  const auto index = static_cast<std::size_t>(node.op);
  if (index >= sql_value_words.size()) return not_understood(node.location);
  expr_ptr out = make(expr_kind::sql_value, node.location);
  out->name = {sql_value_words[index]};
  if (node.typmod >= 0) out->type.modifiers.push_back(node.typmod);
  return out;
}

expr_ptr reader::read_xml(const XmlExpr& node) {
  expr_ptr out = not_understood(node.location);
  read_exprs(node.args, out->children);
  for (const ResTarget* argument : list_view<ResTarget>(node.named_args))
    out->children.push_back(read_expr(argument->val));
  return out;
}

type_name reader::read_type(const TypeName& node) {
  type_name out;
  out.name = name_of(node.names);
  out.array = node.arrayBounds != nullptr;
  out.set_of = node.setof;
  if (node.pct_type) unparsable_ = true;
  for (const Node* modifier : list_view<>(node.typmods)) {
    const auto* constant = as<A_Const>(modifier, T_A_Const);
    if (constant != nullptr && !constant->isnull && constant->val.node.type == T_Integer) {
      out.modifiers.push_back(constant->val.ival.ival);
    } else {
      unparsable_ = true;
    }
  }
  return out;
}

sort_key reader::read_sort_key(const SortBy& node) {
  sort_key out;
  out.value = read_expr(node.node);
  out.descending = node.sortby_dir == SORTBY_DESC;
  out.using_operator = node.sortby_dir == SORTBY_USING;
  out.nulls = node.sortby_nulls == SORTBY_NULLS_FIRST  ? nulls_order::first
              : node.sortby_nulls == SORTBY_NULLS_LAST ? nulls_order::last
                                                       : nulls_order::standard;
  return out;
}

void reader::read_sort_keys(const List* nodes, std::vector<sort_key>& out) {
  for (const Node* node : list_view<>(nodes)) {
    if (too_deep_) return;
    if (const auto* key = as<SortBy>(node, T_SortBy)) {
      out.push_back(read_sort_key(*key));
    } else {
      unparsable_ = true;
    }
  }
}

void reader::read_window(const WindowDef& node, std::vector<expr_ptr>& out) {
  read_exprs(node.partitionClause, out);
  for (const SortBy* key : list_view<SortBy>(node.orderClause)) out.push_back(read_expr(key->node));
  if (node.startOffset != nullptr) out.push_back(read_expr(node.startOffset));
  if (node.endOffset != nullptr) out.push_back(read_expr(node.endOffset));
}

}  // namespace pgbraid::router::sql::raw
