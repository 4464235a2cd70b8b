// Ties of sharding keys; see keys.hpp.
#include "router/plan/keys.hpp"

#include <algorithm>

#include "router/shard/hash.hpp"
#include "router/shard/value_map.hpp"

namespace pgbraid::router {
namespace {

bool within(const sql::from_item& item, const sql::from_item* wanted) {
  if (&item == wanted) return true;
  if (item.kind != sql::from_kind::join) return false;
  return (item.left != nullptr && within(*item.left, wanted)) || (item.right != nullptr && within(*item.right, wanted));
}

/// True if equal keys of the two tables have one shard (integers of all widths have).
bool same_home(const table_use& a, const table_use& b) {
  if (a.table.sharding == nullptr || b.table.sharding == nullptr) return false;
  return a.table.sharding->function == b.table.sharding->function && ties_key(a.key->type, b.key->type) && ties_key(b.key->type, a.key->type);
}

/// Reads the conjuncts of one condition.
class condition_reader {
 public:
  condition_reader(std::size_t level, const sql::from_item* join, confines which, const plan_context& context,
                   constant_marks& marks, analysis& out)
      : scope_{level, join}, which_(which), context_(context), marks_(marks), out_(out) {
    // An "=" of a user could only be meant if its schema stood before pg_catalog.
    equality_is_known_ = name_resolver{context}.catalog_first() || !context.schema->user_operators.contains("=");
  }

  void read(const sql::expr& e) {
    switch (e.kind) {
      case sql::expr_kind::and_:
        for (const sql::expr_ptr& child : e.children) {
          if (child != nullptr) read(*child);
        }
        break;
      case sql::expr_kind::op:
        if (e.children.size() != 2 || e.children[0] == nullptr || e.children[1] == nullptr) break;
        if (is_equality(e.name)) {
          equal(*e.children[0], *e.children[1]);
        } else if (const auto order = order_of(e.name)) {
          bound(*e.children[0], *e.children[1], *order);
          bound(*e.children[1], *e.children[0], {!order->lower, order->inclusive});
        }
        break;
      case sql::expr_kind::between:
        if (e.negated || e.children.size() != 3 || !order_is_known()) break;
        if (e.children[0] == nullptr || e.children[1] == nullptr || e.children[2] == nullptr) break;
        bound(*e.children[0], *e.children[1], {true, true});
        bound(*e.children[0], *e.children[2], {false, true});
        break;
      case sql::expr_kind::in_list:
        if (!e.negated && is_equality(e.name)) one_of(e);
        break;
      case sql::expr_kind::op_any:
        if (is_equality(e.name) && e.children.size() == 2) any_of(*e.children[0], *e.children[1]);
        break;
      default:
        break;
    }
  }

 private:
  [[nodiscard]] bool is_equality(const sql::qualified_name& name) const {
    if (name.empty() || name.back() != "=") return false;
    return name.size() == 1 ? equality_is_known_ : name[name.size() - 2] == "pg_catalog";
  }

  /// Which side of a value something lies on.
  struct order_kind {
    bool lower = false, inclusive = false;
  };

  [[nodiscard]] bool order_is_known() const {
    if (name_resolver{context_}.catalog_first()) return true;
    const auto& own = context_.schema->user_operators;
    return !own.contains("<") && !own.contains("<=") && !own.contains(">") && !own.contains(">=");
  }

  [[nodiscard]] std::optional<order_kind> order_of(const sql::qualified_name& name) const {
    if (name.empty() || (name.size() == 1 ? !order_is_known() : name[name.size() - 2] != "pg_catalog")) return std::nullopt;
    if (name.back() == "<") return order_kind{false, false};
    if (name.back() == "<=") return order_kind{false, true};
    if (name.back() == ">") return order_kind{true, false};
    if (name.back() == ">=") return order_kind{true, true};
    return std::nullopt;
  }

  /// `left` is on this side of `right`: it says something about the shard where ranges of the key are the shards'.
  void bound(const sql::expr& left, const sql::expr& right, order_kind order) {
    const std::size_t use = key_of(left);
    if (use == nowhere || out_.uses[use].values == nullptr || !out_.uses[use].values->ranges()) return;
    const column& key = *out_.uses[use].key;
    const bool characters = key.type == type_oid::text || key.type == type_oid::varchar || key.type == type_oid::bpchar;
    if (characters && !key.byte_order) return;
    auto source = read_key_value(right, key.type, *context_.schema, marks_);
    if (!source || !confined(use)) return;
    note_parameter(*source);
    key_tie found{use, {}, false};
    found.bounds.push_back({std::move(*source), order.lower, order.inclusive});
    out_.ties.push_back(std::move(found));
  }

