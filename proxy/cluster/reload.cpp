#include "proxy/cluster/reload.hpp"

#include "proxy/cluster/topology_view.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace {

bool same_server(const config::server& a, const config::server& b) {
  return a.host == b.host && a.port == b.port && a.dbname == b.dbname;
}

bool same_servers(const config::database& a, const config::database& b) {
  return std::equal(a.shards.begin(), a.shards.end(), b.shards.begin(), b.shards.end(),
                    [](const config::shard& x, const config::shard& y) {
                      return x.name == y.name && std::equal(x.servers.begin(), x.servers.end(), y.servers.begin(),
                                                            y.servers.end(), same_server);
                    });
}

// A server that was there before stands in the same shard as before: no shard has come to hold other rows.
bool same_homes(const config::database& before, const config::database& after) {
  if (before.shards.size() != after.shards.size()) return false;
  for (std::size_t i = 0; i < after.shards.size(); ++i) {
    if (before.shards[i].name != after.shards[i].name) return false;
    const auto& olds = before.shards[i].servers;
    const bool kept =
        std::any_of(after.shards[i].servers.begin(), after.shards[i].servers.end(), [&](const config::server& s) {
          return std::any_of(olds.begin(), olds.end(), [&](const config::server& old) { return same_server(s, old); });
        });
    if (!kept) return false;
  }
  return true;
}

bool same_judgement(const config::database& a, const config::database& b) {
  const auto& x = a.reads.max_lag;
  const auto& y = b.reads.max_lag;
  if (x.bytes != y.bytes || x.time != y.time) return false;
  for (std::size_t i = 0; i < a.shards.size(); ++i) {
    if (a.shards[i].discovery != b.shards[i].discovery) return false;
    for (std::size_t s = 0; s < a.shards[i].servers.size(); ++s) {
      const config::server &before = a.shards[i].servers[s], &after = b.shards[i].servers[s];
      if (before.weight != after.weight || before.tls != after.tls || before.member != after.member) return false;
    }
  }
  return true;
}

}  // namespace

reload_care care_of(const config::database& before, const config::database& after, std::string_view name) {
  const router::topology a = view_of(before, name).map, b = view_of(after, name).map;
  const bool check = !after.sharding || after.sharding->check_placement;
  if (a == b && same_servers(before, after) && same_judgement(before, after)) return reload_care::unchanged;
  if (!check || b.one_shard()) return reload_care::gentle;
  const bool values_moved = a.ranges != b.ranges || a.lists != b.lists;
  if (a.buckets != b.buckets || values_moved || a.shards != b.shards || !same_homes(before, after)) return reload_care::whole;
  if (a.tables != b.tables || a.patterns != b.patterns) return reload_care::sample;
  return reload_care::gentle;
}

std::chrono::milliseconds patience(reload_care care, std::chrono::milliseconds timeout) {
  switch (care) {
    case reload_care::whole:
      return std::chrono::hours(1);
    case reload_care::sample:
      return std::chrono::minutes(5);
    default:
      return timeout * 3;
  }
}

const config::database* named_database(const config::topology& topology, std::string_view name) {
  const auto found = std::find_if(topology.databases.begin(), topology.databases.end(),
                                  [&](const config::database& d) { return d.name == name; });
  return found == topology.databases.end() ? nullptr : &*found;
}

}  // namespace pgbraid::proxy
