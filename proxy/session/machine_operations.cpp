// The operations of the extended protocol that prepare statements and bind them, one function each; those on portals are in
// machine_portals.cpp. Each may be called again after a wait: nothing is changed before the last point at which it can say
// "wait" (false).
#include "proxy/session/machine.hpp"

#include "protocol/frontend.hpp"
#include "proxy/session/frame_body.hpp"

#include <algorithm>
#include <utility>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;
using router::session_effect;

namespace {

router::sql::token_scan& scratch_scan() {
  thread_local router::sql::token_scan scan;
  return scan;
}

// The Bind that was looked at last. What waits for its lease is looked at again when that is there, most often at once.
struct decoded_bind {
  std::uint64_t session = 0;
  std::string_view frame;
  p::bind_view message;
};

bool keyed(const router::plan& plan) { return std::holds_alternative<router::keyed_target>(plan.where); }

}  // namespace

const statement_ptr& session_machine::find_statement(std::string_view name, std::uint64_t& serial) const {
  static const statement_ptr none;
  serial = 0;
  if (name.empty()) {
    serial = unnamed_serial_;
    return unnamed_;
  }
  const statement_ptr* const found = statements_.find(name);
  return found == nullptr ? none : *found;
}

void session_machine::refresh_plan(statement& st) {
  if (st.plan && st.plan_generation == context_->generation) return;
  router::sql::token_scan& scan = scratch_scan();
  st.plan = context_->cache.get(st.text, scan, context_->context);
  st.plan_generation = context_->generation;
  if (keyed(*st.plan)) {
    st.constants.assign(scan.constants.begin(), scan.constants.end());
  } else {
    st.constants.clear();
  }
}

// The memory is the thread's.
std::span<const router::bound_parameter> session_machine::parameters_of(const statement& st, const p::bind_view& bind) {
  thread_local std::vector<router::bound_parameter> parameters;
  parameters.clear();
  auto values = bind.parameters.values();
  p::wire_value value;
  for (std::size_t i = 0; values.next(value); ++i) {
    const router::oid type = i < st.parameter_types.size() ? st.parameter_types[i] : 0;
    parameters.push_back({value.bytes, value.null, bind.binary(i), type});
  }
  return parameters;
}

router::route session_machine::resolve_bind(const statement& st, const p::bind_view& bind) {
  const std::span<const router::bound_parameter> none;
  return resolve(*st.plan, st.text, st.constants, keyed(*st.plan) ? parameters_of(st, bind) : none);
}

// Where a statement is prepared or described without its parameters.
bool session_machine::home_of_statement(step& s, const statement& st, targets& out, p::error_report& refusal) {
  router::route r{router::to_any{}, st.plan->mode, st.plan->needs_primary};
  if (st.plan->described_on) {
    r.target = router::to_shard{*st.plan->described_on};
  } else if (!keyed(*st.plan)) {
    r = resolve(*st.plan, st.text, st.constants, {});
    if (std::holds_alternative<router::to_many>(r.target)) r.target = router::to_any{};
    // Its tables and the types that clients know of need not be everywhere.
    if (const auto* gathered = std::get_if<router::to_gather>(&r.target)) r.target = router::to_shard{gathered->described_on};
  }
  if (!place(s, *st.plan, r, out, refusal)) return false;
  if (!st.plan->configures.empty()) out.resize(1);
  return true;
}

void session_machine::ensure_prepared(step& s, branch_index i, statement& st, std::uint64_t unnamed_serial) {
  branch& b = branches_[i];
  if (st.id == 0) {
    if (b.facts->unnamed == unnamed_serial) return;
    p::encode_parse(s.backend_bytes, "", st.text, types_for(i, st.parameter_types));
    b.facts->unnamed = unnamed_serial;
    b.expect({answer::parse, disposition::swallow});
    b.unsynced = true;
    return;
  }
  if (b.facts->prepared.touch(st.id)) return;
  make_room(s, i);
  p::encode_parse(s.backend_bytes, st.backend_name, st.text, types_for(i, st.parameter_types));
  b.facts->prepared.add(st.id);
  expectation e{answer::parse, disposition::swallow};
  e.statement = st.id;
  b.expect(e);
  b.unsynced = true;
}

