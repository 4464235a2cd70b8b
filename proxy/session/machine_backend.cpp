// Answers: what comes from backends, matched against what is expected of them. Bytes for the client are passed on as they
// stand in the backend's buffer; only what is ours is cut out.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"

#include <algorithm>
#include <charconv>

namespace pgbraid::proxy {

namespace p = protocol;
namespace from_server = protocol::backend;
using protocol::error_id;

namespace {

// Larger messages than this from a server are no messages.
constexpr std::size_t max_server_message = std::size_t{1} << 30;

// The server's function that finds a prepared statement's plan out of date; unlike the message, its name is not
// translated.
constexpr std::string_view replanning = "RevalidateCachedQuery";

// A replica's own reasons to fail a read that the primary would answer.
bool replicas_own_failure(std::string_view sqlstate, std::string_view message) {
  if (sqlstate == "25006" || sqlstate == "57P01" || sqlstate == "57P02" || sqlstate == "57P03") return true;
  return (sqlstate == "40001" || sqlstate == "40P01") && message.find("conflict with recovery") != std::string_view::npos;
}

}  // namespace

void session_machine::forward(step& s, std::string_view bytes) {
  s.to_client(bytes);
  told_ = true;
}

void session_machine::flush_run(step& s) {
  if (at_ > run_) forward(s, {data_.data() + run_, at_ - run_});
  run_ = at_;
}

std::size_t session_machine::on_backend(step& s, branch_index i, std::string_view data) {
  data_ = data;
  run_ = at_ = 0;
  while (branches_[i].state == branch_state::ready) {
    branch& b = branches_[i];
    if (braid_.active && braid_.bulk_owner >= 0 && braid_.bulk_owner != i) {
      if (std::find(braid_.held.begin(), braid_.held.end(), i) == braid_.held.end()) braid_.held.push_back(i);
      s.add(action_kind::hold, i);
      break;
    }
    if (braid_.merge && ahead_of_others(i)) {
      s.add(action_kind::hold, i);
      break;
    }
    if (b.bulk > 0) {
      const std::size_t bytes = std::min(b.bulk, data.size() - at_);
      if (!b.bulk_forward) flush_run(s);
      b.bulk -= bytes;
      at_ += bytes;
      if (!b.bulk_forward) run_ = at_;
      if (b.bulk > 0) break;
      if (braid_.bulk_owner == i) {
        braid_.bulk_owner = -1;
        for (const branch_index held : braid_.held) s.add(action_kind::resume, held);
        braid_.held.clear();
      }
      continue;
    }
    p::frame_view frame;
    const p::frame_status status = p::next_frame({data.data() + at_, data.size() - at_}, max_server_message, frame);
    if (status == p::frame_status::malformed || status == p::frame_status::too_large) {
      flush_run(s);
      s.add(action_kind::discard, i);
      on_backend_lost(s, i, "the server sent a message of impossible length");
      return data.size();
    }
    if (frame.total == 0) break;
    // Arguments of EXECUTE, for which it waits.
    const bool computed = by_protocol_ && by_protocol_->at == by_protocol_state::phase::values &&
                          frame.type == from_server::data_row && b.outstanding() &&
                          b.expected[b.next].what == disposition::forward;
    if ((frame.type == from_server::data_row || frame.type == from_server::copy_data) && b.outstanding() &&
        b.expected[b.next].what != disposition::probe && !is_kept(s, i, frame.total) && !computed) {
      const bool wanted = b.expected[b.next].what == disposition::forward && !(braid_.active && (braid_.failed || echoes(i)));
      if (!wanted) flush_run(s);
      const std::size_t available = std::min(frame.total, data.size() - at_);
      at_ += available;
      if (!wanted) run_ = at_;
      if (available < frame.total) {
        b.bulk = frame.total - available;
        b.bulk_forward = wanted;
        if (wanted && braid_.active) braid_.bulk_owner = i;
        break;
      }
      // Nothing can have changed for those behind it.
      at_ += p::run_of_frames({data.data() + at_, data.size() - at_}, frame.type);
      if (!wanted) run_ = at_;
      continue;
    }
    if (status == p::frame_status::incomplete) break;
    const bool owed = b.outstanding();
    const std::size_t total = frame.total;
    const bool retold = (frame.type == from_server::row_description || frame.type == from_server::parameter_description) && as_first_tells(i, frame);
    verdict what = computed ? verdict::keep : answer_of(s, i, frame);
    if (by_protocol_ && what == verdict::keep && is_muted(frame)) what = verdict::drop;
    if (what == verdict::over) return data.size();
    if (what == verdict::drop || retold) flush_run(s);
    if (what == verdict::keep && retold) {
      const std::size_t from = s.client_bytes.size();
      s.client_bytes.append(frame.bytes);
      s.own_to_client(from);
      told_ = true;
    }
    at_ += total;
    if (what == verdict::drop || retold) run_ = at_;
    if (!local_answers_.empty()) {
      flush_run(s);
      tell_local_answers(s);
    }
    if (owed && !branches_[i].outstanding()) {
      flush_run(s);
      settled(s, i);
    }
  }
  flush_run(s);
  if (braid_.merge) tell_sorted_rows(s);
  return at_;
}

session_machine::verdict session_machine::answer_of(step& s, branch_index i, const p::frame_view& frame) {
  branch& b = branches_[i];
  if (from_server::is_asynchronous(frame.type)) return asynchronous(s, i, frame);
  if (frame.type == from_server::error_response) {
    p::error_fields_view fields;
    const bool readable = p::decode(frame.body, fields);
    if (!readable || fields.severity() == "FATAL" || fields.severity() == "PANIC") {
      std::string why = readable ? fmt::format("{} ({})", fields.message(), fields.sqlstate()) : std::string{"unreadable error"};
      flush_run(s);
      s.add(action_kind::discard, i);
      on_backend_lost(s, i, why);
      return verdict::over;
    }
  }
  if (!b.outstanding()) {
    flush_run(s);
    s.add(action_kind::discard, i);
    on_backend_lost(s, i, "the server sent an answer that nobody asked for");
    return verdict::over;
  }
  switch (b.expected[b.next].what) {
    case disposition::forward:
      return forward_answer(s, i, frame);
    case disposition::control:
      return control_answer(i, frame);
    case disposition::gather:
      return gather_answer(s, i, frame);
    case disposition::round:
      return round_answer(s, i, frame);
    default:
      return quiet_answer(s, i, frame);
  }
}

bool session_machine::hear(const expectation& e) {
  if (!braid_.active) return true;
  if (e.sequence <= braid_.heard) return false;
  braid_.heard = e.sequence;
  return true;
}

void session_machine::pop_answer(branch_index i) {
  branch& b = branches_[i];
  b.pop();
  while (b.outstanding() && b.expected[b.next].kind == answer::local) {
    const expectation e = b.expected[b.next];
    b.pop();
    if (!hear(e)) continue;
    // Told by on_backend once the frame under way has been dealt with.
    local_answers_.push_back(e.local_type);
    if (e.local_type == from_server::parse_complete && e.statement != 0 && !unconfirmed_.empty()) unconfirmed_.erase(unconfirmed_.begin());
  }
}

session_machine::verdict session_machine::forward_answer(step& s, branch_index i, const p::frame_view& frame) {
  branch& b = branches_[i];
  const expectation e = b.expected[b.next];
  const auto completes = [&](answer kind) {
    if (e.kind == kind) pop_answer(i);
    return hear(e) ? verdict::keep : verdict::drop;
  };
  switch (frame.type) {
    case from_server::parse_complete:
      if (e.kind == answer::parse && e.statement != 0 && !unconfirmed_.empty() && (!braid_.active || e.sequence > braid_.heard)) {
        if (const statement_ptr* const st = statements_.find(unconfirmed_.front())) note_parsed(i, **st);
        unconfirmed_.erase(unconfirmed_.begin());
      }
      return completes(answer::parse);
    case from_server::bind_complete:
      return completes(answer::bind);
    case from_server::close_complete:
      return completes(answer::close);
    case from_server::row_description:
      if (braid_.active && !row_descriptions_agree(e.sequence, frame.body)) {
        if (!braid_.failed) fail_statement(s, p::make_error(error_id::server_results_differ, "their columns are not the same"));
        if (e.kind == answer::describe_portal || e.kind == answer::describe_statement) pop_answer(i);
        return verdict::drop;
      }
      if (e.kind == answer::describe_portal || e.kind == answer::describe_statement) {
        if (e.statement != 0) note_shape(i, e.statement, frame);
        const bool first = hear(e);
        pop_answer(i);
        return first ? verdict::keep : verdict::drop;
      }
      if (braid_.active) return braid_.heard == 0 && !braid_.failed ? (braid_.heard = 1, verdict::keep) : verdict::drop;
      return verdict::keep;
    case from_server::data_row:
      if (config_) {
        if (echoes(i)) return verdict::drop;
        take_config_row(frame.body);
        return verdict::keep;
      }
      if (braid_.merge) {
        keep_sorted_row(s, i, frame.bytes);
      } else {
        keep_ordered_row(s, i, frame.bytes);
      }
      return verdict::drop;
    case from_server::no_data:
      if (e.kind == answer::describe_portal || e.kind == answer::describe_statement) {
        if (e.statement != 0) note_shape(i, e.statement, frame);
        const bool first = hear(e);
        pop_answer(i);
        return first ? verdict::keep : verdict::drop;
      }
      return verdict::keep;
    case from_server::command_complete:
    case from_server::empty_query_response:
    case from_server::portal_suspended:
      if (copy_ && segment_complete(i, frame.body)) return verdict::drop;
      if (numbers_copies(i) && !replay_->numbers->final) return verdict::drop;
      if (braid_.active) {
        if (e.kind == answer::execute) pop_answer(i);
        const verdict what = braid_complete(s, i, frame.body);
        if (copy_ && copy_->of(i) != nullptr) {
          copy_->of(i)->is = copy_state::part::state::over;
          copy_part_over(s);
        }
        return what;
      }
      if (e.kind == answer::execute) pop_answer(i);
      if (txn_.own && holds_completion()) {
        held_complete_ = frame.bytes;
        return verdict::drop;
      }
      return verdict::keep;
    case from_server::copy_in_response: {
      if (e.kind != answer::query && e.kind != answer::execute) {
        s.add(action_kind::discard, i);
        on_backend_lost(s, i, "the server asked for data that nobody has");
        return verdict::over;
      }
      if (copy_) return copy_opened(s, i, frame);
      if (numbers_copies(i) && replay_->numbers->final) return verdict::drop;  // its rows are behind the statement
      if (replay_ && echoes(i)) {
        replay_copy(s, i);
        return verdict::drop;
      }
      copy_in_ = i;
      again_ = false;
      // In copy mode the server passes over a Sync: the one behind the copy data is the one that counts.
      if (b.expected.back().kind == answer::sync) b.expected.pop_back();
      begin_taking_data(s);
      return verdict::keep;
    }
    case from_server::error_response:
      return error_answer(s, i, frame);
    case from_server::ready_for_query:
      return ready_answer(s, i, frame);
    case from_server::copy_both_response:
      s.add(action_kind::discard, i);
      on_backend_lost(s, i, "the server began a replication stream");
      return verdict::over;
    default:
      return verdict::keep;
  }
}

// Behind an error in the extended protocol a server passes over everything up to the next Sync.
void session_machine::pass_to_sync(branch_index i) {
  branch& b = branches_[i];
  if (!b.outstanding() || b.expected[b.next].kind == answer::query || b.expected[b.next].kind == answer::function_call) return;
  while (b.outstanding() && b.expected[b.next].kind != answer::sync) {
    const expectation e = b.expected[b.next];
    if (e.statement != 0 && e.kind == answer::parse) b.facts->prepared.remove(e.statement);
    if (e.statement != 0 && e.kind == answer::close) b.facts->prepared.add(e.statement);
    if (e.statement == 0 && e.kind == answer::parse) b.facts->unnamed = 0;
    if (e.kind != answer::local && e.local_type == of_names && b.facts->sql) b.facts->sql->unknown = true;
    b.pop();
  }
  b.failed_quietly = cycle_ == cycle_kind::batch;
  if (b.failed_quietly) batch_failed();
}

session_machine::verdict session_machine::error_answer(step& s, branch_index i, const p::frame_view& frame) {
  branch& b = branches_[i];
  p::error_fields_view fields;
  (void)p::decode(frame.body, fields);
  if (b.replica && replicas_own_failure(fields.sqlstate(), fields.message()) && begin_anew_on_primary(s, i, false)) return verdict::over;
  if (!b.replica && fields.sqlstate() == "25006") s.add(action_kind::doubt, i);
  if (copy_in_ == i) end_copy(s);
  if (b.state != branch_state::ready) return verdict::over;
  if (replay_ && !cycle_failed_ && (replay_->too_large || replay_->tells_moments)) {
    fail_statement(s, cannot_replay());
    return verdict::drop;
  }
  if (replay_ && replay_->numbers && replay_->numbers->rows.refused() && !cycle_failed_) {
    fail_statement(s, *replay_->numbers->rows.refused());
    return verdict::drop;
  }
  const bool first = !(braid_.active && braid_.failed) && !cycle_failed_;
  if (braid_.active) braid_.failed = true;
  if (b.outstanding() && b.expected[b.next].statement != 0 && fields.field('R') == replanning)
    env_.statements.retire(b.expected[b.next].statement);
  b.shape_due = false;
  // What the client has sent in a batch is its own text, whatever the route of another of its statements is.
  const bool of_ours =
      cycle_ == cycle_kind::simple || (b.outstanding() && b.expected[b.next].what != disposition::forward);
  if (first) tell_bound(s, i);
  pass_to_sync(i);
  if (copy_error(s, i, frame)) {
    copy_part_over(s);
    return verdict::drop;
  }
  cycle_failed_ = true;
  if (first && gives_way(fields)) {
    flush_run(s);
    tell_error(s, p::make_error(error_id::deadlock_detected));
    let_go(s, i);
    return verdict::drop;
  }
  if (first && !statements_.empty()) {
    if (const std::string renamed = with_own_name(frame.bytes); !renamed.empty()) {
      flush_run(s);
      const std::size_t from = s.client_bytes.size();
      s.client_bytes.append(renamed);
      s.own_to_client(from);
      told_ = true;
      return verdict::drop;
    }
  }
  const bool copied_query = plan_ && plan_->effect == router::session_effect::copy_out &&
                            std::holds_alternative<router::to_gather>(route_.target);
  if (first && of_ours && (splits_rows() || stage_ || question_ || copied_query)) return tell_of_part(s, i, frame);
  if (first && replay_ && replay_->numbers)
    return numbered_copy_error(s, frame, b.outstanding() && b.expected[b.next].sequence == asking_copied);
  if (first && (several_ || by_protocol_)) return tell_in_place(s, frame);
  return first ? verdict::keep : verdict::drop;
}

session_machine::verdict session_machine::ready_answer(step& s, branch_index i, const p::frame_view& frame) {
  branch& b = branches_[i];
  b.transaction = frame.body.empty() ? 'I' : frame.body[0];
  b.unsynced = false;
  b.failed_quietly = false;
  if (b.defaults) tell_defaults(s, b);
  if (copy_in_ == i) end_copy(s);
  b.pop();
  if (copy_) drawing_part_ready(s, i);
  if (env_.pool_mode == config::pool_mode::statement && b.transaction != 'I' && !txn_.active) {
    // A text of several statements has begun what would have to be kept for the client.
    flush_run(s);
    tell_error(s, p::make_error(error_id::transaction_left_open));
    s.add(action_kind::discard, i);
    s.add(action_kind::close);
    drop_branch(i);
    return verdict::over;
  }
  reconcile(s, i);
  if (anything_outstanding()) return verdict::drop;
  // The last one: the client's own state decides what it is told.
  if (client_status() != b.transaction || answered_ || txn_.own || needs_.hold() || listening_ || several_ ||
      by_protocol_ || (copy_ && !copy_->tag.empty()) ||
      (braid_.active && braid_.ahead && !sent_ && cycle_ == cycle_kind::simple))
    return verdict::drop;
  cycle_over_ = true;
  return verdict::keep;
}

// Branch `i` owes nothing any more: whatever waited for that goes on.
void session_machine::settled(step& s, branch_index i) {
  if (copy_ && copy_->draws_on(i)) copy_numbers_over(s);
  if (numbers_copies(i)) send_numbered_copy(s);
  if (cycle_over_) {
    cycle_over_ = false;
    return finish_cycle(s);
  }
  if (cycle_ == cycle_kind::none) {
    if (!txn_.active) release_branches(s);
    if (awaits_probe_) s.more_input = true;
    return;
  }
  if (control_ && control_->running && sent_) {
    if (anything_outstanding()) return;
    if (control_->commit) return commit_step(s);
    control_->running = false;
    return finish_control(s);
  }
  const bool all_sent = cycle_ == cycle_kind::batch ? sync_sent_ : sent_;
  if (!all_sent) return work(s);
  if (anything_outstanding()) return;
  end_cycle(s);
}

void session_machine::tell_local_answers(step& s) {
  if (by_protocol_) return local_answers_.clear();
  const std::size_t from = s.client_bytes.size();
  for (const char type : local_answers_) {
    const char frame[] = {type, 0, 0, 0, 4};
    s.client_bytes.append(frame, sizeof frame);
  }
  s.own_to_client(from);
  local_answers_.clear();
  told_ = true;
}

// A text of several statements may have begun or ended a transaction where only the server sees it.
void session_machine::reconcile(step& s, branch_index i) {
  branch& b = branches_[i];
  if (txn_.active && b.in_block && b.transaction == 'I') {
    b.in_block = false;
    const settings_ptr base = txn_.base;
    for (std::size_t k = 0; k < branches_.size(); ++k) {
      branch& other = branches_[k];
      if (!other.in_block || other.state != branch_state::ready) continue;
      const std::size_t from = s.backend_bytes.size();
      p::encode_query(s.backend_bytes, "ROLLBACK");
      s.own_to_backend(static_cast<branch_index>(k), from);
      other.expect({answer::query, disposition::swallow});
      other.in_block = false;
      other.facts->current.reset();
    }
    // Whether it was committed, and what it has set, the server is asked.
    if (txn_.prologue.size() > 1) {
      b.facts->current.reset();
      b.dirty = true;
    }
    current_ = local_ = base;
    txn_.clear();
    adopt_settings();
  } else if (!txn_.active && b.transaction != 'I') {
    txn_.clear();
    txn_.active = txn_.foreign = txn_.primary_only = true;
    txn_.base = current_;
    b.in_block = true;
  }
}

}  // namespace pgbraid::proxy
