// Which of a shard's replicas a read goes to: first who may serve it at all, then reads.choose.
#include "proxy/worker/served_database.hpp"
#include "proxy/worker/worker.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pgbraid::proxy {

namespace {

using config::replica_choice;

// Whether a session with this floor may read from the replica.
bool shows_enough(const server_state& server, const read_floor& floor, const server_pool* pool) {
  if (floor.written != steady_time::min() && server.safe_until <= floor.written) return false;
  if (server.replayed < floor.position) return false;
  if (floor.seen_on == nullptr || (pool == floor.seen_on && server.restarts == floor.restarts)) return true;
  return server.safe_until > floor.seen;
}

}  // namespace

// The lower, the sooner it is chosen; of equals the one whose turn it is.
std::uint64_t served_database::rank(router::shard_index shard, std::size_t index, const server_state& server,
                                    std::uint32_t fastest, const std::string& user) {
  switch (environment_.state->config->reads.choose) {
    case replica_choice::random: {
      // The smallest of exponentially distributed times, each with its weight as rate, comes out as often as the weight
      // says.
      const double unit = std::generate_canonical<double, 32>(random_);
      return static_cast<std::uint64_t>(-std::log1p(-unit) / server.weight * 1e12);
    }
    case replica_choice::round_robin:
      return 0;
    case replica_choice::least_outstanding:
      break;
  }
  // Of one that takes n times as long as the fastest each read counts for n, and it has n - 1 less to give to begin
  // with.
  const std::uint64_t slower = server.answer_time / fastest;
  const std::uint64_t reads = pool_of(shard, index, user).in_use();
  return ((reads * slower + slower - 1) << 16) / server.weight;
}

int served_database::choose_replica(const shard_state& shard, router::shard_index index, const read_floor& floor,
                                    const std::string& user, bool& behind) {
  const std::size_t count = shard.servers.size();
  if (credits_.size() <= index) credits_.resize(index + std::size_t{1});
  std::vector<std::int64_t>& credits = credits_[index];
  credits.resize(count);
  const std::string& zone = owner_.options().zone;
  const std::vector<config::server>& listed = environment_.state->config->shards[index].servers;
  const auto is_near = [&](std::size_t i) { return !zone.empty() && i < listed.size() && listed[i].zone == zone; };
  std::uint32_t fastest = std::numeric_limits<std::uint32_t>::max();
  bool near = false;
  candidates_.clear();
  for (std::size_t i = 0; i < count; ++i) {
    const server_state& server = shard.servers[i];
    if (server.role != server_role::replica || !server.usable || server.weight == 0) continue;
    if (!shows_enough(server, floor, floor.seen_on == nullptr ? nullptr : &pool_of(index, i, user))) {
      behind = floor.written != steady_time::max();
      continue;
    }
    candidates_.push_back(i);
    fastest = std::min(fastest, server.answer_time);
    near = near || is_near(i);
  }
  if (candidates_.size() == 1) return static_cast<int>(candidates_.front());
  int best = -1;
  std::uint64_t lowest = 0, weights = 0;
  for (const std::size_t i : candidates_) {
    if (near && !is_near(i)) continue;
    const server_state& server = shard.servers[i];
    const std::uint64_t its = rank(index, i, server, fastest, user);
    // Smooth weighted round robin: everybody earns its weight each time, and who is chosen pays for all.
    credits[i] += server.weight;
    weights += server.weight;
    if (best >= 0 && (its > lowest || (its == lowest && credits[i] <= credits[static_cast<std::size_t>(best)])))
      continue;
    best = static_cast<int>(i);
    lowest = its;
  }
  if (best >= 0) credits[static_cast<std::size_t>(best)] -= static_cast<std::int64_t>(weights);
  return best;
}

}  // namespace pgbraid::proxy
