// Answers that the client does not see as they are: what pgbraid asked for itself, what is made one answer of, and messages
// that belong to no answer.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"

namespace pgbraid::proxy {

namespace p = protocol;
namespace from_server = protocol::backend;

session_machine::verdict session_machine::asynchronous(step& s, branch_index i, const p::frame_view& frame) {
  const branch& b = branches_[i];
  const disposition what = b.outstanding() ? b.expected[b.next].what : disposition::forward;
  p::notification_view notification;
  const bool notified = frame.type == from_server::notification_response && p::decode(frame.body, notification);
  if (notified && listening_ && listening_->hears(notification.channel)) return verdict::drop;  // told by another way
  // What was notified meanwhile has nothing to do with what pgbraid asks for itself.
  const bool unseen = what == disposition::swallow || what == disposition::prepare || what == disposition::probe ||
                      what == disposition::gather ||
                      (what == disposition::round && round_ && round_->at != round_state::phase::run);
  if (unseen && !notified) return verdict::drop;
  // What the one that speaks for all says too.
  if (braid_.active && echoes(i) &&
      (frame.type == from_server::notice_response || frame.type == from_server::parameter_status))
    return verdict::drop;
  if (copy_ && copy_->of(i) != nullptr && frame.type == from_server::notice_response && what == disposition::forward) {
    flush_run(s);
    const std::size_t from = s.client_bytes.size();
    s.client_bytes.append(retell(*copy_->of(i), frame).frame);
    s.own_to_client(from);
    told_ = true;
    return verdict::drop;
  }
  if (frame.type == from_server::parameter_status && b.replica) {
    p::parameter_status_view status;
    if (p::decode(frame.body, status) && status.name == "in_hot_standby") b.facts->standby = status.value == "on";
    // A replica says of itself what the one server that the client sees would not.
    if (p::decode(frame.body, status) && (status.name == "in_hot_standby" || status.name == "default_transaction_read_only")) return verdict::drop;
  }
  const bool own = notified && notification.pid == b.facts->pid;
  if (own && what != disposition::control) {
    flush_run(s);
    const std::size_t from = s.client_bytes.size();
    p::encode_notification(s.client_bytes, client_pid_, notification.channel, notification.payload);
    s.own_to_client(from);
    told_ = true;
    return verdict::drop;
  }
  if (what == disposition::control && control_->commit && frame.type == from_server::notice_response) {
    p::error_fields_view notice;
    if (p::decode(frame.body, notice) && notice.field('R') == wait_for_replicas)
      control_->commit->unreplicated.push_back(i);
  }
  if (what == disposition::control) {
    // Its place is among the messages of the one answer that is made.
    if (i != targets_.front()) return verdict::drop;
    if (own) {
      p::encode_notification(control_->reply, client_pid_, notification.channel, notification.payload);
    } else {
      control_->reply.append(frame.bytes);
    }
    return verdict::drop;
  }
  return verdict::keep;
}

// Answers to what pgbraid asked for itself.
session_machine::verdict session_machine::quiet_answer(step& s, branch_index i, const p::frame_view& frame) {
  branch& b = branches_[i];
  const expectation e = b.expected[b.next];
  switch (frame.type) {
    case from_server::error_response:
      if (is_of_need(e.local_type)) return need_error(s, i, frame);
      if (e.local_type == of_optional_name) {
        if (b.facts->sql)
          std::erase_if(b.facts->sql->entries, [&](const auto& entry) { return entry.second == e.statement; });
        if (e.kind == answer::parse) b.pop();
        return verdict::drop;
      }
      if (e.what == disposition::prepare && b.facts->sql) b.facts->sql->unknown = true;
      if (e.kind == answer::query || (e.what == disposition::prepare && cycle_ != cycle_kind::batch)) {
        while (b.outstanding() && b.expected[b.next].kind == answer::parse) b.pop();
        b.facts->current.reset();
        if (e.what == disposition::probe) {
          probe_pins_ = true;
          pin(i, "a probe of its state that failed");
        } else if (!cycle_failed_) {
          // The statement behind it would not run as the client believes: its settings or its transaction are missing.
          flush_run(s);
          forward(s, frame.bytes);
          cycle_failed_ = true;
          if (txn_.active) txn_.failed = txn_.broken = true;
        }
        return verdict::drop;
      }
      return error_answer(s, i, frame);
    case from_server::data_row:
      if (e.what == disposition::probe) probe_row(i, frame.body);
      if (e.local_type == of_claims) take_claim_row(frame.body);
      return verdict::drop;
    case from_server::ready_for_query:
      b.transaction = frame.body.empty() ? 'I' : frame.body[0];
      if (is_of_need(e.local_type)) need_answered(s, b, e.local_type);
      if (e.what == disposition::prepare) --b.preparing;
      if (e.what == disposition::probe) probe_over(i);
      pop_answer(i);
      return verdict::drop;
    case from_server::parse_complete:
    case from_server::bind_complete:
    case from_server::close_complete:
      if (e.kind == answer::parse || e.kind == answer::bind || e.kind == answer::close) pop_answer(i);
      return verdict::drop;
    case from_server::command_complete:
      if (e.kind == answer::execute) pop_answer(i);
      return verdict::drop;
    case from_server::row_description:
    case from_server::no_data:
      if (e.kind != answer::describe_statement) return verdict::drop;
      note_shape(i, e.statement, frame);
      b.shape_due = false;
      pop_answer(i);
      return verdict::drop;
    default:
      return verdict::drop;
  }
}

session_machine::verdict session_machine::control_answer(branch_index i, const p::frame_view& frame) {
  if (control_->commit) return commit_answer(i, frame);
  branch& b = branches_[i];
  switch (frame.type) {
    case from_server::error_response:
      if (!control_->failed) {
        if (i != targets_.front()) control_->reply.clear();
        control_->reply.append(frame.bytes);
      }
      control_->failed = true;
      return verdict::drop;
    case from_server::data_row:
      if (control_->token) note_position(i, frame.body);
      return verdict::drop;
    case from_server::command_complete:
      if (control_->token || control_->failed || i != targets_.front() || control_->tagged) return verdict::drop;
      control_->tagged = true;
      if (control_->tag.empty()) {
        control_->reply.append(frame.bytes);
      } else {
        p::encode_command_complete(control_->reply, control_->tag);
      }
      return verdict::drop;
    case from_server::ready_for_query: {
      b.transaction = frame.body.empty() ? 'I' : frame.body[0];
      if (b.transaction == 'I') b.in_block = txn_.chained && b.in_block;
      b.pop();
      return verdict::drop;
    }
    default:
      return verdict::drop;
  }
}

}  // namespace pgbraid::proxy
