// The printer behind print.hpp. Brackets hold what a node has beside its children.
#include "print.hpp"

#include <array>

#include "router/sql/merge_query.hpp"
#include "router/sql/parser.hpp"

namespace pgbraid::router::sql::test {
namespace {

constexpr std::array kind_words = {
    "constant",     "parameter", "column",      "call",          "op",       "any",        "all",   "in",
    "like",         "between",   "nullif",      "distinct_from", "and",      "or",         "not",   "null_test",
    "boolean_test", "cast",      "collate",     "case",          "coalesce", "extreme",    "array", "row",
    "subquery",     "sql_value", "indirection", "default",       "grouping", "current_of", "other"};

constexpr std::array statement_words = {"empty",
                                        "select",
                                        "insert",
                                        "update",
                                        "delete",
                                        "merge",
                                        "copy",
                                        "explain",
                                        "begin",
                                        "commit",
                                        "rollback",
                                        "savepoint",
                                        "release",
                                        "rollback_to",
                                        "prepare_transaction",
                                        "commit_prepared",
                                        "rollback_prepared",
                                        "set",
                                        "set_local",
                                        "reset",
                                        "show",
                                        "set_transaction",
                                        "set_session_characteristics",
                                        "set_constraints",
                                        "discard",
                                        "prepare",
                                        "execute",
                                        "deallocate",
                                        "declare_cursor",
                                        "fetch",
                                        "close_cursor",
                                        "listen",
                                        "unlisten",
                                        "notify",
                                        "lock",
                                        "truncate",
                                        "call",
                                        "do",
                                        "vacuum",
                                        "analyze",
                                        "checkpoint",
                                        "load",
                                        "ddl",
                                        "other"};

std::string join(const qualified_name& parts, const char* between = ".") {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : between) + part;
  return out;
}

std::string print_type(const type_name& type) {
  std::string out = join(type.name);
  for (const std::int32_t modifier : type.modifiers) out += "," + std::to_string(modifier);
  return out + (type.array ? "[]" : "") + (type.set_of ? " setof" : "");
}

template <class Items, class Print>
std::string all(const Items& items, Print one) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : " ") + one(item);
  return out;
}

std::string print_all(const std::vector<expr_ptr>& items) {
  return all(items, [](const expr_ptr& item) { return print(item.get()); });
}

std::string print_targets(const std::vector<target>& targets) {
  return all(targets, [](const target& item) {
    return (item.name.empty() ? "" : item.name + (item.indirection ? "[]" : "") + (item.value ? "=" : "")) +
           (item.value ? print(item.value.get()) : "");
  });
}

std::string print_keys(const std::vector<sort_key>& keys) {
  return all(keys, [](const sort_key& key) {
    return print(key.value.get()) + (key.descending ? " desc" : "") + (key.using_operator ? " using" : "") +
           (key.nulls == nulls_order::first  ? " nulls_first"
            : key.nulls == nulls_order::last ? " nulls_last"
                                             : "");
  });
}

std::string print_from(const std::vector<from_item>& items) {
  return all(items, [](const from_item& item) { return print(item); });
}

std::string part(const char* word, const std::string& content) {
  return content.empty() ? std::string() : " (" + std::string(word) + " " + content + ")";
}

std::string print_with(const with_clause& with) {
  if (with.tables.empty()) return {};
  return std::string(" (with") + (with.recursive ? " recursive " : " ") +
         all(with.tables,
             [](const common_table& table) {
               return table.name + (table.columns.empty() ? "" : "(" + join(table.columns, ",") + ")") +
                      (table.materialized ? "!" : "") + ":" + (table.query ? print(*table.query) : "?");
             }) +
         ")";
}

std::string print_modes(const transaction_modes& modes) {
  std::string out;
  if (modes.isolation != isolation_level::unset)
    out += " isolation" + std::to_string(static_cast<int>(modes.isolation));
  if (modes.read_only) out += *modes.read_only ? " read_only" : " read_write";
  if (modes.deferrable) out += *modes.deferrable ? " deferrable" : " not_deferrable";
  return out + (modes.snapshot ? " snapshot" : "") + (modes.chain ? " chain" : "");
}

