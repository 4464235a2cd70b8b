// Transaction control and settings: statements that concern every server of the transaction, or none yet.
#include "proxy/session/machine.hpp"

#include "protocol/frontend.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;
using router::session_effect;
using router::sql::isolation_level;

namespace {

// A statement's text without what would keep another from being written behind it.
std::string statement_text(std::string_view sql) {
  while (!sql.empty() && (sql.back() == ';' || static_cast<unsigned char>(sql.back()) <= ' ')) sql.remove_suffix(1);
  std::string text{sql};
  // A comment may run to the end of the text.
  text.push_back('\n');
  return text;
}

std::string upper_first_word(std::string_view sql) {
  std::string word;
  for (const char c : sql) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && !word.empty()) break;
    if (letter) word.push_back(static_cast<char>(c & ~0x20));
  }
  return word;
}

}  // namespace

bool session_machine::unreadable(const router::plan& plan) noexcept {
  if (!plan.user_code || plan.statement_count != 1) return false;
  if (plan.opaque) return true;
  const auto* const fixed = std::get_if<router::fixed_target>(&plan.where);
  const auto* const refused = fixed == nullptr ? nullptr : std::get_if<router::to_refusal>(&fixed->target);
  if (refused == nullptr) return false;
  const error_id why = refused->error().id;
  return why == error_id::syntax_not_understood || why == error_id::statement_too_long ||
         why == error_id::statement_too_complex;
}

bool session_machine::is_control(const router::plan& plan) noexcept {
  if (plan.statement_count != 1) return false;
  // What could not be read may not even be a statement: the server says what it is, and its answers what has become of it.
  if (unreadable(plan)) return false;
  switch (plan.effect) {
    case session_effect::begin:
    case session_effect::commit:
    case session_effect::rollback:
    case session_effect::savepoint:
    case session_effect::release:
    case session_effect::rollback_to:
    case session_effect::set_transaction:
    case session_effect::set:
    case session_effect::set_local:
    case session_effect::reset:
    case session_effect::set_session_characteristics:
    case session_effect::set_constraints:
    case session_effect::discard:
    case session_effect::deallocate:
    case session_effect::listen:
    case session_effect::unlisten:
      return true;
    case session_effect::show:
      return names_token(plan) || is_hint_setting(plan.variable.name);
    default:
      return false;
  }
}

bool session_machine::start_control(step& s, const router::plan_ptr& plan, std::string_view sql) {
  control_ = std::make_unique<control_state>();
  control_->plan = plan;
  control_->sql = sql;
  bool mine = false;
  switch (plan->effect) {
    case session_effect::begin:
      mine = control_begin(sql, *plan);
      break;
    case session_effect::commit:
    case session_effect::rollback:
      mine = control_end(s);
      break;
    case session_effect::savepoint:
    case session_effect::release:
    case session_effect::rollback_to:
      mine = control_savepoint(s);
      break;
    case session_effect::discard:
      mine = control_discard(s);
      break;
    case session_effect::deallocate:
      mine = control_deallocate(s);
      break;
    case session_effect::listen:
    case session_effect::unlisten:
      mine = control_listen(s);
      break;
    default:
      mine = names_token(*plan) ? control_token(s) : is_hint_setting(plan->variable.name) ? control_hint() : control_settings(s);
  }
  if (!mine) control_.reset();
  return mine;
}

void session_machine::control_local(std::string_view tag) {
  p::encode_command_complete(control_->reply, tag);
  control_->done = true;
}

bool session_machine::control_begin(std::string_view sql, const router::plan& plan) {
  const bool start = upper_first_word(sql) == "START";
  const bool fresh = txn_.prologue.size() == 1 &&
                     std::none_of(branches_.begin(), branches_.end(), [](const branch& b) { return b.in_block; });
  if (txn_.own && !fresh) {
    if (plan.modes != router::sql::transaction_modes{}) {
      control_refused(p::make_error(error_id::session_feature, "BEGIN with modes behind other statements of one text",
                                    "their transaction has begun without them"));
      return true;
    }
    // The client's from here on.
    txn_.own = false;
    control_local(start ? "START TRANSACTION" : "BEGIN");
    return true;
  }
  if (txn_.active && !txn_.own) {
    if (std::any_of(branches_.begin(), branches_.end(), [](const branch& b) { return b.in_block; })) return false;
    warn("25001", "there is already a transaction in progress");
    control_local(start ? "START TRANSACTION" : "BEGIN");
    return true;
  }
  txn_.clear();
  txn_.active = true;
  txn_.base = current_;
  txn_.isolation = default_isolation_;
  txn_.read_only = default_read_only_;
  merge_modes(plan.modes);
  // What it asks for is not known: one server, the primary, is right for all.
  if (plan.opaque) txn_.isolation = isolation_level::serializable;
  txn_.prologue.push_back({prologue_entry::kind::begin, statement_text(sql), {}, current_, local_});
  control_local(start ? "START TRANSACTION" : "BEGIN");
  return true;
}

