// What a database_watch makes of its shards' catalogs: one catalog, and the map with the tables that are meant to be
// sharded.
#include "proxy/cluster/catalog_merge.hpp"
#include "proxy/cluster/claimed_columns.hpp"
#include "proxy/cluster/own_catalog.hpp"
#include "proxy/cluster/shard_watch.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace pgbraid::proxy {

// Why a transaction may write to one shard only; "": it may write to several.
std::string database_watch::single_writer() const {
  for (const auto& shard : shards_) {
    if (!shard->no_commits.empty())
      return fmt::format("shard {} cannot prepare transactions: {}", map_->shards[shard->index], shard->no_commits);
  }
  return {};
}

// Why values cannot be kept apart over the shards; "": they can, or need not be.
std::string database_watch::no_claims() const {
  if (!lists_unique(*listed_)) return {};
  for (const auto& shard : shards_) {
    if (!shard->no_claims.empty())
      return fmt::format("on shard {} values cannot be claimed: {}", map_->shards[shard->index], shard->no_claims);
  }
  return {};
}

void database_watch::merge() {
  if (!shards_.front()->catalog) return;
  std::vector<std::shared_ptr<const shard_catalog>> read;
  for (const auto& shard : shards_) read.push_back(shard->catalog);
  if (gated()) {
    std::vector<seen_shard> seen;
    for (const auto& shard : shards_) seen.push_back({shard->catalog, checks_rows() ? &shard->births : nullptr});
    router::topology map = with_pattern_tables(*listed_, seen);
    if (!(map == *map_)) map_ = std::make_shared<const router::topology>(std::move(map));
  }
  merged_catalog merged = merge_catalogs(read, *map_);
  if (gated()) own_ = std::make_shared<const own_catalog>(listed_, std::move(read));
  for (const std::string& text : merged.warnings) {
    const bool told = std::find(warnings_.begin(), warnings_.end(), text) != warnings_.end();
    if (!told) spdlog::warn("database {}: {}", name_, text);
  }
  warnings_ = std::move(merged.warnings);
  merged.content.single_writer = single_writer();
  merged.content.no_claims = no_claims();
  merged.content.version = schema_->version;
  if (schema_->version == 0 || !(merged.content == *schema_)) {
    merged.content.version = services_.next_version();
    schema_ = std::make_shared<const router::catalog>(std::move(merged.content));
  }
  std::vector<std::string> found = contradictions(*map_, *schema_);
  if (found != contradictions_) {
    for (const std::string& text : found) complain(text);
    contradictions_ = std::move(found);
  }
  changed(true);
}

// Between the rounds: while one is under way, a table that has just been made is on some shards only.
void database_watch::tell_of_patterns() {
  if (!announced_) return;
  const bool settled =
      std::none_of(shards_.begin(), shards_.end(), [](const auto& shard) { return shard->in_round || shard->hurried; });
  if (!settled || told_unfit_ == map_->unfit) return;
  for (const auto& [name, problem] : map_->unfit) {
    const auto before = told_unfit_.find(name);
    if (before == told_unfit_.end() || before->second != problem)
      spdlog::warn("database {}: table {} is meant to be sharded and cannot be: {}", name_, name, problem);
  }
  told_unfit_ = map_->unfit;
}

}  // namespace pgbraid::proxy
