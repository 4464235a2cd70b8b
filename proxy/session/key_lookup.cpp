#include "proxy/session/key_lookup.hpp"

#include <algorithm>
#include <utility>

namespace pgbraid::proxy {
namespace {

/// Keys of one question; the rest is asked for next.
constexpr std::size_t most_wanted = 200;

}  // namespace

std::optional<router::shard_index> key_cache::find(std::string_view key, steady_time changed, steady_time now) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return std::nullopt;
  const auto at = found->second;
  if (at->asked <= changed || now - at->asked >= max_age_) {
    by_key_.erase(found);
    entries_.erase(at);
    return std::nullopt;
  }
  entries_.splice(entries_.begin(), entries_, at);
  return at->shard;
}

void key_cache::keep(std::string_view key, router::shard_index shard, steady_time asked) {
  if (most_ == 0 || max_age_.count() == 0) return;
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    // An answer may come after a later one.
    if (asked > found->second->asked) found->second->shard = shard, found->second->asked = asked;
    return;
  }
  if (entries_.size() >= most_) {
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
  entries_.push_front({std::string{key}, shard, asked});
  by_key_.emplace(entries_.front().key, entries_.begin());
}

void key_lookup::begin(std::shared_ptr<key_cache> cache, steady_time changed, steady_time now) {
  cache_ = std::move(cache);
  changed_ = changed;
  now_ = now;
  wanted_.clear();
}

void key_lookup::forget() {
  // Not clear(), which keeps the room that many keys once needed.
  if (!answers_.empty()) answers_ = {};
  wanted_.clear();
  asked_.clear();
  rows_ = {};
  bytes_ = 0;
  whole_known_ = unclear_ = false;
}

router::known_key key_lookup::find(std::string_view bytes) {
  using kind = router::known_key::kind;
  if (!answers_.empty()) {
    if (const auto told = answers_.find(std::string{bytes}); told != answers_.end()) return told->second;
  }
  if (cache_ == nullptr) return {};
  const auto shard = cache_->find(bytes, changed_, now_);
  return shard ? router::known_key{kind::shard, *shard} : router::known_key{};
}

void key_lookup::want(router::wanted_key key) {
  const auto same = [&](const router::wanted_key& each) { return each.bytes == key.bytes; };
  if (wanted_.size() >= most_wanted || std::any_of(wanted_.begin(), wanted_.end(), same)) return;
  wanted_.push_back(std::move(key));
}

void key_lookup::ask(std::shared_ptr<key_cache> cache, steady_time now) {
  asked_ = wanted_;
  kept_in_ = std::move(cache);
  asked_at_ = now;
}

void key_lookup::answer(std::size_t number, std::optional<router::shard_index> shard) {
  using kind = router::known_key::kind;
  if (number >= asked_.size()) return;
  const auto [told, first] = answers_.try_emplace(
      asked_[number].bytes, shard ? router::known_key{kind::shard, *shard} : router::known_key{kind::unclear, 0});
  // Two rows for one key say nothing.
  if (!first) told->second = {kind::unclear, 0};
  if (first && shard && kept_in_ != nullptr) kept_in_->keep(asked_[number].bytes, *shard, asked_at_);
}

void key_lookup::answered() {
  for (const router::wanted_key& key : asked_)
    answers_.try_emplace(key.bytes, router::known_key{router::known_key::kind::absent, 0});
  asked_.clear();
  wanted_.clear();
}

void key_lookup::add_row(std::string_view key, std::optional<router::shard_index> shard) {
  bytes_ += key.size() + sizeof(router::value_part);
  unclear_ = unclear_ || !shard;
  if (shard) rows_.parts.push_back({*shard, std::string{key}, std::nullopt});
}

std::shared_ptr<const router::value_map> key_lookup::whole(const router::value_map& rule, router::oid type,
                                                           std::int32_t modifier) const {
  // A key whose shard is unclear must not count as one that is listed nowhere.
  if (!whole_known_ || (unclear_ && rule.others())) return nullptr;
  router::value_rule rows = rows_;
  rows.others = rule.others();
  std::string problem;
  return router::value_map::make(rows, type, modifier, problem);
}

}  // namespace pgbraid::proxy
