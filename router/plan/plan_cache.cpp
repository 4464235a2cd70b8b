// The plan cache; see plan_cache.hpp. An entry is one normalised text; its variants differ in the constants that the
// plan depends on.
#include "router/plan/plan_cache.hpp"

#include <array>
#include <cstring>
#include <list>
#include <unordered_map>
#include <utility>
#include <vector>

#include "router/plan/constants.hpp"
#include "router/sql/text_pattern.hpp"

namespace pgbraid::router {
namespace {

/// Values that a text may have for its pinned constants before the oldest variant gives way.
constexpr std::size_t max_variants = 16;

/// The key is a hash already.
struct key_hash {
  std::size_t operator()(const sql::statement_key& key) const noexcept { return static_cast<std::size_t>(key.low); }
};

struct variant {
  planned made;
  std::size_t constants = 0;        ///< how many the text has
  std::vector<std::string> pinned;  ///< the pinned constants as they stood in the text
  std::vector<constant_class> typed;
};

struct entry {
  sql::statement_key key;
  std::string normalized;
  std::vector<variant> variants;  ///< the last one used first
  std::size_t bytes = 0;
  unsigned patterns = 0;          ///< that lead to it
};
using entry_place = std::list<entry>::iterator;

/// Texts seen lately, by their first bytes; a few of the same beginning stand side by side.
class pattern_table {
 public:
  struct known {
    sql::text_pattern pattern;
    entry_place leads_to;
    bool used = false;
  };
  static constexpr std::size_t ways = 4, sets = 64, looked_at = 16;

  [[nodiscard]] const known* find(std::string_view text, sql::token_scan& scan) const {
    if (table_.empty() || text.size() < looked_at) return nullptr;
    const known* const first = &table_[set_of(text) * ways];
    for (const known* k = first; k != first + ways; ++k) {
      if (k->used && k->pattern.matches(text, scan)) return k;
    }
    return nullptr;
  }

  /// `text` has led to `e`, and will again, perhaps. Only some are remembered, so that texts which crowd each other out,
  /// or whose constants stand right at the beginning, cost little.
  void note(std::string_view text, const sql::token_scan& scan, entry_place e) {
    if (++noted_ % remembered_of != 0 || text.size() < looked_at) return;
    if (table_.empty()) table_.resize(sets * ways);
    known& k = table_[set_of(text) * ways + noted_ / remembered_of % ways];
    if (!k.pattern.remember(text, scan)) return;
    if (k.used) --k.leads_to->patterns;
    k.used = true;
    k.leads_to = e;
    ++e->patterns;
  }

  void forget(entry_place e) {
    if (e->patterns == 0) return;
    for (known& k : table_) {
      if (k.used && k.leads_to == e) k.used = false;
    }
    e->patterns = 0;
  }

  void clear() noexcept { table_.clear(); }

 private:
  static constexpr std::size_t remembered_of = 8;

  static std::size_t set_of(std::string_view text) {
    std::uint64_t low, high;
    std::memcpy(&low, text.data(), sizeof low);
    std::memcpy(&high, text.data() + sizeof low, sizeof high);
    return static_cast<std::size_t>(((low ^ (high << 7 | high >> 57)) * 0x9e3779b97f4a7c15ULL) >> 58);
  }

  std::vector<known> table_;
  std::size_t noted_ = 0;
};
static_assert(pattern_table::sets == 64, "set_of() gives six bits");

std::string_view token_text(std::string_view text, const sql::constant_position& c) {
  return text.substr(c.offset, c.length);
}

bool fits(const variant& v, std::string_view text, const sql::token_scan& scan) {
  if (v.constants != scan.constants.size()) return false;
  for (std::size_t i = 0; i < v.made.typed.size(); ++i) {
    if (class_of(scan.constants[v.made.typed[i]].kind) != v.typed[i]) return false;
  }
  for (std::size_t i = 0; i < v.made.pinned.size(); ++i) {
    if (token_text(text, scan.constants[v.made.pinned[i]]) != v.pinned[i]) return false;
  }
  return true;
}

variant make_variant(planned made, std::string_view text, const sql::token_scan& scan) {
  variant out;
  out.constants = scan.constants.size();
  for (const std::uint16_t index : made.pinned) out.pinned.emplace_back(token_text(text, scan.constants[index]));
  for (const std::uint16_t index : made.typed) out.typed.push_back(class_of(scan.constants[index].kind));
  out.made = std::move(made);
  return out;
}

std::size_t size_of(const variant& v) {
  std::size_t bytes = sizeof(variant) + sizeof(plan) + v.typed.size();
  for (const std::string& constant : v.pinned) bytes += sizeof(std::string) + constant.size();
  return bytes;
}

}  // namespace

struct plan_cache::state {
  std::size_t max_plans, max_bytes;
  std::list<entry> entries;  ///< the last one used first
  std::unordered_map<sql::statement_key, entry_place, key_hash> by_key;
  pattern_table patterns;
  std::size_t plans = 0, bytes = 0;
  std::uint64_t hits = 0, misses = 0;

