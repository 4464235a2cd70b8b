// Texts with several statements; see combine.hpp.
#include "router/plan/combine.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "router/plan/refusals.hpp"
#include "router/plan/words.hpp"
#include "router/plan/targets.hpp"

namespace pgbraid::router {
namespace {

bool is_refusal(const plan& p) {
  const auto* fixed = std::get_if<fixed_target>(&p.where);
  return fixed != nullptr && std::holds_alternative<to_refusal>(fixed->target);
}

bool is_plain(session_effect effect) {
  return effect == session_effect::none || effect == session_effect::user_code;
}

/// One effect that stands for all: the only one there is, else `other`.
void combine_effects(const std::vector<plan>& plans, plan& out) {
  const plan* speaker = nullptr;
  bool several = false;
  bool user_code = false;
  for (const plan& p : plans) {
    user_code = user_code || p.effect == session_effect::user_code;
    if (is_plain(p.effect)) continue;
    several = several || speaker != nullptr;
    if (speaker == nullptr) speaker = &p;
  }
  if (speaker == nullptr) {
    out.effect = user_code ? session_effect::user_code : session_effect::none;
    out.tag = plans.front().tag;
    return;
  }
  out.tag = speaker->tag;
  switch (speaker->effect) {
    case session_effect::begin:
    case session_effect::commit:
    case session_effect::rollback:
    case session_effect::savepoint:
    case session_effect::release:
    case session_effect::rollback_to:
    case session_effect::set_transaction:
    case session_effect::two_phase:
      several = true;
      break;
    default:
      break;
  }
  if (several || user_code) {
    out.effect = session_effect::other;
    return;
  }
  out.effect = speaker->effect;
  out.modes = speaker->modes;
  out.variable = speaker->variable;
  out.name = speaker->name;
  out.inner_text = speaker->inner_text;
}

protocol::error_report not_together(std::string_view why) {
  return protocol::with_hint(refuse_session("several statements in one query", why), "Send the statements one by one.");
}

/// Over several shards all statements must mean the same one.
std::variant<fixed_target, keyed_target> combine_targets(std::vector<plan>& plans, bool one_shard) {
  const bool own_setting = std::any_of(plans.begin(), plans.end(), [](const plan& p) { return p.variable.name.starts_with("pgbraid."); });
  if (own_setting) return refusal(not_together("one of them is for pgbraid itself, which the server would not know"));
  if (one_shard) return fixed_target{to_shard{0}};
  for (plan& p : plans) {
    if (is_refusal(p)) return std::move(p.where);
  }
  const auto claims = [](const plan& p) { return p.claims != nullptr; };
  if (std::any_of(plans.begin(), plans.end(), claims))
    return refusal(not_together("one of them has values that must be looked for on all shards first"));
  keyed_target keyed;
  std::optional<shard_index> shard;
  for (plan& p : plans) {
    if (!is_plain(p.effect)) return refusal(not_together("over several shards each of them must be seen by itself"));
    if (auto* k = std::get_if<keyed_target>(&p.where)) {
      for (key_group& group : k->groups) keyed.groups.push_back(std::move(group));
      continue;
    }
    const route_target& target = std::get<fixed_target>(p.where).target;
    if (std::holds_alternative<to_many>(target) || std::holds_alternative<to_gather>(target)) return refusal(not_together("one of them asks several shards"));
    if (const auto* one = std::get_if<to_shard>(&target)) {
      if (shard && *shard != one->shard) return refusal(not_together("they need different shards"));
      shard = one->shard;
    }
  }
  if (keyed.groups.empty()) {
    if (shard) return fixed_target{to_shard{*shard}};
    return fixed_target{to_any{}};
  }
  // Those that stay on one do so by a hint, which holds for all: what is resolved must be that shard.
  if (shard && std::any_of(plans.begin(), plans.end(), [&](const plan& p) { return p.only == shard; })) shard.reset();
  if (shard) return refusal(not_together("some of them stay on one shard and others are tied to a key"));
  keyed.several_refusal = not_together("the keys in them belong to different shards");
  return keyed;
}

template <class Name>
void append_new(std::vector<Name>& list, const std::vector<Name>& more) {
  for (const Name& name : more) {
    if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
  }
}

}  // namespace

plan combine(std::vector<plan> plans, const plan_context& context) {
  const bool one_shard = context.map->one_shard();
  if (plans.empty()) {
    plan out;
    out.mode = access::read;
    out.statement_count = 0;
    out.where = one_shard ? fixed_target{to_shard{0}} : fixed_target{to_any{}};
    out.reason = "no statement";
    return out;
  }
  if (plans.size() == 1) return std::move(plans.front());
  plan out;
  combine_effects(plans, out);
  out.mode = access::read;
  out.reads_more = out.writes_more = out.by_columns = false;
  for (const plan& p : plans) {
    out.reads_more = out.reads_more || p.reads_more;
    out.writes_more = out.writes_more || p.writes_more;
    append_new(out.read_marks, p.read_marks);
    append_new(out.write_marks, p.write_marks);
    if (p.mode == access::write) out.mode = access::write;
    out.needs_primary = out.needs_primary || p.needs_primary;
    out.transaction_dependent = out.transaction_dependent || p.transaction_dependent;
    out.user_code = out.user_code || p.user_code;
    out.last_drawn = out.last_drawn || p.last_drawn;
    out.draws_elsewhere = out.draws_elsewhere || p.draws_elsewhere;
    out.sets_sequences = out.sets_sequences || p.sets_sequences;
    out.listening_channels = out.listening_channels || p.listening_channels;
    if (out.pins.empty()) out.pins = p.pins;
    if (p.only) out.only = p.only;
    out.wants_replica = out.wants_replica || p.wants_replica;
    out.opaque = out.opaque || p.opaque;
    // A setting or a transaction in front of a statement may change what the statement means.
    if (!is_plain(p.effect) && p.effect != session_effect::show) out.mode = access::write;
    append_new(out.reads, p.reads);
    append_new(out.writes, p.writes);
    append_new(out.defines, p.defines);
    out.remakes = out.remakes || p.remakes;
    append_new(out.alters, p.alters);
    append_new(out.calls, p.calls);
    out.alters_all = out.alters_all || p.alters_all;
    out.makes_unique = out.makes_unique || p.makes_unique;
    out.by_columns = out.by_columns || p.by_columns;
  }
  out.statement_count = static_cast<std::uint32_t>(plans.size());
  out.reason = std::to_string(plans.size()) + " statements in one text";
  // The data of COPY come behind the whole text.
  const auto takes_data = [](const plan& p) { return p.effect == session_effect::copy_in; };
  out.one_by_one = !one_shard && std::none_of(plans.begin(), plans.end(), takes_data);
  out.where = combine_targets(plans, one_shard);
  return out;
}

std::string_view prepared_text(std::string_view prepare) {
  // PREPARE name [ (types) ] AS statement: the first AS outside parentheses, quotes and comments is it.
  int depth = 0;
  for (std::size_t i = 0; i < prepare.size();) {
    const std::size_t past = skip_quoted(prepare, i);
    if (past != i) {
      i = past;
      continue;
    }
    if (prepare[i] == '(') ++depth;
    if (prepare[i] == ')') --depth;
    if (!is_word_start(prepare[i])) {
      ++i;
      continue;
    }
    const std::size_t end = end_of_word(prepare, i);
    if (depth == 0 && lower_word(prepare.substr(i, end - i)) == "as") {
      i = end;
      while (i < prepare.size() && is_blank(prepare[i])) ++i;
      return prepare.substr(i);
    }
    i = end;
  }
  return {};
}

}  // namespace pgbraid::router
