// A route as one line of text, for logs and `pgbraid route`.
#include <string>

#include "router/plan/route.hpp"

namespace pgbraid::router {
namespace {

std::string name_of(const topology& t, shard_index shard) {
  return shard < t.shards.size() ? t.shards[shard] : "#" + std::to_string(shard);
}

std::string servers(const route& r, const topology& t) {
  if (r.mode == access::write) return " (primary)";
  if (r.needs_primary) return " (primary, a read)";
  switch (t.replicas) {
    case replica_use::off:
      if (r.wants_replica) break;
      return " (primary: replicas are off)";
    case replica_use::require:
      return " (replica required)";
    case replica_use::prefer:
      break;
  }
  return " (replica allowed)";
}

}  // namespace

std::string to_string(const route& r, const topology& t) {
  if (const auto* refusal = std::get_if<to_refusal>(&r.target)) return "refused: " + refusal->error().message;
  if (const auto* one = std::get_if<to_shard>(&r.target)) return "shard " + name_of(t, one->shard) + servers(r, t);
  if (std::holds_alternative<to_any>(r.target)) return "any shard" + servers(r, t);
  std::string out = "shards ";
  const auto* gathered = std::get_if<to_gather>(&r.target);
  const auto& shards = gathered != nullptr ? gathered->shards : std::get<to_many>(r.target).shards;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    if (i > 0) out += ", ";
    out += name_of(t, shards[i]);
  }
  if (gathered != nullptr) return out + (gathered->merged ? " merged in their order" : " gathered") + servers(r, t);
  if (r.mode == access::read) return out + " concatenated" + servers(r, t);
  const bool split = !std::get<to_many>(r.target).rows.empty();
  return out + (split ? ", each with its own rows" : " together") + servers(r, t);
}

}  // namespace pgbraid::router
