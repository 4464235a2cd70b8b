#include "proxy/cluster/definition_walk.hpp"

#include "router/plan/functions.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace sql = router::sql;

namespace {

// Walks one definition and gathers what it reaches directly.
class definition_walker {
 public:
  definition_walker(const router::catalog& content, definition_findings& found) : content_(content), found_(found) {}

  void query(const sql::select_query* q) {
    if (q == nullptr) return;
    const std::size_t scope = common_tables_.size();
    if (q->with.recursive) declare(q->with);
    for (const sql::common_table& table : q->with.tables) {
      if (table.query && table.query->kind == sql::statement_kind::select) {
        query(table.query->select.get());
      } else {
        lost();
      }
      if (!q->with.recursive) common_tables_.push_back(table.name);
    }
    if (q->locking || q->into) not_safe();
    for (const sql::target& t : q->targets) expression(t.value.get());
    for (const auto& e : q->distinct_on) expression(e.get());
    for (const sql::from_item& item : q->from) from(item);
    expression(q->where.get());
    for (const auto& e : q->group_by) expression(e.get());
    expression(q->having.get());
    for (const auto& e : q->windows) expression(e.get());
    for (const auto& row : q->values) {
      for (const auto& e : row) expression(e.get());
    }
    for (const sql::sort_key& key : q->order_by) expression(key.value.get());
    expression(q->limit.get());
    expression(q->offset.get());
    query(q->left.get());
    query(q->right.get());
    common_tables_.resize(scope);
  }

 private:
  void vary(const std::string& name) {
    found_.varies = true;
    found_.varying.insert(name);
  }

  // o.total_due may be total_due(o).
  void attribute(const std::string& name) {
    const auto function = content_.functions.find(std::string_view{name});
    if (function != content_.functions.end() && function->second.any_user_code) found_.calls_user_code = true;
  }

  void not_safe() { found_.safe = found_.only_calls = false; }

  void lost() {
    not_safe();
    found_.relations.insert(not_understood);
  }

  void declare(const sql::with_clause& with) {
    for (const sql::common_table& table : with.tables) common_tables_.push_back(table.name);
  }

  void from(const sql::from_item& item) {
    switch (item.kind) {
      case sql::from_kind::relation:
        relation(item.name);
        break;
      case sql::from_kind::subquery:
        query(item.query.get());
        break;
      case sql::from_kind::function:
        for (const auto& f : item.functions) expression(f.get());
        break;
      case sql::from_kind::join:
        if (item.left) from(*item.left);
        if (item.right) from(*item.right);
        expression(item.condition.get());
        break;
      case sql::from_kind::values_like_other:
        lost();
        break;
    }
  }

  void relation(const sql::qualified_name& name) {
    if (name.empty()) return lost();
    if (name.size() == 1) {
      const bool common = std::find(common_tables_.begin(), common_tables_.end(), name[0]) != common_tables_.end();
      if (!common) found_.relations.insert("pg_catalog." + name[0]);
    } else {
      found_.relations.insert(name[name.size() - 2] + "." + name.back());
    }
  }

  void call(const sql::qualified_name& name, bool arguments) {
    // Without its schema it is known by the caller's search_path alone, and others may be called so.
    if (router::is_shard_id(name) || (!arguments && name.size() == 1 && name[0] == "id")) {
      found_.safe = false;
      found_.volatile_calls.insert("pgbraid.id");
      if (name.size() > 1) return;
    }
    const auto known = name.empty() ? content_.functions.end() : content_.functions.find(std::string_view{name.back()});
    if (known == content_.functions.end()) return not_safe();
    if (known->second.any_volatile) {
      found_.safe = false;
      found_.volatile_calls.insert(name.back());
    }
    if (known->second.any_stable && !router::told_by_settings(name.back())) vary(name.back());
    // Of several with this name the one of pg_catalog is meant: pg_catalog.replace(), though citext has another one.
    const bool of_server = name.size() > 1 && name[name.size() - 2] == "pg_catalog" && !known->second.pg_catalog_only;
    if (known->second.any_user_code && !of_server) found_.calls_user_code = true;
    if (known->second.any_user_code && known->second.pg_catalog_only)
      found_.user_code.insert("pg_catalog." + name.back());
  }

  void expression(const sql::expr* e) {
    if (e == nullptr) return;
    switch (e->kind) {
      case sql::expr_kind::call:
        call(e->name, !e->children.empty());
        break;
      case sql::expr_kind::op:
      case sql::expr_kind::op_any:
      case sql::expr_kind::op_all:
      case sql::expr_kind::like:
        if (!e->name.empty() && content_.volatile_operators.contains(e->name.back())) not_safe();
        if (!e->name.empty() && content_.user_operators.contains(e->name.back())) found_.calls_user_code = true;
        break;
      case sql::expr_kind::sql_value:
        vary(e->name.empty() ? std::string{} : e->name.back());
        break;
      case sql::expr_kind::cast:
        // A name becomes the number that it has on this server.
        if (content_.user_casts || (!e->type.name.empty() && e->type.name.back().starts_with("reg")))
          found_.calls_user_code = true;
        break;
      case sql::expr_kind::column:
        // A field of a trigger's row is nothing else.
        if (e->name.size() > 1 && e->name[0] != "new" && e->name[0] != "old") attribute(e->name.back());
        break;
      case sql::expr_kind::indirection:
        for (const std::string& field : e->name) attribute(field);
        break;
      case sql::expr_kind::other:
        lost();
        break;
      default:
        break;
    }
    for (const auto& child : e->children) expression(child.get());
    query(e->query.get());
    expression(e->filter.get());
    for (const sql::sort_key& key : e->order) expression(key.value.get());
    for (const auto& w : e->window) expression(w.get());
  }

  const router::catalog& content_;
  definition_findings& found_;
  std::vector<std::string> common_tables_;
};

}  // namespace

void walk_definition(const router::catalog& content, const sql::select_query* query, definition_findings& found) {
  definition_walker(content, found).query(query);
}

}  // namespace pgbraid::proxy
