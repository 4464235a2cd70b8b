// The walk behind visit.hpp.
#include "visit.hpp"

#include "router/sql/merge_query.hpp"

namespace pgbraid::router::sql::test {
namespace {

struct visitor {
  const std::function<void(const expr&)>& call;
  const std::function<void(const from_item&)>& call_from;

  void one(const expr_ptr& node) const {
    if (node == nullptr) return;
    call(*node);
    all(node->children);
    one(node->filter);
    keys(node->order);
    all(node->window);
    select(node->query);
  }
  void all(const std::vector<expr_ptr>& nodes) const {
    for (const expr_ptr& node : nodes) one(node);
  }
  void keys(const std::vector<sort_key>& nodes) const {
    for (const sort_key& node : nodes) one(node.value);
  }
  void targets(const std::vector<target>& nodes) const {
    for (const target& node : nodes) one(node.value);
  }
  void with(const with_clause& node) const {
    for (const common_table& table : node.tables)
      if (table.query) whole(*table.query);
  }
  void from(const from_item& item) const {
    call_from(item);
    select(item.query);
    all(item.functions);
    one(item.condition);
    if (item.left) from(*item.left);
    if (item.right) from(*item.right);
  }
  void from_list(const std::vector<from_item>& items) const {
    for (const from_item& item : items) from(item);
  }
  void select(const select_ptr& node) const {
    if (node == nullptr) return;
    with(node->with);
    targets(node->targets);
    all(node->distinct_on);
    from_list(node->from);
    one(node->where);
    all(node->group_by);
    one(node->having);
    all(node->windows);
    for (const auto& row : node->values) all(row);
    keys(node->order_by);
    one(node->limit);
    one(node->offset);
    select(node->left);
    select(node->right);
  }
  void whole(const statement& node) const {
    select(node.select);
    if (node.insert) {
      with(node.insert->with);
      targets(node.insert->columns);
      select(node.insert->source);
      targets(node.insert->conflict_set);
      all(node.insert->conflict_exprs);
      targets(node.insert->returning);
    }
    if (node.update) {
      with(node.update->with);
      targets(node.update->set);
      from_list(node.update->from);
      one(node.update->where);
      targets(node.update->returning);
    }
    if (node.delete_) {
      with(node.delete_->with);
      from_list(node.delete_->using_);
      one(node.delete_->where);
      targets(node.delete_->returning);
    }
    if (node.merge) {
      with(node.merge->with);
      from_list(node.merge->source);
      one(node.merge->condition);
      for (const merge_action& action : node.merge->actions) {
        one(action.condition);
        targets(action.set);
        if (action.insert) targets(action.insert->columns), select(action.insert->source);
      }
    }
    if (node.copy && node.copy->query) whole(*node.copy->query);
    all(node.arguments);
    if (node.inner) whole(*node.inner);
  }
};

}  // namespace

void for_each_part(const statement& root, const std::function<void(const expr&)>& call,
                   const std::function<void(const from_item&)>& call_from) {
  visitor{call, call_from}.whole(root);
}

void for_each_expr(const statement& root, const std::function<void(const expr&)>& call) {
  for_each_part(root, call, [](const from_item&) {});
}

}  // namespace pgbraid::router::sql::test