  /// The sharded use whose key `e` is, or nowhere.
  [[nodiscard]] std::size_t key_of(const sql::expr& e) const {
    const std::size_t use = use_of_column(out_, scope_, e);
    if (use == nowhere || out_.uses[use].key == nullptr || out_.uses[use].key_name != e.name.back()) return nowhere;
    return use;
  }

  /// True if this condition filters rows of `use`.
  [[nodiscard]] bool confined(std::size_t use) const {
    if (out_.uses[use].level != scope_.level || out_.uses[use].role == table_role::insert) return false;
    if (which_ == confines::all || which_ == confines::none) return which_ == confines::all;
    if (scope_.root == nullptr) return false;
    const sql::from_item& side = which_ == confines::left ? *scope_.root->left : *scope_.root->right;
    return std::any_of(out_.use_of.begin(), out_.use_of.end(),
                       [&](const auto& entry) { return entry.second == use && within(side, entry.first); });
  }

  void equal(const sql::expr& left, const sql::expr& right) {
    if (left.kind == sql::expr_kind::row && right.kind == sql::expr_kind::row) {
      // (a, b) = (c, d) is a = c AND b = d.
      if (left.children.size() != right.children.size()) return;
      for (std::size_t i = 0; i < left.children.size(); ++i) {
        if (left.children[i] != nullptr && right.children[i] != nullptr) equal(*left.children[i], *right.children[i]);
      }
      return;
    }
    const std::size_t a = key_of(left);
    const std::size_t b = key_of(right);
    if (a != nowhere && b != nowhere) {
      join_keys(a, b);
    } else if (a != nowhere) {
      tie(a, {&right});
    } else if (b != nowhere) {
      tie(b, {&left});
    }
  }

  void join_keys(std::size_t a, std::size_t b) {
    if (a == b || !same_home(out_.uses[a], out_.uses[b])) return;
    if (confined(b)) out_.edges.push_back({a, b});
    if (confined(a)) out_.edges.push_back({b, a});
  }

  void one_of(const sql::expr& list) {
    if (list.children.empty() || list.children[0] == nullptr) return;
    const std::size_t use = key_of(*list.children[0]);
    if (use == nowhere) return;
    std::vector<const sql::expr*> values;
    for (std::size_t i = 1; i < list.children.size(); ++i) values.push_back(list.children[i].get());
    tie(use, values);
  }

  /// key = ANY (ARRAY[...]): the elements have one type; strings alone make an array of text.
  void any_of(const sql::expr& left, const sql::expr& array) {
    const std::size_t use = key_of(left);
    if (use == nowhere) return;
    if (array.kind == sql::expr_kind::parameter || array.kind == sql::expr_kind::cast || array.kind == sql::expr_kind::constant) {
      auto source = read_key_array(array, out_.uses[use].key->type, *context_.schema, marks_);
      if (!source || !confined(use)) return;
      note_parameter(*source);
      key_tie found{use, {}, false};
      found.sources.push_back(std::move(*source));
      return out_.ties.push_back(std::move(found));
    }
    if (array.kind != sql::expr_kind::array || array.children.empty()) return;
    std::vector<const sql::expr*> values;
    bool strings = false;
    for (const sql::expr_ptr& child : array.children) {
      if (child == nullptr || child->kind == sql::expr_kind::parameter) return;
      strings = strings || (child->kind == sql::expr_kind::constant && child->constant == sql::constant_kind::string);
      values.push_back(child.get());
    }
    if (strings && !ties_key(out_.uses[use].key->type, type_oid::text)) return;
    tie(use, values);
  }

  void tie(std::size_t use, const std::vector<const sql::expr*>& values) {
    const column& key = *out_.uses[use].key;
    key_tie found{use, {}, false};
    bool all = !values.empty();
    for (const sql::expr* value : values) {
      auto source = value == nullptr ? std::nullopt : read_key_value(*value, key.type, *context_.schema, marks_);
      all = all && source.has_value();
      if (all) found.sources.push_back(std::move(*source));
    }
    if (!all || !confined(use)) return;
    for (const key_source& source : found.sources) note_parameter(source);
    out_.ties.push_back(std::move(found));
  }

  void note_parameter(const key_source& source) {
    if (source.from != key_source::origin::parameter) return;
    if (out_.parameter_ties.size() <= source.index) out_.parameter_ties.resize(source.index + 1U);
    ++out_.parameter_ties[source.index];
  }

