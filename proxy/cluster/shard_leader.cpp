// What a database_watch makes of Patroni's word on one of its shards: which server it names, who is asked at once, and
// when the primary gets nothing new because a switchover is about to stop it.
#include "proxy/cluster/shard_watch.hpp"

#include <utility>

namespace pgbraid::proxy {

void database_watch::follow_leader(std::size_t index) {
  shard_watch& shard = *shards_[index];
  if (shard.leader->latest()) {
    heard_leader(index, *shard.leader->latest());
  } else {
    shard.roles.take_leader({leader_word::kind::awaited, -1, {}, {}});
  }
  const auto tell = [this, index](const leader_report& report) { heard_leader(index, report); };
  shard.leader->listen(&shard, tell);
}

void database_watch::heard_leader(std::size_t index, const leader_report& report) {
  if (stopped_) return;
  shard_watch& shard = *shards_[index];
  const leader_word word = word_of(database_->shards[index], report);
  const bool other_leader = word.said != shard.roles.leader().said || word.name != shard.roles.leader().name;
  const bool switching = report.switching && word.server >= 0;
  const bool other_switching = std::exchange(shard.switching, switching) != switching;
  roles_taken(shard, shard.roles.take_leader(word) || other_switching);
  if (stopped_ || !shard.roles.leader_in_doubt()) return;
  // The one that is to be primary, until it is; and, on news, whoever was.
  for (std::size_t i = 0; i < shard.probes.size(); ++i) {
    if (other_leader || static_cast<int>(i) == word.server) shard.probes[i]->hurry();
  }
}

}  // namespace pgbraid::proxy