// Forgets the statement that a backend has not been asked for longest, when it holds as many as it may.
void session_machine::make_room(step& s, branch_index i) {
  branch& b = branches_[i];
  if (b.facts->prepared.size() < env_.max_backend_statements) return;
  const std::uint64_t old = b.facts->prepared.evict();
  p::encode_close(s.backend_bytes, p::object_kind::statement, backend_statement_name(old));
  expectation e{answer::close, disposition::swallow};
  e.statement = old;
  b.expect(e);
  b.unsynced = true;
}

// An error of ours, unless the server has one for a text that may be no statement at all.
bool session_machine::refuse_parsed(step& s, const router::plan& plan, const p::error_report& refusal,
                                    const p::parse_view& m, std::span<const router::oid> types) {
  if (!question_ && worth_asking(plan, refusal)) {
    if (!drained(s)) return false;
    begin_asking(refusal);
  }
  if (question_ && !question_answered(s, m.text, types)) return cycle_failed_;
  question_.reset();
  return op_error(s, refusal);
}

bool session_machine::op_parse(step& s, std::string_view frame) {
  p::parse_view m;
  if (!p::decode(body_of(frame), m)) {
    protocol_violation(s, "invalid Parse message");
    return false;
  }
  const std::string name{m.name};
  if (!name.empty() && (statements_.contains(name) || sql_.contains(name))) return op_error(s, p::make_error(error_id::duplicate_statement, name));
  if (!name.empty() && statements_.size() >= env_.max_statements) {
    return op_error(s, p::make_error(error_id::session_feature, "another prepared statement", fmt::format("this session has {} already (limits.max_statements)", statements_.size())));
  }
  statement_ptr st;
  std::vector<router::oid> types;
  types.reserve(m.types.size());
  for (std::size_t i = 0; i < m.types.size(); ++i) types.push_back(m.types[i]);
  if (name.empty()) {
    st = unnamed_ && unnamed_.use_count() == 1 ? unnamed_ : std::make_shared<statement>();
    st->text.assign(m.text);
    st->parameter_types = std::move(types);
    st->plan.reset();
    unnamed_.reset();
  } else {
    bool made = false;
    st = env_.statements.get(context_->serial, m.text, std::move(types), made);
  }
  refresh_plan(*st);
  if (!learning_ && waits_for_definition(*st->plan)) {
    if (name.empty()) unnamed_ = std::move(st);
    return false;
  }
  if (learning_ || must_learn(*st->plan)) {
    if (!learnt(s)) {
      if (name.empty()) unnamed_ = std::move(st);
      return cycle_failed_;
    }
    refresh_plan(*st);
  }
  if (txn_.untold && st->plan->effect != session_effect::rollback) {
    if (!drained(s)) return false;
    const p::error_report error = *std::exchange(txn_.untold, nullptr);
    if (st->plan->effect == session_effect::commit) end_transaction(false);
    return op_error(s, error);
  }
  if (client_status() == 'E' && !leaves_failed_transaction(*effective(st->plan))) {
    return refuse_parsed(s, *st->plan, p::make_error(error_id::transaction_aborted), m, st->parameter_types);
  }
  if (begins_block(*st->plan)) return op_error(s, p::make_error(error_id::transaction_block));
  if (const auto refused = judge_definitions(*st->plan)) return op_error(s, *refused);
  if (!st->plan->declares.empty()) return op_error(s, declares_by_hint());
  if (const auto hidden = executes_unseen(*st->plan, st->text)) return op_error(s, *hidden);
  if (controls(st->plan) || may_go_round(*st->plan)) {
    if (name.empty()) {
      unnamed_ = std::move(st);
      unnamed_serial_ = next_unnamed_serial();
    } else {
      statements_.set(name, st);
    }
    answer_locally(s, p::backend::parse_complete);
    return true;
  }
  if (const auto* fixed = std::get_if<router::fixed_target>(&st->plan->where)) {
    if (const auto* refused = std::get_if<router::to_refusal>(&fixed->target)) {
      return refuse_parsed(s, *st->plan, refused->error(), m, st->parameter_types);
    }
  }
  if (!name.empty() && parsed_before(*st)) {
    statements_.set(name, std::move(st));
    answer_locally(s, p::backend::parse_complete);
    return true;
  }

  // Prepared where the Bind that follows will want it.
  p::error_report refusal;
  bool found = false;
  for (std::size_t k = operation_ + 1; k < operations_.size() && !found; ++k) {
    const operation& o = operations_[k];
    if (o.type == p::frontend::parse) break;
    if (o.type != p::frontend::bind) continue;
    p::bind_view bind;
    if (!p::decode(body_of(input_.substr(o.offset, o.length)), bind) || bind.statement != m.name) continue;
    router::route r = resolve_bind(*st, bind);
    if (!fetches_in_parts(bind.portal)) see_everywhere(*st->plan, r);
    if ((lookup_ && !lookup_->wanted().empty()) || wrong_block(*st->plan)) break;
    if (st->plan->described_on && (st->plan->draws || std::holds_alternative<router::to_many>(r.target))) break;
    if (std::holds_alternative<router::to_refusal>(r.target) || std::holds_alternative<router::to_gather>(r.target)) break;
    found = place(s, *st->plan, r, targets_, refusal);
    if (!found) break;
  }
  if (!found && !home_of_statement(s, *st, targets_, refusal)) return op_error(s, refusal);
  if (!settle(s, targets_)) {
    if (name.empty()) unnamed_ = std::move(st);
    return false;
  }

  if (name.empty()) unnamed_serial_ = next_unnamed_serial();
  const std::uint32_t sequence = braid_.active ? braid_.next_sequence++ : 0;
  bool known = false;
  for (const branch_index i : targets_) {
    branch& b = branches_[i];
    expectation e{answer::parse, disposition::forward};
    e.sequence = sequence;
    e.statement = st->id;
    if (st->id != 0 && b.facts->prepared.touch(st->id)) {
      e.kind = answer::local;
      e.local_type = p::backend::parse_complete;
      if (b.outstanding()) {
        b.expect(e);
      } else {
        known = true;
      }
      continue;
    }
    const std::size_t from = s.backend_bytes.size();
    const bool as_it_stands = numbers_of(b.shard) == nullptr;
    if (st->id == 0) {
      b.facts->unnamed = unnamed_serial_;
    } else {
      make_room(s, i);
    }
    if (as_it_stands && st->id == 0) {
      s.to_backend(i, frame);
    } else if (as_it_stands) {
      p::encode_parse_renamed(s.backend_bytes, m, st->backend_name);
      s.own_to_backend(i, from);
    } else {
      p::encode_parse(s.backend_bytes, st->backend_name, st->text, types_for(i, st->parameter_types));
      s.own_to_backend(i, from);
    }
    if (st->id != 0) {
      b.facts->prepared.add(st->id);
    }
    b.unsynced = true;
    b.expect(e);
  }
  // A branch that has it and owes nothing is the first to answer.
  if (known && braid_.active) braid_.heard = sequence;
  if (name.empty()) {
    unnamed_ = std::move(st);
  } else {
    statements_.set(name, std::move(st));
    if (!known) unconfirmed_.push_back(name);
  }
  if (known) {
    local_answers_.push_back(p::backend::parse_complete);
    tell_local_answers(s);
  }
  return true;
}

