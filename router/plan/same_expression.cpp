// Expressions compared, and their names; see same_expression.hpp.
#include "router/plan/same_expression.hpp"

#include <algorithm>
#include <utility>

#include "router/plan/columns.hpp"

namespace pgbraid::router {
namespace {

using kind = sql::expr_kind;

bool same_children(const analysis& a, std::size_t level, const sql::expr& left, const sql::expr& right) {
  return std::equal(left.children.begin(), left.children.end(), right.children.begin(), right.children.end(),
                    [&](const sql::expr_ptr& x, const sql::expr_ptr& y) {
                      if (x == nullptr || y == nullptr) return x == y;
                      return same_expression(a, level, *x, *y);
                    });
}

bool opaque(const sql::expr& e) {
  return e.kind == kind::other || e.kind == kind::parameter || e.query != nullptr || e.over || e.within_group ||
         e.filter != nullptr || !e.order.empty() || !e.window.empty();
}

/// How certain FigureColnameInternal() is of a name: 0 none, 1 of a type, 2 of something by that name.
struct figured {
  int strength = 0;
  std::string name;
};

std::optional<figured> figure(const sql::expr& e) {
  const auto child = [&](std::size_t i) {
    return i < e.children.size() && e.children[i] != nullptr ? figure(*e.children[i]) : std::nullopt;
  };
  switch (e.kind) {
    case kind::column:
      if (e.star || e.name.empty()) return std::nullopt;
      return figured{2, e.name.back()};
    case kind::call:
      if (e.name.empty()) return std::nullopt;
      return figured{2, e.name.back()};
    case kind::coalesce:
      return figured{2, "coalesce"};
    case kind::nullif:
      return figured{2, "nullif"};
    case kind::greatest_least:
      return figured{2, e.name.back()};
    case kind::collate:
      return child(0);
    case kind::cast: {
      auto inner = child(0);
      if (!inner || inner->strength > 1) return inner;
      if (e.type.name.empty()) return std::nullopt;
      return figured{1, e.type.name.back()};
    }
    case kind::case_: {
      if (e.children.empty() || e.children.back() == nullptr) return std::nullopt;
      auto otherwise = figure(*e.children.back());
      if (!otherwise || otherwise->strength > 1) return otherwise;
      return figured{1, "case"};
    }
    case kind::constant:
      // TRUE and FALSE are casts to the grammar.
      return e.constant == sql::constant_kind::boolean ? std::nullopt : std::optional{figured{}};
    case kind::op:
    case kind::parameter:
    case kind::and_:
    case kind::or_:
    case kind::not_:
    case kind::null_test:
    case kind::boolean_test:
    case kind::in_list:
    case kind::like:
    case kind::between:
    case kind::distinct_from:
      return figured{};
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<column_reference> column_of(const analysis& a, std::size_t level, const sql::expr& e) {
  const std::size_t use = use_of_column(a, {level, nullptr}, e);
  if (use == nowhere || a.uses[use].level != level || a.uses[use].table.described == nullptr) return std::nullopt;
  const table_use& found = a.uses[use];
  const std::vector<column>& columns = found.table.described->columns;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const std::string& shown = i < found.column_aliases.size() ? found.column_aliases[i] : columns[i].name;
    if (shown == e.name.back()) return column_reference{use, &columns[i]};
  }
  return std::nullopt;
}

bool same_expression(const analysis& a, std::size_t level, const sql::expr& left, const sql::expr& right) {
  if (left.kind != right.kind || opaque(left) || opaque(right)) return false;
  // Of subscripts it is not known which are bounds of slices.
  if (left.kind == kind::indirection && left.children.size() > 1) return false;
  if (left.kind == kind::column) {
    const auto x = column_of(a, level, left), y = column_of(a, level, right);
    if (x && y) return x->use == y->use && x->described == y->described;
    return !x && !y && left.star == right.star && left.name == right.name;
  }
  const auto facts = [](const sql::expr& e) {
    return std::tie(e.constant, e.text, e.number, e.name, e.type, e.negated, e.star, e.distinct, e.variadic);
  };
  return facts(left) == facts(right) && same_children(a, level, left, right);
}

std::optional<std::string> result_name(const sql::expr& e) {
  auto found = figure(e);
  if (!found) return std::nullopt;
  return found->strength == 0 ? "?column?" : std::move(found->name);
}

bool names_result(const sql::expr& item, const sql::select_query& q, const analysis& a) {
  if (item.kind != sql::expr_kind::column || item.name.size() != 1) return false;
  return !column_of(a, 0, item) || std::any_of(q.targets.begin(), q.targets.end(), [&](const sql::target& t) {
    if (t.value == nullptr || (t.value->kind == sql::expr_kind::column && t.value->star)) return false;
    const auto name = t.name.empty() ? result_name(*t.value) : std::optional{t.name};
    return !name || (*name == item.name[0] && !same_expression(a, 0, *t.value, item));
  });
}

}  // namespace pgbraid::router
