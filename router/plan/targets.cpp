// The cascade; see targets.hpp.
#include "router/plan/targets.hpp"

#include <algorithm>
#include <optional>
#include <set>

#include "router/plan/insert_select.hpp"
#include "router/plan/keys.hpp"
#include "router/plan/refusals.hpp"
#include "router/plan/scatter.hpp"
#include "router/plan/sequences.hpp"
#include "router/plan/written_view.hpp"

namespace pgbraid::router {

using protocol::error_id;
using protocol::make_error;

namespace {

chosen_target refused(protocol::error_report error) {
  std::string reason = error.message;
  return {refusal(std::move(error)), std::move(reason)};
}

/// What stands beside the sharded tables.
struct other_tables {
  bool system = false, reference = false;
  std::optional<shard_index> shard;  ///< of the unsharded tables
  bool shards_differ = false;
  std::string name;  ///< an unsharded or system table
};

other_tables others_of(const analysis& a) {
  other_tables out;
  for (const table_use& use : a.uses) {
    switch (use.table.where) {
      case placement::system:
        out.system = true;
        out.name = use.table.full_name;
        break;
      case placement::reference:
        out.reference = true;
        break;
      case placement::unsharded:
        out.shards_differ = out.shards_differ || (out.shard && *out.shard != use.table.shard);
        out.shard = use.table.shard;
        out.name = use.table.full_name;
        break;
      default:
        break;
    }
  }
  return out;
}

/// Rules about functions that hold whatever the tables are.
std::optional<protocol::error_report> judge_functions(const analysis& a, const plan_context& context, bool any_table) {
  const function_facts& f = a.functions;
  if (!f.spread_user_code.empty()) {
    if (context.schema->functions.empty()) return catalog_not_read();
    return make_error(error_id::user_code, f.spread_user_code);
  }
  if (!f.sequence.empty()) {
    const auto home = home_of_sequences(a, context);
    if (!home) {
      return protocol::with_hint(
          refuse_session(f.sequence, "sequences of unsharded tables count on their shards, others on the first one"),
          "Name one sequence, as a constant.");
    }
    const bool beside = std::all_of(a.uses.begin(), a.uses.end(), [&](const table_use& use) {
      return use.table.where == placement::unsharded && use.table.shard == *home;
    });
    if (!beside) {
      return protocol::with_hint(
          refuse_session(f.sequence, "sequences count on one shard, and this reads tables of others"),
          "Call it in a statement of its own, or leave the column to its default.");
    }
  }
  if (f.other_state.empty()) return std::nullopt;
  const bool lock = f.other_state.find("advisory") != std::string::npos;
  // An advisory lock by itself is taken on the designated shard, by everybody.
  if (lock && !any_table) return std::nullopt;
  return refuse_session(f.other_state, lock
                                             ? "over several shards an advisory lock is taken in a statement of its own"
                                             : "it changes the state of one server's session");
}

chosen_target without_sharded(const analysis& a, const other_tables& others, const plan_context& context) {
  if (others.shards_differ || (others.system && others.shard && *others.shard != designated_shard)) {
    return refused(refuse_read("tables of different shards in one statement",
                               "Read the tables one by one, or move them to one shard."));
  }
  if (others.shard) {
    return {fixed_target{to_shard{*others.shard}}, "table \"" + others.name + "\" stands on one shard"};
  }
  if (!a.functions.sequence.empty()) {
    const shard_index home = home_of_sequences(a, context).value_or(designated_shard);
    return {fixed_target{to_shard{home}}, home == designated_shard
                                              ? "the designated shard's sequences are the ones that count"
                                              : "the sequence of an unsharded table counts on its shard"};
  }
  if (others.system || a.functions.designated) {
    return {fixed_target{to_shard{designated_shard}}, "the designated shard answers for the catalog"};
  }
  if (a.functions.notifies) return {fixed_target{to_shard{designated_shard}}, "notified by the designated shard"};
  if (!a.functions.session_state.empty() || a.locking) {
    return {fixed_target{to_shard{designated_shard}}, "locks are taken on the designated shard"};
  }
  return {fixed_target{to_any{}}, others.reference ? "only reference tables" : "no table"};
}

chosen_target all_shards(const topology& map) {
  std::vector<shard_index> owners = owning_shards(map);
  if (owners.size() == 1) return {fixed_target{to_shard{owners.front()}}, "one shard owns every bucket"};
  return {fixed_target{to_many{std::move(owners)}}, "no key: all shards are asked, rows concatenated"};
}

std::string tied_reason(const std::vector<key_group>& groups) {
  std::string out = "tied by ";
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (i > 0) out += ", ";
    out += groups[i].table + "." + groups[i].key;
  }
  return out;
}

/// UPDATE of the key. Where its rows are and where they will be is one shard, it is an ordinary one there.
chosen_target to_new_keys(const analysis& a, std::optional<std::vector<key_group>> groups) {
  const auto written =
      std::find_if(a.uses.begin(), a.uses.end(), [](const table_use& use) { return use.role == table_role::update; });
  const column& key = *written->keys.front().stored;
  protocol::error_report error = make_error(error_id::key_change, written->key_label(), written->table.full_name);
  if (!groups || !a.new_key || written->keys.size() > 1 || !reads_one_way(a, *a.new_key, key.type)) return refused(std::move(error));
  std::string reason = tied_reason(*groups) + ", and by the key's new value";
  keyed_target keyed;
  keyed.groups = std::move(*groups);
  key_group moved{written->table.full_name, key.name, key.type, key.modifier, {*a.new_key}, false, false, {}, {}, {}};
  moved.new_key = true;
  moved.values = written->values;
  keyed.groups.push_back(std::move(moved));
  keyed.several_refusal = std::move(error);
  return {std::move(keyed), std::move(reason)};
}

/// Of a column that is drawn first: see analysis::drawn.
bool left_to_sequence(const analysis& a, const std::string& name) {
  return std::any_of(a.uses.begin(), a.uses.end(), [&](const table_use& use) {
    if (use.role != table_role::insert || use.table.described == nullptr) return false;
    const std::vector<column>& columns = use.table.described->columns;
    return std::any_of(columns.begin(), columns.end(),
                       [&](const column& c) { return c.name == name && !c.draws.empty(); });
  });
}

/// What is told when a statement that must stay on one shard means several.
protocol::error_report several_refusal(const analysis& a, const std::vector<key_group>& groups,
                                       const std::optional<scatter_problem>& problem, bool concatenate,
                                       const std::string& what) {
  if (a.writes || a.locking) {
    return refuse_write(groups.size() > 1 ? "the keys in this statement belong to different shards"
                                          : "the keys of its rows belong to different shards");
  }
  if (groups.size() > 1) {
    return refuse_read("the keys in this statement belong to different shards",
                       "Run one statement for each key, or tie all tables to the same value.");
  }
  if (!concatenate) return refuse_read(what + " over several shards", "Tie the statement to keys of one shard.");
  return refuse_read(problem ? problem->reason : "its keys belong to different shards", problem ? problem->hint : "");
}

}  // namespace

