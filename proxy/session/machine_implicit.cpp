// Transaction control and settings inside an extended-protocol batch without BEGIN. The batch is one implicit transaction up
// to its Sync: a simple query in its middle would commit it, so these statements go to the server as a part of the batch.
// Source: PostgreSQL's exec_execute_message() and the transaction block states of xact.c.
#include "proxy/session/machine.hpp"

#include "protocol/frontend.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;
using router::session_effect;

bool session_machine::leaves_failed_transaction(const router::plan& plan) noexcept {
  if (plan.statement_count == 0) return true;
  if (plan.statement_count > 1) return false;
  return plan.effect == session_effect::commit || plan.effect == session_effect::rollback || plan.effect == session_effect::rollback_to;
}

router::plan_ptr session_machine::effective(const router::plan_ptr& plan) const {
  if (plan->effect != session_effect::two_phase || plan->statement_count != 1 || client_status() != 'E') return plan;
  if (plan->tag != "PREPARE TRANSACTION") return plan;
  static const router::plan_ptr rollback = [] {
    auto made = std::make_shared<router::plan>();
    made->effect = session_effect::rollback;
    made->tag = "ROLLBACK";
    return made;
  }();
  return rollback;
}

namespace {

/// What must stand in a transaction block of the client's; "": it need not.
std::string_view needs_block(const router::plan& plan) {
  switch (plan.effect) {
    case session_effect::savepoint:
      return "SAVEPOINT";
    case session_effect::release:
      return "RELEASE SAVEPOINT";
    case session_effect::rollback_to:
      return "ROLLBACK TO SAVEPOINT";
    case session_effect::commit:
      return plan.modes.chain ? "COMMIT AND CHAIN" : "";
    case session_effect::rollback:
      return plan.modes.chain ? "ROLLBACK AND CHAIN" : "";
    default:
      return "";
  }
}

}  // namespace

// What is in a transaction of pgbraid's own, and must be in one of the client's.
std::optional<p::error_report> session_machine::outside_of_block(const router::plan& plan) const {
  const std::string_view what = txn_.own ? needs_block(plan) : "";
  if (what.empty()) return std::nullopt;
  return p::make_error(protocol::error_id::not_in_transaction, what);
}

// False: to be called again when its answer is here.
bool session_machine::execute_control(step& s, const statement_ptr& st) {
  needs_.statement_over();
  const router::plan_ptr plan = effective(st->plan);
  const session_effect effect = plan->effect;
  const bool begun = std::any_of(branches_.begin(), branches_.end(), [](const branch& b) { return b.state == branch_state::ready && b.unsynced; });
  const bool listens = (effect == session_effect::listen || effect == session_effect::unlisten) && (!is_for_server(*plan) || !context_->context.map->one_shard());
  const bool local = (effect == session_effect::begin && !begun) || effect == session_effect::deallocate || (effect == session_effect::discard && pinned_ < 0) || listens ||
                     (effect == session_effect::reset && !begun && !startup_->entries.empty()) || names_token(*plan) ||
                     is_hint_setting(plan->variable.name);
  if (!txn_.active && !local) return control_in_batch(s, st);
  if (const auto outside = outside_of_block(*plan)) return op_error(s, *outside);
  if (!drained(s)) return false;
  sent_ = placed_ = false;
  if (client_status() == 'E' && !leaves_failed_transaction(*plan)) return op_error(s, p::make_error(protocol::error_id::transaction_aborted));
  if (!start_control(s, plan, st->text)) {
    // Nothing to do with a transaction of the client's: the server says what it thinks of it.
    control_ = std::make_unique<control_state>();
    control_->plan = plan;
    control_->sql = st->text;
    control_->running = true;
    run_control(s);
  } else if (!control_->running) {
    finish_control(s);
  }
  return false;
}

bool session_machine::control_in_batch(step& s, const statement_ptr& st) {
  if (!control_sent_) {
    targets_.clear();
    for (const bool writers : {true, false}) {
      for (std::size_t i = 0; i < branches_.size() && targets_.empty(); ++i) {
        const branch& b = branches_[i];
        if (b.state == branch_state::ready && b.unsynced && (b.wrote || !writers)) targets_.push_back(static_cast<branch_index>(i));
      }
    }
    if (targets_.empty()) targets_.push_back(branch_for(s, any_shard(true), false));
    placed_ = true;
    if (!settle(s, targets_)) return false;
    const branch_index i = targets_.front();
    branch& b = branches_[i];
    const std::size_t from = s.backend_bytes.size();
    // Prepared as the client has it, so that the server's log says so too.
    if (st->id == 0) b.facts->unnamed = 0;
    ensure_prepared(s, i, *st, next_unnamed_serial());
    p::encode_bind(s.backend_bytes, "", st->backend_name, {}, {}, {});
    p::encode_execute(s.backend_bytes, "");
    s.own_to_backend(i, from);
    b.expect({answer::bind, disposition::swallow});
    b.expect({answer::execute, disposition::forward});
    b.unsynced = true;
    again_ = false;
    control_sent_ = true;
  }
  if (!drained(s)) return false;
  control_sent_ = false;
  if (cycle_failed_) return true;
  const router::plan& plan = *st->plan;
  branch& b = branches_[targets_.front()];
  switch (plan.effect) {
    case session_effect::begin:
      // What the batch did before belongs to the transaction too.
      txn_.clear();
      txn_.active = txn_.foreign = txn_.primary_only = true;
      txn_.base = batch_base_ ? std::move(batch_base_) : current_;
      batch_base_.reset();
      b.in_block = true;
      break;
    case session_effect::commit:
      batch_base_.reset();
      break;
    case session_effect::rollback:
      end_listens(false);
      end_implicit_transaction();
      break;
    case session_effect::set:
    case session_effect::reset:
    case session_effect::set_session_characteristics:
      if (!batch_base_) batch_base_ = current_;
      change_setting(plan, st->text);
      // What RESET has gone back to is the server's own, not what the client said when it logged in.
      if (plan.effect == session_effect::reset && !startup_->entries.empty()) b.facts->current.reset();
      break;
    case session_effect::discard:
      apply_control(plan, st->text);
      break;
    case session_effect::listen:
    case session_effect::unlisten:
      note_listen(targets_.front(), plan);
      break;
    default:
      break;
  }
  return true;
}

// The batch's changes to settings are undone with it.
void session_machine::end_implicit_transaction() {
  if (!batch_base_) return;
  current_ = local_ = std::move(batch_base_);
  batch_base_.reset();
  for (branch& b : branches_) {
    if (b.state == branch_state::ready && b.facts != nullptr) b.facts->current.reset();
  }
  adopt_settings();
}

}  // namespace pgbraid::proxy
