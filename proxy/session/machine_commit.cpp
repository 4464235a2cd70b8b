// COMMIT over several shards, and the transaction of pgbraid's own around a statement that writes to several. See
// commit.hpp.
#include "proxy/session/commit.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "proxy/cluster/commit_statements.hpp"
#include "proxy/session/machine.hpp"

#include <algorithm>
#include <utility>

namespace pgbraid::proxy {

namespace p = protocol;
namespace from_server = protocol::backend;
using protocol::error_id;
using router::session_effect;

namespace {

router::plan_ptr own_control(session_effect effect, std::string tag) {
  auto made = std::make_shared<router::plan>();
  made->effect = effect;
  made->tag = std::move(tag);
  return made;
}

}  // namespace

std::size_t session_machine::count_writers() const noexcept {
  const auto wrote = [](const branch& b) { return b.state == branch_state::ready && b.in_block && b.wrote; };
  return static_cast<std::size_t>(std::count_if(branches_.begin(), branches_.end(), wrote));
}

// Two shards have written; or one has, and what it has written may have a number that another one has drawn in this
// transaction: that must be on disk first, or a crash there takes the number back and it is given again.
bool session_machine::commits_in_steps() const noexcept {
  const std::size_t writers = count_writers();
  if (writers != 1) return writers > 1;
  return std::any_of(branches_.begin(), branches_.end(), [](const branch& b) {
    return b.state == branch_state::ready && b.in_block && b.drew && !b.wrote;
  });
}

// Why a transaction may write to one shard only; "": it may write to several.
std::string session_machine::single_writer() const {
  if (!env_.state->schema) return "the servers have not been asked yet";
  const std::string& why = env_.state->schema->single_writer;
  if (!why.empty()) return why;
  const auto lost = shard_without_primary();
  return lost ? fmt::format("the primary of shard {} is not known", env_.state->map->shards[*lost]) : std::string{};
}

// Right after a server has been started again, say: what needs all of them may be tried again in a moment.
std::optional<router::shard_index> session_machine::shard_without_primary() const {
  const auto& shards = env_.state->shards;
  const auto lost = std::find_if(shards.begin(), shards.end(), [](const shard_state& s) { return s.identity.empty(); });
  if (lost == shards.end()) return std::nullopt;
  return static_cast<router::shard_index>(lost - shards.begin());
}

// A statement that is about to write to several shards without a transaction gets one, which ends with its cycle.
void session_machine::begin_own() {
  txn_.clear();
  txn_.active = txn_.own = txn_.primary_only = true;
  txn_.base = current_;
  txn_.isolation = default_isolation_;
  txn_.read_only = default_read_only_;
  txn_.prologue.push_back({prologue_entry::kind::begin, "BEGIN", {}, current_, local_});
}

// The cycle is over, but for its ReadyForQuery.
void session_machine::end_cycle(step& s) {
  if (copy_ && !copy_->tag.empty() && !copied_are_claimed(s)) return;
  if (by_protocol_ && next_phase(s)) return;
  if (several_ && goes_on(s)) return;
  if (txn_.own) return end_own(s);
  if (needs_) release_hold(s);
  conclude(s);
}

void session_machine::end_own(step& s) {
  static const router::plan_ptr commit = own_control(session_effect::commit, "COMMIT");
  static const router::plan_ptr rollback = own_control(session_effect::rollback, "ROLLBACK");
  const bool failed = cycle_failed_ || client_status() == 'E';
  needs_.reset();
  if (!failed && awaits_channels(s)) {
    control_ = std::make_unique<control_state>();
    control_->plan = commit;
    control_->own = control_->running = true;
    return;
  }
  // A server that was lost while others were still at work: the client must not take silence for success.
  if (failed && !cycle_failed_) tell_error(s, txn_.untold ? *txn_.untold : p::make_error(error_id::transaction_aborted));
  control_ = std::make_unique<control_state>();
  control_->plan = failed ? rollback : commit;
  control_->sql = control_->plan->tag;
  control_->own = control_->tagged = true;
  sent_ = placed_ = false;
  braid_ = braid_state{};
  const bool open = std::any_of(branches_.begin(), branches_.end(), [](const branch& b) { return b.in_block; });
  if (!open) return finish_control(s);
  control_->running = true;
  if (!failed && commits_in_steps()) return begin_commit(s);
  run_control(s);
}

void session_machine::ask_control(step& s, branch_index i, std::string_view sql) {
  branch& b = branches_[i];
  const std::size_t from = s.backend_bytes.size();
  p::encode_query(s.backend_bytes, sql);
  s.own_to_backend(i, from);
  b.facts->unnamed = 0;
  b.expect({answer::query, disposition::control});
}

void session_machine::begin_commit(step& s) {
  control_->commit = std::make_unique<commit_state>();
  commit_state& c = *control_->commit;
  sent_ = placed_ = true;
  again_ = false;
  targets_.clear();
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    const branch& b = branches_[i];
    if (b.state != branch_state::ready || !b.in_block) continue;
    targets_.push_back(static_cast<branch_index>(i));
    // The shard that was written first decides: its branch goes first. But what has notified cannot be prepared.
    const branch& first = branches_[targets_.front()];
    if (b.wrote && !(first.notified && !b.notified) && (!first.wrote || b.notified || b.shard == txn_.writer))
      std::swap(targets_.front(), targets_.back());
  }
  c.deciding = targets_.front();
  c.record = env_.fresh_record();
  c.id = prepared_id(c.record, env_.state->shards[branches_[c.deciding].shard].identity);
  const bool gated = context_->context.map->consistent;
  const bool alone = count_writers() == 1;
  for (const branch_index i : targets_) {
    if (i == c.deciding) {
      if (!alone) ask_control(s, i, record_statement(c.record, gated));
    } else if (branches_[i].wrote) {
      ask_control(s, i, prepare_statement(c.id, gated));
    } else if (branches_[i].drew) {
      ask_control(s, i, std::string{commit_durably} + "COMMIT");
    } else {
      ask_control(s, i, "COMMIT");
    }
  }
}