  void drop(entry_place e) {
    patterns.forget(e);
    plans -= e->variants.size();
    bytes -= e->bytes;
    by_key.erase(e->key);
    entries.erase(e);
  }

  void shrink() {
    while (!entries.empty() && (plans > max_plans || bytes > max_bytes)) drop(std::prev(entries.end()));
  }

  plan_ptr find(std::string_view text, const sql::token_scan& scan) {
    const auto found = by_key.find(scan.key);
    if (found == by_key.end() || found->second->normalized != scan.normalized) return nullptr;
    plan_ptr out = variant_of(found->second, text, scan);
    if (out) patterns.note(text, scan, found->second);
    return out;
  }

  plan_ptr find_by_pattern(std::string_view text, sql::token_scan& scan) {
    const pattern_table::known* const known = patterns.find(text, scan);
    return known == nullptr ? nullptr : variant_of(known->leads_to, text, scan);
  }

  plan_ptr variant_of(entry_place place, std::string_view text, const sql::token_scan& scan) {
    entry& e = *place;
    for (std::size_t i = 0; i < e.variants.size(); ++i) {
      if (!fits(e.variants[i], text, scan)) continue;
      if (i > 0) std::swap(e.variants[i], e.variants[0]);
      if (place != entries.begin()) entries.splice(entries.begin(), entries, place);
      return e.variants[0].made.plan;
    }
    return nullptr;
  }

  void insert(variant v, const sql::token_scan& scan) {
    auto found = by_key.find(scan.key);
    if (found != by_key.end() && found->second->normalized != scan.normalized) {
      drop(found->second);  // two texts with one hash: the later one stays
      found = by_key.end();
    }
    if (found == by_key.end()) {
      entries.push_front({scan.key, scan.normalized, {}, sizeof(entry) + scan.normalized.size(), 0});
      bytes += entries.front().bytes;
      found = by_key.emplace(scan.key, entries.begin()).first;
    }
    entry& e = *found->second;
    if (e.variants.size() == max_variants) {
      const std::size_t freed = size_of(e.variants.back());
      e.variants.pop_back();
      --plans;
      e.bytes -= freed;
      bytes -= freed;
    }
    const std::size_t added = size_of(v);
    e.variants.insert(e.variants.begin(), std::move(v));
    ++plans;
    e.bytes += added;
    bytes += added;
    shrink();
  }
};

plan_cache::plan_cache(std::size_t max_plans, std::size_t max_bytes) : state_(std::make_unique<state>()) {
  state_->max_plans = max_plans;
  state_->max_bytes = max_bytes;
}
plan_cache::~plan_cache() = default;
plan_cache::plan_cache(plan_cache&&) noexcept = default;
plan_cache& plan_cache::operator=(plan_cache&&) noexcept = default;

plan_ptr plan_cache::get(std::string_view text, sql::token_scan& scan, const plan_context& context) {
  if (plan_ptr found = state_->find_by_pattern(text, scan)) {
    ++state_->hits;
    return found;
  }
  sql::scan(text, scan);
  if (scan.valid) {
    if (plan_ptr found = state_->find(text, scan)) {
      ++state_->hits;
      return found;
    }
  }
  ++state_->misses;
  planned made = make_plan(text, scan, context);
  plan_ptr out = made.plan;
  // A text that would push out most of the others is not worth its place.
  if (scan.valid && scan.normalized.size() <= state_->max_bytes / 8) {
    state_->insert(make_variant(std::move(made), text, scan), scan);
  }
  return out;
}

void plan_cache::clear() noexcept {
  state_->patterns.clear();
  state_->by_key.clear();
  state_->entries.clear();
  state_->plans = 0;
  state_->bytes = 0;
}

std::size_t plan_cache::size() const noexcept {
  return state_->plans;
}

std::uint64_t plan_cache::hits() const noexcept {
  return state_->hits;
}

std::uint64_t plan_cache::misses() const noexcept {
  return state_->misses;
}

}  // namespace pgbraid::router
