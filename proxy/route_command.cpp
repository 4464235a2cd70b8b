#include "proxy/route_command.hpp"

#include "proxy/look.hpp"
#include "proxy/session/routing_context.hpp"
#include "proxy/session/settings.hpp"
#include "router/plan/explain.hpp"
#include "router/plan/planner.hpp"
#include "router/shard/value_map.hpp"
#include "router/sql/parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

namespace pgbraid::proxy {
namespace {

std::string servers_of(const database_state& state, router::shard_index shard, bool replica) {
  const shard_state& known = state.shards[shard];
  const config::shard& named = state.config->shards[shard];
  std::string text;
  for (std::size_t i = 0; i < known.servers.size(); ++i) {
    const bool fits = replica ? known.servers[i].role == server_role::replica && known.servers[i].usable : static_cast<int>(i) == known.primary;
    if (!fits) continue;
    if (!text.empty()) text.append(" or ");
    text.append(fmt::format("{}:{}", named.servers[i].host, named.servers[i].port));
  }
  return text;
}

void print_servers(const database_state& state, const router::route& r) {
  std::vector<router::shard_index> shards;
  if (const auto* one = std::get_if<router::to_shard>(&r.target)) shards = {one->shard};
  if (const auto* many = std::get_if<router::to_many>(&r.target)) shards = many->shards;
  if (std::holds_alternative<router::to_any>(r.target)) {
    for (std::size_t i = 0; i < state.shards.size(); ++i) shards.push_back(static_cast<router::shard_index>(i));
  }
  const bool replica = r.mode == router::access::read && !r.needs_primary && state.map->replicas != router::replica_use::off;
  for (const router::shard_index shard : shards) {
    std::string at = replica ? servers_of(state, shard, true) : std::string{};
    const bool found_replica = !at.empty();
    if (at.empty()) at = servers_of(state, shard, false);
    fmt::print("  shard {}: {}\n", state.map->shards[shard], at.empty() ? "no server is available" : fmt::format("{} ({})", at, found_replica ? "replica" : "primary"));
  }
}

// What EXPLAIN would say of pgbraid's own part.
void print_steps(routing_context& context, const std::string& sql) {
  router::sql::token_scan scan;
  const std::string text = "EXPLAIN " + sql;
  const router::plan_ptr plan = context.cache.get(text, scan, context.context);
  if (plan->explain == nullptr) return;
  for (const std::string& line : plan->explain->steps) fmt::print("  {}\n", line);
}

bool looks_up(const router::plan& plan) {
  const auto* keyed = std::get_if<router::keyed_target>(&plan.where);
  return keyed != nullptr &&
         std::any_of(keyed->groups.begin(), keyed->groups.end(), [](const router::key_group& group) {
           return group.values != nullptr && group.values->looks_up();
         });
}

/// Statements of a text that is carried out one after the other.
std::vector<std::string> statements_of(const std::string& sql) {
  std::vector<std::string> out;
  const router::sql::parse_result parsed = router::sql::parse(sql);
  if (const auto* statements = std::get_if<std::vector<router::sql::statement>>(&parsed)) {
    for (const router::sql::statement& each : *statements)
      out.push_back(sql.substr(static_cast<std::size_t>(each.location), static_cast<std::size_t>(each.length)));
  }
  return out;
}

/// Tells where one text goes. 0, or 1 if it is refused.
int tell_route(routing_context& context, const database_state& state, const std::string& sql) {
  router::sql::token_scan scan;
  const router::plan_ptr plan = context.cache.get(sql, scan, context.context);
  const router::route r = router::resolve(*plan, *state.map, sql, scan.constants, {}, context.literals);
  const auto* refused = std::get_if<router::to_refusal>(&r.target);
  if (refused != nullptr && plan->by_protocol) {
    fmt::print("kept as a prepared statement of the protocol: EXECUTE goes where its arguments belong\n");
    return tell_route(context, state, plan->inner_text);
  }
  if (refused != nullptr && plan->one_by_one) {
    fmt::print("one statement after the other, in one transaction\n");
    int worst = 0;
    for (const std::string& each : statements_of(sql)) {
      fmt::print("{}\n", each);
      worst = std::max(worst, tell_route(context, state, each));
    }
    return worst;
  }
  fmt::print("{}\n", router::to_string(r, *state.map));
  if (!plan->reason.empty()) fmt::print("  because: {}\n", plan->reason);
  if (looks_up(*plan)) {
    fmt::print(
        "  the key's shard is looked up in {}.{} when the statement comes; this is the way where it is not listed\n",
        state.map->directory->schema, state.map->directory->table);
  }
  if (refused != nullptr) {
    fmt::print("  SQLSTATE: {}\n", protocol::row_of(refused->error().id).sqlstate);
    if (!refused->error().detail.empty()) fmt::print("  detail: {}\n", refused->error().detail);
    if (!refused->error().hint.empty()) fmt::print("  hint: {}\n", refused->error().hint);
    return 1;
  }
  const bool several = std::holds_alternative<router::to_many>(r.target) || std::holds_alternative<router::to_gather>(r.target);
  if (several) print_steps(context, sql);
  print_servers(state, r);
  return 0;
}

}  // namespace

int route_command(std::shared_ptr<const config::topology> topology, const route_question& question) {
  std::string problem;
  const database_state_ptr state = look_at_database(topology, question.database, problem);
  if (state == nullptr) {
    fmt::print(stderr, "{}\n", problem);
    return 2;
  }
  const std::string user = question.user.empty() ? usual_user(*topology) : question.user;

  settings_registry settings;
  routing_contexts contexts{topology->limits.max_parse};
  const auto context = contexts.get(user, *settings.none(), state);
  return tell_route(*context, *state, question.sql);
}

}  // namespace pgbraid::proxy
