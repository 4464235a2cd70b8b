// Questions to the designated shard before a statement goes where it belongs. See question.hpp.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/names.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;

namespace {

// What is asked changes nothing that a transaction would have to commit.
const router::plan& plan_of(const question_state& q) {
  static const auto make = [](bool remembers) {
    router::plan plan;
    plan.mode = router::access::read;
    plan.needs_primary = true;
    plan.sequence_memory = remembers;
    return plan;
  };
  static const router::plan ordinary = make(false), remembering = make(true);
  return q.drawing && !q.is_lookup && q.drawing->remembers ? remembering : ordinary;
}

/// Whether some of the values are numbers of a sequence. Others come as constants.
bool counts(const router::drawing& d) {
  return std::any_of(d.samples.begin(), d.samples.end(),
                     [](const std::string& each) { return !each.starts_with('\''); });
}

}  // namespace

// A statement that is refused may be none at all, or name what does not exist: then the client gets the server's error.
bool session_machine::worth_asking(const router::plan& plan, const p::error_report& refusal) {
  if (plan.statement_count != 1) return false;
  // Several statements, of which one cannot be read, as far as anybody knows.
  if (plan.effect == router::session_effect::other && refusal.id != error_id::syntax_not_understood) return false;
  switch (refusal.id) {
    case error_id::transaction_aborted:
      return unreadable(plan);
    case error_id::syntax_not_understood:
    case error_id::cross_shard_read:
    case error_id::cross_shard_write:
    case error_id::key_change:
    case error_id::missing_key:
    case error_id::null_key:
    case error_id::invalid_key_value:
    case error_id::invalid_key_text:
    case error_id::key_out_of_range:
    case error_id::key_too_long:
    case error_id::user_code:
    case error_id::key_not_provable:
      return true;
    default:
      return false;
  }
}

// False: its tables have changed since it was planned.
bool session_machine::begin_drawing(std::string_view text) {
  auto made = router::plan_drawing(text, context_->context);
  if (!made) return false;
  question_ = std::make_unique<question_state>();
  question_->drawing = std::move(made);
  take_from_block();
  return true;
}

void session_machine::begin_asking(const p::error_report& refusal) {
  question_ = std::make_unique<question_state>();
  question_->refusal = refusal;
}

// A failed transaction asks a server that it is open on.
router::shard_index session_machine::shard_to_ask() const noexcept {
  if (client_status() != 'E') return router::designated_shard;
  const auto open =
      std::find_if(branches_.begin(), branches_.end(), [](const branch& b) { return b.in_block && !b.replica; });
  return open == branches_.end() ? router::designated_shard : open->shard;
}

// True: the answer is there. False: it is still to come, or the statement has failed.
bool session_machine::question_answered(step& s, std::string_view text, std::span<const router::oid> types) {
  question_state& q = *question_;
  if (q.done) return true;
  if (!q.asked) {
    p::error_report refusal;
    const router::route where{router::to_shard{q.is_lookup ? shard_with_directory() : shard_to_ask()},
                              router::access::read, true};
    if (!placed_ && !place(s, plan_of(q), where, targets_, refusal)) {
      if (q.refusal) refusal = *q.refusal;
      cycle_ == cycle_kind::simple ? refuse_simple(s, refusal) : static_cast<void>(op_error(s, refusal));
      return false;
    }
    placed_ = true;
    if (!ready(s, targets_)) return false;
    braid_ = braid_state{};
    if (q.is_lookup && !context_->context.map->directory) {
      // A reload has taken it away meanwhile.
      const auto error = tables_changed();
      cycle_ == cycle_kind::simple ? refuse_simple(s, error) : static_cast<void>(op_error(s, error));
      return false;
    }
    ask_question(s, text, types);
    return false;
  }
  if (anything_outstanding() || cycle_failed_) return false;
  if (q.is_lookup) {
    q.done = true;
    placed_ = false;
    targets_.clear();
    return true;
  }
  if (q.drawing) {
    if (q.in_block && q.values.size() >= q.drawing->count) share_block();
    if (q.values.size() != q.drawing->count) {
      const auto error = p::make_error(error_id::internal, "numbers of a sequence could not be read");
      cycle_ == cycle_kind::simple ? refuse_simple(s, error) : static_cast<void>(op_error(s, error));
      return false;
    }
    q.text = router::with_moments(q.drawing->text, q.values);
    if (counts(*q.drawing)) drew_elsewhere_ = false;
    if (blocks_ && !q.in_block) blocks_->unknown.erase(q.drawing->sequence);
  }
  q.done = true;
  placed_ = false;
  targets_.clear();
  return true;
}

