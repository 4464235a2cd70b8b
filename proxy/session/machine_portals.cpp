// The operations of the extended protocol on what has been bound: Describe, Execute and Close. As those of
// machine_operations.cpp, each may be called again after a wait.
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

// Why the rows cannot be taken by the extended protocol; nullopt: they can.
std::optional<p::error_report> needs_simple_copy(const router::copy_layout& layout) {
  const auto refuse = [](std::string_view what, std::string_view why) {
    return p::with_hint(p::make_error(error_id::session_feature, what, why),
                        "Send it as a simple query, as psql and the COPY functions of most drivers do.");
  };
  if (!layout.claimed.empty())
    return refuse("COPY FROM into a column that is unique over all shards, by the extended protocol",
                  "the values of its rows are claimed behind them");
  if (!layout.numbered.empty())
    return refuse("COPY FROM that leaves a column to a sequence, by the extended protocol",
                  "its rows get their numbers on their way");
  return std::nullopt;
}

}  // namespace

void session_machine::open_portal(std::string_view name, const statement_ptr& st, const targets& home, merge_ptr merge,
                                  std::vector<config_change> configures) {
  std::shared_ptr<const portal_spread> spread;
  const claims_state* const claims = needs_.claims();
  const bool taken = claims != nullptr && claims->taken;
  if ((home.size() > 1 || taken) && st != nullptr) {
    spread = std::make_shared<portal_spread>(portal_spread{
        mirrors(), order_of_rows(), st->plan->copy, std::move(merge), braid_.explain, stage_ && stage_->plan->moves,
        route_.mode == router::access::read, std::move(configures), taken ? claims->taken : nullptr});
  } else if (!configures.empty()) {
    portal_spread alone;
    alone.configures = std::move(configures);
    spread = std::make_shared<portal_spread>(std::move(alone));
  }
  if (!name.empty()) return portals_.set(name, {st, home, std::move(spread)});
  unnamed_portal_.branches.assign(home.begin(), home.end());
  if (spread || unnamed_portal_.spread) unnamed_portal_.spread = std::move(spread);
  // Which statement it is matters only until its shape is known.
  if (st && shape_unknown(home.front(), *st)) {
    unnamed_portal_.statement = st;
  } else if (unnamed_portal_.statement) {
    unnamed_portal_.statement.reset();
  }
  unnamed_portal_open_ = true;
  portals_.erase({});
}

portal* session_machine::find_portal(std::string_view name) {
  if (portal* const found = portals_.find(name)) return found;
  return name.empty() && unnamed_portal_open_ ? &unnamed_portal_ : nullptr;
}

bool session_machine::op_describe(step& s, std::string_view frame) {
  p::describe_view m;
  if (!p::decode(body_of(frame), m)) {
    protocol_violation(s, "invalid Describe message");
    return false;
  }
  if (m.kind == p::object_kind::portal) {
    portal* found = find_portal(m.name);
    if (found == nullptr) return op_cursor(s, frame, answer::describe_portal, m.name);
    if (found->branches.empty()) {
      if (found->statement && found->statement->plan->effect == session_effect::show) {
        if (!drained(s)) return false;
        const std::size_t from = s.client_bytes.size();
        encode_shown_shape(s.client_bytes, found->statement->plan->variable.name);
        s.own_to_client(from);
        told_ = true;
        return true;
      }
      answer_locally(s, p::backend::no_data);
      return true;
    }
    if (!settle(s, found->branches)) return false;
    const std::uint32_t sequence = braid_.active ? braid_.next_sequence++ : 0;
    for (const branch_index i : found->branches) {
      expectation e{answer::describe_portal, disposition::forward};
      e.sequence = sequence;
      if (found->statement && shape_unknown(i, *found->statement)) {
        await_shape(found->statement);
        e.statement = found->statement->id;
      }
      branches_[i].expect(e);
      branches_[i].unsynced = true;
      s.to_backend(i, frame);
    }
    return true;
  }
  std::uint64_t serial = 0;
  const statement_ptr& shared = find_statement(m.name, serial);
  statement* const st = shared.get();
  if (st == nullptr) {
    if (sql_.contains(m.name)) return op_on_name(s, m.name, frame, answer::describe_statement);
    return op_error(s, p::make_error(error_id::no_such_statement, m.name));
  }
  refresh_plan(*st);
  if (controls(st->plan) || may_go_round(*st->plan)) {
    if (!drained(s)) return false;
    const std::size_t from = s.client_bytes.size();
    p::encode_parameter_description(s.client_bytes, {});
    if (st->plan->effect == session_effect::show) {
      encode_shown_shape(s.client_bytes, st->plan->variable.name);
    } else {
      p::encode_no_data(s.client_bytes);
    }
    s.own_to_client(from);
    told_ = true;
    return true;
  }
  if (client_status() == 'E' && !leaves_failed_transaction(*effective(st->plan))) return op_error(s, p::make_error(error_id::transaction_aborted));
  p::error_report refusal;
  // The backend that has just been asked to parse it will do, whichever it is.
  if (!(braid_.active == false && targets_.size() == 1 && operation_ > 0 && targets_.front() < branches_.size() &&
        branches_[targets_.front()].state == branch_state::ready && branches_[targets_.front()].unsynced) &&
      !home_of_statement(s, *st, targets_, refusal)) {
    return op_error(s, refusal);
  }
  if (!settle(s, targets_)) return false;
  if (!same_shape(s, *st)) return cycle_failed_;
  for (const branch_index i : targets_) {
    const std::size_t from = s.backend_bytes.size();
    ensure_prepared(s, i, *st, serial);
    expectation e{answer::describe_statement, disposition::forward};
    if (st->id == 0) {
      s.own_to_backend(i, from);
      s.to_backend(i, frame);
    } else {
      await_shape(shared);
      e.statement = st->id;
      p::encode_describe(s.backend_bytes, p::object_kind::statement, st->backend_name);
      s.own_to_backend(i, from);
    }
    branches_[i].unsynced = true;
    branches_[i].expect(e);
  }
  return true;
}