// Everybody has answered: on to the next phase.
void session_machine::commit_step(step& s) {
  using phase = commit_state::phase;
  commit_state& c = *control_->commit;
  const auto is_there = [this](branch_index i) {
    return i < branches_.size() && branches_[i].state == branch_state::ready;
  };
  switch (c.at) {
    case phase::prepare:
      if (!c.failed) {
        c.at = phase::decide;
        return ask_control(s, c.deciding, "COMMIT");
      }
      break;
    case phase::decide:
      if (!c.failed) {
        c.at = phase::finish;
        for (const branch_index i : c.prepared) {
          if (is_there(i)) ask_control(s, i, "COMMIT PREPARED '" + c.id + "'");
        }
        if (!anything_outstanding()) return commit_over(s);
        if (may_tell_decided()) tell_decided(s);
        return;
      }
      break;
    case phase::finish:
    case phase::undo:
      return commit_over(s);
  }
  c.at = phase::undo;
  // Not the deciding one alone: what was cut short may have left its transaction open.
  for (const branch_index i : targets_) {
    if (is_there(i) && branches_[i].in_block) ask_control(s, i, "ROLLBACK");
  }
  for (const branch_index i : c.prepared) {
    if (is_there(i)) ask_control(s, i, "ROLLBACK PREPARED '" + c.id + "'");
  }
  if (!anything_outstanding()) commit_over(s);
}

// Whether the client may be told of the decision at once: if it asks for nothing more in this cycle, and nobody else
// must know of what has been committed before the client does.
bool session_machine::may_tell_decided() const {
  if (!env_.answers_decided || txn_.chained || listening_ || made_) return false;
  if (std::any_of(branches_.begin(), branches_.end(), [](const branch& b) { return b.ddl || b.defaults; }))
    return false;
  if (env_.keys && context_->context.map->directory && has_changed_directory()) return false;
  if (control_->own) return true;
  if (by_protocol_ || (several_ && !several_->last())) return false;
  return cycle_ != cycle_kind::batch || (batch_synced_ && operation_ + 2 == operations_.size() && nothing_unsynced());
}