bool session_machine::op_bind(step& s, std::string_view frame) {
  thread_local decoded_bind last;
  const p::bind_view& m = last.message;
  const bool known = placed_ && last.session == serial_ && last.frame.data() == frame.data() && last.frame.size() == frame.size();
  if (!known) {
    last.session = serial_;
    last.frame = frame;
    if (!p::decode(body_of(frame), last.message)) {
      const std::size_t formats = m.formats.size(), values = m.parameters.size();
      if (formats > 1 && formats != values)
        return op_error(s, p::make_error(error_id::parameter_formats, formats, values));
      protocol_violation(s, "invalid Bind message");
      return false;
    }
  }
  std::uint64_t serial = 0;
  const statement_ptr& found = find_statement(m.statement, serial);
  statement* st = found.get();
  if (st == nullptr) {
    if (!sql_.contains(m.statement)) return op_error(s, p::make_error(error_id::no_such_statement, m.statement));
    if (!op_on_name(s, m.statement, frame, answer::bind)) return false;
    if (!cycle_failed_) portals_.set(m.portal, {nullptr, targets_});
    return true;
  }
  refresh_plan(*st);
  if (st->plan->effect == session_effect::execute) {
    if (const auto hidden = executes_unseen(*st->plan, st->text)) return op_error(s, *hidden);
  }
  const bool begun = placed_ || question_ || stage_ || gather_;
  if (!begun && !learning_ && waits_for_definition(*st->plan)) return false;
  if (learning_ || (!begun && must_learn(*st->plan))) {
    if (!learnt(s)) return cycle_failed_;
    refresh_plan(*st);
  }
  if (txn_.untold && st->plan->effect != session_effect::rollback) {
    if (!drained(s)) return false;
    const p::error_report error = *std::exchange(txn_.untold, nullptr);
    if (st->plan->effect == session_effect::commit) end_transaction(false);
    return op_error(s, error);
  }
  if (client_status() == 'E' && !leaves_failed_transaction(*effective(st->plan))) return op_error(s, p::make_error(error_id::transaction_aborted));
  if (const auto refused = begun ? std::nullopt : judge_definitions(*st->plan)) return op_error(s, *refused);
  if (controls(st->plan) || goes_round(*st->plan)) {
    portals_.set(m.portal, {found, {}});
    answer_locally(s, p::backend::bind_complete);
    return true;
  }
  if (const auto wrong = wrong_block(*st->plan)) return op_error(s, *wrong);
  if (lookup_ && !question_ && !placed_ && !stage_ && !gather_) lookup_->forget();
  if (question_ && question_->is_lookup) {
    if (!question_answered(s, {}, {})) return cycle_failed_;
    end_lookup();
  }
  statement_ptr drawn;
  if (st->plan->draws) {
    if (!draw_for_bind(s, *st)) return cycle_failed_;
    drawn = question_->statement;
    serial = question_->serial;
    st = drawn.get();
    refresh_plan(*st);
    if (st->plan->draws) return op_error(s, tables_changed());
  }
  const statement_ptr& shared = drawn ? drawn : found;
  if (stage_) return bind_staged(s, m, shared);
  if (gather_) return bind_gather(s, m, *st);
  // Called again when the lease that it waited for is there: the place is the one that was asked for.
  std::vector<config_change> configures;
  if (!st->plan->configures.empty()) {
    if (const auto refused = read_configs(*st->plan, &m, configures)) return op_error(s, *refused);
  }
  if (!std::exchange(placed_, false)) {
    route_ = resolve_bind(*st, m);
    if (!fetches_in_parts(m.portal)) see_everywhere(*st->plan, route_);
    if (must_look_up(*st->plan)) {
      if (!drained(s)) return false;
      begin_lookup();
      return question_answered(s, {}, {}) || cycle_failed_;
    }
    if (st->plan->merge) {
      const bool limit_known = rows_asked_for(st->plan->merge->limit, *st, m).has_value();
      if (limit_known && fetches_all(m.portal)) merge_instead(*st->plan);
      if (const auto refused = order_is_unknown(*st->plan, limit_known)) return op_error(s, *refused);
    }
    const bool lets_go_first = gathers_behind_hold();
    const auto concatenated = [this] { return std::holds_alternative<router::to_many>(route_.target); };
    if (concatenated() && (fetches_in_parts(m.portal) || lets_go_first)) gather_instead(*st);
    if (lets_go_first && concatenated()) return op_error(s, needs_own_batch());
    if (st->plan->explain) explain_instead();
    if (st->plan->no_binary) {
      if (const p::error_report* const refused = not_in_binary(*st, m)) return op_error(s, *refused);
    }
    if (std::holds_alternative<router::to_gather>(route_.target)) return bind_gather(s, m, *st);
    if (st->plan->claims) {
      auto refused = arrange_claims(*st->plan, st->text, st->constants, parameters_of(*st, m));
      if (!refused && needs_.claims()) refused = refuse_named_claims(m.portal);
      if (refused) return op_error(s, *refused);
    }
    p::error_report refusal;
    if (!place(s, *st->plan, route_, targets_, refusal)) return op_error(s, refusal);
    mirror_config(*st->plan);
    if (needs_) place_claims(s);
  }
  if (mirrors() && st->plan->effect == session_effect::copy_in) {
    return op_error(s, p::with_hint(p::make_error(error_id::session_feature, "COPY FROM into a reference table by the extended protocol",
                                                  "its data must be given to the shards one after the other"),
                                    "Send COPY as a simple query, as psql and most drivers do."));
  }
  placed_ = awaits_lease(targets_);
  const bool counted = needs_.claims() && needs_.claims()->taken;
  if (placed_ || !settle(s, targets_, counted)) return false;
  if (!same_shape(s, *st)) return cycle_failed_;
  if (braid_.active) braid_.explain = st->plan->explain;

  (void)names_in_place(s, targets_.front(), *st->plan, st->text);
  if (listening_) leave_to_server(s, targets_.front(), *st->plan);
  mark_use(*st->plan, route_, targets_);
  if (prepares(*st->plan)) note_prepare(targets_.front(), *st->plan, st->text);
  if (stages(*st->plan)) return bind_staged(s, m, shared);
  if (splits_rows() || explains()) {
    const bool bound = bind_parts(s, m, *st, st->text);
    if (bound && !cycle_failed_) open_portal(m.portal, shared, targets_);
    question_.reset();
    return bound;
  }
  std::string shown;
  if (shows_by_text(targets_.front(), *st->plan)) {
    shown = with_channels(st->text, listening_->channels);
    if (shown.empty()) return op_error(s, channels_not_shown());
  }
  const std::uint32_t sequence = braid_.active ? braid_.next_sequence++ : 0;
  for (const branch_index i : targets_) {
    branch& b = branches_[i];
    const std::size_t from = s.backend_bytes.size();
    if (!shown.empty()) {
      p::encode_parse(s.backend_bytes, "", shown, types_for(i, st->parameter_types));
      b.expect({answer::parse, disposition::swallow});
      b.facts->unnamed = 0;
      p::encode_bind_renamed(s.backend_bytes, m, "");
      s.own_to_backend(i, from);
    } else if (ensure_prepared(s, i, *st, serial); drawn) {
      p::encode_bind_renamed(s.backend_bytes, m, "");
      s.own_to_backend(i, from);
    } else if (st->id == 0) {
      s.own_to_backend(i, from);
      s.to_backend(i, frame);
    } else {
      p::encode_bind_renamed(s.backend_bytes, m, st->backend_name);
      s.own_to_backend(i, from);
    }
    b.unsynced = true;
    expectation e{answer::bind, disposition::forward};
    e.sequence = sequence;
    e.statement = st->id;
    b.expect(e);
  }
  open_portal(m.portal, shared, targets_, merge_of(*st, m), std::move(configures));
  question_.reset();
  return true;
}

}  // namespace pgbraid::proxy
