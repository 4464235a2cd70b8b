#include "proxy/cluster/topology_view.hpp"

#include "router/shard/bucket_map.hpp"
#include "router/shard/hash.hpp"
#include "router/shard/value_map.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace pgbraid::proxy {

namespace {

router::replica_use replicas_of(config::replica_policy policy) {
  switch (policy) {
    case config::replica_policy::require:
      return router::replica_use::require;
    case config::replica_policy::off:
      return router::replica_use::off;
    case config::replica_policy::prefer:
      break;
  }
  return router::replica_use::prefer;
}

router::shard_function function_of(config::shard_function function) {
  switch (function) {
    case config::shard_function::range:
      return router::shard_function::range;
    case config::shard_function::list:
      return router::shard_function::list;
    case config::shard_function::lookup:
      return router::shard_function::lookup;
    default:
      return router::shard_function::hash;
  }
}

/// What `table`, or the tables of a pattern, go by.
router::sharded_table sharding_of(const config::sharding& sharding, const std::string& named,
                                  const std::vector<std::string>& key, std::optional<config::shard_function> own,
                                  const std::vector<std::string>& unique, topology_view& view) {
  using enum config::shard_function;
  const config::shard_function function = own.value_or(sharding.function);
  const router::sharded_table out{key, function_of(function), unique};
  if (function == consistent_hash && sharding.function != consistent_hash)
    view.errors.push_back(
        fmt::format("{}: consistent_hash is a way to lay all buckets: say it of the sharding", named));
  if (out.function != router::shard_function::hash && key.size() > 1)
    view.errors.push_back(fmt::format("{}: a key of several columns goes by buckets and nothing else", named));
  if (function == lookup && !view.map.directory)
    view.errors.push_back(fmt::format("{}: sharding.lookup does not say in which table its key is looked up", named));
  const router::value_rule* rule = view.map.rule_of(out.function);
  if (rule != nullptr && rule->parts.empty() && !rule->others)
    view.errors.push_back(fmt::format("{}: no shard lists {}", named, rule->ranges ? "ranges" : "values"));
  return out;
}

void take_tables(const config::sharding& sharding, topology_view& view) {
  for (const config::sharded_table& table : sharding.tables)
    view.map.tables[qualified(table.name)] =
        sharding_of(sharding, fmt::format("table {}", table.name), table.key, table.function, table.unique, view);
  for (const config::table_pattern& pattern : sharding.patterns) {
    const router::sharded_table found =
        sharding_of(sharding, fmt::format("pattern {}", fmt::join(pattern.tables, ", ")), pattern.key, pattern.function,
                    pattern.unique, view);
    for (const std::string& each : pattern.tables) {
      const std::string name = qualified(each);
      const std::size_t dot = name.find('.');
      view.map.patterns.push_back({name.substr(0, dot), name.substr(dot + 1), found});
    }
  }
}

/// What the shards list of keys' values and of schemas.
void take_values(const config::database& database, const config::sharding& sharding, topology_view& view) {
  router::topology& map = view.map;
  for (std::size_t i = 0; i < database.shards.size(); ++i) {
    const auto shard = static_cast<router::shard_index>(i);
    const config::shard& listed = database.shards[i];
    for (const config::value_range& range : listed.ranges) map.ranges.parts.push_back({shard, range.from, range.to});
    for (const std::string& value : listed.values) map.lists.parts.push_back({shard, value, std::nullopt});
    for (const std::string& schema : listed.schemas) {
      if (map.schemas.emplace(schema, shard).second) continue;
      view.errors.push_back(fmt::format("schema {} is listed for several shards", schema));
    }
    if (listed.name != sharding.default_shard) continue;
    map.ranges.others = map.lists.others = shard;
    if (map.directory) map.directory->others = shard;
  }
}

/// The table in which keys are looked up.
void take_directory(const config::sharding& sharding, topology_view& view) {
  if (!sharding.lookup) return;
  const std::string name = qualified(sharding.lookup->table);
  const std::size_t dot = name.find('.');
  view.map.directory = router::lookup_rule{name.substr(0, dot), name.substr(dot + 1), sharding.lookup->key,
                                           sharding.lookup->shard, std::nullopt};
  const auto same = [&](const std::string& each) { return qualified(each) == name; };
  if (std::none_of(sharding.reference_tables.begin(), sharding.reference_tables.end(), same))
    view.errors.push_back(fmt::format("table {}, in which keys are looked up, is no reference table", name));
}

void take_sharding(const config::sharding& sharding, topology_view& view) {
  router::topology& map = view.map;
  take_tables(sharding, view);
  view.map.usual = function_of(sharding.function);
  for (const std::string& table : sharding.reference_tables) map.reference_tables.insert(qualified(table));
  for (const config::unsharded_table& table : sharding.unsharded) {
    const auto shard = std::find(map.shards.begin(), map.shards.end(), table.shard);
    if (shard == map.shards.end()) {
      view.errors.push_back(fmt::format("unsharded table {} names the unknown shard {}", table.name, table.shard));
      continue;
    }
    map.unsharded[qualified(table.name)] = static_cast<router::shard_index>(shard - map.shards.begin());
  }
  for (const std::string& table : sharding.accept_unenforced) map.accept_unenforced.insert(qualified(table));
  map.shard_local.insert(sharding.shard_local.begin(), sharding.shard_local.end());
}

}  // namespace

