#include "router/plan/statement_planner.hpp"

#include <algorithm>
#include <utility>

#include "router/plan/analysis.hpp"
#include "router/plan/claims.hpp"
#include "router/plan/columns.hpp"
#include "router/plan/copies.hpp"
#include "router/plan/copy_locks.hpp"
#include "router/plan/definitions.hpp"
#include "router/plan/explain.hpp"
#include "router/plan/gather_text.hpp"
#include "router/plan/hints.hpp"
#include "router/plan/merge.hpp"
#include "router/plan/planner.hpp"
#include "router/plan/prepare_target.hpp"
#include "router/plan/refusals.hpp"
#include "router/plan/reliance.hpp"
#include "router/plan/sequences.hpp"
#include "router/plan/set_config.hpp"
#include "router/plan/staged.hpp"
#include "router/plan/staged_source.hpp"
#include "router/plan/statements.hpp"
#include "router/plan/steps.hpp"
#include "router/plan/table_marks.hpp"
#include "router/plan/targets.hpp"
#include "router/plan/upkeep.hpp"
#include "router/plan/writing_with.hpp"
#include "router/shard/value_map.hpp"

namespace pgbraid::router {

using protocol::error_id;
using protocol::make_error;
using kind = sql::statement_kind;

namespace {

/// Why a statement must be taken for a write, "" if it is proved to be a read.
std::string write_reason(const analysis& a) {
  if (a.not_understood) return "it contains something that pgbraid does not know";
  if (a.writes) return "it writes";
  if (a.locking) return "it locks rows";
  if (a.into) return "it creates a table";
  if (!a.relation_write.empty()) return a.relation_write;
  return a.functions.write;
}

bool refused_for(const plan& p, error_id why) {
  const auto* fixed = std::get_if<fixed_target>(&p.where);
  const auto* refused = fixed == nullptr ? nullptr : std::get_if<to_refusal>(&fixed->target);
  return refused != nullptr && refused->error().id == why;
}

/// Plans one statement of a text.
class statement_planner {
 public:
  /// `alone`: the statement is all there is in the text.
  statement_planner(const plan_context& context, constant_marks& marks, std::string_view text, bool alone,
                    const hint_or_error& hint)
      : context_(context), marks_(marks), text_(text), alone_(alone), hint_(hint), hints_(hint_, context) {}

  plan make(const sql::statement& s) {
    plan out;
    why_write_.clear();
    unlogged_ = false;
    statement_ = &s;
    out.effect = effect_of(s);
    out.tag = tag_of(s);
    out.name = s.name;
    out.modes = s.modes;
    out.variable = s.variable;
    switch (s.kind) {
      case kind::select:
      case kind::insert:
      case kind::update:
      case kind::delete_:
      case kind::merge:
        query(s, true, false, tag_of(s), out);
        if (alone_ && !one_shard() && s.kind == kind::select) configure(s, out);
        break;
      case kind::copy:
        copy(s, out);
        break;
      case kind::explain:
        explain(s, out);
        break;
      case kind::declare_cursor:
        cursor(s, out);
        break;
      default:
        other(s, out);
        break;
    }
    hints_.choose_server(s, why_write_, unlogged_, out);
    out.by_columns = stays_by_columns(out);
    return out;
  }

 private:
  /// Of a write.
  static bool returns_rows(const sql::statement& s) {
    if (s.insert != nullptr) return !s.insert->returning.empty();
    if (s.update != nullptr) return !s.update->returning.empty();
    if (s.delete_ != nullptr) return !s.delete_->returning.empty();
    return s.merge == nullptr;
  }

  [[nodiscard]] bool one_shard() const { return context_.map->one_shard(); }