void session_machine::merge_modes(const router::sql::transaction_modes& modes) {
  if (modes.isolation != isolation_level::unset) txn_.isolation = modes.isolation;
  if (modes.read_only) txn_.read_only = *modes.read_only;
  // A snapshot named by another session exists on that session's server: the primary it is hoped to be.
  if (modes.snapshot) txn_.primary_only = txn_.imported = true;
}

// In front of the answer, if the client wants to hear of it.
void session_machine::warn(std::string_view code, std::string_view text) {
  if (local_->value_of("client_min_messages", "notice") == "error") return;
  const p::error_field fields[] = {{'S', "WARNING"}, {'V', "WARNING"}, {'C', code}, {'M', text}};
  p::encode_notice_response(control_->reply, fields);
}

// The client has begun no transaction block: what is pgbraid's own is an implicit one to it.
void session_machine::warn_of_no_block(std::string_view text) {
  warn("25P01", text);
}

bool session_machine::control_end(step& s) {
  if (!txn_.active) return false;
  const bool failed = client_status() == 'E';
  if (!failed && control_->plan->effect == session_effect::commit && awaits_channels(s)) {
    control_->running = true;
    return true;
  }
  if (txn_.own) warn_of_no_block("there is no transaction in progress");
  const bool chain = control_->plan->modes.chain;
  if (failed || control_->plan->effect == session_effect::rollback) control_->sql = chain ? "ROLLBACK AND CHAIN" : "ROLLBACK";
  txn_.chained = chain;
  const bool open = std::any_of(branches_.begin(), branches_.end(), [](const branch& b) { return b.in_block; });
  if (!open) {
    control_local(failed || control_->plan->effect == session_effect::rollback ? "ROLLBACK" : "COMMIT");
    return true;
  }
  control_->running = true;
  if (!failed && control_->plan->effect == session_effect::commit && commits_in_steps()) {
    begin_commit(s);
  } else {
    run_control(s);
  }
  return true;
}

bool session_machine::control_savepoint(step& s) {
  if (!txn_.active) return false;
  if (txn_.broken) {
    control_refused(p::make_error(error_id::transaction_aborted));
    return true;
  }
  const bool open = std::any_of(branches_.begin(), branches_.end(), [](const branch& b) { return b.in_block; });
  if (open) {
    control_->running = true;
    run_control(s);
    return true;
  }
  const session_effect effect = control_->plan->effect;
  if (effect != session_effect::savepoint && txn_.find_savepoint(control_->plan->name) < 0) {
    control_refused(p::make_error(error_id::no_such_savepoint, control_->plan->name));
    return true;
  }
  control_local(effect == session_effect::savepoint ? "SAVEPOINT" : effect == session_effect::release ? "RELEASE" : "ROLLBACK");
  return true;
}