bool session_machine::op_execute(step& s, std::string_view frame) {
  batch_executed_ = true;
  p::execute_view m;
  if (!p::decode(body_of(frame), m)) {
    protocol_violation(s, "invalid Execute message");
    return false;
  }
  portal* found = find_portal(m.portal);
  if (found == nullptr) return op_cursor(s, frame, answer::execute, m.portal);
  if (found->branches.empty()) {
    const statement_ptr st{found->statement};
    if (may_go_round(*st->plan)) return execute_round(s, st);
    if (st->plan->blocks != router::block_rule::any) return op_error(s, tables_changed());
    return execute_control(s, st);
  }
  if (config_ && config_->sent) return config_executed(s);
  static const portal_spread one_branch;
  const std::shared_ptr<const portal_spread> kept = found->spread;
  const portal_spread& spread = kept ? *kept : one_branch;
  if ((found->branches.size() > 1 || spread.taken) && m.max_rows > 0 && !spread.copy) {
    auto error = spread.taken
                     ? p::make_error(error_id::cross_shard_write,
                                     "a portal with a row limit, of a statement "
                                     "whose value a row of another shard has")
                     : p::make_error(error_id::cross_shard_read, "a portal with a row limit over several shards");
    error.hint = "Fetch all rows at once.";
    return op_error(s, error);
  }
  if (!(braid_.active && braid_.ahead) && !settle(s, found->branches, spread.taken != nullptr)) return false;
  const bool mirrored = spread.mirrored;
  if (braid_.active && !braid_.ahead) {
    braid_.order = spread.order;
    braid_.explain = spread.explain;
    if (!braid_.order.empty()) braid_.rows_of.assign(branches_.size(), {});
    braid_.executing = static_cast<std::uint32_t>(found->branches.size());
    braid_.rows = 0;
    braid_.taken = spread.taken;
    braid_.moves = spread.moves;
    braid_.reads_copies = spread.mirrored && spread.reads_copies;
    braid_.merge = spread.merge ? std::make_unique<sorted_merge>(*spread.merge, found->branches) : nullptr;
  }
  if (!spread.configures.empty() && !config_)
    config_ = std::make_unique<config_state>(config_state{spread.configures, {}});
  if (mirrored && !braid_.ahead) {
    braid_.speaker = found->branches.front();
    braid_.ahead = true;
    braid_.tag.clear();
    const auto i = static_cast<branch_index>(braid_.speaker);
    branches_[i].expect({answer::execute, disposition::forward});
    branches_[i].unsynced = true;
    s.to_backend(i, frame);
  }
  if (mirrored && !drained(s)) return false;
  if (cycle_failed_) return true;
  if (spread.copy) {
    const auto layout = layout_of(spread.copy);
    if (layout == nullptr)
      return op_error(s, p::make_error(error_id::key_not_provable, spread.copy->keys.front().name, spread.copy->table));
    if (const auto refused = needs_simple_copy(*layout)) return op_error(s, *refused);
    begin_copy(layout, found->branches);
  }
  for (const branch_index i : found->branches) {
    if (mirrored && !echoes(i)) continue;
    branches_[i].expect({answer::execute, disposition::forward});
    branches_[i].unsynced = true;
    s.to_backend(i, frame);
  }
  needs_.statement_over();
  if (!config_) return true;
  config_->sent = true;
  again_ = false;
  return config_executed(s);
}

bool session_machine::op_close(step& s, std::string_view frame) {
  p::close_view m;
  if (!p::decode(body_of(frame), m)) {
    protocol_violation(s, "invalid Close message");
    return false;
  }
  if (m.kind == p::object_kind::statement) {
    if (m.name.empty()) {
      unnamed_.reset();
    } else {
      statements_.erase(m.name);
      sql_.erase(m.name);
    }
    answer_locally(s, p::backend::close_complete);
    return true;
  }
  portal* found = find_portal(m.name);
  if (found == nullptr && home_of_cursor(m.name) >= 0) return op_cursor(s, frame, answer::close, m.name);
  if (found == nullptr || found->branches.empty()) {
    portals_.erase(m.name);
    answer_locally(s, p::backend::close_complete);
    return true;
  }
  if (!settle(s, found->branches)) return false;
  const std::uint32_t sequence = braid_.active ? braid_.next_sequence++ : 0;
  for (const branch_index i : found->branches) {
    expectation e{answer::close, disposition::forward};
    e.sequence = sequence;
    branches_[i].expect(e);
    branches_[i].unsynced = true;
    s.to_backend(i, frame);
  }
  if (m.name.empty()) unnamed_portal_open_ = false;
  portals_.erase(m.name);
  return true;
}

}  // namespace pgbraid::proxy