// What is still to be answered goes on in the cycle that the client believes to be over, and its next one waits for
// that. Behind COMMIT PREPARED among the actions: a client that has left ends them.
void session_machine::tell_decided(step& s) {
  const std::size_t from = s.client_bytes.size();
  if (control_->own) {
    s.client_bytes.append(std::exchange(held_complete_, {}));
  } else {
    s.client_bytes.append(std::exchange(control_->reply, {}));
    p::encode_command_complete(s.client_bytes, "COMMIT");
  }
  p::encode_ready_for_query(s.client_bytes, p::transaction_status::idle);
  s.own_to_client(from);
  told_ = answered_ = true;
}

std::string session_machine::error_of_commit(const p::frame_view& frame) {
  p::error_fields_view fields;
  if (!p::decode(frame.body, fields) || !gives_way(fields)) return std::string{frame.bytes};
  std::string error;
  p::encode_error(error, p::make_error(error_id::deadlock_detected));
  return error;
}

// A part, or the decision, that its server may yet lose. What is only prepared can be undone; of the decision the
// control plane hears when the replicas have it.
std::string session_machine::error_of_wait() {
  commit_state& c = *control_->commit;
  std::string error;
  if (c.at == commit_state::phase::decide) {
    c.prepared.clear();
    p::encode_error(error,
                    p::make_error(error_id::commit_unknown, "its wait for synchronous replication was cancelled"));
  } else {
    p::encode_error(error, p::make_error(error_id::replication_wait_canceled));
  }
  return error;
}

session_machine::verdict session_machine::commit_answer(branch_index i, const p::frame_view& frame) {
  using phase = commit_state::phase;
  commit_state& c = *control_->commit;
  branch& b = branches_[i];
  const bool judged = c.at == phase::prepare || c.at == phase::decide;
  const auto fail = [&](std::string error) {
    if (!c.failed) c.error = std::move(error);
    c.failed = true;
  };
  switch (frame.type) {
    case from_server::error_response:
      // What is decided stays so: the control plane finishes what could not be finished here.
      if (judged) fail(error_of_commit(frame));
      return verdict::drop;
    case from_server::command_complete: {
      p::command_complete_view complete;
      const bool readable = p::decode(frame.body, complete);
      if (!judged) return verdict::drop;
      // A transaction that had failed without anybody's notice answers ROLLBACK.
      if (!readable || complete.tag == "ROLLBACK") {
        std::string error;
        p::encode_error(error, p::make_error(error_id::transaction_aborted));
        fail(std::move(error));
      } else if (complete.tag == "PREPARE TRANSACTION") {
        c.prepared.push_back(i);
      }
      if (!c.failed && std::erase(c.unreplicated, i) > 0) fail(error_of_wait());
      return verdict::drop;
    }
    case from_server::ready_for_query:
      b.transaction = frame.body.empty() ? 'I' : frame.body[0];
      if (b.transaction == 'I') b.in_block = false;
      b.pop();
      return verdict::drop;
    default:
      return verdict::drop;
  }
}

// A server was lost in the middle of it. Before the decision that is a reason to undo everything; in the moment of the
// decision nobody knows; after it the control plane sees to the rest.
void session_machine::commit_lost(step& s, branch_index i, const p::error_report& error) {
  using phase = commit_state::phase;
  commit_state& c = *control_->commit;
  doubt_changes();
  std::erase(c.prepared, i);
  if (c.at == phase::prepare && !c.failed) {
    c.failed = true;
    auto report = error;
    report.hint = "The transaction has been rolled back on all shards.";
    p::encode_error(c.error, report);
  } else if (c.at == phase::decide && i == c.deciding) {
    c.failed = true;
    p::encode_error(c.error, p::make_error(error_id::commit_unknown, error.message));
    c.prepared.clear();
  }
  if (!anything_outstanding()) commit_step(s);
}

void session_machine::commit_over(step& s) {
  commit_state& c = *control_->commit;
  for (branch& b : branches_) {
    if (b.state != branch_state::ready) continue;
    b.in_block = false;
    // What was set in a transaction that has been prepared stays set, whatever becomes of it.
    if (c.failed && b.facts != nullptr) b.facts->current.reset();
  }
  if (c.failed) {
    control_->failed = true;
    control_->reply.append(c.error);
    txn_.chained = false;
  } else if (!control_->own && !answered_) {
    p::encode_command_complete(control_->reply, "COMMIT");
  }
  control_->running = false;
  finish_control(s);
}

}  // namespace pgbraid::proxy
