#include "proxy/cluster/view_safety.hpp"

#include "router/plan/functions.hpp"
#include "router/sql/parser.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace pgbraid::proxy {

namespace {

namespace sql = router::sql;

struct verdict {
  bool safe = true;
  std::set<std::string> relations, user_code;
  bool calls_user_code = false;  ///< by a name or operator that some user code has
  bool varies = false;           ///< with the time, the settings or the server: something not immutable is in it
};

// Walks one definition and gathers what it reaches directly.
class definition_walker {
 public:
  definition_walker(const router::catalog& content, verdict& found) : content_(content), found_(found) {}

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
    if (q->locking || q->into) found_.safe = false;
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

  void lost() {
    found_.safe = false;
    found_.relations.insert(not_understood);
  }

 private:
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

  void call(const sql::qualified_name& name) {
    const auto known = name.empty() ? content_.functions.end() : content_.functions.find(std::string_view{name.back()});
    if (known == content_.functions.end()) {
      found_.safe = false;
      return;
    }
    if (known->second.any_volatile) found_.safe = false;
    if (known->second.any_stable && !router::told_by_settings(name.back())) found_.varies = true;
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
        call(e->name);
        break;
      case sql::expr_kind::op:
      case sql::expr_kind::op_any:
      case sql::expr_kind::op_all:
      case sql::expr_kind::like:
        if (!e->name.empty() && content_.volatile_operators.contains(e->name.back())) found_.safe = false;
        if (!e->name.empty() && content_.user_operators.contains(e->name.back())) found_.calls_user_code = true;
        break;
      case sql::expr_kind::sql_value:
        found_.varies = true;
        break;
      case sql::expr_kind::cast:
        if (content_.user_casts) found_.calls_user_code = true;
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
  verdict& found_;
  std::vector<std::string> common_tables_;
};

class view_judge {
 public:
  view_judge(const router::catalog& content, const view_map& views) : content_(content), views_(views) {}

  const verdict& judge(const std::string& name, const view_facts& facts) {
    if (const auto done = done_.find(name); done != done_.end()) return done->second;
    verdict& mine = done_[name];
    mine.safe = false;
    mine.relations.insert(not_understood);
    verdict found;
    walk(facts, found);
    // Nested views come one level at a time; done_[name] answers meanwhile, so that a circle would end.
    const std::set<std::string> direct = found.relations;
    for (const std::string& below : direct) {
      const auto inner = views_.find(below);
      if (inner == views_.end()) {
        const auto relation = content_.relations.find(below);
        const bool view = relation != content_.relations.end() && relation->second.kind == 'v';
        if (view && relation->second.schema != "pg_catalog" && relation->second.schema != "information_schema") {
          found.safe = false;
          found.relations.insert(not_understood);
        }
        continue;
      }
      const verdict& deeper = judge(below, inner->second);
      found.safe = found.safe && deeper.safe;
      found.relations.insert(deeper.relations.begin(), deeper.relations.end());
      found.user_code.insert(deeper.user_code.begin(), deeper.user_code.end());
    }
    verdict& place = done_[name];
    place = std::move(found);
    return place;
  }

 private:
  void walk(const view_facts& facts, verdict& found) {
    definition_walker walker(content_, found);
    const sql::parse_result parsed = sql::parse(facts.definition);
    const auto* statements = std::get_if<std::vector<sql::statement>>(&parsed);
    if (statements == nullptr || statements->size() != 1 || statements->front().kind != sql::statement_kind::select ||
        statements->front().unparsable_parts) {
      walker.lost();
    } else {
      walker.query(statements->front().select.get());
    }
    for (const view_function& function : facts.functions) {
      if (function.is_volatile) found.safe = false;
      if (function.user_code) found.user_code.insert(function.name);
    }
  }

  const router::catalog& content_;
  const view_map& views_;
  std::map<std::string, verdict> done_;
};

}  // namespace

void judge_functions(router::catalog& content, const std::vector<function_body>& bodies) {
  constexpr std::array<std::string_view, 4> moments{"'now", "'today", "'tomorrow", "'yesterday"};
  const auto proved = [&](const function_body& body) {
    if (!body.provable || content.user_casts) return false;
    const sql::parse_result parsed = sql::parse(body.text);
    const auto* statements = std::get_if<std::vector<sql::statement>>(&parsed);
    if (statements == nullptr || statements->size() != 1) return false;
    const sql::statement& statement = statements->front();
    if (statement.kind != sql::statement_kind::select || statement.unparsable_parts) return false;
    verdict found;
    definition_walker(content, found).query(statement.select.get());
    // What varies is no matter where the function says so of itself; and 'now' is another moment on each shard.
    const auto declared = content.functions.find(std::string_view{body.name});
    const bool said =
        declared != content.functions.end() && (declared->second.any_stable || declared->second.any_volatile);
    const bool timeless = std::none_of(moments.begin(), moments.end(), [&](std::string_view word) {
      return body.text.find(word) != std::string::npos;
    });
    return found.safe && !found.calls_user_code && found.relations.empty() && timeless && (!found.varies || said);
  };
  std::set<std::string> open;
  for (const function_body& body : bodies) open.insert(body.name);
  // One that calls another is proved in a later round than that one.
  for (bool again = true; again;) {
    again = false;
    for (auto name = open.begin(); name != open.end();) {
      const auto fails = [&](const function_body& body) { return body.name == *name && !proved(body); };
      const auto known = content.functions.find(std::string_view{*name});
      if (known == content.functions.end() || std::any_of(bodies.begin(), bodies.end(), fails)) {
        ++name;
        continue;
      }
      known->second.any_user_code = false;
      again = true;
      name = open.erase(name);
    }
  }
}

void judge_views(router::catalog& content, const view_map& views) {
  view_judge judge(content, views);
  for (const auto& [name, facts] : views) {
    const auto relation = content.relations.find(name);
    if (relation == content.relations.end() || relation->second.kind != 'v') continue;
    const verdict& found = judge.judge(name, facts);
    relation->second.view_read_safe = found.safe;
    relation->second.view_relations.assign(found.relations.begin(), found.relations.end());
    relation->second.user_code.assign(found.user_code.begin(), found.user_code.end());
  }
}

}  // namespace pgbraid::proxy