  /// `may_be_binary`: in a way that only the server sees.
  void query(const sql::statement& s, bool concatenate, bool may_be_binary, const std::string& what, plan& out) {
    analysis a;
    analyze(s, context_, marks_, a);
    if (may_be_binary && !a.types_differ) a.types_differ = a.types_renumbered;
    finish(a, concatenate, what, out);
    out.by_columns = names_by_columns(s, a);
    if (a.types_renumbered && !gives_columns_alone(s, a, *context_.schema))
      out.no_binary = std::make_shared<const protocol::error_report>(*a.types_renumbered);
    if (a.written_types_differ && returns_rows(s))
      out.no_binary = std::make_shared<const protocol::error_report>(*a.written_types_differ);
    if (one_shard()) return;
    if (hints_.names_shard()) {
      if (may_claim(a)) return refuse_claims(a, "a hint names the shard", out);
      return hints_.confine_query(s, a, out);
    }
    by_kind(s, a, concatenate, out);
    claim(a, out);
    keep_time_of_one_shard(a, out);
    const auto* fixed = std::get_if<fixed_target>(&out.where);
    if (alone_ && &s == statement_ && (fixed == nullptr || std::holds_alternative<to_shard>(fixed->target)))
      out.timed = make_timed(s, text_, a, context_) != nullptr;
  }

  /// Rows may get values that must be claimed, known ones or others.
  static bool may_claim(const analysis& a) { return a.claims != nullptr || a.claiming_writes > a.claims_known; }

  static void refuse_claims(const analysis& a, std::string_view why, plan& out) {
    out.where = refusal(refuse_claim(a.claimed_column, a.claimed_table, why));
  }

  /// What is drawn first is planned anew with its numbers.
  void claim(const analysis& a, plan& out) const {
    // Whatever way has been found around what keeps it from one shard.
    const std::string& unable = context_.schema->no_claims;
    if (a.claiming_writes > a.claims_known || (a.claiming_writes > 0 && !unable.empty())) {
      out.staged = out.draws = false;
      return refuse_claims(a, unable.empty() ? claims_not_known : std::string_view{unable}, out);
    }
    const auto* fixed = std::get_if<fixed_target>(&out.where);
    if (a.claims == nullptr || out.draws || (fixed != nullptr && std::holds_alternative<to_refusal>(fixed->target)))
      return;
    if (fixed != nullptr) {
      return refuse_claims(a, "its rows are not tied to keys that are known beforehand", out);
    }
    for (claimed_values& each : a.claims->columns) {
      for (key_source& source : each.rows) {
        const bool parameter = source.from == key_source::origin::parameter;
        source.shared = parameter && source.index < a.parameter_uses.size() && a.parameter_uses[source.index] > 1;
      }
    }
    out.claims = a.claims;
    out.reason += "; values that are unique over all shards are claimed first";
  }

  /// What becomes of a query that several shards may take part in.
  void by_kind(const sql::statement& s, const analysis& a, bool concatenate, plan& out) {
    const bool whole_text = concatenate && alone_ && &s == statement_;
    const bool inserts = whole_text && s.kind == kind::insert;
    const bool draws = !a.drawn.empty() || !a.draws.empty();
    if (draws && (inserts || (whole_text && writes_in_with(s))) && plan_drawing_first(s, text_, a, context_, out))
      return;
    if ((a.writes || a.locking) && concatenate && &s == statement_) {
      plan_in_steps(s, text_, a, context_, out);
      const error_id later = a.mirrored ? error_id::reference_write : error_id::key_not_provable;
      if (inserts && (a.mirrored || a.key_unknown) && !draws && !out.staged && refused_for(out, later))
        (void)plan_drawing_first(s, text_, a, context_, out);
      return;
    }
    if (const auto whole = query_of(*statement_, text_)) gather_instead(*whole, a, out);
  }

  /// What cannot be put together from the shards' answers is answered over their rows, where that can be done.
  void gather_instead(const gather_query& query, const analysis& a, plan& out) {
    auto* keyed = std::get_if<keyed_target>(&out.where);
    if (keyed != nullptr) {
      const bool several = keyed->groups.size() > 1 || !keyed->groups.front().single();
      if (keyed->scatter_allowed || !several) return;
    } else {
      const auto* refused = std::get_if<to_refusal>(&std::get<fixed_target>(out.where).target);
      if (refused == nullptr) return;
      const error_id why = refused->error().id;
      if (why != error_id::cross_shard_read && why != error_id::types_differ) return;
    }
    const auto made = make_gather(query, a, context_);
    if (made == nullptr || !takes_part(made->combiner, context_)) return;
    std::vector<shard_index> shards = owning_shards(*context_.map);
    if (query.begin == 0 && !query.literals) out.merge = make_merge(*query.statement, a, context_);
    if (keyed != nullptr) {
      keyed->gather = std::move(shards);
      return;
    }
    out.reason =
        (out.merge != nullptr ? "sorted rows of all shards are merged (" : "rows of all shards are gathered (") +
        out.reason + ")";
    out.where =
        fixed_target{to_gather{std::move(shards), made->combiner.value_or(designated_shard), out.merge != nullptr}};
  }