bool session_machine::control_settings(step& s) {
  const session_effect effect = control_->plan->effect;
  if (!txn_.active && (effect == session_effect::set_local || effect == session_effect::set_transaction || effect == session_effect::set_constraints)) {
    return false;  // the server warns that this has no effect
  }
  if (txn_.own && !several_) {
    if (effect == session_effect::set_local) warn_of_no_block("SET LOCAL can only be used in transaction blocks");
    if (effect == session_effect::set_transaction)
      warn_of_no_block("SET TRANSACTION can only be used in transaction blocks");
    if (effect == session_effect::set_constraints)
      warn_of_no_block("SET CONSTRAINTS can only be used in transaction blocks");
  }
  if (effect == session_effect::set_transaction && txn_.in_subtransaction()) {
    // The server's error, for an isolation level. Whether it may be written is taken back when the subtransaction ends.
    if (control_->plan->modes.isolation != isolation_level::unset) return false;
    if (!context_->context.map->one_shard()) {
      control_refused(p::make_error(error_id::session_feature, "SET TRANSACTION behind a SAVEPOINT",
                                    "it would hold until the savepoint is released or rolled back to"));
      return true;
    }
  }
  const bool open = std::any_of(branches_.begin(), branches_.end(), [](const branch& b) { return b.in_block; });
  if (effect == session_effect::set_transaction && !open) {
    control_local("SET");
    return true;
  }
  const router::sql::variable_statement& variable = control_->plan->variable;
  const setting* own = startup_->find(variable.name);
  // Back to what the client said when it logged in, not to the server's own.
  if (own != nullptr && (effect == session_effect::reset || variable.to_default)) {
    control_->sql = own->sql;
    control_->tag = effect == session_effect::reset ? "RESET" : "SET";
  } else if (effect == session_effect::reset && (variable.name == "all" || variable.name.empty())) {
    for (const setting& entry : startup_->entries) {
      if (!is_hint_setting(entry.name)) control_->sql.append(control_->sql.back() == ';' ? " " : "\n; ").append(entry.sql);
    }
  }
  control_->running = true;
  run_control(s);
  return true;
}

bool session_machine::control_discard(step& s) {
  if (txn_.active) return false;
  const std::string& what = control_->plan->name;
  if (pinned_ >= 0) {
    control_->running = true;
    run_control(s);
    return true;
  }
  std::string tag = "DISCARD " + (what.empty() ? std::string{"ALL"} : what);
  std::transform(tag.begin(), tag.end(), tag.begin(), [](unsigned char c) { return static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c); });
  if (what.empty() || what == "all") {
    // The server tells which of its parameters change with it.
    control_->sql = settings_difference(current_.get(), *startup_);
    if (!control_->sql.empty()) {
      control_->tag = tag;
      control_->running = true;
      run_control(s);
      return true;
    }
  }
  control_local(tag);
  return true;
}

// Statements of the protocol stand under other names on the servers, where DEALLOCATE must not reach them.
bool session_machine::control_deallocate(step& s) {
  const std::string& name = control_->plan->name;
  if (!name.empty()) {
    if (id_of_name(name) != 0) {
      control_local("DEALLOCATE");
      return true;
    }
    if (pinned_ >= 0) return false;  // made by code, or nobody's: the server knows
    p::encode_error(control_->reply, p::make_error(error_id::no_such_statement, name));
    control_->failed = control_->done = true;
    return true;
  }
  if (pinned_ < 0) {
    control_local("DEALLOCATE ALL");
    return true;
  }
  control_->running = true;
  run_control(s);
  return true;
}

// Sends the statement to the branches that it concerns, leasing one if there is none.
void session_machine::run_control(step& s) {
  if (sent_ || (listening_ && listening_->waits == listening_state::wait::channels)) return;
  if (control_->token) return run_token(s);
  if (!placed_) {
    targets_.clear();
    for (std::size_t i = 0; i < branches_.size(); ++i) {
      const branch& b = branches_[i];
      const bool pinned = static_cast<int>(i) == pinned_;
      if (control_->plan->effect == session_effect::deallocate ? pinned : b.in_block || (!txn_.active && pinned)) targets_.push_back(static_cast<branch_index>(i));
    }
    if (targets_.empty()) targets_.push_back(branch_for(s, any_shard(true), false));
    placed_ = true;
  }
  if (cycle_failed_ && !control_->own) {
    if (anything_outstanding()) return;
    control_->failed = control_->done = true;
    control_->running = false;
    return finish_control(s);
  }
  if (!ready(s, targets_)) return;
  sent_ = true;
  again_ = false;
  for (const branch_index i : targets_) ask_control(s, i, control_->sql);
}