std::string print_copy(const copy_statement& copy) {
  std::string out = join(copy.table) + part("columns", join(copy.columns, " ")) + (copy.from ? " from" : " to");
  out += (copy.program ? " program" : "") + (copy.file.empty() ? "" : " '" + copy.file + "'");
  for (const copy_option& option : copy.options) out += " " + option.name + "=" + join(option.values, ",");
  return out + (copy.query ? part("query", print(*copy.query)) : "");
}

}  // namespace

std::string print(const expr* node) {
  if (node == nullptr) return "nil";
  std::string out;
  switch (node->kind) {
    case expr_kind::constant:
      switch (node->constant) {
        case constant_kind::null:
          return "null";
        case constant_kind::string:
          return "'" + node->text + "'";
        case constant_kind::bit_string:
          return "bits:" + node->text;
        case constant_kind::decimal:
          return "decimal:" + node->text;
        default:
          return node->text;
      }
    case expr_kind::parameter:
      return "$" + std::to_string(node->number);
    case expr_kind::column:
      return join(node->name) + (node->star ? (node->name.empty() ? "*" : ".*") : "");
    default:
      break;
  }
  out = std::string("(") + kind_words[static_cast<std::size_t>(node->kind)];
  if (node->negated) out += " negated";
  if (node->kind == expr_kind::subquery) {
    constexpr std::array words = {"exists", "any", "all", "scalar", "array"};
    out += std::string(" ") + words[static_cast<std::size_t>(node->sublink)];
  }
  if (!node->name.empty()) out += " " + join(node->name);
  if (!node->type.name.empty()) out += " " + print_type(node->type);
  for (const auto& [flag, word] :
       {std::pair{node->star, " *"}, std::pair{node->distinct, " distinct"}, std::pair{node->over, " over"},
        std::pair{node->within_group, " within_group"}, std::pair{node->variadic, " variadic"}})
    if (flag) out += word;
  if (!node->children.empty()) out += " " + print_all(node->children);
  if (node->query) out += " " + print(node->query.get());
  if (node->filter) out += part("filter", print(node->filter.get()));
  return out + part("order", print_keys(node->order)) + part("window", print_all(node->window)) + ")";
}

std::string print(const select_query* query) {
  if (query == nullptr) return "nil";
  std::string out = "(select" + print_with(query->with);
  if (query->set_op != set_operation::none) {
    constexpr std::array words = {"", " union", " intersect", " except"};
    out += words[static_cast<std::size_t>(query->set_op)] + std::string(query->set_all ? " all " : " ") +
           print(query->left.get()) + " " + print(query->right.get());
  }
  if (query->distinct) out += " distinct";
  out += part("on", print_all(query->distinct_on)) + part("targets", print_targets(query->targets));
  out += part("from", print_from(query->from));
  if (query->where) out += part("where", print(query->where.get()));
  out += part(query->grouping_sets    ? "grouping_sets"
              : query->group_distinct ? "group_distinct"
                                      : "group",
              print_all(query->group_by));
  if (query->having) out += part("having", print(query->having.get()));
  out += part("windows", print_all(query->windows));
  for (const auto& row : query->values) out += part("row", print_all(row));
  out += part("order", print_keys(query->order_by));
  if (query->limit) out += part(query->limit_with_ties ? "limit_ties" : "limit", print(query->limit.get()));
  if (query->offset) out += part("offset", print(query->offset.get()));
  return out + (query->locking ? " locking" : "") + (query->into ? " into" : "") + ")";
}

std::string print(const from_item& item) {
  std::string out;
  switch (item.kind) {
    case from_kind::relation:
      out = (item.only ? "only:" : "") + join(item.name);
      break;
    case from_kind::subquery:
      out = print(item.query.get());
      break;
    case from_kind::function:
      out = "(functions " + print_all(item.functions) + (item.ordinality ? " ordinality)" : ")");
      break;
    case from_kind::join: {
      constexpr std::array words = {"inner", "left", "right", "full", "cross"};
      out = std::string("(") + words[static_cast<std::size_t>(item.join)] + (item.natural ? " natural " : " ") +
            print(*item.left) + " " + print(*item.right) + part("using", join(item.using_columns, " ")) +
            (item.condition ? part("on", print(item.condition.get())) : "") + ")";
      break;
    }
    case from_kind::values_like_other:
      out = "(other)";
      break;
  }
  if (item.tablesample) out += part("sample", print_all(item.functions));
  if (item.lateral) out = "lateral:" + out;
  if (!item.alias.empty()) out += "=" + item.alias;
  return out + (item.column_aliases.empty() ? "" : "(" + join(item.column_aliases, ",") + ")");
}

