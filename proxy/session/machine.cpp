#include "proxy/session/machine.hpp"

#include "protocol/frontend.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;
using router::sql::isolation_level;

namespace {

isolation_level isolation_named(std::string_view name) {
  if (name == "serializable") return isolation_level::serializable;
  if (name == "repeatable read") return isolation_level::repeatable_read;
  if (name == "read uncommitted") return isolation_level::read_uncommitted;
  return isolation_level::read_committed;
}

}  // namespace

session_machine::session_machine(session_environment& environment, std::string user, settings_ptr startup, std::uint64_t serial)
    : env_{environment}, user_{std::move(user)}, startup_{std::move(startup)}, current_{startup_}, local_{startup_}, serial_{serial} {
  adopt_settings();
}

void session_machine::adopt_settings() {
  context_ = own_ ? env_.contexts.apart(user_, *local_, own_) : env_.contexts.get(user_, *local_, env_.state);
  static const router::catalog no_catalog;
  const router::catalog& schema = env_.state->schema ? *env_.state->schema : no_catalog;
  const auto for_role = [&](const auto& by_role) {
    const auto found = by_role.find(user_);
    return found == by_role.end() ? by_role.find("") : found;
  };
  std::string isolation = "read committed";
  if (const auto found = for_role(schema.default_isolation); found != schema.default_isolation.end()) isolation = found->second;
  default_isolation_ = isolation_named(local_->value_of("default_transaction_isolation", isolation));
  const auto read_only = for_role(schema.default_read_only);
  default_read_only_ = read_only != schema.default_read_only.end() && read_only->second;
  if (const setting* own = local_->find("default_transaction_read_only")) default_read_only_ = is_true(own->value);
}

void session_machine::on_client(step& s, std::string_view input) {
  input_ = by_protocol_ ? std::string_view{by_protocol_->frames} : several_ ? std::string_view{several_->frame} : input;
  if (skip_ > 0) return skip_oversized(s);
  if (copy_in_ >= 0) return copy_from_client(s);
  if (copy_ && copy_->at == copy_state::phase::receiving) return split_from_client(s);
  if (cycle_ == cycle_kind::none) return next_cycle(s);
  // A batch whose last part is incomplete, or has been worked off, waits for the client's next messages.
  if (cycle_ == cycle_kind::batch && !batch_synced_ && (collecting_ || operation_ == operations_.size())) return collect_batch(s);
}

bool session_machine::probing() const noexcept {
  return std::any_of(branches_.begin(), branches_.end(), [](const branch& b) { return b.outstanding() && b.expected[b.next].what == disposition::probe; });
}

void session_machine::next_cycle(step& s) {
  // What the last statement left behind decides where the next one may go.
  awaits_probe_ = probing();
  if (awaits_probe_) return;
  if (by_protocol_) return start_phase(s);
  if (several_) return start_part(s);
  p::frame_view frame;
  switch (p::next_frame(input_, env_.max_message_bytes, frame)) {
    case p::frame_status::incomplete:
      s.read_client = true;
      return;
    case p::frame_status::malformed:
      return protocol_violation(s, "invalid message length");
    case p::frame_status::too_large:
      if (!p::frontend::is_known(frame.type)) return protocol_violation(s, "invalid message length");
      return begin_skip(s, frame);
    case p::frame_status::complete:
      break;
  }
  begin_cycle();
  switch (frame.type) {
    case p::frontend::query:
      return start_simple(s, frame);
    case p::frontend::parse:
    case p::frontend::bind:
    case p::frontend::describe:
    case p::frontend::execute:
    case p::frontend::close:
    case p::frontend::sync:
    case p::frontend::flush:
      cycle_ = cycle_kind::batch;
      sync_sent_ = batch_synced_ = false;
      return collect_batch(s);
    case p::frontend::function_call:
      return start_call(s, frame);
    case p::frontend::terminate:
      s.add(action_kind::close);
      return;
    case p::frontend::copy_data:
    case p::frontend::copy_done:
    case p::frontend::copy_fail:
      // Left over from a COPY that the server has ended with an error: PostgresMain() ignores them too.
      s.consumed += frame.total;
      s.more_input = true;
      return;
    default:
      return protocol_violation(s, fmt::format("invalid frontend message type {}", static_cast<int>(static_cast<unsigned char>(frame.type))));
  }
}