  name_scope scope_;
  confines which_;
  const plan_context& context_;
  constant_marks& marks_;
  analysis& out_;
  bool equality_is_known_ = true;
};

/// Follows edges from the uses in `reached`.
void spread(const analysis& a, std::vector<bool>& reached) {
  for (bool grew = true; grew;) {
    grew = false;
    for (const key_edge& edge : a.edges) {
      if (reached[edge.from] && !reached[edge.to]) reached[edge.to] = grew = true;
    }
  }
}

bool usable(const analysis& a, const key_tie& tie) {
  const oid type = a.uses[tie.use].key->type;
  return std::all_of(tie.sources.begin(), tie.sources.end(),
                     [&](const key_source& source) { return reads_one_way(a, source, type); }) &&
         std::all_of(tie.bounds.begin(), tie.bounds.end(),
                     [&](const key_bound& bound) { return reads_one_way(a, bound.value, type); });
}

}  // namespace

// A parameter without a declared type gets its type from where it first stands. If it also stands elsewhere, that may
// be a type which reads the same text differently; integers and uuids cannot be misread.
bool reads_one_way(const analysis& a, const key_source& source, oid key_type) {
  if (source.from != key_source::origin::parameter) return true;
  if (key_type == type_oid::int2 || key_type == type_oid::int4 || key_type == type_oid::int8 ||
      key_type == type_oid::uuid) {
    return true;
  }
  const std::size_t used = source.index < a.parameter_uses.size() ? a.parameter_uses[source.index] : 0;
  const std::size_t tied = source.index < a.parameter_ties.size() ? a.parameter_ties[source.index] : 0;
  return used <= tied;
}

void add_condition(const sql::expr& condition, std::size_t level, const sql::from_item* join, confines which,
                   const plan_context& context, constant_marks& marks, analysis& out) {
  condition_reader{level, join, which, context, marks, out}.read(condition);
}

void add_merged_columns(const sql::from_item& join, confines which, const plan_context& context, analysis& out) {
  if (which == confines::none || join.left == nullptr || join.right == nullptr) return;
  if (!name_resolver{context}.catalog_first() && context.schema->user_operators.contains("=")) return;
  const auto key_in = [&](const sql::from_item& side, const std::string& name) {
    const std::size_t use = use_of_bare_column(out, side, name);
    return use != nowhere && out.uses[use].key != nullptr && out.uses[use].key_name == name ? use : nowhere;
  };
  std::vector<std::string> names = join.using_columns;
  if (join.natural) {
    for (const table_use& use : out.uses) {
      if (use.key != nullptr) names.push_back(use.key_name);
    }
  }
  for (const std::string& name : names) {
    const std::size_t left = key_in(*join.left, name);
    const std::size_t right = key_in(*join.right, name);
    if (left == nowhere || right == nowhere || !same_home(out.uses[left], out.uses[right])) continue;
    if (which != confines::left) out.edges.push_back({left, right});
    if (which != confines::right) out.edges.push_back({right, left});
  }
}

std::optional<std::vector<key_group>> tie_all(const analysis& a, std::size_t& free_use) {
  std::vector<bool> reached(a.uses.size());
  std::vector<key_group> groups;
  // Ties to fewer values first: they confine more, and the uses they reach need no group of their own.
  std::vector<const key_tie*> order;
  for (const key_tie& tie : a.ties) {
    if (usable(a, tie)) order.push_back(&tie);
  }
  std::stable_sort(order.begin(), order.end(), [](const key_tie* x, const key_tie* y) {
    if (x->insert_row != y->insert_row) return x->insert_row;
    if (x->bounds.empty() != y->bounds.empty()) return x->bounds.empty();
    return x->sources.size() < y->sources.size();
  });
  for (const key_tie* tie : order) {
    if (reached[tie->use]) continue;
    const table_use& use = a.uses[tie->use];
    // A stored value is rounded or cut as its column does it; a compared one is not.
    const std::int32_t modifier = tie->insert_row ? use.key->modifier : -1;
    groups.push_back({use.table.full_name, use.key->name, use.key->type, modifier, tie->sources, tie->insert_row, false, {}, use.values});
    for (const key_tie* other : order) {
      // All bounds of a table hold at once.
      if (tie->bounds.empty() || other->use != tie->use) continue;
      groups.back().bounds.insert(groups.back().bounds.end(), other->bounds.begin(), other->bounds.end());
    }
    reached[tie->use] = true;
    spread(a, reached);
  }
  for (std::size_t i = 0; i < a.uses.size(); ++i) {
    if (a.uses[i].table.where == placement::sharded && !reached[i]) {
      free_use = i;
      return std::nullopt;
    }
  }
  return groups;
}

bool joined_by_key(const analysis& a, std::size_t root) {
  if (a.uses[root].table.where != placement::sharded) return false;
  std::vector<bool> reached(a.uses.size());
  reached[root] = true;
  spread(a, reached);
  for (std::size_t i = 0; i < a.uses.size(); ++i) {
    if (a.uses[i].table.where == placement::sharded && !reached[i]) return false;
  }
  return true;
}

bool joined_by_key(const analysis& a) {
  for (std::size_t root = 0; root < a.uses.size(); ++root) {
    if (joined_by_key(a, root)) return true;
  }
  return false;
}

}  // namespace pgbraid::router
