// The simple query protocol, function calls, and copy data on their way in.
#include "proxy/session/machine.hpp"

#include "protocol/frontend.hpp"
#include "protocol/wire.hpp"

#include <algorithm>
#include <utility>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;
using router::session_effect;

namespace {

// Shared by all sessions of a worker: what one look-up leaves behind is used up before the next one.
router::sql::token_scan& scratch_scan() {
  thread_local router::sql::token_scan scan;
  return scan;
}

}  // namespace

void session_machine::start_simple(step& s, const p::frame_view& frame) {
  p::query_view query;
  if (!p::decode(frame.body, query)) return protocol_violation(s, "invalid Query message");
  cycle_ = cycle_kind::simple;
  cycle_bytes_ = frame.total;
  router::sql::token_scan& scan = scratch_scan();
  plan_ = context_->cache.get(query.text, scan, context_->context);
  if (waits_for_definition(*plan_)) {
    cycle_ = cycle_kind::none;
    cycle_bytes_ = 0;
    return;
  }
  if (must_learn(*plan_)) {
    learning_ = std::make_unique<learning_state>();
    return run_simple(s);
  }

  if (plan_->statement_count == 0) {
    const std::size_t from = s.client_bytes.size();
    p::encode_empty_query_response(s.client_bytes);
    s.own_to_client(from);
    return conclude(s);
  }
  if (txn_.untold && plan_->effect != session_effect::rollback) {
    // A server was lost behind the client's back: it is told now, and COMMIT must not look as if it had succeeded.
    const p::error_report error = *std::exchange(txn_.untold, nullptr);
    if (plan_->effect == session_effect::commit) end_transaction(false);
    return refuse_simple(s, error);
  }
  if (plan_->one_by_one && must_be_parted(query.text, scan.constants)) return begin_several(s, query.text);
  if (txn_.active && client_status() == 'E') {
    plan_ = effective(plan_);
    const auto failed = std::find_if(branches_.begin(), branches_.end(), [](const branch& b) { return b.in_block && b.transaction == 'E'; });
    if ((plan_->statement_count > 1 || unreadable(*plan_)) && failed != branches_.end()) {
      // The server itself knows which of these statements end the failed transaction, if they are any.
      targets_.assign(1, static_cast<branch_index>(failed - branches_.begin()));
      route_ = {router::to_shard{failed->shard}, router::access::write, true};
      placed_ = true;
      return run_simple(s);
    }
    if (!leaves_failed_transaction(*plan_)) {
      const auto aborted = p::make_error(error_id::transaction_aborted);
      if (txn_.broken || !worth_asking(*plan_, aborted)) return refuse_simple(s, aborted);
      begin_asking(aborted);
      return run_simple(s);
    }
  }
  if (begins_block(*plan_)) return refuse_simple(s, p::make_error(error_id::transaction_block));
  if (txn_.own) {
    if (const auto outside = outside_of_block(*plan_)) return refuse_simple(s, *outside);
  }
  if (const auto refused = judge_definitions(*plan_)) return refuse_simple(s, *refused);
  if (plan_->by_protocol || plan_->effect == session_effect::execute) {
    if (plan_->by_protocol || executes_statement(*plan_)) return begin_by_protocol(s, query.text);
    if (const auto hidden = executes_unseen(*plan_, query.text)) return refuse_simple(s, *hidden);
  }
  if (is_control(*plan_) && start_control(s, plan_, query.text)) {
    if (!control_->running) finish_control(s);
    return;
  }
  if (const auto wrong = wrong_block(*plan_)) return refuse_simple(s, *wrong);
  if (goes_round(*plan_)) {
    begin_round(plan_, query.text);
    return run_simple(s);
  }
  if (plan_->draws && !begin_drawing(query.text)) {
    return refuse_simple(s, tables_changed());
  }
  if (const auto refused = route_simple(query.text, scan.constants)) return refuse_simple(s, *refused);
  run_simple(s);
}

// Where the statement goes; what must be looked up for that is asked first.
std::optional<p::error_report> session_machine::route_simple(
    std::string_view text, std::span<const router::sql::constant_position> constants) {
  route_ = resolve(*plan_, text, constants, {});
  if (!plan_->configures.empty()) {
    auto config = std::make_unique<config_state>();
    if (auto refused = read_configs(*plan_, nullptr, config->changes)) return refused;
    config_ = std::move(config);
  }
  see_everywhere(*plan_, route_);
  if (must_look_up(*plan_)) {
    begin_lookup();
    return std::nullopt;
  }
  if (plan_->merge) {
    merge_instead(*plan_);
    if (auto refused = order_is_unknown(*plan_, true)) return refused;
  }
  if (plan_->explain) explain_instead();
  return std::nullopt;
}

