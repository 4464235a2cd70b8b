// Which table uses the ties of keys confine, taken together; see keys.hpp.
#include <algorithm>

#include "router/plan/keys.hpp"

namespace pgbraid::router {
namespace {

/// What each key's column is equal to, by edges, of the columns of one key or of the ties: a set for each of the
/// places.
template <class Member>
class equalities {
 public:
  explicit equalities(const analysis& a) : a_(a), sets_(a.uses.size()) {
    for (std::size_t i = 0; i < a.uses.size(); ++i) sets_[i].resize(a.uses[i].keys.size());
  }

  [[nodiscard]] const std::vector<Member>& at(key_place place) const { return sets_[place.use][place.part]; }

  /// Adds a member in front of follow(). True: it was none yet.
  bool add(key_place place, const Member& member) {
    std::vector<Member>& set = sets_[place.use][place.part];
    if (std::find(set.begin(), set.end(), member) != set.end()) return false;
    set.push_back(member);
    return true;
  }

  void follow() {
    for (bool grew = true; grew;) {
      grew = false;
      for (const key_edge& edge : a_.edges) {
        const std::vector<Member> from = at(edge.from);
        for (const Member& member : from) grew = add(edge.to, member) || grew;
      }
    }
  }

 private:
  const analysis& a_;
  std::vector<std::vector<std::vector<Member>>> sets_;
};

/// Adds the uses whose rows stand beside those of `root` to `reached`: all columns of their keys are equal to its own.
void spread(const analysis& a, std::size_t root, std::vector<bool>& reached) {
  const std::vector<key_column>& own = a.uses[root].keys;
  reached[root] = true;
  if (a.edges.empty() || own.empty()) return;
  equalities<std::size_t> columns{a};
  for (std::size_t part = 0; part < own.size(); ++part) columns.add({root, part}, part);
  columns.follow();
  for (std::size_t i = 0; i < a.uses.size(); ++i) {
    const table_use& use = a.uses[i];
    if (reached[i] || use.keys.size() != own.size() ||
        use.table.sharding->function != a.uses[root].table.sharding->function)
      continue;
    bool beside = true;
    for (std::size_t part = 0; part < own.size() && beside; ++part) {
      const std::vector<std::size_t>& equal = columns.at({i, part});
      beside = std::find(equal.begin(), equal.end(), part) != equal.end();
    }
    reached[i] = beside;
  }
}

bool usable(const analysis& a, const key_tie& tie) {
  const oid type = column_at(a, tie.place).type;
  return std::all_of(tie.sources.begin(), tie.sources.end(),
                     [&](const key_source& source) { return reads_one_way(a, source, type); }) &&
         std::all_of(tie.bounds.begin(), tie.bounds.end(),
                     [&](const key_bound& bound) { return reads_one_way(a, bound.value, type); });
}

/// What ties the columns of one use's key: a tie for each of them, empty where one has none. `places` has the ties of
/// what each column is equal to; `own`: only those of the use itself count.
std::vector<const key_tie*> ties_of(const analysis& a, std::size_t use, const equalities<const key_tie*>& places,
                                    bool own) {
  std::vector<const key_tie*> out;
  const auto breadth = [](const key_tie& tie) {
    constexpr std::size_t of_array = 100;
    const bool array = std::any_of(tie.sources.begin(), tie.sources.end(), [](const key_source& s) { return s.array; });
    return array ? of_array : tie.sources.size();
  };
  for (std::size_t part = 0; part < a.uses[use].keys.size(); ++part) {
    const key_tie* best = nullptr;
    for (const key_tie* tie : places.at({use, part})) {
      if (!tie->bounds.empty() || (own && tie->place.use != use)) continue;
      if (best == nullptr || breadth(*tie) < breadth(*best)) best = tie;
    }
    if (best == nullptr) return {};
    out.push_back(best);
  }
  // A NULL that is to be stored must be seen, one that is compared matches nothing.
  const auto alike = [&](const key_tie* tie) { return tie->insert_row == out.front()->insert_row; };
  if (a.uses[use].role == table_role::insert && !std::all_of(out.begin(), out.end(), alike)) return {};
  return out;
}

/// The values are read as the column that they tie reads them; one that is equal to it has the same hash.
key_group group_of(const analysis& a, const table_use& use, std::size_t part, const key_tie& tie) {
  const column& tied = column_at(a, tie.place);
  const bool stored = tie.insert_row && use.role == table_role::insert;
  key_group out{use.table.full_name, use.keys[part].stored->name, tied.type, -1, tie.sources, stored};
  // A stored value is rounded or cut as its column does it; a compared one is not.
  if (tie.insert_row) out.modifier = tied.modifier;
  if (use.keys.size() == 1) out.values = use.values;
  out.unread = a.levels[use.level].unread && a.levels[a.uses[tie.place.use].level].unread;
  for (key_source& source : out.sources) source.shared = stands_elsewhere(a, source);
  return out;
}

/// Groups of uses that no tie of their whole key has reached: what ties each of the columns, here or elsewhere.
void tie_by_columns(const analysis& a, const std::vector<const key_tie*>& ties, std::vector<bool>& reached,
                    std::vector<key_group>& groups) {
  equalities<const key_tie*> places{a};
  for (const key_tie* tie : ties) places.add(tie->place, tie);
  places.follow();
  // Those that are tied themselves first: others stand beside them more often than the other way round.
  for (const bool itself : {true, false}) {
    for (std::size_t i = 0; i < a.uses.size(); ++i) {
      const table_use& use = a.uses[i];
      if (reached[i] || use.keys.empty()) continue;
      const std::vector<const key_tie*> own = ties_of(a, i, places, itself);
      if (own.empty()) continue;
      if (own.size() == 1) {
        groups.push_back(group_of(a, use, 0, *own.front()));
      } else {
        key_group whole{use.table.full_name, use.key_label(), 0, -1, {}, false};
        for (std::size_t part = 0; part < own.size(); ++part) whole.parts.push_back(group_of(a, use, part, *own[part]));
        whole.insert_row = whole.parts.front().insert_row;
        groups.push_back(std::move(whole));
      }
      spread(a, i, reached);
    }
  }
}

}  // namespace

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
    const table_use& use = a.uses[tie->place.use];
    if (reached[tie->place.use] || use.keys.size() > 1) continue;
    groups.push_back(group_of(a, use, 0, *tie));
    for (const key_tie* other : order) {
      // All bounds of a table hold at once.
      if (tie->bounds.empty() || other->place.use != tie->place.use) continue;
      groups.back().bounds.insert(groups.back().bounds.end(), other->bounds.begin(), other->bounds.end());
      for (key_bound& bound : groups.back().bounds) bound.value.shared = stands_elsewhere(a, bound.value);
    }
    spread(a, tie->place.use, reached);
  }
  tie_by_columns(a, order, reached, groups);
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
  spread(a, root, reached);
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
