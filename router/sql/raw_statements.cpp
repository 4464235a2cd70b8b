// Statements: dispatch, transactions, settings, prepared statements, cursors and maintenance commands.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "router/sql/raw_tree.hpp"

namespace pgbraid::router::sql::raw {
namespace {

std::string lower(std::string word) {
  std::transform(word.begin(), word.end(), word.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return word;
}

isolation_level isolation_of(const std::string& words) {
  if (words == "read uncommitted") return isolation_level::read_uncommitted;
  if (words == "read committed") return isolation_level::read_committed;
  if (words == "repeatable read") return isolation_level::repeatable_read;
  if (words == "serializable") return isolation_level::serializable;
  return isolation_level::unset;
}

/// Takes `name` = `value` for a mode of a transaction, if it is one that is understood.
bool mode_of(std::string_view name, const std::string& value, transaction_modes& out) {
  if (name == "transaction_isolation") {
    out.isolation = isolation_of(value);
    return out.isolation != isolation_level::unset;
  }
  if (name != "transaction_read_only" && name != "transaction_deferrable") return false;
  const bool on = value == "on" || value == "true" || value == "yes" || value == "1";
  const bool off = value == "off" || value == "false" || value == "no" || value == "0";
  (name == "transaction_read_only" ? out.read_only : out.deferrable) = on;
  return on || off;
}

/// An option's truth as PostgreSQL's defGetBoolean reads it; a word that is none counts as true, the server will
/// complain.
bool option_is_on(const DefElem& option) {
  if (option.arg == nullptr) return true;
  const std::string word = lower(textual(option.arg));
  return word != "0" && word != "false" && word != "off";
}

}  // namespace

statement reader::read_statement(const Node* node) {
  statement out;
  const bool outer = std::exchange(unparsable_, false);
  read_any(node, out);
  out.unparsable_parts = unparsable_;
  unparsable_ = unparsable_ || outer;
  return out;
}

void reader::read_inner(const Node* node, statement& out) {
  const level here(*this);
  if (here && node != nullptr) out.inner = std::make_unique<statement>(read_statement(node));
}

void reader::read_any(const Node* node, statement& out) {
  if (node == nullptr) return;
  switch (node->type) {
    case T_SelectStmt: {
      out.kind = statement_kind::select;
      out.select = read_select(node);
      const auto* select = reinterpret_cast<const SelectStmt*>(node);
      // INTO may stand in the first of several UNIONed queries.
      while (select->intoClause == nullptr && select->op != SETOP_NONE) select = select->larg;
      if (select->intoClause != nullptr) {
        if (out.select != nullptr) out.select->into = true;
        out.temporary = is_temporary(select->intoClause->rel);
        add_relation(select->intoClause->rel, out.relations);
      }
      return;
    }
    case T_InsertStmt:
      return read_insert(*reinterpret_cast<const InsertStmt*>(node), out);
    case T_UpdateStmt:
      return read_update(*reinterpret_cast<const UpdateStmt*>(node), out);
    case T_DeleteStmt:
      return read_delete(*reinterpret_cast<const DeleteStmt*>(node), out);
    case T_MergeStmt:
      return read_merge(*reinterpret_cast<const MergeStmt*>(node), out);
    case T_CopyStmt:
      return read_copy(*reinterpret_cast<const CopyStmt*>(node), out);
    case T_TransactionStmt:
      return read_transaction(*reinterpret_cast<const TransactionStmt*>(node), out);
    case T_VariableSetStmt:
      return read_set(*reinterpret_cast<const VariableSetStmt*>(node), out);
    default:
      break;
  }
  if (read_session(node, out) || read_prepared_or_cursor(node, out) || read_maintenance(node, out) ||
      read_ddl(node, out))
    return;
  out.kind = statement_kind::other;
  out.tag = "UNKNOWN";
  unparsable_ = true;
}

void reader::read_modes(const List* options, transaction_modes& out) {
  for (const DefElem* option : list_view<DefElem>(options)) {
    const std::string name = text_of(option->defname);
    if (name == "transaction_isolation") {
      out.isolation = isolation_of(lower(textual(option->arg)));
    } else if (name == "transaction_read_only") {
      out.read_only = option_is_on(*option);
    } else if (name == "transaction_deferrable") {
      out.deferrable = option_is_on(*option);
    } else {
      unparsable_ = true;
    }
  }
}

void reader::read_transaction(const TransactionStmt& node, statement& out) {
  out.modes.chain = node.chain;
  read_modes(node.options, out.modes);
  out.name = node.gid != nullptr ? text_of(node.gid) : text_of(node.savepoint_name);
  switch (node.kind) {
    case TRANS_STMT_BEGIN:
    case TRANS_STMT_START:
      out.kind = statement_kind::begin;
      return;
    case TRANS_STMT_COMMIT:
      out.kind = statement_kind::commit;
      return;
    case TRANS_STMT_ROLLBACK:
      out.kind = statement_kind::rollback;
      return;
    case TRANS_STMT_SAVEPOINT:
      out.kind = statement_kind::savepoint;
      return;
    case TRANS_STMT_RELEASE:
      out.kind = statement_kind::release;
      return;
    case TRANS_STMT_ROLLBACK_TO:
      out.kind = statement_kind::rollback_to;
      return;
    case TRANS_STMT_PREPARE:
      out.kind = statement_kind::prepare_transaction;
      return;
    case TRANS_STMT_COMMIT_PREPARED:
      out.kind = statement_kind::commit_prepared;
      return;
    case TRANS_STMT_ROLLBACK_PREPARED:
      out.kind = statement_kind::rollback_prepared;
      return;
  }
  out.kind = statement_kind::other;
  unparsable_ = true;
}

void reader::read_set(const VariableSetStmt& node, statement& out) {
  out.variable.name = lower(text_of(node.name));
  out.kind = node.is_local ? statement_kind::set_local : statement_kind::set;
  switch (node.kind) {
    case VAR_SET_VALUE:
      out.variable.values = strings_of(node.args);
      // SET TIME ZONE INTERVAL '1' HOUR: its text alone is not its value.
      for (const Node* value : list_view<>(node.args))
        if (value->type != T_A_Const) unparsable_ = true;
      // SET TRANSACTION under another name: it ends with the transaction, and outside of one at once.
      if (out.variable.values.size() == 1 && mode_of(out.variable.name, lower(out.variable.values.front()), out.modes))
        out.kind = statement_kind::set_transaction;
      return;
    case VAR_SET_DEFAULT:
      out.variable.to_default = true;
      return;
    case VAR_SET_CURRENT:
      out.variable.from_current = true;
      return;
    case VAR_RESET:
      out.kind = statement_kind::reset;
      return;
    case VAR_RESET_ALL:
      out.kind = statement_kind::reset;
      out.variable.name = "all";
      return;
    case VAR_SET_MULTI:
      break;
  }
  if (out.variable.name == "transaction") {
    out.kind = statement_kind::set_transaction;
    read_modes(node.args, out.modes);
  } else if (out.variable.name == "session characteristics") {
    out.kind = statement_kind::set_session_characteristics;
    read_modes(node.args, out.modes);
  } else if (out.variable.name == "transaction snapshot") {
    out.kind = statement_kind::set_transaction;
    out.modes.snapshot = true;
    out.variable.values = strings_of(node.args);
  } else {
    out.kind = statement_kind::other;
    unparsable_ = true;
  }
}

bool reader::read_session(const Node* node, statement& out) {
  if (const auto* show = as<VariableShowStmt>(node, T_VariableShowStmt)) {
    out.kind = statement_kind::show;
    out.variable.name = lower(text_of(show->name));
  } else if (const auto* discard = as<DiscardStmt>(node, T_DiscardStmt)) {
    out.kind = statement_kind::discard;
    out.name = discard->target == DISCARD_ALL     ? "all"
               : discard->target == DISCARD_PLANS ? "plans"
               : discard->target == DISCARD_TEMP  ? "temp"
                                                  : "sequences";
  } else if (node->type == T_ConstraintsSetStmt) {
    out.kind = statement_kind::set_constraints;
  } else if (const auto* listen = as<ListenStmt>(node, T_ListenStmt)) {
    out.kind = statement_kind::listen;
    out.name = text_of(listen->conditionname);
  } else if (const auto* unlisten = as<UnlistenStmt>(node, T_UnlistenStmt)) {
    out.kind = statement_kind::unlisten;
    out.name = text_of(unlisten->conditionname);
  } else if (const auto* notify = as<NotifyStmt>(node, T_NotifyStmt)) {
    out.kind = statement_kind::notify;
    out.name = text_of(notify->conditionname);
  } else {
    return false;
  }
  return true;
}

bool reader::read_prepared_or_cursor(const Node* node, statement& out) {
  if (const auto* prepare = as<PrepareStmt>(node, T_PrepareStmt)) {
    out.kind = statement_kind::prepare;
    out.name = text_of(prepare->name);
    for (const TypeName* type : list_view<TypeName>(prepare->argtypes)) out.parameter_types.push_back(read_type(*type));
    read_inner(prepare->query, out);
  } else if (const auto* execute = as<ExecuteStmt>(node, T_ExecuteStmt)) {
    out.kind = statement_kind::execute;
    out.name = text_of(execute->name);
    read_exprs(execute->params, out.arguments);
  } else if (const auto* deallocate = as<DeallocateStmt>(node, T_DeallocateStmt)) {
    out.kind = statement_kind::deallocate;
    out.name = text_of(deallocate->name);
  } else if (const auto* declare = as<DeclareCursorStmt>(node, T_DeclareCursorStmt)) {
    out.kind = statement_kind::declare_cursor;
    out.name = text_of(declare->portalname);
    out.hold = (declare->options & CURSOR_OPT_HOLD) != 0;
    read_inner(declare->query, out);
  } else if (const auto* fetch = as<FetchStmt>(node, T_FetchStmt)) {
    out.kind = statement_kind::fetch;
    out.name = text_of(fetch->portalname);
  } else if (const auto* close = as<ClosePortalStmt>(node, T_ClosePortalStmt)) {
    out.kind = statement_kind::close_cursor;
    out.name = text_of(close->portalname);
  } else if (const auto* explain = as<ExplainStmt>(node, T_ExplainStmt)) {
    out.kind = statement_kind::explain;
    for (const DefElem* option : list_view<DefElem>(explain->options))
      if (text_of(option->defname) == "analyze") out.explain_analyze = option_is_on(*option);
    read_inner(explain->query, out);
  } else {
    return false;
  }
  return true;
}

bool reader::read_maintenance(const Node* node, statement& out) {
  if (const auto* lock = as<LockStmt>(node, T_LockStmt)) {
    out.kind = statement_kind::lock;
    for (const RangeVar* relation : list_view<RangeVar>(lock->relations)) add_relation(relation, out.relations);
  } else if (const auto* truncate = as<TruncateStmt>(node, T_TruncateStmt)) {
    out.kind = statement_kind::truncate;
    for (const RangeVar* relation : list_view<RangeVar>(truncate->relations)) add_relation(relation, out.relations);
  } else if (const auto* vacuum = as<VacuumStmt>(node, T_VacuumStmt)) {
    out.kind = vacuum->is_vacuumcmd ? statement_kind::vacuum : statement_kind::analyze;
    for (const VacuumRelation* relation : list_view<VacuumRelation>(vacuum->rels))
      add_relation(relation->relation, out.relations);
  } else if (const auto* call = as<CallStmt>(node, T_CallStmt)) {
    out.kind = statement_kind::call;
    out.arguments.push_back(read_expr(reinterpret_cast<const Node*>(call->funccall)));
    if (out.arguments[0] != nullptr && !out.arguments[0]->name.empty()) out.name = out.arguments[0]->name.back();
  } else if (node->type == T_DoStmt) {
    out.kind = statement_kind::do_;
  } else if (node->type == T_CheckPointStmt) {
    out.kind = statement_kind::checkpoint;
  } else if (const auto* load = as<LoadStmt>(node, T_LoadStmt)) {
    out.kind = statement_kind::load;
    out.name = text_of(load->filename);
  } else {
    return false;
  }
  return true;
}

}  // namespace pgbraid::router::sql::raw
