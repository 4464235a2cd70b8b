// LISTEN and UNLISTEN: a session's channels are listened to by a server connection that it shares with others, so that
// it needs none of its own. They are answered here and take effect with the transaction, as a server has it; what the
// session notifies itself is heard before it is told that its transaction is over. Source: PostgreSQL's async.c.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"

#include <algorithm>
#include <utility>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;
using router::session_effect;

namespace {

bool is_ascii(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

// What cannot be shared goes to the session's own backend, which it keeps from then on.
bool session_machine::can_share(const router::plan& plan) const noexcept {
  if (env_.pool_mode == config::pool_mode::session || txn_.foreign || plan.opaque) return false;
  return is_plain_channel(plan.name);
}

// LISTEN that cannot be shared, and UNLISTEN where the session's own backend may listen.
bool session_machine::is_for_server(const router::plan& plan) const noexcept {
  if (plan.effect == session_effect::listen) return !can_share(plan);
  // Over several shards no server listens for the session alone.
  return context_->context.map->one_shard() && (pinned_ >= 0 || txn_.foreign);
}

// The branch's server has been told.
void session_machine::note_listen(branch_index i, const router::plan& plan) {
  branches_[i].dirty = true;
  if (plan.effect == session_effect::listen) return pin(i, "LISTEN");
  if (listening_) listening_->changes.push_back({false, plan.name});
}

std::vector<std::string> session_machine::wanted_channels() const {
  if (!listening_) return {};
  std::vector<std::string> out = listening_->channels;
  out.insert(out.end(), listening_->joining.begin(), listening_->joining.end());
  return out;
}

bool session_machine::control_listen(step& s) {
  const router::plan& plan = *control_->plan;
  const bool listen = plan.effect == session_effect::listen;
  const char* const tag = listen ? "LISTEN" : "UNLISTEN";
  if (is_for_server(plan)) {
    if (!context_->context.map->one_shard()) {
      p::encode_error(control_->reply,
                      p::make_error(error_id::session_feature, tag, "this channel's name must be left to one server"));
      control_->failed = control_->done = true;
      return true;
    }
    control_->running = true;
    run_control(s);
    return true;
  }
  if (!listen && !listening_) {
    control_local(tag);
    return true;
  }
  if (!listening_) {
    listening_ = std::make_unique<listening_state>();
    listening_->encoding = encoding_key(current_->value_of("client_encoding", ""));
  }
  listening_->changes.push_back({listen, plan.name});
  if (!txn_.active && cycle_ == cycle_kind::simple && awaits_channels(s)) {
    control_->running = true;
    return true;
  }
  control_local(tag);
  return true;
}

// A transaction is about to commit: what it has begun to listen to is listened to first, so that nothing is missed that
// is committed after it. True: to be called again when that is so.
bool session_machine::awaits_channels(step& s) {
  if (!listening_ || listening_->changes.empty() || listening_->joined) return false;
  listening_state& l = *listening_;
  if (l.waits == listening_state::wait::channels) return true;
  l.joining = l.after_changes();
  std::erase_if(l.joining, [&](const std::string& name) { return l.hears(name); });
  if (l.joining.empty()) return false;
  l.waits = listening_state::wait::channels;
  s.add(action_kind::hear);
  ask_to_catch_up(s);
  return true;
}

// What the branches' servers have notified for others before they came to this session has been heard when the answer
// is here.
void session_machine::ask_to_catch_up(step& s) {
  for (branch& b : branches_) b.voice_asked = b.state == branch_state::ready && !b.replica;
  s.add(action_kind::catch_up);
}

// The client's own process id stands in what it notifies itself, so what the branch's process has notified for others
// must have been heard before. False: that is still awaited.
bool session_machine::finds_its_voice(step& s, branch_index i) {
  branch& b = branches_[i];
  listening_state& l = *listening_;
  if (b.own_voice || b.replica || l.channels.empty()) return true;
  if (b.facts->writer == 0 || b.facts->writer == serial_) return b.own_voice = true;
  if (l.waits != listening_state::wait::nothing) return false;
  l.waits = listening_state::wait::voice;
  ask_to_catch_up(s);
  return false;
}

void session_machine::on_caught_up(step& s) {
  if (!listening_) return;
  listening_state& l = *listening_;
  const auto what = std::exchange(l.waits, listening_state::wait::nothing);
  for (branch& b : branches_) {
    if (!std::exchange(b.voice_asked, false) || b.state != branch_state::ready) continue;
    b.own_voice = true;
    b.facts->writer = serial_;
  }
  switch (what) {
    case listening_state::wait::nothing:
      return;
    case listening_state::wait::end:
      l.fresh = true;
      return conclude(s);
    case listening_state::wait::voice:
      return work(s);
    case listening_state::wait::channels:
      break;
  }
  l.joined = true;
  if (!control_ || !control_->running) return work(s);
  control_->running = false;
  if (control_->plan->effect == session_effect::listen || control_->plan->effect == session_effect::unlisten) {
    l.fresh = true;
    control_local(control_->plan->effect == session_effect::listen ? "LISTEN" : "UNLISTEN");
  } else if (control_->own) {
    return end_own(s);
  } else if (txn_.untold) {
    // A server of the transaction was lost meanwhile.
    p::encode_error(control_->reply, *std::exchange(txn_.untold, nullptr));
    control_->failed = true;
  } else {
    (void)control_end(s);
    if (control_->running) return;
  }
  finish_control(s);
}

void session_machine::end_listens(bool committed) {
  if (listening_) listening_->end(committed);
}

// The text that goes to branch `i` may end the transaction where only the server sees how: what the transaction has
// said of channels is said there, and what comes of it is found by a probe.
void session_machine::leave_to_server(step& s, branch_index i, const router::plan& plan) {
  if (listening_->changes.empty()) return;
  if (plan.statement_count < 2 && !plan.opaque && plan.effect != session_effect::two_phase) return;
  for (const listening_state::change& c : listening_->changes) {
    own_query(s, i, (c.listen ? "LISTEN " : "UNLISTEN ") + (c.channel.empty() ? "*" : quoted_channel(c.channel)));
  }
  branches_[i].dirty = true;
  // What has been in force is no concern of that server's.
  std::vector<listening_state::change> gone;
  for (const listening_state::change& c : listening_->changes) {
    if (!c.listen) gone.push_back(c);
  }
  listening_->changes = std::move(gone);
}

// Statements to be run first where pg_listening_channels() is asked for.
std::string session_machine::listen_for_show(branch_index i) {
  branch& b = branches_[i];
  std::string sql;
  if (!std::exchange(b.shows_channels, false) || b.listens || !listening_) return sql;
  for (const std::string& name : listening_->channels)
    sql.append(sql.empty() ? "LISTEN " : "; LISTEN ").append(quoted_channel(name));
  b.listens = !sql.empty();
  return sql;
}

// Its transaction has begun there, so that LISTEN would come too late: the names take the place of the question.
bool session_machine::shows_by_text(branch_index i, const router::plan& plan) const noexcept {
  if (!plan.listening_channels || !listening_ || listening_->channels.empty()) return false;
  return branches_[i].in_block && !branches_[i].listens;
}

p::error_report session_machine::channels_not_shown() {
  return p::with_hint(p::make_error(error_id::session_feature, "this use of pg_listening_channels() in a transaction",
                                    "LISTEN is on a connection that is shared"),
                      "Ask by SELECT * FROM pg_listening_channels() alone, or before BEGIN.");
}

void session_machine::unlisten_after_show(step& s, branch_index i) {
  branches_[i].listens = false;
  if (pinned_ != i || !listening_) return own_query(s, i, "UNLISTEN *");
  // Code may have made it listen to others.
  for (const std::string& name : listening_->channels) own_query(s, i, "UNLISTEN " + quoted_channel(name));
}

void session_machine::on_notification(step& s, router::shard_index shard, const p::notification_view& told) {
  if (!listening_ || !listening_->hears(told.channel)) return;
  listening_state& l = *listening_;
  if (!is_ascii(told.payload) && encoding_key(current_->value_of("client_encoding", "")) != l.encoding) {
    return stop_listening(
        s, p::make_error(error_id::listener_lost, "client_encoding is no longer what it was when it began to listen"));
  }
  const bool own = std::any_of(branches_.begin(), branches_.end(), [&](const branch& b) {
    return b.own_voice && b.state == branch_state::ready && b.shard == shard && b.facts->pid == told.pid;
  });
  p::encode_notification(l.held, own ? client_pid_ : told.pid, told.channel, told.payload);
  if (between_transactions()) return tell_held(s);
  if (l.held.size() > env_.max_notifications)
    stop_listening(s, p::make_error(error_id::listener_too_slow, env_.max_notifications));
}

void session_machine::tell_held(step& s) {
  if (listening_->held.empty()) return;
  const std::size_t from = s.client_bytes.size();
  s.client_bytes.append(listening_->held);
  s.own_to_client(from);
  listening_->held = {};
}

void session_machine::on_listener_lost(step& s, std::string_view why) {
  if (!listening_) return;
  listening_->lost = why;
  const auto waits = std::exchange(listening_->waits, listening_state::wait::nothing);
  if (waits == listening_state::wait::end) return conclude(s);
  if (waits != listening_state::wait::nothing || between_transactions())
    stop_listening(s, p::make_error(error_id::listener_lost, why));
}

void session_machine::stop_listening(step& s, const p::error_report& why) {
  const bool in_middle =
      std::any_of(branches_.begin(), branches_.end(), [](const branch& b) { return b.bulk > 0 && b.bulk_forward; });
  if (!in_middle) {
    const std::size_t from = s.client_bytes.size();
    p::encode_error(s.client_bytes, why);
    s.own_to_client(from);
  }
  s.add(action_kind::close);
}

// Before the end of a cycle is told, outside of a transaction, all is told that was notified before: by the session
// itself, and by whoever has had the answer to that before this session's client asked. False: that is still awaited.
bool session_machine::told_everything(step& s) {
  listening_state& l = *listening_;
  if (l.waits != listening_state::wait::nothing) {
    l.waits = listening_state::wait::end;
    return false;
  }
  if (txn_.active) return true;
  if (!l.changes.empty() || !l.joining.empty()) l.end(!cycle_failed_);
  if (!std::exchange(l.fresh, false) && !l.channels.empty() && l.lost.empty()) {
    l.waits = listening_state::wait::end;
    ask_to_catch_up(s);
    return false;
  }
  if (std::exchange(l.stale, false)) s.add(action_kind::hear);
  tell_held(s);
  return true;
}

// The cycle's ReadyForQuery, and its end.
void session_machine::conclude(step& s) {
  if (sets_sequences_ || blocks_) settle_blocks();
  if (!listening_) {
    if (!answered_) tell_ready(s);
    return finish_cycle(s);
  }
  if (!told_everything(s)) return;
  if (!answered_) tell_ready(s);
  finish_cycle(s);
  if (txn_.active) return;
  if (!listening_->lost.empty()) return stop_listening(s, p::make_error(error_id::listener_lost, listening_->lost));
  if (listening_->over()) listening_.reset();
}

}  // namespace pgbraid::proxy
