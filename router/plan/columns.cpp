// Column references; see columns.hpp.
#include "router/plan/columns.hpp"

#include <algorithm>

namespace pgbraid::router {
namespace {

/// What a search for a bare column name found in a part of FROM.
struct found_column {
  enum class outcome : std::uint8_t { none, use, perhaps, conflict } what = outcome::none;
  std::size_t use = nowhere;
};
using outcome = found_column::outcome;

found_column in_use(const analysis& a, std::size_t use, const std::string& column) {
  const table_use& u = a.uses[use];
  if (u.table.described == nullptr || u.table.described->columns.empty()) return {outcome::perhaps, nowhere};
  return has_column(u, column) ? found_column{outcome::use, use} : found_column{};
}

/// Two parts side by side: the name may stand in one of them only, else PostgreSQL calls it ambiguous.
found_column beside(const found_column& left, const found_column& right) {
  if (left.what == outcome::conflict || right.what == outcome::conflict) return {outcome::conflict, nowhere};
  if (left.what == outcome::use && right.what == outcome::use) return {outcome::conflict, nowhere};
  if (left.what == outcome::use) return left;
  if (right.what == outcome::use) return right;
  return left.what == outcome::perhaps || right.what == outcome::perhaps ? found_column{outcome::perhaps, nowhere}
                                                                         : found_column{};
}

found_column find_bare(const analysis& a, const sql::from_item& item, const std::string& column);

found_column find_in_join(const analysis& a, const sql::from_item& join, const std::string& column) {
  const found_column left = find_bare(a, *join.left, column);
  const found_column right = find_bare(a, *join.right, column);
  const bool listed =
      std::find(join.using_columns.begin(), join.using_columns.end(), column) != join.using_columns.end();
  const bool both = left.what != outcome::none && right.what != outcome::none;
  if (!listed && !(join.natural && both)) return beside(left, right);
  // A merged column is the left one of an inner or left join, the right one of a right join, and neither of a full
  // join.
  if (join.natural && (left.what != outcome::use || right.what != outcome::use)) return {outcome::conflict, nowhere};
  switch (join.join) {
    case sql::join_kind::inner:
    case sql::join_kind::cross:
    case sql::join_kind::left:
      return left.what == outcome::use ? left : found_column{outcome::conflict, nowhere};
    case sql::join_kind::right:
      return right.what == outcome::use ? right : found_column{outcome::conflict, nowhere};
    case sql::join_kind::full:
      break;
  }
  return {outcome::conflict, nowhere};
}

found_column find_bare(const analysis& a, const sql::from_item& item, const std::string& column) {
  switch (item.kind) {
    case sql::from_kind::relation: {
      const auto use = a.use_of.find(&item);
      return use == a.use_of.end() ? found_column{outcome::perhaps, nowhere} : in_use(a, use->second, column);
    }
    case sql::from_kind::join:
      if (item.left == nullptr || item.right == nullptr) return {outcome::conflict, nowhere};
      if (!item.column_aliases.empty()) return {outcome::perhaps, nowhere};
      return find_in_join(a, item, column);
    default:
      return {outcome::perhaps, nowhere};
  }
}

bool schema_matches(const table_use& use, const sql::qualified_name& name) {
  // schema.table.column names the table itself, never an alias.
  return !use.aliased && use.table.name == name[name.size() - 2] && use.table.schema == name[name.size() - 3];
}

bool merges_types(const analysis& a, const sql::from_item& item, const std::string& column, std::optional<oid>& type,
                  bool merged);

/// The use of a column that is named by the alias of USING: what the bare name would mean there, if it is of one type.
std::size_t use_of_merged(const analysis& a, const sql::from_item& join, const std::string& column) {
  const std::vector<std::string>& merged = join.using_columns;
  std::optional<oid> type;
  if (std::find(merged.begin(), merged.end(), column) == merged.end() || merges_types(a, join, column, type, false))
    return nowhere;
  const found_column found = find_in_join(a, join, column);
  return found.what == outcome::use ? found.use : nowhere;
}

/// The use that a qualifier names under `item`. `opaque` is set when it names something that is no table.
std::size_t find_qualified(const analysis& a, const sql::from_item& item, const sql::qualified_name& name, bool is_root,
                           bool& opaque) {
  const std::string& qualifier = name[name.size() - 2];
  if (item.kind == sql::from_kind::join) {
    if (!item.alias.empty() && !is_root) {
      opaque = opaque || item.alias == qualifier;
      return nowhere;  // an alias on a join hides what is inside
    }
    if (item.left == nullptr || item.right == nullptr) return nowhere;
    if (name.size() == 2 && !item.using_alias.empty() && item.using_alias == qualifier) {
      const std::size_t merged = use_of_merged(a, item, name.back());
      opaque = merged == nowhere;
      return merged;
    }
    const std::size_t left = find_qualified(a, *item.left, name, false, opaque);
    if (left != nowhere || opaque) return left;
    return find_qualified(a, *item.right, name, false, opaque);
  }
  const auto use = a.use_of.find(&item);
  if (use != a.use_of.end()) {
    const table_use& u = a.uses[use->second];
    const bool matches = name.size() >= 3 ? schema_matches(u, name) : u.alias == qualifier;
    return matches ? use->second : nowhere;
  }
  const std::string& shown = !item.alias.empty() || item.name.empty() ? item.alias : item.name.back();
  const bool function_name = item.kind == sql::from_kind::function && item.alias.empty() && !item.functions.empty() &&
                             item.functions[0] != nullptr && !item.functions[0]->name.empty() &&
                             item.functions[0]->name.back() == qualifier;
  opaque = opaque || (name.size() == 2 && (shown == qualifier || function_name));
  return nowhere;
}

std::size_t qualified_at(const analysis& a, const name_scope& scope, const sql::qualified_name& name, bool& opaque) {
  if (scope.root != nullptr) return find_qualified(a, *scope.root, name, true, opaque);
  const query_level& level = a.levels[scope.level];
  if (level.target != nowhere) {
    const table_use& u = a.uses[level.target];
    if (name.size() >= 3 ? schema_matches(u, name) : u.alias == name[name.size() - 2]) return level.target;
  }
  if (level.from == nullptr) return nowhere;
  for (const sql::from_item& item : *level.from) {
    const std::size_t use = find_qualified(a, item, name, false, opaque);
    if (use != nowhere || opaque) return use;
  }
  return nowhere;
}

found_column bare_at(const analysis& a, const name_scope& scope, const std::string& column) {
  if (scope.root != nullptr) return find_in_join(a, *scope.root, column);
  const query_level& level = a.levels[scope.level];
  found_column found = level.target == nowhere ? found_column{} : in_use(a, level.target, column);
  if (level.from == nullptr) return found;
  for (const sql::from_item& item : *level.from) found = beside(found, find_bare(a, item, column));
  return found;
}

/// Whether USING or NATURAL makes one column of several that may have different types. `type`: that of those seen
/// before.
bool merges_types(const analysis& a, const sql::from_item& item, const std::string& column, std::optional<oid>& type,
                  bool merged) {
  if (item.kind == sql::from_kind::join && item.left != nullptr && item.right != nullptr) {
    const bool here =
        merged || item.natural ||
        std::find(item.using_columns.begin(), item.using_columns.end(), column) != item.using_columns.end();
    return merges_types(a, *item.left, column, type, here) || merges_types(a, *item.right, column, type, here);
  }
  if (!merged) return false;
  const auto use = a.use_of.find(&item);
  if (use == a.use_of.end() || a.uses[use->second].table.described == nullptr) return true;
  const table_use& table = a.uses[use->second];
  if (!table.column_aliases.empty()) return true;
  for (const router::column& c : table.table.described->columns) {
    if (c.name != column) continue;
    if (type && *type != c.type) return true;
    type = c.type;
  }
  return false;
}

}  // namespace

namespace {

bool renames_joined(const sql::from_item& item) {
  if (item.kind != sql::from_kind::join) return false;
  return !item.column_aliases.empty() || (item.left != nullptr && renames_joined(*item.left)) ||
         (item.right != nullptr && renames_joined(*item.right));
}

}  // namespace

bool renames_joined(const analysis& a) {
  return std::any_of(a.levels.begin(), a.levels.end(), [](const query_level& level) {
    return level.from != nullptr && std::any_of(level.from->begin(), level.from->end(),
                                                [](const sql::from_item& item) { return renames_joined(item); });
  });
}

void note_written_row(analysis& a, std::size_t level, const sql::expr& reference) {
  if (a.levels[level].parent == nowhere) return;
  const std::size_t use = use_of_column(a, {level, nullptr}, reference);
  if (use == nowhere) return;
  const std::size_t owner = a.uses[use].level;
  if (!a.levels[owner].top || a.levels[owner].target != use) return;
  for (; level != owner && level != nowhere; level = a.levels[level].parent) a.levels[level].of_written_row = true;
}

bool may_resolve(const analysis& a, std::size_t level, const sql::expr& reference) {
  for (; level != nowhere; level = a.levels[level].parent) {
    if (reference.name.size() > 1) {
      bool opaque = false;
      if (qualified_at(a, {level, nullptr}, reference.name, opaque) != nowhere || opaque) return true;
      continue;
    }
    const std::string& name = reference.name[0];
    if (bare_at(a, {level, nullptr}, name).what != outcome::none) return true;
    bool opaque = false;
    if (qualified_at(a, {level, nullptr}, {name, "*"}, opaque) != nowhere || opaque) return true;
    // ORDER BY and GROUP BY may name a column of the result.
    const sql::select_query* query = a.levels[level].query;
    const auto named = [&](const sql::target& t) { return t.name == name; };
    if (query != nullptr && std::any_of(query->targets.begin(), query->targets.end(), named)) return true;
  }
  return false;
}

namespace {

bool tables_alone(const analysis& a, const sql::from_item& item) {
  if (item.kind == sql::from_kind::relation) return a.use_of.contains(&item);
  return item.kind == sql::from_kind::join && item.left != nullptr && item.right != nullptr &&
         tables_alone(a, *item.left) && tables_alone(a, *item.right);
}

/// Whether nothing of it is of a type that users made, so that no array and no row of it can name one.
bool of_catalog_types(const analysis& a, std::size_t level, const sql::expr& e, const catalog& schema) {
  constexpr oid first_user_oid = 16384;
  using kind = sql::expr_kind;
  if (e.kind == kind::column) {
    const std::size_t use = e.star ? nowhere : use_of_column(a, {level, nullptr}, e);
    if (use == nowhere || a.uses[use].table.described == nullptr || !a.uses[use].column_aliases.empty()) return false;
    const std::vector<column>& columns = a.uses[use].table.described->columns;
    const auto found =
        std::find_if(columns.begin(), columns.end(), [&](const column& c) { return c.name == e.name.back(); });
    return found != columns.end() && found->type < first_user_oid;
  }
  if (e.kind == kind::cast && (e.type.name.empty() || schema.user_types.contains(e.type.name.back()))) return false;
  if (e.kind == kind::call) {
    const auto known = e.name.empty() ? schema.functions.end() : schema.functions.find(std::string_view{e.name.back()});
    if (known == schema.functions.end() || !known->second.pg_catalog_only) return false;
  }
  const bool symbol = e.kind == kind::op || e.kind == kind::op_any || e.kind == kind::op_all || e.kind == kind::like;
  if (symbol && (e.name.empty() || schema.user_operators.contains(e.name.back()))) return false;
  if (e.kind == kind::subquery || e.kind == kind::parameter || e.kind == kind::other || e.kind == kind::indirection)
    return false;
  if (e.filter != nullptr || !e.order.empty() || !e.window.empty()) return false;
  return std::all_of(e.children.begin(), e.children.end(), [&](const sql::expr_ptr& child) {
    const bool untyped = child != nullptr && child->kind == kind::parameter && e.kind == kind::cast;
    return child == nullptr || untyped || of_catalog_types(a, level, *child, schema);
  });
}

/// `from`: what stands beside the written table, or all of FROM.
bool columns_alone(const analysis& a, std::size_t level, const std::vector<sql::target>& targets,
                   const std::vector<sql::from_item>* from, const catalog& schema) {
  return std::all_of(targets.begin(), targets.end(), [&](const sql::target& t) {
    if (t.value == nullptr || t.indirection) return false;
    if (t.value->kind != sql::expr_kind::column)
      return a.functions.user_code.empty() && of_catalog_types(a, level, *t.value, schema);
    if (!t.value->star) {
      const std::size_t use = use_of_column(a, {level, nullptr}, *t.value);
      return use != nowhere && a.uses[use].table.described != nullptr && has_column(a.uses[use], t.value->name.back());
    }
    return from == nullptr ||
           std::all_of(from->begin(), from->end(), [&](const sql::from_item& item) { return tables_alone(a, item); });
  });
}

}  // namespace

bool gives_columns_alone(const sql::statement& s, const analysis& a, const catalog& schema) {
  const auto found = std::find_if(a.levels.begin(), a.levels.end(), [&](const query_level& level) {
    return s.select != nullptr ? level.query == s.select.get() : level.target != nowhere;
  });
  const auto level = static_cast<std::size_t>(found - a.levels.begin());
  if (s.insert != nullptr && s.insert->returning.empty()) return true;
  if (s.update != nullptr && s.update->returning.empty()) return true;
  if (s.merge != nullptr || (s.delete_ != nullptr && s.delete_->returning.empty())) return true;
  const auto writing =
      std::count_if(a.levels.begin(), a.levels.end(), [](const query_level& l) { return l.target != nowhere; });
  if (found == a.levels.end() || writing > 1) return false;
  if (s.insert != nullptr) return columns_alone(a, level, s.insert->returning, nullptr, schema);
  if (s.update != nullptr) return columns_alone(a, level, s.update->returning, &s.update->from, schema);
  if (s.delete_ != nullptr) return columns_alone(a, level, s.delete_->returning, &s.delete_->using_, schema);
  return s.select != nullptr && s.select->set_op == sql::set_operation::none && s.select->values.empty() &&
         columns_alone(a, level, s.select->targets, &s.select->from, schema);
}

bool has_column(const table_use& use, const std::string& name) {
  const std::vector<column>& columns = use.table.described->columns;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const std::string& shown = i < use.column_aliases.size() ? use.column_aliases[i] : columns[i].name;
    if (shown == name) return true;
  }
  return false;
}