  void finish(const analysis& a, bool concatenate, const std::string& what, plan& out) {
    const std::string why = write_reason(a);
    why_write_ = why;
    unlogged_ = a.relation_needs_primary;
    out.mode = why.empty() ? access::read : access::write;
    out.needs_primary = a.relation_needs_primary || a.functions.needs_primary;
    out.transaction_dependent = a.functions.transaction_dependent;
    const bool leaves_state = !a.functions.user_code.empty() || !a.functions.session_state.empty();
    out.user_code = leaves_state;
    out.pins = a.functions.pins;
    out.sequence_memory = a.functions.sequence_memory;
    out.last_drawn = a.functions.last_drawn;
    out.sets_sequences = a.functions.sets_sequence;
    out.draws_elsewhere = draws_elsewhere(a, context_);
    out.listening_channels = a.functions.listening_channels;
    if (leaves_state && out.effect == session_effect::none) out.effect = session_effect::user_code;
    if (a.functions.notifies && out.effect == session_effect::none) out.effect = session_effect::notify;
    list_tables(a, out);
    list_calls(a, out);
    mark_tables(a, context_, out);
    if (one_shard()) {
      out.where = fixed_target{to_shard{0}};
      out.reason = "one shard";
    } else {
      chosen_target chosen = choose_target(a, context_, concatenate, what);
      out.where = std::move(chosen.where);
      out.reason = std::move(chosen.reason);
      out.copy_locks = locks_of_copies(a, context_);
    }
    if (a.functions.own_setting) {
      out.where =
          refusal(protocol::with_hint(refuse_session("set_config() of a setting of pgbraid", "no server knows it"),
                                      "Use SET, in a statement of its own."));
    }
    out.reason += why.empty() ? "; a read" : "; a write: " + why;
    if (out.mode == access::read && out.needs_primary) out.reason += " that only a primary can answer";
  }

  /// set_config() is the session's business, as SET is. What is told of settings of pgbraid's own stands.
  void configure(const sql::statement& s, plan& out) {
    auto calls = config_calls(s, context_, marks_);
    if (!calls || calls_own_setting(*calls)) return;
    out.configures = std::move(*calls);
    out.effect = session_effect::set_config;
    out.mode = access::read;
    out.needs_primary = true;
    out.transaction_dependent = out.user_code = out.reads_more = out.writes_more = false;
    out.pins.clear();
    out.where = fixed_target{to_any{}};
    out.reason = "carried out by the session: set_config()";
    why_write_.clear();
  }

  static bool calls_own_setting(const std::vector<config_call>& calls) {
    return std::any_of(calls.begin(), calls.end(),
                       [](const config_call& c) { return c.name.text.starts_with("pgbraid."); });
  }

  void copy(const sql::statement& s, plan& out) {
    if (s.copy == nullptr) return other(s, out);
    const sql::copy_statement& c = *s.copy;
    const bool to_client = !c.from && !c.program && c.file.empty();
    if (c.query != nullptr) {
      std::string unknown;
      const auto format = read_copy_format(c.options, unknown);
      query(*c.query, false, !format || format->form == copy_format::kind::binary, "COPY", out);
    } else {
      copy_table(s, out);
    }
    if (!to_client) out.mode = access::write;
    out.writes_more = out.writes_more || !s.arguments.empty();
    // A file or a program belongs to one server's machine.
    const bool server_side = c.program || !c.file.empty();
    if (server_side && !one_shard()) {
      out.where = refusal(refuse_session("COPY with a file or program", "it would run on one server only"));
    }
  }

