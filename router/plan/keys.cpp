// Conditions that tie sharding keys; see keys.hpp.
#include "router/plan/keys.hpp"

#include <algorithm>
#include <iterator>

#include "router/shard/hash.hpp"
#include "router/shard/value_map.hpp"

namespace pgbraid::router {

const column& column_at(const analysis& a, key_place place) {
  return *a.uses[place.use].keys[place.part].stored;
}

namespace {

bool within(const sql::from_item& item, const sql::from_item* wanted) {
  if (&item == wanted) return true;
  if (item.kind != sql::from_kind::join) return false;
  return (item.left != nullptr && within(*item.left, wanted)) || (item.right != nullptr && within(*item.right, wanted));
}

/// True if equal values of the two columns have one hash (integers of all widths have).
bool hash_alike(const column& a, const column& b) {
  return ties_key(a.type, b.type) && ties_key(b.type, a.type);
}

/// Whether an outer join may give rows in which a table has none.
bool may_lack(const sql::from_item& item, const sql::from_item* table, bool lacking = false) {
  if (&item == table) return lacking;
  if (item.kind != sql::from_kind::join || item.left == nullptr || item.right == nullptr) return false;
  const bool left = item.join == sql::join_kind::right || item.join == sql::join_kind::full;
  const bool right = item.join == sql::join_kind::left || item.join == sql::join_kind::full;
  return may_lack(*item.left, table, lacking || left) || may_lack(*item.right, table, lacking || right);
}

bool is_null(const sql::expr& e) {
  return e.kind == sql::expr_kind::constant && e.constant == sql::constant_kind::null;
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
      case sql::expr_kind::or_:
        one_of_conditions(e);
        break;
      case sql::expr_kind::op:
        if (e.children.size() != 2 || e.children[0] == nullptr || e.children[1] == nullptr) break;
        if (is_equality(e.name)) {
          if (may_mean_is_null(*e.children[0], *e.children[1])) break;
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
  /// What every branch ties to some values, the whole ties to all of them.
  void one_of_conditions(const sql::expr& e) {
    const std::size_t edges = out_.edges.size(), before = out_.ties.size();
    std::vector<key_tie> all;
    for (std::size_t i = 0; i < e.children.size(); ++i) {
      if (e.children[i] != nullptr) read(*e.children[i]);
      std::vector<key_tie> own(std::make_move_iterator(out_.ties.begin() + static_cast<std::ptrdiff_t>(before)),
                               std::make_move_iterator(out_.ties.end()));
      out_.ties.resize(before);
      out_.edges.resize(edges);
      std::erase_if(own, [](const key_tie& tie) { return !tie.bounds.empty(); });
      if (i == 0) {
        all = std::move(own);
        continue;
      }
      std::erase_if(all, [&](key_tie& tie) {
        const auto same = std::find_if(own.begin(), own.end(), [&](const key_tie& o) { return o.place == tie.place; });
        if (same == own.end()) return true;
        tie.sources.insert(tie.sources.end(), same->sources.begin(), same->sources.end());
        return false;
      });
    }
    for (key_tie& tie : all) out_.ties.push_back(std::move(tie));
  }

  /// With transform_null_equals k = NULL means k IS NULL. No row of a table has such a key, rows of outer joins have.
  [[nodiscard]] bool may_mean_is_null(const sql::expr& left, const sql::expr& right) const {
    if (!is_null(left) && !is_null(right)) return false;
    const auto place = key_of(is_null(left) ? right : left);
    const std::vector<sql::from_item>* from = place ? out_.levels[scope_.level].from : nullptr;
    if (from == nullptr) return false;
    const auto table = std::find_if(out_.use_of.begin(), out_.use_of.end(),
                                    [&](const auto& entry) { return entry.second == place->use; });
    return table != out_.use_of.end() && std::any_of(from->begin(), from->end(), [&](const sql::from_item& item) {
             return may_lack(item, table->first);
           });
  }

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
    if (name.empty() || (name.size() == 1 ? !order_is_known() : name[name.size() - 2] != "pg_catalog"))
      return std::nullopt;
    if (name.back() == "<") return order_kind{false, false};
    if (name.back() == "<=") return order_kind{false, true};
    if (name.back() == ">") return order_kind{true, false};
    if (name.back() == ">=") return order_kind{true, true};
    return std::nullopt;
  }

  /// `left` is on this side of `right`: it says something about the shard where ranges of the key are the shards'.
  void bound(const sql::expr& left, const sql::expr& right, order_kind order) {
    const auto place = key_of(left);
    if (!place || out_.uses[place->use].values == nullptr || !out_.uses[place->use].values->ranges()) return;
    const column& key = column_at(out_, *place);
    const bool characters = key.type == type_oid::text || key.type == type_oid::varchar || key.type == type_oid::bpchar;
    if (characters && !key.byte_order) return;
    auto source = read_key_value(right, key.type, *context_.schema, marks_);
    if (!source || !confined(place->use)) return;
    out_.note_tie(*source, key.type);
    key_tie found{*place, {}, false};
    found.bounds.push_back({std::move(*source), order.lower, order.inclusive});
    out_.ties.push_back(std::move(found));
  }

  /// The sharded use of whose key `e` is a column.
  [[nodiscard]] std::optional<key_place> key_of(const sql::expr& e) const {
    const std::size_t use = use_of_column(out_, scope_, e);
    const std::size_t part = use == nowhere ? nowhere : out_.uses[use].shown_part(e.name.back());
    if (part == nowhere) return std::nullopt;
    return key_place{use, part};
  }

  /// True if this condition filters rows of `use`.
  [[nodiscard]] bool confined(std::size_t use) const {
    if (out_.uses[use].level != scope_.level || out_.uses[use].role == table_role::insert) return false;
    if (which_ == confines::all || which_ == confines::none) return which_ == confines::all;
    if (which_ == confines::target) return use == out_.levels[scope_.level].target;
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
    const auto a = key_of(left);
    const auto b = key_of(right);
    if (a && b) {
      join_keys(*a, *b);
    } else if (a) {
      tie(*a, {&right});
    } else if (b) {
      tie(*b, {&left});
    }
  }

  void join_keys(key_place a, key_place b) {
    if (a.use == b.use || !hash_alike(column_at(out_, a), column_at(out_, b))) return;
    if (confined(b.use)) out_.edges.push_back({a, b});
    if (confined(a.use)) out_.edges.push_back({b, a});
  }

  void one_of(const sql::expr& list) {
    if (list.children.empty() || list.children[0] == nullptr) return;
    const sql::expr& left = *list.children[0];
    if (left.kind == sql::expr_kind::row) return one_row_of(left, list);
    const auto place = key_of(left);
    if (!place) return;
    std::vector<const sql::expr*> values;
    for (std::size_t i = 1; i < list.children.size(); ++i) values.push_back(list.children[i].get());
    tie(*place, values);
  }

  /// (a, b) IN ((1, 2), (3, 4)): each of the columns is one of those that stand in its place.
  void one_row_of(const sql::expr& row, const sql::expr& list) {
    for (std::size_t at = 0; at < row.children.size(); ++at) {
      const auto place = row.children[at] == nullptr ? std::nullopt : key_of(*row.children[at]);
      if (!place) continue;
      std::vector<const sql::expr*> values;
      for (std::size_t i = 1; i < list.children.size(); ++i) {
        const sql::expr* each = list.children[i].get();
        const bool fits =
            each != nullptr && each->kind == sql::expr_kind::row && each->children.size() == row.children.size();
        values.push_back(fits ? each->children[at].get() : nullptr);
      }
      tie(*place, values);
    }
  }

  /// key = ANY (ARRAY[...]): the elements have one type; strings alone make an array of text.
  void any_of(const sql::expr& left, const sql::expr& array) {
    const auto place = key_of(left);
    if (!place) return;
    const column& key = column_at(out_, *place);
    if (array.kind == sql::expr_kind::parameter || array.kind == sql::expr_kind::cast ||
        array.kind == sql::expr_kind::constant) {
      auto source = read_key_array(array, key.type, *context_.schema, marks_);
      if (!source || !confined(place->use)) return;
      out_.note_tie(*source, key.type);
      key_tie found{*place, {}, false};
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
    if (strings && !ties_key(key.type, type_oid::text)) return;
    tie(*place, values);
  }

  void tie(key_place place, const std::vector<const sql::expr*>& values) {
    const column& key = column_at(out_, place);
    key_tie found{place, {}, false};
    bool all = !values.empty();
    for (const sql::expr* value : values) {
      auto source = value == nullptr ? std::nullopt : read_key_value(*value, key.type, *context_.schema, marks_);
      all = all && source.has_value();
      if (all) found.sources.push_back(std::move(*source));
    }
    if (!all || !confined(place.use)) return;
    for (const key_source& source : found.sources) out_.note_tie(source, key.type);
    out_.ties.push_back(std::move(found));
  }

  name_scope scope_;
  confines which_;
  const plan_context& context_;
  constant_marks& marks_;
  analysis& out_;
  bool equality_is_known_ = true;
};

}  // namespace

bool stands_elsewhere(const analysis& a, const key_source& source) {
  if (source.from != key_source::origin::parameter) return false;
  const std::size_t used = source.index < a.parameter_uses.size() ? a.parameter_uses[source.index] : 0;
  const std::size_t tied = source.index < a.parameter_ties.size() ? a.parameter_ties[source.index] : 0;
  return used > tied || (source.index < a.parameter_types.size() && a.parameter_types[source.index] == mixed_types);
}

// A parameter without a declared type gets its type from where it first stands. If it also stands elsewhere, that may
// be a type which reads the same text differently; integers and uuids cannot be misread.
bool reads_one_way(const analysis& a, const key_source& source, oid key_type) {
  if (source.from != key_source::origin::parameter) return true;
  if (key_type == type_oid::int2 || key_type == type_oid::int4 || key_type == type_oid::int8 ||
      key_type == type_oid::uuid) {
    return true;
  }
  return !stands_elsewhere(a, source);
}

void analysis::note_tie(const key_source& source, oid key_type) {
  if (source.from != key_source::origin::parameter) return;
  if (parameter_ties.size() <= source.index) {
    parameter_ties.resize(source.index + 1U);
    parameter_types.resize(source.index + 1U);
  }
  ++parameter_ties[source.index];
  // Types that read one text alike count as one.
  oid type = key_type;
  if (type == type_oid::int2 || type == type_oid::int4) type = type_oid::int8;
  if (type == type_oid::varchar) type = type_oid::text;
  oid& first = parameter_types[source.index];
  first = first == 0 || first == type ? type : mixed_types;
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
    const std::size_t part = use == nowhere ? nowhere : out.uses[use].shown_part(name);
    return part == nowhere ? std::nullopt : std::optional{key_place{use, part}};
  };
  std::vector<std::string> names = join.using_columns;
  if (join.natural) {
    for (const table_use& use : out.uses) {
      for (const key_column& each : use.keys) names.push_back(each.name);
    }
  }
  for (const std::string& name : names) {
    const auto left = key_in(*join.left, name);
    const auto right = key_in(*join.right, name);
    if (!left || !right || !hash_alike(column_at(out, *left), column_at(out, *right))) continue;
    if (which != confines::left) out.edges.push_back({*left, *right});
    if (which != confines::right) out.edges.push_back({*right, *left});
  }
}

}  // namespace pgbraid::router