void session_machine::begin_cycle() {
  told_ = cycle_failed_ = answered_ = batch_executed_ = force_primary_ = placed_ = sent_ = names_tried_ = false;
  batch_writer_.reset();
  collecting_ = false;
  again_ = true;
  begun_anew_ = 0;
}

void session_machine::begin_skip(step& s, const p::frame_view& frame) {
  skip_ = skip_total_ = frame.total;
  skip_type_ = frame.type;
  skip_oversized(s);
}

void session_machine::skip_oversized(step& s) {
  const std::size_t taken = std::min(skip_, input_.size());
  s.consumed += taken;
  skip_ -= taken;
  s.more_input = true;
  if (skip_ > 0) return;
  if (skip_type_ == p::frontend::copy_data || skip_type_ == p::frontend::copy_done || skip_type_ == p::frontend::copy_fail) return;
  const auto error = p::make_error(error_id::message_too_large, skip_total_, env_.max_message_bytes);
  tell_error(s, error);
  if (txn_.active) txn_.failed = true;
  if (skip_type_ == p::frontend::query || skip_type_ == p::frontend::function_call) {
    tell_ready(s);
    return;
  }
  // Extended protocol: everything up to the next Sync is skipped, as after any error.
  if (cycle_ == cycle_kind::none) {
    cycle_ = cycle_kind::batch;
    collecting_ = true;
    batch_writer_.reset();
    sync_sent_ = batch_synced_ = false;
    again_ = false;
  }
  batch_failed();
}

void session_machine::work(step& s) {
  switch (cycle_) {
    case cycle_kind::simple:
    case cycle_kind::call:
      return run_simple(s);
    case cycle_kind::batch:
      return run_batch(s);
    case cycle_kind::none:
      return;
  }
}

bool session_machine::anything_outstanding() const noexcept {
  return std::any_of(branches_.begin(), branches_.end(), [](const branch& b) {
    if (b.state != branch_state::ready || !b.outstanding()) return false;
    // A probe is pgbraid's own business and holds nobody up.
    return !(b.expected[b.next].what == disposition::probe);
  });
}

char session_machine::client_status() const noexcept {
  if (!txn_.active) return 'I';
  if (txn_.failed) return 'E';
  for (const branch& b : branches_) {
    if (b.in_block && b.transaction == 'E') return 'E';
  }
  return 'T';
}

void session_machine::tell_error(step& s, const protocol::error_report& error) {
  const std::size_t from = s.client_bytes.size();
  p::encode_error(s.client_bytes, error);
  s.own_to_client(from);
  told_ = cycle_failed_ = true;
}

// Whoever logs in after the client has been told that they are changed must meet the new ones.
void session_machine::tell_defaults(step& s, branch& b) {
  if (b.transaction != 'I') return;
  b.defaults = false;
  flush_run(s);
  s.add(action_kind::renew);
}

void session_machine::tell_ready(step& s) {
  for (branch& b : branches_) {
    if (!b.defaults) continue;
    if (b.transaction == 'I') s.add(action_kind::renew);
    b.defaults = b.transaction != 'I';
  }
  const std::size_t from = s.client_bytes.size();
  p::encode_ready_for_query(s.client_bytes, static_cast<p::transaction_status>(client_status()));
  s.own_to_client(from);
}

void session_machine::protocol_violation(step& s, std::string_view what) {
  const std::size_t from = s.client_bytes.size();
  p::encode_error(s.client_bytes, p::make_error(error_id::protocol_violation, what));
  s.own_to_client(from);
  s.add(action_kind::close);
}