  void copy_table(const sql::statement& s, plan& out) {
    const sql::copy_statement& c = *s.copy;
    analysis a;
    a.not_understood = s.unparsable_parts;
    const std::size_t use = analyze_table(c.table, c.from ? table_role::insert : table_role::read, context_, a);
    const placement where = a.uses[use].table.where;
    const std::string name = a.uses[use].table.full_name;
    bool everywhere = false;
    if (!one_shard() && c.from && where == placement::sharded) {
      out.copy = copy_into_shards(s, a.uses[use], context_, a);
      if (!a.timed_code.empty()) a.refuse(refuse_timed(a.timed_code, name));
    } else if (!one_shard() && c.from && where == placement::reference) {
      everywhere = copy_into_all(s, a.uses[use], context_, a, out.copy);
      if (everywhere) out.timed_data = format_with_times(c, *a.uses[use].table.described);
    } else if (!one_shard() && where == placement::sharded) {
      std::string tied;
      for (const key_column& each : a.uses[use].keys) tied += (tied.empty() ? "" : " AND ") + each.name + " = ...";
      a.refuse(refuse_read("COPY TO from sharded table \"" + name + "\"",
                           "Use COPY (SELECT ... WHERE " + tied + ") TO STDOUT."));
    }
    if (!one_shard() && !s.arguments.empty()) {
      a.refuse(refuse_session("COPY FROM ... WHERE", "its condition is not looked into over several shards"));
    }
    finish(a, false, "COPY", out);
    out.by_columns = c.columns.empty();
    out.whole_directory = out.copy != nullptr && out.copy->values != nullptr && out.copy->values->looks_up();
    if (hints_.names_shard()) {
      const bool spreads = c.from && where == placement::sharded;
      return spreads ? refuse_hinted_copy(name, out) : hints_.confine_query(s, a, out);
    }
    if (out.copy != nullptr && !everywhere) return spread_rows(out);
    if (everywhere && !a.refusal) {
      out.where = fixed_target{mirror_target(*context_.map)};
      out.reason = "a write to a reference table: done on every shard alike";
      return;
    }
    if (one_shard() || c.from || where != placement::sharded || plan_gather(text_, context_) == nullptr) return;
    out.where = fixed_target{to_gather{owning_shards(*context_.map), designated_shard}};
    out.reason = "rows of all shards are gathered (COPY of a sharded table)";
  }

  /// Its rows are seen one by one, when the statement has long been under way.
  static void refuse_hinted_copy(const std::string& table, plan& out) {
    out.copy.reset();
    out.where =
        refusal(protocol::with_hint(make_error(error_id::hint_invalid, "COPY into sharded table \"" + table +
                                                                           "\" puts each row where its key says"),
                                    "Leave the hint out."));
  }

  /// COPY FROM with each row on its own shard.
  void spread_rows(plan& out) {
    std::vector<shard_index> owners = owning_shards(*context_.map);
    // Its sequences are the ones that count.
    const bool draws = !out.copy->numbered.empty();
    if (draws && std::find(owners.begin(), owners.end(), designated_shard) == owners.end())
      owners.insert(owners.begin(), designated_shard);
    out.reason = "each row goes to its own shard";
    if (owners.size() > 1) {
      out.where = fixed_target{to_many{std::move(owners)}};
    } else {
      out.where = fixed_target{to_shard{owners.front()}};
      out.copy.reset();
    }
  }

  void explain(const sql::statement& s, plan& out) {
    const bool plain = s.inner != nullptr && (s.inner->kind == kind::select || s.inner->kind == kind::insert ||
                                              s.inner->kind == kind::update || s.inner->kind == kind::delete_ ||
                                              s.inner->kind == kind::merge);
    if (!plain) {
      const bool execute = s.inner != nullptr && s.inner->kind == kind::execute;
      out.user_code = execute;
      if (execute && !one_shard()) out.name = s.inner->name;
      out.where = one_shard() || execute
                      ? fixed_target{to_shard{designated_shard}}
                      : refusal(refuse_session("EXPLAIN of this command", "it depends on one server"));
      out.reason = "EXPLAIN of a command that is no query";
      return;
    }
    analysis a;
    analyze(*s.inner, context_, marks_, a);
    finish(a, true, "EXPLAIN", out);
    if (may_claim(a) && s.explain_analyze) return refuse_claims(a, "EXPLAIN ANALYZE would carry it out", out);
    if (hints_.names_shard()) {
      hints_.confine_query(*s.inner, a, out);
    } else if (!one_shard()) {
      const auto whole = query_of(s, text_);
      if (whole) gather_instead(*whole, a, out);
      keep_time_of_one_shard(a, out);
      explain_shards(s, text_, whole, a, context_, out);
    }
    // Without ANALYZE nothing runs: only what the planner itself could not open keeps it from a replica.
    const bool opens = a.relation_write.empty() && !a.not_understood && !a.into;
    const bool known = std::all_of(a.uses.begin(), a.uses.end(), [](const table_use& use) {
      return use.table.described != nullptr || use.table.where == placement::system;
    });
    if (!s.explain_analyze && opens && known) {
      out.mode = access::read;
      out.user_code = false;
      if (out.effect == session_effect::user_code) out.effect = session_effect::none;
      out.reason += "; EXPLAIN runs nothing";
      for (const table_use& use : a.uses) {
        if (use.table.described != nullptr && use.table.described->persistence != 'p') out.needs_primary = true;
      }
    }
  }