namespace {

std::string print_action(const merge_action& action) {
  constexpr std::array words = {"nothing", "insert", "update", "delete"};
  std::string out = action.matched ? "(matched" : "(not_matched";
  if (action.condition) out += " " + print(action.condition.get());
  out += std::string(" ") + words[static_cast<std::size_t>(action.kind)] + part("set", print_targets(action.set));
  if (action.insert) {
    out += part("columns", print_targets(action.insert->columns)) + (action.insert->overriding ? " overriding" : "");
    if (action.insert->source) out += " " + print(action.insert->source.get());
  }
  return out + ")";
}

std::string print_merge(const merge_query& query) {
  std::string out = print_with(query.with) + (query.only ? " only:" : " ") + join(query.table) +
                    (query.alias.empty() ? "" : "=" + query.alias) + part("using", print_from(query.source)) +
                    part("on", print(query.condition.get()));
  for (const merge_action& action : query.actions) out += " " + print_action(action);
  return out;
}

}  // namespace

std::string print(const statement& statement) {
  std::string out = statement_words[static_cast<std::size_t>(statement.kind)];
  if (statement.select) out = print(statement.select.get());
  if (statement.insert) {
    const insert_query& insert = *statement.insert;
    out += print_with(insert.with) + " " + join(insert.table) + (insert.alias.empty() ? "" : "=" + insert.alias) +
           part("columns", print_targets(insert.columns)) + (insert.source ? " " + print(insert.source.get()) : "") +
           (insert.overriding ? " overriding" : "") +
           (insert.on_conflict_update ? " on_conflict_update"
            : insert.on_conflict      ? " on_conflict"
                                      : "") +
           part("set", print_targets(insert.conflict_set)) + part("exprs", print_all(insert.conflict_exprs)) +
           part("returning", print_targets(insert.returning));
  }
  if (statement.update) {
    const update_query& update = *statement.update;
    out += print_with(update.with) + (update.only ? " only:" : " ") + join(update.table) +
           (update.alias.empty() ? "" : "=" + update.alias) + (update.multi_assign ? " multi" : "") +
           part("set", print_targets(update.set)) + part("from", print_from(update.from)) +
           (update.where ? part("where", print(update.where.get())) : "") +
           part("returning", print_targets(update.returning));
  }
  if (statement.delete_) {
    const delete_query& query = *statement.delete_;
    out += print_with(query.with) + (query.only ? " only:" : " ") + join(query.table) +
           (query.alias.empty() ? "" : "=" + query.alias) + part("using", print_from(query.using_)) +
           (query.where ? part("where", print(query.where.get())) : "") +
           part("returning", print_targets(query.returning));
  }
  if (statement.merge) out += print_merge(*statement.merge);
  if (statement.copy) out += " " + print_copy(*statement.copy);
  if (!statement.tag.empty()) out += " " + statement.tag;
  if (!statement.name.empty()) out += " " + statement.name;
  if (!statement.variable.name.empty()) out += " " + statement.variable.name;
  for (const std::string& value : statement.variable.values) out += " '" + value + "'";
  if (statement.variable.to_default) out += " to_default";
  if (statement.variable.from_current) out += " from_current";
  out += print_modes(statement.modes);
  if (statement.explain_analyze) out += " with_analyze";
  if (statement.hold) out += " hold";
  if (statement.temporary) out += " temporary";
  out += part("types", all(statement.parameter_types, [](const type_name& type) { return print_type(type); }));
  out += part("arguments", print_all(statement.arguments));
  out += part("relations", all(statement.relations, [](const qualified_name& name) { return join(name); }));
  if (statement.inner) out += part("inner", print(*statement.inner));
  return out + (statement.unparsable_parts ? " UNPARSABLE" : "");
}

std::string parsed(std::string_view text) {
  const parse_result result = parse(text);
  if (const auto* failure = std::get_if<parse_failure>(&result)) return "error: " + failure->message;
  std::string out;
  for (const statement& item : std::get<0>(result)) out += (out.empty() ? "" : "; ") + print(item);
  return out;
}

}  // namespace pgbraid::router::sql::test