std::string qualified(std::string_view table) {
  return table.find('.') == std::string_view::npos ? fmt::format("public.{}", table) : std::string{table};
}

topology_view view_of(const config::database& database, std::string_view name) {
  topology_view view;
  view.map.database = name;
  std::vector<router::shard_buckets> shards;
  for (const config::shard& shard : database.shards) {
    view.map.shards.push_back(shard.name);
    router::shard_buckets& entry = shards.emplace_back();
    entry.name = shard.name;
    for (const config::bucket_range& range : shard.buckets) entry.ranges.push_back({range.first, range.last});
  }
  if (database.shards.empty()) view.errors.push_back("the database has no shards");
  const config::sharding plain;
  const config::sharding& sharding = database.sharding ? *database.sharding : plain;
  const bool ring = sharding.function == config::shard_function::consistent_hash;
  router::bucket_map_result buckets = ring ? router::ring_map(sharding.buckets, shards) : router::build_bucket_map(sharding.buckets, shards);
  for (const router::bucket_problem& problem : buckets.problems) view.errors.push_back(problem.message);
  view.map.buckets = std::move(buckets.map);
  take_directory(sharding, view);
  take_values(database, sharding, view);
  take_sharding(sharding, view);
  view.map.treat_as_read.insert(database.reads.treat_as_read.begin(), database.reads.treat_as_read.end());
  view.map.treat_as_write.insert(database.reads.treat_as_write.begin(), database.reads.treat_as_write.end());
  view.map.replicas = replicas_of(database.reads.replicas);
  view.map.consistent = view.map.shards.size() > 1 && database.reads.snapshot == config::read_snapshot::consistent;
  return view;
}

shard_options options_of(const config::database& database, std::string_view name, const config::shard& shard) {
  shard_options options;
  options.name = fmt::format("{}/{}", name, shard.name);
  for (const config::server& server : shard.servers) {
    options.servers.push_back({fmt::format("{}:{}", server.host, server.port), server.weight});
  }
  options.max_lag_bytes = database.reads.max_lag.bytes;
  options.max_lag_time = database.reads.max_lag.time;
  return options;
}

void take_out_drained(const config::shard& listed, shard_state& state) {
  for (std::size_t i = 0; i < state.servers.size() && i < listed.servers.size(); ++i) {
    if (!listed.servers[i].drain) continue;
    server_state& server = state.servers[i];
    server.drained = true;
    if (server.usable) server.reason = "it is being drained";
    server.usable = false;
    if (state.primary == static_cast<int>(i)) state.primary = -1;
  }
}