bool merges_types(const analysis& a, std::size_t level, const std::string& column) {
  const std::vector<sql::from_item>* from = a.levels[level].from;
  return from != nullptr && std::any_of(from->begin(), from->end(), [&](const sql::from_item& item) {
           std::optional<oid> type;
           return merges_types(a, item, column, type, false);
         });
}

std::size_t use_of_bare_column(const analysis& a, const sql::from_item& item, const std::string& column) {
  const found_column found = find_bare(a, item, column);
  return found.what == outcome::use ? found.use : nowhere;
}

std::size_t use_of_column(const analysis& a, const name_scope& scope, const sql::expr& reference) {
  if (reference.kind != sql::expr_kind::column || reference.star || reference.name.empty()) return nowhere;
  for (name_scope at = scope; at.level != nowhere; at = {a.levels[at.level].parent, a.levels[at.level].parent_root}) {
    if (reference.name.size() == 1) {
      const found_column found = bare_at(a, at, reference.name[0]);
      if (found.what == outcome::use) return found.use;
      if (found.what != outcome::none) return nowhere;
    } else {
      bool opaque = false;
      const std::size_t use = qualified_at(a, at, reference.name, opaque);
      if (use != nowhere) return use;
      if (opaque) return nowhere;
    }
  }
  return nowhere;
}