void session_machine::ask_question(step& s, std::string_view text, std::span<const router::oid> types) {
  question_state& q = *question_;
  q.asked = true;
  const branch_index i = targets_.front();
  branch& b = branches_[i];
  const std::size_t from = s.backend_bytes.size();
  const auto ask = [&](answer kind) { b.expect({kind, disposition::gather, 0, asking_numbers}); };
  if (q.is_lookup) {
    // Keys and rows are of one snapshot.
    if (txn_.active && txn_.one_snapshot() && !txn_.home) txn_.home = i;
    ask_directory(s, i);
  } else if (q.drawing) {
    if (q.drawing->keys && cycle_ == cycle_kind::simple) {
      p::encode_parse(s.backend_bytes, "", text);
      ask(answer::parse);
    }
    q.in_block = q.in_block && env_.blocks;
    const std::string sql = q.in_block ? env_.blocks->statement(q.drawing->sequence, q.drawing->count) : q.drawing->sql;
    p::encode_parse(s.backend_bytes, "", sql);
    p::encode_bind(s.backend_bytes, "", "", {}, {}, {});
    p::encode_execute(s.backend_bytes, "");
    for (const answer kind : {answer::parse, answer::bind, answer::execute}) ask(kind);
    if (counts(*q.drawing)) note_drawn(i);
  } else {
    p::encode_parse(s.backend_bytes, "", text, types_for(i, types));
    ask(answer::parse);
  }
  send_question(s, i, from, asking_numbers);
}

// What has been written for branch `i` from `from` on, and asked for under `mark`, is sent so that it is answered now.
void session_machine::send_question(step& s, branch_index i, std::size_t from, std::uint32_t mark) {
  branch& b = branches_[i];
  if (cycle_ == cycle_kind::simple) {
    p::encode_sync(s.backend_bytes);
    b.expect({answer::sync, disposition::gather, 0, mark});
  } else {
    p::encode_flush(s.backend_bytes);
    b.unsynced = b.flushed = true;
  }
  b.facts->unnamed = 0;
  s.own_to_backend(i, from);
}

void session_machine::take_numbers(step& s, std::string_view body) {
  if (question_->is_lookup) return take_directory_row(s, body);
  p::data_row_view row;
  p::wire_value value;
  bool understood = question_->drawing && p::decode(body, row);
  auto values = row.columns.values();
  while (understood && values.next(value)) {
    // A key comes as a constant; what stands between quotes must contain none.
    const std::vector<std::string>& samples = question_->drawing->samples;
    const std::size_t at = question_->values.size();
    const bool constant = at < samples.size() && samples[at].starts_with('\'');
    understood = !value.null && (constant || value.bytes.find_first_of("'\\") == std::string_view::npos);
    question_->values.emplace_back(value.bytes);
  }
  if (!understood) fail_statement(s, p::make_error(error_id::internal, "numbers of a sequence could not be read"));
}

// The branch's server remembers what it has given: that is what currval() and lastval() tell.
void session_machine::note_drawn(branch_index i) {
  branch& b = branches_[i];
  b.drew = true;
  if (b.facts->drawer != serial_) b.facts->drawer = b.facts->drawer == 0 ? serial_ : several_drawers;
  drawn_pid_ = b.facts->pid;
  // Who asks for currval() once will ask again: what it draws from here on stays within its reach.
  if (asks_sequences_) pin(i, "currval() or lastval()");
}

// The catalog has changed since the statement was planned. Where numbers are there and more are wanted, the statement would
// go to a shard that draws for itself.
p::error_report session_machine::tables_changed() {
  return p::with_hint(p::make_error(error_id::cross_shard_write, "its tables have changed"), "Run the statement again.");
}

// Bind of a statement whose numbers must be drawn. True: question_ has the statement with them.
bool session_machine::draw_for_bind(step& s, const statement& st) {
  if (!question_) {
    if (!drained(s)) return false;
    if (!begin_drawing(st.text)) {
      (void)op_error(s, tables_changed());
      return false;
    }
  }
  if (!question_answered(s, {}, {})) return false;
  if (question_->statement) return true;
  question_->statement = std::make_shared<statement>();
  question_->statement->text = question_->text;
  question_->statement->parameter_types = st.parameter_types;
  question_->serial = next_unnamed_serial();
  return true;
}

// What the simple statement waited for is there. With its numbers it takes the place of the one that the client has
// sent.
std::optional<p::error_report> session_machine::go_on_with_answers(std::string_view text) {
  thread_local router::sql::token_scan scan;
  if (question_->is_lookup) end_lookup();
  const std::string_view own = question_ ? std::string_view{question_->text} : text;
  plan_ = context_->cache.get(own, scan, context_->context);
  if (plan_->draws) return tables_changed();
  return route_simple(own, scan.constants);
}

}  // namespace pgbraid::proxy
