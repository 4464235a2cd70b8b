// The graph of who waits for whom. Who waits for itself through others is found as a strongly connected component, by
// Tarjan's algorithm: unlike the first circle that a search comes upon, it does not depend on where the search begins.
#include "proxy/cluster/deadlock.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

namespace pgbraid::proxy {
namespace {

using process_key = std::pair<router::shard_index, std::int32_t>;

struct edge {
  std::size_t to = 0;
  router::shard_index shard = 0;
};

/// The first nodes are the transactions; each process that is part of none has a node of its own.
class wait_graph {
 public:
  wait_graph(std::span<const blocked_transaction> transactions, std::span<const lock_wait> waits)
      : edges_(transactions.size()) {
    std::map<process_key, std::int64_t> running;
    for (const lock_wait& w : waits) running[{w.shard, w.waits}] = w.xact_start;
    for (std::size_t i = 0; i < transactions.size(); ++i) {
      for (const auto& part : transactions[i].parts) {
        const auto now = running.find({part.shard, part.pid});
        if (now != running.end() && now->second == part.xact_start) nodes_[now->first] = i;
      }
    }
    for (const lock_wait& w : waits) {
      if (w.holds == 0) continue;
      const std::size_t from = node({w.shard, w.waits}), to = node({w.shard, w.holds});
      edges_[from].push_back({to, w.shard});
    }
  }

  [[nodiscard]] std::size_t size() const noexcept { return edges_.size(); }
  [[nodiscard]] const std::vector<edge>& from(std::size_t node) const { return edges_[node]; }

 private:
  std::size_t node(process_key process) {
    const auto [at, fresh] = nodes_.try_emplace(process, edges_.size());
    if (fresh) edges_.emplace_back();
    return at->second;
  }

  std::map<process_key, std::size_t> nodes_;
  std::vector<std::vector<edge>> edges_;
};

class components {
 public:
  explicit components(const wait_graph& graph)
      : graph_{graph}, order_(graph.size()), low_(graph.size()), of_(graph.size(), none) {
    for (std::size_t i = 0; i < graph.size(); ++i) {
      if (order_[i] == 0) visit(i);
    }
  }

  [[nodiscard]] std::size_t of(std::size_t node) const { return of_[node]; }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }

 private:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  void visit(std::size_t node) {
    order_[node] = low_[node] = ++visited_;
    open_.push_back(node);
    for (const edge& e : graph_.from(node)) {
      if (order_[e.to] == 0) {
        visit(e.to);
        low_[node] = std::min(low_[node], low_[e.to]);
      } else if (of_[e.to] == none) {
        low_[node] = std::min(low_[node], order_[e.to]);
      }
    }
    if (low_[node] != order_[node]) return;
    for (std::size_t last = none; last != node; open_.pop_back()) of_[last = open_.back()] = count_;
    ++count_;
  }

  const wait_graph& graph_;
  std::vector<std::size_t> order_, low_, of_, open_;
  std::size_t visited_ = 0, count_ = 0;
};

// A circle within one shard is the server's own business.
std::vector<bool> over_several_shards(const wait_graph& graph, const components& parts) {
  std::vector<std::optional<router::shard_index>> first(parts.count());
  std::vector<bool> several(parts.count());
  for (std::size_t i = 0; i < graph.size(); ++i) {
    const std::size_t part = parts.of(i);
    for (const edge& e : graph.from(i)) {
      if (parts.of(e.to) != part) continue;
      if (!first[part]) first[part] = e.shard;
      if (first[part] != e.shard) several[part] = true;
    }
  }
  return several;
}

bool is_younger(const blocked_transaction& a, const blocked_transaction& b) {
  return std::tie(a.began, a.name) > std::tie(b.began, b.name);
}

}  // namespace

std::string name_of(std::string_view instance, const transaction_key& key) {
  return fmt::format("{}.{}.{}.{}", instance, key.worker, key.session, key.cycle);
}

// A process that had been given to somebody else after it was seen would have begun a transaction since. Only spans of
// time are compared: the clocks are two.
std::vector<blocked_transaction> blocked_of(std::span<const waiting_transaction> waiting,
                                            std::span<const process_sample> samples, std::string_view instance) {
  std::map<process_key, const process_sample*> known;
  for (const process_sample& sample : samples) known[{sample.shard, sample.pid}] = &sample;
  std::vector<blocked_transaction> out;
  for (const waiting_transaction& t : waiting) {
    blocked_transaction now{name_of(instance, t.key), 0, {}};
    bool blocked = false;
    for (const auto& part : t.parts) {
      const auto found = known.find({part.shard, part.pid});
      // Without this part it would pass for younger than it is.
      if (found == known.end() || found->second->age < found->second->answered - t.seen) break;
      const std::int64_t xact_start = found->second->xact_start;
      now.began = now.parts.empty() ? xact_start : std::min(now.began, xact_start);
      now.parts.push_back({part.shard, part.pid, xact_start});
      blocked = blocked || found->second->blocked;
    }
    if (blocked && now.parts.size() == t.parts.size()) out.push_back(std::move(now));
  }
  return out;
}

std::vector<blocked_transaction> with_joined(std::vector<blocked_transaction> ours,
                                             std::span<const blocked_transaction> others) {
  std::map<std::string_view, std::size_t> places;
  for (const blocked_transaction& part : others) {
    const auto [at, fresh] = places.try_emplace(part.name, ours.size());
    if (fresh) {
      ours.push_back(part);
      continue;
    }
    blocked_transaction& whole = ours[at->second];
    whole.began = std::min(whole.began, part.began);
    whole.parts.insert(whole.parts.end(), part.parts.begin(), part.parts.end());
  }
  return ours;
}

deadlock find_deadlock(std::span<const blocked_transaction> transactions, std::span<const lock_wait> waits) {
  const wait_graph graph{transactions, waits};
  const components parts{graph};
  const std::vector<bool> several = over_several_shards(graph, parts);
  const blocked_transaction* victim = nullptr;
  std::size_t found = 0;
  for (std::size_t i = 0; i < transactions.size(); ++i) {
    if (!several[parts.of(i)] || (victim != nullptr && !is_younger(transactions[i], *victim))) continue;
    victim = &transactions[i];
    found = parts.of(i);
  }
  deadlock out;
  if (victim == nullptr) return out;
  out.victim = victim->name;
  for (std::size_t i = 0; i < transactions.size(); ++i) {
    if (parts.of(i) == found) out.members.push_back(transactions[i].name);
  }
  std::sort(out.members.begin(), out.members.end());
  return out;
}

bool waits_for_others(std::span<const blocked_transaction> transactions, std::size_t ours,
                      std::span<const lock_wait> waits) {
  const wait_graph graph{transactions, waits};
  std::vector<bool> seen(graph.size());
  std::vector<std::size_t> open;
  const auto visit = [&](std::size_t node) {
    if (!seen[node]) open.push_back(node);
    seen[node] = true;
  };
  for (std::size_t i = 0; i < ours; ++i) visit(i);
  while (!open.empty()) {
    const std::size_t node = open.back();
    open.pop_back();
    if (node >= ours && node < transactions.size()) return true;
    for (const edge& e : graph.from(node)) visit(e.to);
  }
  return false;
}

}  // namespace pgbraid::proxy