std::vector<shard_index> owning_shards(const topology& map) {
  std::set<shard_index> owners(map.buckets.owner.begin(), map.buckets.owner.end());
  const bool by_value = std::any_of(map.tables.begin(), map.tables.end(), [](const auto& entry) { return entry.second.function != shard_function::hash; });
  if (owners.empty() || by_value) {
    for (std::size_t i = 0; i < map.shards.size(); ++i) owners.insert(static_cast<shard_index>(i));
  }
  return {owners.begin(), owners.end()};
}

to_many mirror_target(const topology& map) {
  to_many all;
  for (std::size_t i = 0; i < map.shards.size(); ++i) all.shards.push_back(static_cast<shard_index>(i));
  all.mirrored = true;
  return all;
}

fixed_target refusal(protocol::error_report error) {
  return {to_refusal{std::move(error)}};
}

chosen_target choose_target(const analysis& a, const plan_context& context, bool concatenate, const std::string& what) {
  if (a.refusal) return refused(*a.refusal);
  if (a.types_differ) return refused(*a.types_differ);
  if (a.not_understood) {
    return refused(refuse_syntax("it contains something that pgbraid does not know (such as XML)"));
  }
  if (a.into) return refused(make_error(error_id::ddl_over_shards, "SELECT INTO"));
  const bool any_table = !a.uses.empty();
  if (auto error = judge_functions(a, context, any_table)) return refused(std::move(*error));
  if (!a.drawn.empty()) {
    const std::string why = left_to_sequence(a, a.drawn.front()) ? "a sequence, which would count on each shard"
                                                                 : "a default that is another value on each shard";
    return refused(protocol::with_hint(refuse_write("column \"" + a.drawn.front() + "\" is left to " + why),
                                       "Insert the rows with INSERT ... VALUES or INSERT ... SELECT in a statement of "
                                       "its own, or give the column a value."));
  }

  if (a.key_unknown) {
    const auto written = std::find_if(a.uses.begin(), a.uses.end(), [](const table_use& use) {
      return use.role == table_role::insert && !use.keys.empty();
    });
    if (written != a.uses.end())
      return refused(make_error(error_id::key_not_provable, written->key_label(), written->table.full_name));
  }
  if (a.mirrored) {
    if (auto error = judge_mirror(a, concatenate)) return refused(std::move(*error));
    return {fixed_target{mirror_target(*context.map)}, "a write to a reference table: done on every shard alike"};
  }
  const other_tables others = others_of(a);
  for (const table_use& use : a.uses) {
    if (use.table.where != placement::spread_view) continue;
    return refused(refuse_read("view \"" + use.table.full_name + "\" reads tables of several shards",
                               "Query the tables below the view, tied to one value of their sharding key."));
  }
  const bool sharded = std::any_of(a.uses.begin(), a.uses.end(),
                                   [](const table_use& use) { return use.table.where == placement::sharded; });
  if (!sharded) return without_sharded(a, others, context);
  if (others.shard || others.system) {
    return refused(refuse_read("table \"" + others.name + "\" stands on one shard and sharded tables on all",
                               "Read them in separate statements, or make the table a reference table."));
  }

  std::size_t free_use = nowhere;
  auto groups = tie_all(a, free_use);
  if (a.moves) return to_new_keys(a, std::move(groups));
  const std::optional<scatter_problem> problem =
      a.insert_source != nullptr ? judge_insert_select(a, context) : judge_scatter(a, context);
  if (groups) {
    keyed_target keyed;
    keyed.scatter_allowed = concatenate && groups->size() == 1 && !problem;
    keyed.split_allowed = a.rows_may_split && concatenate && groups->size() == 1 && groups->front().insert_row &&
                          context.schema->single_writer.empty();
    keyed.several_refusal = several_refusal(a, *groups, problem, concatenate, what);
    std::string reason = tied_reason(*groups);
    keyed.groups = std::move(*groups);
    return {std::move(keyed), std::move(reason)};
  }
  const table_use& use = a.uses[free_use];
  const bool spreads = (a.writes || a.locking) && concatenate && !problem;
  if (a.writes && concatenate && problem && context.schema->single_writer.empty() && problem->reason != "a write") {
    return refused(protocol::with_hint(refuse_write(problem->reason), problem->hint));
  }
  if ((a.writes || a.locking) && !spreads) {
    return refused(refuse_write("\"" + use.table.full_name + "\" is not tied to one value of its sharding key", &use));
  }
  if (problem) return refused(refuse_read(problem->reason, problem->hint));
  if (!concatenate) return refused(refuse_read(what + " over several shards", key_hint(use) + "."));
  return all_shards(*context.map);
}

