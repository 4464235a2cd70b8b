// Writes over several shards of which something must be known first: it is asked for, and then every shard gets the
// statement with it as constants. See router/plan/staged.hpp.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "router/plan/moments.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;

// The statement under way goes to several shards, and they cannot get it as it is.
bool session_machine::stages(const router::plan& plan) const {
  return plan.staged && std::holds_alternative<router::to_many>(route_.target);
}

// Asks the placed branches, which are ready, for what must be known.
std::optional<p::error_report> session_machine::begin_stage(step& s, const router::plan& plan, std::string_view text) {
  auto made = router::plan_staged(text, context_->context);
  if (made == nullptr) {
    return p::with_hint(p::make_error(error_id::cross_shard_write, "its tables have changed"), "Run the statement again.");
  }
  if (made->rows) {
    if (auto error = cannot_gather()) return error;
    gather_ = std::make_unique<gather_state>(made->rows);
  }
  mark_use(plan, route_, targets_);
  stage_ = std::make_unique<stage_state>(std::move(made));
  if (!stage_->plan->moments_sql.empty()) ask_moments(s);
  // In the simple protocol one server is shown the statement itself too, for errors in its own words.
  if (gather_) fetch_fragments(s, cycle_ == cycle_kind::simple ? text : std::string_view{});
  return std::nullopt;
}

// A transaction has one time: that of the server which has been in it for longest.
void session_machine::ask_moments(step& s) {
  branch_index asked = targets_.front();
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    if (branches_[i].state != branch_state::ready || !branches_[i].in_block) continue;
    asked = static_cast<branch_index>(i);
    break;
  }
  branch& b = branches_[asked];
  const std::size_t from = s.backend_bytes.size();
  p::encode_parse(s.backend_bytes, "", stage_->plan->moments_sql);
  p::encode_bind(s.backend_bytes, "", "", {}, {}, {});
  p::encode_execute(s.backend_bytes, "");
  for (const answer kind : {answer::parse, answer::bind, answer::execute}) b.expect({kind, disposition::gather, 0, asking_moments});
  if (cycle_ == cycle_kind::simple) {
    p::encode_sync(s.backend_bytes);
    b.expect({answer::sync, disposition::gather, 0, asking_moments});
  } else {
    p::encode_flush(s.backend_bytes);
    b.unsynced = b.flushed = true;
  }
  b.facts->unnamed = 0;
  s.own_to_backend(asked, from);
}

void session_machine::take_moments(step& s, std::string_view body) {
  p::data_row_view row;
  p::wire_value value;
  bool understood = p::decode(body, row);
  auto values = row.columns.values();
  while (understood && values.next(value)) {
    understood = !value.null && value.bytes.find('\'') == std::string_view::npos;
    stage_->moments.emplace_back(value.bytes);
  }
  if (!understood) fail_statement(s, p::make_error(error_id::internal, "the time could not be read"));
}

// True: stage_->text is what the branches get. False: answers are still to come.
bool session_machine::stage_over() {
  if (stage_->done) return true;
  if (anything_outstanding() || cycle_failed_) return false;
  stage_->text = stage_->plan->text;
  if (gather_) {
    std::vector<p::optional_value> none;
    add_fragments(none);
    stage_->text = with_literals(*gather_);
    gather_.reset();
  }
  stage_->text = router::with_moments(stage_->text, stage_->moments);
  stage_->done = true;
  return true;
}

// Bind of such a statement. True: it is done; false: it waits.
bool session_machine::bind_staged(step& s, const p::bind_view& m, const statement_ptr& st) {
  if (!stage_) {
    if (!drained(s)) return false;
    if (auto error = begin_stage(s, *st->plan, st->text)) return op_error(s, *error);
  }
  if (!stage_over()) return false;
  const std::string text = std::move(stage_->text);
  stage_.reset();
  const bool bound = bind_parts(s, m, *st, text);
  if (bound && !cycle_failed_) open_portal(m.portal, st, targets_);
  return bound;
}

}  // namespace pgbraid::proxy
