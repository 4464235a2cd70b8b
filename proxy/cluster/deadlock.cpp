// A depth-first search for a circle; see deadlock.hpp.
#include "proxy/cluster/deadlock.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <map>
#include <utility>

namespace pgbraid::proxy {
namespace {

struct edge {
  std::size_t to = 0;
  const lock_wait* wait = nullptr;
};

class wait_graph {
 public:
  wait_graph(std::span<const waiting_transaction> transactions, std::span<const lock_wait> waits) : count_{transactions.size()} {
    for (std::size_t i = 0; i < transactions.size(); ++i) {
      for (const auto& part : transactions[i].parts) nodes_[{part.shard, part.pid}] = i;
    }
    edges_.resize(count_);
    for (const lock_wait& w : waits) {
      if (w.holds == 0) continue;
      const std::size_t from = node(w.shard, w.waits), to = node(w.shard, w.holds);
      edges_[from].push_back({to, &w});
    }
    seen_.resize(edges_.size());
  }

  /// The waits of a circle over several shards, in its order; empty if there is none.
  [[nodiscard]] std::vector<const lock_wait*> circle() {
    for (std::size_t i = 0; i < count_; ++i) {
      if (seen_[i] == mark::fresh && visit(i)) return found_;
    }
    return {};
  }
  [[nodiscard]] std::size_t waiting(const lock_wait& w) { return node(w.shard, w.waits); }

 private:
  enum class mark : std::uint8_t { fresh, open, done };

  std::size_t node(router::shard_index shard, std::int32_t pid) {
    const auto [at, fresh] = nodes_.try_emplace({shard, pid}, edges_.size());
    if (fresh) edges_.emplace_back();
    return at->second;
  }

  bool visit(std::size_t from) {
    seen_[from] = mark::open;
    for (const edge& e : edges_[from]) {
      path_.push_back({from, e.wait});
      if (seen_[e.to] == mark::open && closes(e.to)) return true;
      if (seen_[e.to] == mark::fresh && visit(e.to)) return true;
      path_.pop_back();
    }
    seen_[from] = mark::done;
    return false;
  }

  /// The path from `to` on is a circle. One within a shard is the server's own business.
  bool closes(std::size_t to) {
    const auto begin = std::find_if(path_.begin(), path_.end(), [to](const auto& step) { return step.first == to; });
    found_.clear();
    for (auto step = begin; step != path_.end(); ++step) found_.push_back(step->second);
    return std::any_of(found_.begin(), found_.end(),
                       [this](const lock_wait* w) { return w->shard != found_.front()->shard; });
  }

  std::size_t count_;
  std::map<std::pair<router::shard_index, std::int32_t>, std::size_t> nodes_;
  std::vector<std::vector<edge>> edges_;
  std::vector<mark> seen_;
  std::vector<std::pair<std::size_t, const lock_wait*>> path_;
  std::vector<const lock_wait*> found_;
};

double began(const waiting_transaction& t, std::span<const lock_wait> waits) {
  double first = std::numeric_limits<double>::max();
  for (const lock_wait& w : waits) {
    const auto is_it = [&w](const waiting_transaction::part& p) { return p.shard == w.shard && p.pid == w.waits; };
    if (std::any_of(t.parts.begin(), t.parts.end(), is_it)) first = std::min(first, w.since);
  }
  return first;
}

}  // namespace

deadlock find_deadlock(std::span<const waiting_transaction> transactions, std::span<const lock_wait> waits) {
  wait_graph graph{transactions, waits};
  deadlock out;
  double youngest = 0;
  for (const lock_wait* w : graph.circle()) {
    const std::size_t at = graph.waiting(*w);
    if (at >= transactions.size()) continue;
    const double since = began(transactions[at], waits);
    if (out.members.empty() || since > youngest) {
      youngest = since;
      out.victim = transactions[at].key;
    }
    out.members.push_back(transactions[at].key);
  }
  return out;
}

}  // namespace pgbraid::proxy