void list_tables(const analysis& a, plan& out) {
  const auto add = [](std::vector<std::string>& list, const std::string& name) {
    if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
  };
  for (const table_use& use : a.uses) {
    add(use.role == table_role::read ? out.reads : out.writes, use.table.full_name);
    if (use.table.through != nullptr) add(out.writes, use.table.through->table);
  }
}

void list_calls(const analysis& a, plan& out) {
  const auto add = [&](std::string name) {
    if (std::find(out.calls.begin(), out.calls.end(), name) == out.calls.end()) out.calls.push_back(std::move(name));
  };
  const auto add_function = [&](std::string_view name) {
    add(std::string{name.substr(name.rfind('.') + 1)}.append(any_function));
  };
  for (const std::string& function : a.functions.calls) add_function(function);
  for (const table_use& use : a.uses) {
    if (use.table.described == nullptr) continue;
    for (const std::string& function : use.table.described->user_code) add_function(function);
    if (use.role == table_role::read) continue;
    for (const std::string& function : use.table.described->row_code) add_function(function);
  }
  if (!out.calls.empty()) add(std::string{any_function});
  for (const table_use& use : a.uses) {
    if (use.table.described == nullptr) continue;
    for (const std::string& below : use.table.described->view_relations) add(below);
  }
}

void keep_time_of_one_shard(const analysis& a, plan& out) {
  if (a.timed_code.empty()) return;
  protocol::error_report error = refuse_timed(a.timed_code, a.timed_table);
  if (auto* keyed = std::get_if<keyed_target>(&out.where)) {
    keyed->scatter_allowed = keyed->split_allowed = keyed->stays = false;
    keyed->gather.clear();
    keyed->several_refusal = std::move(error);
    return;
  }
  const route_target& target = std::get<fixed_target>(out.where).target;
  if (!std::holds_alternative<to_shard>(target) && !std::holds_alternative<to_refusal>(target))
    out.where = refusal(std::move(error));
}

}  // namespace pgbraid::router