void session_machine::run_simple(step& s) {
  if (control_ && control_->running) return run_control(s);
  if (sent_) return;
  if (cycle_failed_) {
    // A backend could not be prepared for the statement.
    if (anything_outstanding()) return;
    return end_cycle(s);
  }
  if (learning_) {
    if (!learnt(s)) return;
    p::frame_view again;
    (void)p::next_frame(input_, ~std::size_t{0}, again);
    return start_simple(s, again);
  }
  if (round_) {
    if (!run_round(s)) return;
    sent_ = true;
    return end_cycle(s);
  }
  if (question_ && !question_->done) {
    p::query_view asked;
    (void)p::decode(input_.substr(p::frame_header_size, cycle_bytes_ - p::frame_header_size), asked);
    if (!question_answered(s, asked.text, {})) return;
    if (question_->refusal) return refuse_simple(s, *question_->refusal);
    if (auto refused = go_on_with_answers(asked.text)) return refuse_simple(s, *refused);
    if (question_ && !question_->done) return run_simple(s);
  }
  if (std::holds_alternative<router::to_gather>(route_.target)) return run_gather(s);
  if (!placed_) {
    if (plan_->claims) {
      if (const auto refused = claim_of_simple()) return refuse_simple(s, *refused);
    }
    p::error_report refusal;
    if (!place(s, *plan_, route_, targets_, refusal)) {
      const bool ask = !question_ && cycle_ == cycle_kind::simple && std::holds_alternative<router::to_refusal>(route_.target);
      if (!ask || !worth_asking(*plan_, refusal)) return refuse_simple(s, refusal);
      begin_asking(refusal);
      return run_simple(s);
    }
    mirror_config(*plan_);
    placed_ = true;
    if (needs_) place_claims(s);
  }
  if (!ready(s, targets_)) return;
  if (braid_.ahead && branches_[static_cast<std::size_t>(braid_.speaker)].outstanding()) return;
  const std::string_view frame = replay_ ? std::string_view{replay_->statement} : input_.substr(0, cycle_bytes_);
  p::query_view query;
  if (cycle_ == cycle_kind::simple) (void)p::decode(frame.substr(p::frame_header_size), query);
  if (question_) query.text = question_->text;
  if (cycle_ == cycle_kind::simple && !names_in_place(s, targets_.front(), *plan_, query.text)) return;
  if (stages(*plan_)) {
    if (!stage_) {
      if (auto error = begin_stage(s, *plan_, query.text, nullptr, nullptr)) return refuse_simple(s, *error);
    }
    if (!stage_over(s, nullptr, nullptr)) return;
  }
  if (listening_) leave_to_server(s, targets_.front(), *plan_);
  std::string shown;
  if (question_) p::encode_query(shown, question_->text);
  if (cycle_ == cycle_kind::simple && shows_by_text(targets_.front(), *plan_)) {
    const std::string text = with_channels(query.text, listening_->channels);
    if (text.empty()) return refuse_simple(s, channels_not_shown());
    p::encode_query(shown, text);
  }
  // In one text, which is one transaction.
  if (!plan_->declares.empty()) p::encode_query(shown, std::string{query.text} + "\n;" + plan_->declares);
  const bool ahead = mirrors() && !braid_.ahead;
  sent_ = !ahead;
  if (!mirrors() || ahead) mark_use(*plan_, route_, targets_);
  if (cycle_ == cycle_kind::simple && prepares(*plan_)) note_prepare(targets_.front(), *plan_, query.text);
  if (!braid_.ahead || !mirrors()) {
    begin_braid();
  }
  if (splits_rows() || explains()) return send_parts(s, query.text, false);
  if (plan_->copy && targets_.size() > 1 && !mirrors()) {
    const auto layout = layout_of(plan_->copy);
    if (layout == nullptr)
      return refuse_simple(
          s, p::make_error(error_id::key_not_provable, plan_->copy->keys.front().name, plan_->copy->table));
    if (const auto refused = claims_of_copy(*layout)) return refuse_simple(s, *refused);
    begin_copy(layout, targets_);
    if (!begin_numbers(query.text)) return refuse_simple(s, tables_changed());
  }
  if (ahead) {
    braid_.speaker = targets_.front();
    braid_.ahead = true;
    if (plan_->effect == session_effect::copy_in) replay_ = std::make_unique<copy_replay>(copy_replay{std::string{frame}});
    if (plan_->copy && !begin_numbered_copies(query.text)) return refuse_simple(s, tables_changed());
  }
  if (stage_) return send_parts(s, query.text, ahead);
  for (const branch_index i : targets_) {
    if (mirrors() && (ahead == echoes(i))) continue;
    branch& b = branches_[i];
    b.facts->unnamed = 0;
    b.expect({cycle_ == cycle_kind::call ? answer::function_call : answer::query, disposition::forward});
    if (copy_ && copy_->numbers && !copy_->draws_on(i)) {
      const std::size_t from = s.backend_bytes.size();
      p::encode_query(s.backend_bytes, copy_->numbers->statement);
      s.own_to_backend(i, from);
    } else if (shown.empty()) {
      s.to_backend(i, frame);
    } else {
      const std::size_t from = s.backend_bytes.size();
      s.backend_bytes.append(shown);
      s.own_to_backend(i, from);
    }
  }
}

