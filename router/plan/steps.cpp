// Plans of what takes several steps; see steps.hpp.
#include "router/plan/steps.hpp"

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "router/plan/drawing.hpp"
#include "router/plan/merge.hpp"
#include "router/plan/planner.hpp"
#include "router/plan/refusals.hpp"
#include "router/plan/row_moves.hpp"
#include "router/plan/staged.hpp"
#include "router/plan/staged_source.hpp"
#include "router/plan/targets.hpp"
#include "router/plan/writing_with.hpp"
#include "router/shard/value_map.hpp"

namespace pgbraid::router {

using protocol::error_id;
using kind = sql::statement_kind;

namespace {

/// Some shard knows all tables and views, and can tell a client of the statement.
bool has_home(const analysis& a, const topology& map) {
  const auto single = [&](const std::string& name) {
    return map.unsharded.contains(name) || map.schemas.contains(name.substr(0, name.find('.')));
  };
  const auto home = only_home(a);
  return std::none_of(a.uses.begin(), a.uses.end(), [&](const table_use& use) {
    if (use.table.where == placement::unsharded) return use.table.shard != *home;
    if (use.table.where == placement::system) return *home != designated_shard;
    if (use.table.where != placement::spread_view || use.table.described == nullptr) return false;
    const auto& below = use.table.described->view_relations;
    return std::any_of(below.begin(), below.end(), single);
  });
}

/// All rows stand on one shard, and it reads what another one has.
bool one_shard_lacks(const analysis& a, const topology& map) {
  const std::vector<shard_index> shards = owning_shards(map);
  const auto home = only_home(a);
  return shards.size() == 1 && home && *home != shards.front();
}

// It is refused for what it reads or writes of several shards, and may yet be taken apart.
bool means_several(error_id why, const analysis& a, const plan_context& context) {
  return why == error_id::cross_shard_write || (why == error_id::cross_shard_read && has_home(a, *context.map));
}

// UPDATE of the key, whose rows may leave their shards.
void move(const sql::statement& s, std::string_view text, const analysis& a, const plan_context& context, plan& out) {
  auto* keyed = std::get_if<keyed_target>(&out.where);
  const auto* fixed = std::get_if<fixed_target>(&out.where);
  const auto* refused = fixed == nullptr ? nullptr : std::get_if<to_refusal>(&fixed->target);
  if (keyed == nullptr && (refused == nullptr || (refused->error().id != error_id::key_change &&
                                                  !means_several(refused->error().id, a, context))))
    return;
  const auto made = one_shard_lacks(a, *context.map) ? nullptr : make_staged(s, text, a, context);
  if (made == nullptr) {
    std::string why;
    (void)make_row_move(*s.update, text, a, context, why);
    if (keyed == nullptr && refused->error().id != error_id::key_change) return;
    auto error = keyed != nullptr ? keyed->several_refusal : refused->error();
    error.detail = "Its rows would have to move to other shards: " + why + ".";
    if (keyed != nullptr) {
      keyed->several_refusal = std::move(error);
    } else {
      out.where = refusal(std::move(error));
    }
    return;
  }
  out.staged = true;
  out.described_on = only_home(a);
  std::vector<shard_index> shards = owning_shards(*context.map);
  if (keyed != nullptr) {
    keyed->gather = std::move(shards);
    keyed->stays = made->rows == nullptr && made->query == nullptr;
    return;
  }
  out.reason = "rows are taken out where they are and put in where their new keys belong";
  out.where = shards.size() == 1 ? fixed_target{to_shard{shards.front()}} : fixed_target{to_many{std::move(shards)}};
}

// A statement whose WITH writes: every shard does its part, then the rest is answered.
void write_in_with(const sql::statement& s, std::string_view text, const analysis& a, const plan_context& context,
                   plan& out) {
  auto* keyed = std::get_if<keyed_target>(&out.where);
  if (keyed != nullptr) {
    if (keyed->groups.size() == 1 && keyed->groups.front().single()) return;
  } else {
    const auto* refused = std::get_if<to_refusal>(&std::get<fixed_target>(out.where).target);
    if (refused == nullptr || !means_several(refused->error().id, a, context)) return;
  }
  if (one_shard_lacks(a, *context.map) || make_staged(s, text, a, context) == nullptr) return;
  out.staged = true;
  out.described_on = only_home(a);
  std::vector<shard_index> shards = owning_shards(*context.map);
  if (keyed != nullptr) {
    keyed->gather = std::move(shards);
    return;
  }
  out.reason = "every shard carries out its part of WITH, then the rest is answered over its rows";
  out.where = shards.size() == 1 ? fixed_target{to_shard{shards.front()}} : fixed_target{to_many{std::move(shards)}};
}

// Each shard locks its own rows, of a LIMIT no more than that; those that come first are the result. Rows that are not
// told stay locked until the transaction's end.
void lock_in_order(const sql::statement& s, const analysis& a, const plan_context& context, plan& out) {
  auto* keyed = std::get_if<keyed_target>(&out.where);
  const auto* fixed = std::get_if<fixed_target>(&out.where);
  const auto* refused = fixed == nullptr ? nullptr : std::get_if<to_refusal>(&fixed->target);
  const bool several = keyed != nullptr ? !keyed->scatter_allowed && keyed->groups.size() == 1
                                        : refused != nullptr && refused->error().id == error_id::cross_shard_write;
  if (!several) return;
  auto merge = make_merge(s, a, context);
  if (merge == nullptr) return;
  out.merge = std::move(merge);
  if (keyed != nullptr) {
    keyed->scatter_allowed = true;
    return;
  }
  std::vector<shard_index> shards = owning_shards(*context.map);
  out.reason = "every shard locks its rows, which are merged in their order; a write: it locks rows";
  out.where = shards.size() == 1 ? fixed_target{to_shard{shards.front()}} : fixed_target{to_many{std::move(shards)}};
}

}  // namespace

// An INSERT that leaves columns to sequences: they are drawn first, and what comes of it is planned anew.
bool plan_drawing_first(const sql::statement& s, std::string_view text, const analysis& a, const plan_context& context,
                        plan& out) {
  const auto made = make_drawing(s, text, a, context);
  if (!made) return false;
  const std::string numbered = with_any_values(*made);
  sql::token_scan scan;
  sql::scan(numbered, scan);
  const planned then = make_plan(numbered, scan, context);
  const auto* fixed = std::get_if<fixed_target>(&then.plan->where);
  if (then.plan->draws) return false;
  if (fixed != nullptr && std::holds_alternative<to_refusal>(fixed->target)) {
    out.where = *fixed;
    out.reason = then.plan->reason;
    return true;
  }
  out.draws = true;
  out.sequence_memory = false;
  out.described_on = then.plan->described_on;
  if (const auto* gathered = fixed == nullptr ? nullptr : std::get_if<to_gather>(&fixed->target))
    out.described_on = gathered->described_on;
  out.where = fixed_target{to_shard{designated_shard}};
  out.reason = (made->keys ? "its keys are evaluated" : "numbers are drawn") +
               (" on the designated shard; then: " + then.plan->reason);
  return true;
}

namespace {

void plan_steps(const sql::statement& s, std::string_view text, const analysis& a, const plan_context& context,
                plan& out) {
  if (writes_in_with(s)) return write_in_with(s, text, a, context, out);
  if (a.moves) return move(s, text, a, context, out);
  if (a.locking && !a.writes) lock_in_order(s, a, context, out);
  auto* keyed = std::get_if<keyed_target>(&out.where);
  const auto* fixed = std::get_if<fixed_target>(&out.where);
  const bool spreads = keyed != nullptr ? keyed->scatter_allowed || keyed->split_allowed
                                        : std::holds_alternative<to_many>(fixed->target);
  if (spreads) {
    if (a.moments.empty() && a.moment_defaults.empty()) return;
    out.staged = make_staged(s, text, a, context) != nullptr;
    if (out.staged) return;
    const auto error =
        refuse_write(a.moments.empty() ? "the time in a column's default" : "the time in this statement");
    if (keyed == nullptr) {
      out.where = refusal(error);
    } else {
      keyed->scatter_allowed = keyed->split_allowed = false;
      keyed->several_refusal = error;
    }
    return;
  }
  const bool changes = s.kind == kind::insert || s.kind == kind::update || s.kind == kind::delete_ || s.kind == kind::merge;
  if (!changes && !a.locking) return;
  if (keyed == nullptr) {
    const auto* refused = std::get_if<to_refusal>(&fixed->target);
    if (refused == nullptr) return;
    const error_id why = refused->error().id;
    const bool known_later = (why == error_id::key_not_provable && a.key_unknown) ||
                             (why == error_id::reference_write && a.mirrored && has_home(a, *context.map));
    if (!means_several(why, a, context) && !known_later) return;
  } else if (keyed->groups.size() == 1 && keyed->groups.front().single()) {
    return;
  }
  const auto made = one_shard_lacks(a, *context.map) ? nullptr : make_staged(s, text, a, context);
  if (made == nullptr || (made->rows == nullptr && made->query == nullptr && made->shown.empty())) return;
  out.staged = true;
  out.described_on = only_home(a);
  if (a.mirrored) {
    out.reason = "every shard alike, once what it reads is known (" + out.reason + ")";
    out.where = fixed_target{mirror_target(*context.map)};
    return;
  }
  std::vector<shard_index> shards = owning_shards(*context.map);
  if (keyed != nullptr) {
    keyed->gather = std::move(shards);
    return;
  }
  out.reason = s.kind == kind::insert  ? "its rows are selected first and go to their shards"
               : s.kind == kind::merge ? "the rows of its source are fetched first and go to the shards of their keys"
                                       : "all shards, which get the rows that are read (" + out.reason + ")";
  out.where = shards.size() == 1 ? fixed_target{to_shard{shards.front()}} : fixed_target{to_many{std::move(shards)}};
}

}  // namespace

// A write over several shards of which something must be known first.
void plan_in_steps(const sql::statement& s, std::string_view text, const analysis& a, const plan_context& context,
                   plan& out) {
  plan_steps(s, text, a, context, out);
  // Rows that are known only then cannot be looked up one by one.
  const bool known_later = !a.rows_may_split || a.key_unknown || !a.drawn.empty();
  out.whole_directory = out.staged && std::any_of(a.uses.begin(), a.uses.end(), [&](const table_use& use) {
                          const bool placed = use.role == table_role::update
                                                  ? a.moves || a.merge != nullptr
                                                  : use.role == table_role::insert && known_later;
                          return placed && use.values != nullptr && use.values->looks_up();
                        });
}

}  // namespace pgbraid::router
