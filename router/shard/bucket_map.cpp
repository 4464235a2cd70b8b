#include "router/shard/bucket_map.hpp"

#include <fmt/format.h>

#include "router/shard/hash_bytes.hpp"

#include <algorithm>
#include <bit>
#include <limits>

namespace pgbraid::router {
namespace {

/// An owner that no shard has; so many shards are refused.
constexpr shard_index nobody = std::numeric_limits<shard_index>::max();

bucket_map even_split(std::uint32_t buckets, std::size_t shard_count) {
  bucket_map map;
  map.owner.resize(buckets);
  for (std::uint64_t shard = 0; shard < shard_count; ++shard) {
    const std::uint64_t first = shard * buckets / shard_count, end = (shard + 1) * buckets / shard_count;
    for (std::uint64_t bucket = first; bucket < end; ++bucket) map.owner[bucket] = static_cast<shard_index>(shard);
  }
  return map;
}

/// Runs of equal owners, in ascending order.
template <typename Take>
void for_each_run(const std::vector<shard_index>& owner, Take take) {
  for (std::size_t first = 0, end = 0; first < owner.size(); first = end) {
    while (end < owner.size() && owner[end] == owner[first]) ++end;
    take(owner[first], bucket_range{static_cast<bucket_number>(first), static_cast<bucket_number>(end - 1)});
  }
}

/// Enters one range and reports, once for each other shard, what is already taken.
void take_range(const bucket_range& range, shard_index shard, std::span<const shard_buckets> shards,
                std::vector<shard_index>& owner, std::vector<bucket_problem>& problems) {
  std::vector<shard_index> told;
  for (bucket_number bucket = range.first; bucket <= range.last; ++bucket) {
    shard_index& taken = owner[bucket];
    if (taken == nobody) {
      taken = shard;
    } else if (std::find(told.begin(), told.end(), taken) == told.end()) {
      told.push_back(taken);
      problems.push_back({shard, taken == shard ? fmt::format("bucket {} is listed twice", bucket)
                                                : fmt::format("bucket {} is already owned by shard \"{}\"", bucket,
                                                              shards[taken].name)});
    }
  }
}

}  // namespace

namespace {

/// What holds however the buckets are laid.
void check_counts(std::uint32_t buckets, std::span<const shard_buckets> shards, std::vector<bucket_problem>& problems) {
  if (!std::has_single_bit(buckets) || buckets > most_buckets)
    problems.push_back({std::nullopt, fmt::format("the number of buckets must be a power of two up to {}, not {}",
                                                  most_buckets, buckets)});
  if (shards.empty()) problems.push_back({std::nullopt, "there is no shard"});
  if (shards.size() >= nobody || shards.size() > buckets)
    problems.push_back({std::nullopt, fmt::format("{} shards cannot share {} buckets", shards.size(), buckets)});
}

}  // namespace

bucket_map_result ring_map(std::uint32_t buckets, std::span<const shard_buckets> shards) {
  bucket_map_result result;
  check_counts(buckets, shards, result.problems);
  for (std::size_t i = 0; i < shards.size(); ++i) {
    if (shards[i].ranges.empty()) continue;
    result.problems.push_back({static_cast<shard_index>(i), "consistent_hash lays the buckets itself: list none"});
  }
  if (!result.problems.empty()) return result;
  const auto place = [](const std::string& text) { return hash_bytes_extended(text, 0); };
  std::vector<std::pair<std::uint64_t, shard_index>> ring;
  ring.reserve(shards.size() * ring_points);
  for (std::size_t i = 0; i < shards.size(); ++i) {
    for (unsigned point = 0; point < ring_points; ++point) {
      ring.emplace_back(place(fmt::format("{}#{}", shards[i].name, point)), static_cast<shard_index>(i));
    }
  }
  std::sort(ring.begin(), ring.end());
  result.map.owner.reserve(buckets);
  for (std::uint32_t bucket = 0; bucket < buckets; ++bucket) {
    const auto next = std::lower_bound(ring.begin(), ring.end(), std::pair{place(fmt::format("bucket {}", bucket)), shard_index{0}});
    result.map.owner.push_back(next == ring.end() ? ring.front().second : next->second);
  }
  return result;
}

bucket_map_result build_bucket_map(std::uint32_t buckets, std::span<const shard_buckets> shards) {
  bucket_map_result result;
  auto& problems = result.problems;
  check_counts(buckets, shards, problems);
  if (!problems.empty()) return result;

  if (std::all_of(shards.begin(), shards.end(), [](const auto& shard) { return shard.ranges.empty(); })) {
    result.map = even_split(buckets, shards.size());
    return result;
  }
  std::vector<shard_index> owner(buckets, nobody);
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const auto shard = static_cast<shard_index>(i);
    for (const bucket_range& range : shards[i].ranges) {
      if (range.first > range.last)
        problems.push_back({shard, fmt::format("range {}-{} ends before it begins", range.first, range.last)});
      else if (range.last >= buckets)
        problems.push_back(
            {shard, fmt::format("range {}-{} goes past the last bucket, {}", range.first, range.last, buckets - 1)});
      else
        take_range(range, shard, shards, owner, problems);
    }
  }
  // A range that was refused above leaves a gap that is no mistake of its own.
  if (problems.empty())
    for_each_run(owner, [&](shard_index shard, const bucket_range& range) {
      if (shard != nobody) return;
      const bool single = range.first == range.last;
      problems.push_back(
          {std::nullopt, single ? fmt::format("bucket {} is owned by no shard", range.first)
                                : fmt::format("buckets {}-{} are owned by no shard", range.first, range.last)});
    });
  if (problems.empty()) result.map.owner = std::move(owner);
  return result;
}

std::vector<std::vector<bucket_range>> owned_ranges(const bucket_map& map, std::size_t shard_count) {
  std::vector<std::vector<bucket_range>> ranges(shard_count);
  for_each_run(map.owner, [&](shard_index shard, const bucket_range& range) {
    if (shard < shard_count) ranges[shard].push_back(range);
  });
  return ranges;
}

std::string print_ranges(std::span<const bucket_range> ranges) {
  std::string text;
  for (const bucket_range& range : ranges)
    fmt::format_to(std::back_inserter(text), "{}{}-{}", text.empty() ? "" : ", ", range.first, range.last);
  return text;
}

}  // namespace pgbraid::router