  void cursor(const sql::statement& s, plan& out) {
    if (s.inner == nullptr || s.inner->kind != kind::select) return other(s, out);
    query(*s.inner, false, true, "DECLARE CURSOR", out);
    if (s.hold) out.mode = access::write;
  }

  void other(const sql::statement& s, plan& out) {
    out.mode = harmless(s.kind) ? access::read : access::write;
    out.reads_more = out.writes_more = !changes_no_table(s.kind);
    out.needs_primary = s.kind == kind::show || s.kind == kind::deallocate;
    out.by_columns = false;
    out.user_code = s.kind == kind::do_ || s.kind == kind::call || s.kind == kind::execute;
    out.sets_sequences = out.user_code || s.kind == kind::ddl || s.kind == kind::truncate;
    // What was not understood of it cannot be said again on another server.
    out.opaque = s.unparsable_parts;
    if (s.kind == kind::prepare && s.inner != nullptr) out.inner_text = prepared_statement(s, text_);
    note_defined(s, text_, context_, out);
    if (one_shard()) {
      out.where = fixed_target{to_shard{0}};
      out.reason = "one shard; " + out.tag;
    } else if (out.opaque) {
      out.opaque = false;
      out.where = refusal(refuse_syntax("a part of " + out.tag + " is not understood"));
    } else if (s.kind == kind::prepare) {
      out.where = prepare(s, out.by_protocol);
      out.reason = "prepared on the designated shard";
    } else if (s.kind == kind::declare_cursor) {
      out.where = refusal(refuse_session(out.tag, "its query is not understood"));
    } else if (auto shared = unique_over_shards(s, context_)) {
      out.where = refusal(std::move(*shared));
    } else if (auto upkeep = upkeep_of(s, text_, context_)) {
      out.where = std::move(upkeep->where);
      out.blocks = upkeep->blocks;
      const bool in_turn = out.blocks == block_rule::either || out.blocks == block_rule::outside;
      out.reason = out.tag + (in_turn ? " on one shard after the other" : " on every shard, in one transaction");
    } else if (auto all = ddl_target(s, text_, context_)) {
      out.where = std::move(*all);
      out.reason = out.tag + " on every shard, in one transaction";
    } else {
      out.where = session_target(s);
      out.reason = "carried out by the session: " + out.tag;
    }
    if (hints_.names_shard()) hints_.confine_other(s, out);
  }

  [[nodiscard]] fixed_target prepare(const sql::statement& s, bool& by_protocol) {
    plan inner;
    if (s.inner != nullptr) {
      const sql::token_scan none;
      constant_marks unused{{}, none};  // the text is kept as it is: its constants stay pinned
      inner = statement_planner{context_, unused, text_, false, hint_}.make(*s.inner);
    }
    return prepare_target(s, text_, alone_, inner, context_, by_protocol);
  }

  const plan_context& context_;
  constant_marks& marks_;
  std::string_view text_;
  bool alone_;
  const sql::statement* statement_ = nullptr;  ///< the one that is being planned
  const hint_or_error& hint_;
  hint_applier hints_;
  std::string why_write_;  ///< "": it is a read
  bool unlogged_ = false;  ///< it reads what only a primary has
};

}  // namespace

plan plan_statement(const sql::statement& s, const plan_context& context, constant_marks& marks, std::string_view text,
                    bool alone, const hint_or_error& hint) {
  return statement_planner{context, marks, text, alone, hint}.make(s);
}

}  // namespace pgbraid::router