// All branches have answered, or none had to be asked.
void session_machine::finish_control(step& s) {
  if (control_->token) tell_token(s);
  const std::unique_ptr<control_state> control = std::move(control_);
  const session_effect effect = control->plan->effect;
  if (sent_ && !control->commit && (effect == session_effect::commit || effect == session_effect::rollback)) {
    // Their answers took these out of the block; what a rollback undoes of their settings is still to be noted.
    for (const branch_index i : targets_) {
      if (branches_[i].state == branch_state::ready && txn_.active) branches_[i].in_block = true;
    }
  }
  if (!control->failed) {
    apply_control(*control->plan, control->sql);
  } else if (effect == session_effect::commit || effect == session_effect::rollback) {
    end_transaction(false);
  } else if (txn_.active) {
    txn_.failed = true;
  }
  if (control->own) {
    // The client's statement is over only now.
    if (cycle_failed_) {
      control->reply.clear();
    } else if (control->failed) {
      cycle_failed_ = true;
    } else {
      control->reply = std::move(held_complete_);
    }
    held_complete_.clear();
  }
  if (!control->own && !control->failed && holds_completion()) {
    held_complete_ = std::move(control->reply);
    control->reply.clear();
  }
  if (!control->reply.empty()) {
    const std::size_t from = s.client_bytes.size();
    s.client_bytes.append(control->reply);
    s.own_to_client(from);
    told_ = true;
  }
  again_ = false;
  if (cycle_ == cycle_kind::batch && !control->own) {
    sent_ = placed_ = false;
    if (control->failed) {
      batch_failed();
    } else {
      ++operation_;
    }
    return run_batch(s);
  }
  if (control->own) return conclude(s);
  if (control->failed) cycle_failed_ = true;
  end_cycle(s);
}

void session_machine::apply_control(const router::plan& plan, const std::string& sql) {
  if (names_token(plan)) return;
  if (is_hint_setting(plan.variable.name)) return apply_hint(plan, sql);
  const auto note = [&](prologue_entry::kind kind) {
    txn_.prologue.push_back({kind, statement_text(sql), plan.name, current_, local_,
                             listening_ ? listening_->changes.size() : 0,
                             made_ ? made_->now() : definitions_made::mark{}});
  };
  switch (plan.effect) {
    case session_effect::commit:
      return end_transaction(client_status() != 'E' && sql.find("ROLLBACK") != 0);
    case session_effect::rollback:
      return end_transaction(false);
    case session_effect::savepoint:
      return note(prologue_entry::kind::savepoint);
    case session_effect::release:
      if (const int at = txn_.find_savepoint(plan.name); at >= 0) {
        auto from = txn_.prologue.begin() + at;
        txn_.prologue.erase(std::remove_if(from, txn_.prologue.end(), [](const prologue_entry& e) { return e.what == prologue_entry::kind::savepoint; }),
                            txn_.prologue.end());
      }
      return;
    case session_effect::rollback_to:
      return roll_back_to(txn_.find_savepoint(plan.name));
    case session_effect::set_transaction:
      merge_modes(plan.modes);
      return note(prologue_entry::kind::set_transaction);
    case session_effect::set_constraints:
      return note(prologue_entry::kind::constraints);
    case session_effect::set:
    case session_effect::set_local:
    case session_effect::reset:
    case session_effect::set_session_characteristics:
      change_setting(plan, sql);
      if (txn_.active) note(prologue_entry::kind::set);
      return;
    case session_effect::deallocate:
      if (!plan.name.empty()) {
        statements_.erase(plan.name);
        sql_.erase(plan.name);
        return;
      }
      statements_.clear();
      sql_.clear();
      unnamed_.reset();
      if (pinned_ >= 0) {
        branches_[static_cast<std::size_t>(pinned_)].facts->prepared.clear();
        branches_[static_cast<std::size_t>(pinned_)].facts->sql.reset();
        branches_[static_cast<std::size_t>(pinned_)].facts->unnamed = 0;
      }
      return;
    case session_effect::listen:
    case session_effect::unlisten:
      if (sent_) note_listen(targets_.front(), plan);
      if (!txn_.active && cycle_ == cycle_kind::simple) end_listens(true);
      return;
    case session_effect::discard:
      if (plan.name.empty() || plan.name == "all") {
        if (listening_) {
          listening_->changes.assign(1, {});
          end_listens(true);
        }
        statements_.clear();
        sql_.clear();
        unnamed_.reset();
        portals_.clear();
        if (pinned_ < 0) {
          for (branch& b : branches_) {
            if (b.state == branch_state::ready && b.facts->current == current_) b.facts->current = startup_;
          }
        }
        current_ = local_ = startup_;
        adopt_settings();
        if (pinned_ >= 0) {
          backend_facts& facts = *branches_[static_cast<std::size_t>(pinned_)].facts;
          facts.current = env_.settings.none();
          facts.prepared.clear();
          facts.sql.reset();
          facts.unnamed = 0;
          if (env_.pool_mode != config::pool_mode::session) {
            pinned_ = -1;
            pin_reason_.reset();
          }
        }
      }
      return;
    default:
      return;
  }
}

}  // namespace pgbraid::proxy