namespace {

const router::column* column_of(const router::catalog& schema, const std::string& table, const std::string& name) {
  const auto entry = schema.relations.find(table);
  if (entry == schema.relations.end()) return nullptr;
  const std::vector<router::column>& columns = entry->second.columns;
  const auto found =
      std::find_if(columns.begin(), columns.end(), [&](const router::column& c) { return c.name == name; });
  return found == columns.end() ? nullptr : &*found;
}

/// Why the listed values or ranges cannot be those of this key; "" if they can.
std::string problem_of_values(const router::topology& map, const router::catalog& schema,
                              const router::sharded_table& table, const router::column& key) {
  std::string problem;
  (void)router::values_of(map, table, key, problem);
  if (!problem.empty() || table.function != router::shard_function::lookup) return problem;
  const router::column* listed =
      column_of(schema, map.directory->schema + "." + map.directory->table, map.directory->key);
  if (listed != nullptr && !(router::ties_key(listed->type, key.type) && router::ties_key(key.type, listed->type)))
    return "it has another type than the one that it is looked up by";
  return {};
}

/// What is wrong with the table in which keys are looked up.
std::vector<std::string> problems_of_directory(const router::topology& map, const router::catalog& schema) {
  std::vector<std::string> found;
  if (!map.directory) return found;
  const router::lookup_rule& rule = *map.directory;
  const std::string name = rule.schema + "." + rule.table;
  const auto entry = schema.relations.find(name);
  if (entry == schema.relations.end()) return found;
  for (const std::string& wanted : {rule.key, rule.shard}) {
    const router::column* c = column_of(schema, name, wanted);
    if (c == nullptr) {
      found.push_back(fmt::format("table {} has no column \"{}\" to look keys up", name, wanted));
    } else if (wanted == rule.shard && c->type != router::type_oid::text && c->type != router::type_oid::varchar) {
      found.push_back(fmt::format("column \"{}\" of {} names shards and is no text", wanted, name));
    }
  }
  if (entry->second.kind != 'r' && entry->second.kind != 'p')
    found.push_back(fmt::format("{}, in which keys are looked up, is no table", name));
  if (entry->second.row_security)
    found.push_back(fmt::format("{} shows each user other rows: keys cannot be looked up in it", name));
  if (const router::column* c = column_of(schema, name, rule.key); c != nullptr && !c->deterministic)
    found.push_back(fmt::format("column \"{}\" of {} has a nondeterministic collation", rule.key, name));
  const std::vector<std::string> key{rule.key};
  const auto& unique = entry->second.unique_keys;
  if (entry->second.primary_key != key && std::find(unique.begin(), unique.end(), key) == unique.end())
    found.push_back(fmt::format("column \"{}\" of {} is not unique: a key could have several shards", rule.key, name));
  return found;
}

}  // namespace

void take_out_switching(shard_state& state) {
  if (state.primary < 0) return;
  server_state& server = state.servers[static_cast<std::size_t>(state.primary)];
  server.drained = true;
  if (server.usable) server.reason = "a switchover is about to stop it";
  server.usable = false;
  state.primary = -1;
}

leader_word word_of(const config::shard& listed, const leader_report& report) {
  using kind = leader_word::kind;
  const leader_record& record = report.record;
  if (!report.reached) return {kind::unreachable, -1, {}, report.as_of};
  if (record.name.empty()) return {record.paused ? kind::unreachable : kind::vacant, -1, {}, report.as_of};
  for (std::size_t i = 0; i < listed.servers.size(); ++i) {
    const config::server& server = listed.servers[i];
    const bool same = server.member.empty() ? server.host == record.host && server.port == record.port
                                            : server.member == record.name;
    if (same) {
      return {kind::named, static_cast<int>(i),
              fmt::format("{} ({}:{})", harmless(record.name), server.host, server.port), report.as_of};
    }
  }
  return {kind::named, -1,
          fmt::format("{} ({}:{}), none of the servers listed, unless one is its `member`", harmless(record.name),
                      harmless(record.host), record.port),
          report.as_of};
}

std::vector<std::string> problems_of_table(const router::topology& map, const router::catalog& schema,
                                           const std::string& name, const router::sharded_table& table) {
  std::vector<std::string> found;
  const auto entry = schema.relations.find(name);
  if (entry == schema.relations.end()) return found;
  const router::relation& relation = entry->second;
  if (relation.kind != 'r' && relation.kind != 'p')
    return {fmt::format("{} is listed as a sharded table but is none", name)};
  for (const std::string& part : table.key) {
    const auto key = std::find_if(relation.columns.begin(), relation.columns.end(),
                                  [&](const router::column& c) { return c.name == part; });
    if (key == relation.columns.end()) {
      found.push_back(fmt::format("sharded table {} has no column \"{}\" to be its key", name, part));
    } else if (!router::hashable_key_type(key->type)) {
      found.push_back(fmt::format("the key \"{}\" of {} has a type that cannot be a sharding key", part, name));
    } else if (const std::string problem = problem_of_values(map, schema, table, *key); !problem.empty()) {
      found.push_back(fmt::format("the key \"{}\" of {}: {}", part, name, problem));
    } else if (!key->deterministic) {
      found.push_back(fmt::format("the key \"{}\" of {} has a nondeterministic collation", part, name));
    }
  }
  return found;
}

std::vector<std::string> contradictions(const router::topology& map, const router::catalog& schema) {
  if (map.one_shard()) return {};
  std::vector<std::string> found = problems_of_directory(map, schema);
  for (const auto& [name, table] : map.tables) {
    std::vector<std::string> problems = problems_of_table(map, schema, name, table);
    found.insert(found.end(), std::make_move_iterator(problems.begin()), std::make_move_iterator(problems.end()));
  }
  return found;
}

}  // namespace pgbraid::proxy