std::size_t use_of_row(const analysis& a, std::size_t level, const std::string& name) {
  for (; level != nowhere; level = a.levels[level].parent) {
    bool opaque = false;
    const std::size_t use = qualified_at(a, {level, nullptr}, {name, "*"}, opaque);
    if (use != nowhere || opaque) return use;
  }
  return nowhere;
}

namespace {

/// A function's result under that alias: its one column has the same name, and a row of several is none of a table.
bool names_function(const sql::from_item& item, const std::string& name) {
  if (item.kind == sql::from_kind::function) return item.alias == name;
  if (item.kind != sql::from_kind::join) return false;
  return (item.left != nullptr && names_function(*item.left, name)) ||
         (item.right != nullptr && names_function(*item.right, name));
}

}  // namespace

bool names_whole_row(const analysis& a, std::size_t level, const std::string& name) {
  for (; level != nowhere; level = a.levels[level].parent) {
    const auto* from = a.levels[level].from;
    if (from != nullptr &&
        std::any_of(from->begin(), from->end(), [&](const sql::from_item& item) { return names_function(item, name); }))
      return false;
    const found_column found = bare_at(a, {level, nullptr}, name);
    if (found.what == outcome::use) return false;
    // A column of something whose columns are not known may hide the alias; calling it a row is the careful answer.
    bool opaque = false;
    if (qualified_at(a, {level, nullptr}, {name, "*"}, opaque) != nowhere || opaque) return true;
  }
  return false;
}

}  // namespace pgbraid::router