// The cycle is over and its ReadyForQuery has been told.
void session_machine::finish_cycle(step& s) {
  if (pending_prepare_) prepare_over();
  if (config_) config_over();
  s.consumed += cycle_bytes_;
  cycle_bytes_ = 0;
  cycle_ = cycle_kind::none;
  ++finished_cycles_;
  if (by_protocol_ && by_protocol_->over) by_protocol_.reset();
  if (several_ && several_->over) several_.reset();
  deadlocked_ = false;
  plan_.reset();
  if (lookup_) lookup_->forget();
  if (went_in_steps()) forget_steps();
  if (braid_.active) braid_ = braid_state{};
  operations_.clear();
  operation_ = scan_ = 0;
  unconfirmed_.clear();
  described_.clear();
  copy_in_ = -1;
  if (batch_base_) {
    if (cycle_failed_) end_implicit_transaction();
    batch_base_.reset();
  }
  stop_awaiting_catalog();
  if (!txn_.active) {
    if (changed_) publish_changes();
    if (made_) publish_definitions();
    if (own_) forget_own();
    ++finished_transactions_;
    portals_.clear();
    cursors_.clear();
    unnamed_portal_open_ = false;
    release_branches(s);
  }
  s.more_input = true;
}

// Most statements have used none of it: to look is cheaper for them than to reset.
bool session_machine::went_in_steps() const noexcept {
  return gather_ || stage_ || question_ || round_ || needs_ || learning_ || copy_ || replay_;
}

void session_machine::forget_steps() {
  gather_.reset();
  stage_.reset();
  question_.reset();
  round_.reset();
  needs_.reset();
  learning_.reset();
  copy_.reset();
  replay_.reset();
}

void session_machine::release_branches(step& s) {
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    branch& b = branches_[i];
    const auto index = static_cast<branch_index>(i);
    if (b.state == branch_state::acquiring) {
      // Nobody waits for it any more: the driver withdraws the request.
      s.add(action_kind::discard, index);
      b = branch{};
      continue;
    }
    if (b.state != branch_state::ready) {
      b = branch{};
      continue;
    }
    b.in_block = false;
    if (b.listens) unlisten_after_show(s, index);
    if (b.dirty) {
      ask_probe(s, index);
      continue;
    }
    if (b.outstanding() || static_cast<int>(i) == pinned_ || env_.pool_mode == config::pool_mode::session) continue;
    if (b.transaction != 'I') {
      // No way leads here that is known; the next session must not find out about one.
      s.add(action_kind::discard, index);
      drop_branch(index);
      continue;
    }
    action a;
    a.kind = action_kind::release;
    a.branch = index;
    a.wrote = b.wrote;
    a.ddl = b.ddl;
    if (b.ddl) env_.statements.schema_changed();
    a.shard = b.shard;
    s.actions.push_back(a);
    b.facts->spare = std::move(b.expected);
    b = branch{};
  }
}

bool session_machine::leaves_clean(branch_index i) const noexcept {
  if (indelible_ || !between_transactions() || i >= branches_.size()) return false;
  const branch& b = branches_[i];
  return b.state == branch_state::ready && !b.outstanding() && !b.unsynced && !b.dirty && b.transaction == 'I';
}

void session_machine::on_cancel(step& s) {
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    const auto index = static_cast<branch_index>(i);
    if (branches_[i].state == branch_state::acquiring) {
      s.add(action_kind::discard, index);
      on_lease_failed(s, index, p::make_error(error_id::query_canceled));
      return;
    }
  }
  // A gate would be asked for again and again.
  if (hold_state* const hold = needs_.hold(); hold != nullptr && hold->waits()) hold->cancelled = true;
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    const branch& b = branches_[i];
    if (b.state != branch_state::ready || !b.outstanding()) continue;
    if (needs_.waits() || b.owes_statement()) s.add(action_kind::cancel, static_cast<branch_index>(i));
  }
}

}  // namespace pgbraid::proxy