// What the simple statement's targets answer becomes one. It is begun as `braid_` is between statements where there is but
// one of them.
void session_machine::begin_braid() {
  const bool several = targets_.size() > 1 || (needs_.claims() && needs_.claims()->taken);
  if (braid_.active || several) braid_ = braid_state{};
  if (!several) return;
  braid_.active = true;
  braid_.executing = static_cast<std::uint32_t>(targets_.size());
  braid_.moves = stage_ && stage_->plan->moves;
  braid_.reads_copies = mirrors() && route_.mode == router::access::read;
  braid_.explain = plan_->explain;
  if (needs_.claims()) braid_.taken = needs_.claims()->taken;
  if (plan_->merge)
    braid_.merge = std::make_unique<sorted_merge>(merge_request{plan_->merge, {}, plan_->merge->limit.rows}, targets_);
}

void session_machine::refuse_simple(step& s, const p::error_report& error) {
  tell_error(s, error);
  if (txn_.active) txn_.failed = true;
  if (anything_outstanding()) return;  // the answers that are still due end the cycle
  end_cycle(s);
}

void session_machine::start_call(step& s, const p::frame_view& frame) {
  p::function_call_view call;
  if (!p::decode(frame.body, call)) return protocol_violation(s, "invalid FunctionCall message");
  cycle_ = cycle_kind::call;
  cycle_bytes_ = frame.total;
  // The function is named by its OID only: it may do anything.
  static const router::plan_ptr anything = [] {
    auto plan = std::make_shared<router::plan>();
    plan->effect = session_effect::user_code;
    plan->tag = "FunctionCall";
    return plan;
  }();
  plan_ = anything;
  if (client_status() == 'E') return refuse_simple(s, p::make_error(error_id::transaction_aborted));
  if (!context_->context.map->one_shard()) {
    return refuse_simple(s, p::make_error(error_id::session_feature, "a function call by OID", "it cannot be told which shard it is meant for"));
  }
  route_ = {router::to_shard{0}, router::access::write, true};
  run_simple(s);
}

// Passes copy data on as it comes; rows are not looked at.
void session_machine::copy_from_client(step& s) {
  if (replay_ && replay_->numbers) return collect_from_client(s);
  const auto to = static_cast<branch_index>(copy_in_);
  std::string_view rest = input_;
  const auto pass = [&](std::size_t bytes) {
    s.to_backend(to, rest.substr(0, bytes));
    if (replay_) keep_for_replay(rest.substr(0, bytes));
    rest.remove_prefix(bytes);
    s.consumed += bytes;
  };
  while (true) {
    if (copy_bulk_ > 0) {
      const std::size_t bytes = std::min(copy_bulk_, rest.size());
      copy_bulk_ -= bytes;
      pass(bytes);
    }
    pass(p::run_of_frames(rest, p::frontend::copy_data));
    p::frame_view frame;
    const p::frame_status status = p::next_frame(rest, ~std::size_t{0}, frame);
    if (status == p::frame_status::malformed) return protocol_violation(s, "invalid message length");
    if (frame.total == 0) break;
    switch (frame.type) {
      case p::frontend::copy_data:
        copy_bulk_ = frame.total;
        continue;
      case p::frontend::copy_done:
      case p::frontend::copy_fail:
        if (status != p::frame_status::complete) break;
        if (replay_ && frame.type == p::frontend::copy_done && !may_replay()) {
          const std::size_t from = s.backend_bytes.size();
          p::encode_copy_fail(s.backend_bytes, "the other shards cannot be given the same");
          s.own_to_backend(to, from);
          s.consumed += frame.total;
        } else {
          pass(frame.total);
        }
        copy_in_ = -1;
        if (cycle_ == cycle_kind::batch) s.more_input = true;
        return;
      case p::frontend::flush:
      case p::frontend::sync:
        if (status != p::frame_status::complete) break;
        rest.remove_prefix(frame.total);
        s.consumed += frame.total;
        continue;
      case p::frontend::terminate:
        s.add(action_kind::close);
        return;
      default:
        return protocol_violation(s, "unexpected message type during COPY from stdin");
    }
    break;
  }
  s.read_client = true;
}

// The server has ended the copy. What is left of a message that is half sent means nothing to it any more, but must come:
// it would take the next statement for the rest.
void session_machine::end_copy(step& s) {
  constexpr std::size_t worth_filling = std::size_t{1} << 20;
  const auto to = static_cast<branch_index>(copy_in_);
  copy_in_ = -1;
  if (copy_bulk_ == 0) return;
  skip_ = skip_total_ = std::exchange(copy_bulk_, 0);
  skip_type_ = p::frontend::copy_data;
  s.more_input = true;
  if (branches_[to].state != branch_state::ready || (replay_ && replay_->numbers)) return;
  if (skip_ > worth_filling) {
    s.add(action_kind::discard, to);
    return on_backend_lost(s, to, "the copy ended in the middle of a large message");
  }
  const std::size_t from = s.backend_bytes.size();
  s.backend_bytes.append(skip_, '\0');
  s.own_to_backend(to, from);
}

}  // namespace pgbraid::proxy
