#include "proxy/worker/primary_wait.hpp"

#include "proxy/worker/worker.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <utility>

namespace pgbraid::proxy {

namespace p = protocol;
using p::error_id;

namespace {

// A statement's place costs something beside its bytes.
constexpr std::size_t bytes_of_place = 256;

}  // namespace

primary_wait::~primary_wait() {
  for (queue& waiting : shards_) {
    while (!waiting.empty()) (void)take(waiting, waiting.begin());
  }
}

bool primary_wait::add(session_ptr who, branch_index branch, router::shard_index shard, steady_time asked,
                       std::size_t bytes, p::error_report& why) {
  const config::failover_options& options = owner_.options().failover;
  const steady_time now = std::chrono::steady_clock::now();
  if (options.hold.count() == 0) return false;
  const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(now - asked);
  if (waited >= options.hold) {
    why.detail =
        fmt::format("The statement has waited for {} ms (failover.hold) and has not been sent.", waited.count());
    return false;
  }
  bytes += bytes_of_place;
  // Its place is taken before it is known to be there: another worker may look for one at the same time.
  const auto held = counts_.statements.fetch_add(1);
  const auto held_bytes = counts_.bytes.fetch_add(bytes);
  if (held >= options.max_held || held_bytes + bytes > options.max_held_bytes) {
    --counts_.statements;
    counts_.bytes -= bytes;
    p::error_report full = p::make_error(error_id::hold_full, why.message);
    full.detail = fmt::format("{} statements of {} bytes wait.", held, held_bytes);
    why = std::move(full);
    return false;
  }
  if (shards_.size() <= shard) shards_.resize(shard + std::size_t{1});
  queue& waiting = shards_[shard];
  const auto before = std::upper_bound(waiting.begin(), waiting.end(), asked,
                                       [](steady_time t, const place& other) { return t < other.asked; });
  waiting.insert(before, {std::move(who), branch, asked, bytes, why});
  return true;
}

primary_wait::place primary_wait::take(queue& from, queue::iterator at) {
  place taken = std::move(*at);
  from.erase(at);
  --counts_.statements;
  counts_.bytes -= taken.bytes;
  return taken;
}

void primary_wait::remove(const session& who, branch_index branch) {
  for (queue& waiting : shards_) {
    const auto found = std::find_if(waiting.begin(), waiting.end(),
                                    [&](const place& w) { return w.who.get() == &who && w.branch == branch; });
    if (found == waiting.end()) continue;
    (void)take(waiting, found);
    return;
  }
}

void primary_wait::release(router::shard_index shard) {
  if (!anybody(shard)) return;
  // Whoever has to wait again joins anew: this ends when those that stand here now have been heard.
  for (std::size_t left = shards_[shard].size(); left > 0 && anybody(shard); --left) {
    const place first = take(shards_[shard], shards_[shard].begin());
    first.who->ask_again(first.branch);
  }
}

void primary_wait::let_go(router::shard_index shard) {
  if (!anybody(shard)) return;
  boost::asio::post(owner_.context(), [this, shard] { release(shard); });
}

void primary_wait::expire(queue& waiting, steady_time oldest) {
  while (!waiting.empty() && waiting.front().asked <= oldest) {
    place late = take(waiting, waiting.begin());
    late.why.detail =
        fmt::format("The statement has waited for {} ms (failover.hold) and has not been sent.",
                    std::chrono::duration_cast<std::chrono::milliseconds>(owner_.options().failover.hold).count());
    late.who->waited_in_vain(late.branch, late.why);
  }
}

void primary_wait::tick(steady_time now, const database_state& state) {
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    if (shards_[i].empty()) continue;
    expire(shards_[i], now - owner_.options().failover.hold);
    if (shards_[i].empty() || i >= state.shards.size()) continue;
    if (state.served && state.shards[i].primary >= 0) {
      const place first = take(shards_[i], shards_[i].begin());
      first.who->ask_again(first.branch);
      continue;
    }
    // Somebody stands and waits: the servers are asked as often as they can be.
    for (std::size_t k = 0; k < state.shards[i].servers.size(); ++k) owner_.server_trouble(state.name, i, k);
  }
}

}  // namespace pgbraid::proxy
