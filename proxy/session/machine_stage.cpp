// Writes over several shards of which something must be known first: it is asked for, and then every shard gets the
// statement with it as constants. See router/plan/staged.hpp.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "router/plan/merge_source.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/planner.hpp"
#include "router/plan/rows.hpp"
#include "router/plan/staged_source.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;

// The statement under way goes to several shards, and they cannot get it as it is; or to one, on which the transaction
// has another time than where it began.
bool session_machine::stages(const router::plan& plan) const {
  if (!plan.staged && !plan.timed) return false;
  if (std::holds_alternative<router::to_many>(route_.target)) return plan.staged;
  if (!plan.timed || targets_.size() != 1) return false;
  const auto keeper = keeper_of_time();
  return keeper && *keeper != targets_.front();
}

// Asks the placed branches, which are ready, for what must be known. In the extended protocol `m` and `st` are the Bind
// and its statement.
std::optional<p::error_report> session_machine::begin_stage(step& s, const router::plan& plan, std::string_view text,
                                                            const p::bind_view* m, const statement* st,
                                                            std::optional<router::replanning> again) {
  const bool timed_alone = std::holds_alternative<router::to_shard>(route_.target);
  auto made = timed_alone ? router::plan_timed(text, context_->context)
                          : router::plan_staged(text, context_->context, again ? &*again : nullptr);
  if (made == nullptr) {
    return tables_changed();
  }
  if (made->source && made->source->values && made->source->values->looks_up()) {
    auto placed = std::make_shared<router::staged_source>(*made->source);
    const router::source_key& key = placed->keys.front();
    placed->values = looked_up(placed->values, key.type, key.modifier);
    if (placed->values == nullptr) return p::make_error(error_id::key_not_provable, key.name, placed->table);
    auto with_values = std::make_shared<router::staged_write>(*made);
    with_values->source = std::move(placed);
    made = std::move(with_values);
  }
  if (made->rows || made->query || made->source) {
    if (auto error = cannot_gather()) return error;
  }
  if (made->pick != router::picking::none && st != nullptr && !rows_asked_for(made->limit, *st, *m)) {
    return limit_unknown();
  }
  if (made->rows) {
    gather_ = std::make_unique<gather_state>(made->rows);
  }
  mark_use(plan, route_, targets_);
  stage_ = std::make_unique<stage_state>(std::move(made));
  if (again) stage_->passed_over = again->passed_over;
  if (stage_->plan->source || stage_->plan->pick == router::picking::finds) stage_->said = text;
  if (!stage_->plan->moments_sql.empty()) ask_moments(s);
  // Writes among the fragments may need the time.
  const bool waits = gather_ && !gather_->plan->inserts.empty() && !stage_->plan->moments_sql.empty();
  const bool timed = waits || (gather_ && gather_->plan->fragment_sql.find(router::moment_mark) != std::string::npos);
  return gather_ && !timed ? fetch_staged(s, text, m, st) : std::nullopt;
}

// In the simple protocol one server is shown the statement itself too, for errors in its own words.
std::optional<p::error_report> session_machine::fetch_staged(step& s, std::string_view text, const p::bind_view* m,
                                                             const statement* st) {
  const router::gather_plan& plan = *gather_->plan;
  if (!plan.inserts.empty()) {
    if (auto error = share_out_inserts(m, st)) return error;
  } else if (!stage_->moments.empty()) {
    gather_->asked.assign(targets_.size(), router::with_moments(plan.fragment_sql, stage_->moments));
  }
  if (m == nullptr) {
    fetch_fragments(s, text, {});
  } else {
    fetch_fragments(s, {}, {*m, st->parameter_types, plan.fragment_parameters});
  }
  return std::nullopt;
}

// What a WITH inserts goes to the shards of its rows.
std::optional<p::error_report> session_machine::share_out_inserts(const p::bind_view* m, const statement* st) {
  std::vector<std::vector<std::string>> texts(targets_.size());
  for (const router::spread_insert& insert : gather_->plan->inserts) {
    statement each;
    each.text = router::with_moments(insert.body, stage_->moments);
    if (st != nullptr) each.parameter_types = st->parameter_types;
    refresh_plan(each);
    const p::bind_view none;
    const router::route route = resolve_bind(each, m == nullptr ? none : *m);
    if (const auto* refused = std::get_if<router::to_refusal>(&route.target)) return refused->error();
    const auto* one = std::get_if<router::to_shard>(&route.target);
    const auto* many = std::get_if<router::to_many>(&route.target);
    if (each.plan->staged || each.plan->draws || (one == nullptr && (many == nullptr || many->rows.empty())))
      return tables_changed();
    for (std::size_t k = 0; k < targets_.size(); ++k) {
      const router::shard_index shard = branches_[targets_[k]].shard;
      std::string own = one == nullptr        ? router::own_rows(each.text, many->rows, shard)
                        : one->shard == shard ? each.text
                                              : std::string{};
      texts[k].push_back(own.empty() ? insert.nothing : std::move(own));
    }
  }
  const std::string fragments = router::with_moments(gather_->plan->fragment_sql, stage_->moments);
  for (const std::vector<std::string>& own : texts) gather_->asked.push_back(router::with_inserts(fragments, own));
  return std::nullopt;
}

// A transaction has one time: that of the server which has been in it for longest.
void session_machine::ask_moments(step& s) {
  const branch_index asked = keeper_of_time().value_or(targets_.front());
  branch& b = branches_[asked];
  const std::size_t from = s.backend_bytes.size();
  p::encode_parse(s.backend_bytes, "", stage_->plan->moments_sql);
  p::encode_bind(s.backend_bytes, "", "", {}, {}, {});
  p::encode_execute(s.backend_bytes, "");
  for (const answer kind : {answer::parse, answer::bind, answer::execute})
    b.expect({kind, disposition::gather, 0, asking_moments});
  send_question(s, asked, from, asking_moments);
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

// True: what the branches get is known. False: answers are still to come, or it has failed.
bool session_machine::stage_over(step& s, const p::bind_view* m, const statement* st) {
  if (stage_->done) return true;
  if (anything_outstanding() || cycle_failed_) return false;
  const bool moved = stage_->plan->moves;
  const auto refuse = [&](const p::error_report& error) {
    fail_stage(s, error);
    return false;
  };
  const auto fail = [&](std::string_view why) {
    return refuse(p::with_hint(p::make_error(error_id::cross_shard_write, why),
                               moved ? "Change the rows in several statements, each tied to one key."
                                     : "Select the rows first and insert them with VALUES, tied to their keys."));
  };
  if (gather_) {
    fetch_whole_rows();
    if (!gather_->fetching) {
      const auto error = fetch_staged(s, stage_->plan->query ? stage_->plan->query->shown : stage_->plan->shown, m, st);
      return error ? refuse(*error) : false;
    }
    if (gather_->lacks_types()) return fail("a column of RETURNING has a type that is not known to all shards alike");
    if (stage_->plan->pick == router::picking::locks && lacks_rows(m, st)) return picks_again(s, m, st);
  }
  if (moved) {
    if (!stage_->asked) return take_out(s, m, st) ? false : fail("its parameters cannot be said again");
    if (order_matters()) {
      return fail("which of its rows would be in each other's way depends on the order in which they are changed");
    }
    end_of_move();
  } else if (stage_->plan->query && !stage_->asked) {
    return ask_source(s, m, st) ? false : fail("its rows cannot be selected first");
  } else if (must_ask_collations()) {
    return ask_collations(s, m, st) ? false : fail("its rows cannot be selected first");
  }
  if (plan_without_rows(s, m, st)) return false;
  if (stage_->plan->source) {
    if (!spread_source())
      return fail("a column of the rows to insert has a type that is not known to all shards alike");
    stage_->done = true;
    return true;
  }
  stage_->text = stage_->plan->text;
  if (stage_->plan->pick == router::picking::finds) {
    const std::size_t width = stage_->source.types.size();
    std::string nothing = "NULL";
    for (std::size_t i = 1; i < width; ++i) nothing += ", NULL";
    if (stage_->listed == 0) stage_->list = width > 1 ? "(" + nothing + ")" : nothing;
    stage_->moments.push_back(std::move(stage_->list));
  } else if (stage_->plan->query) {
    std::string& json = stage_->source.json.front();
    json.append(json.empty() ? "[]" : "]");
    if (stage_->source.lacks_collation) return fail("a column of a subquery may have a collation of its own");
    stage_->moments.push_back(router::rows_select(stage_->source.columns, json, context_->context));
    if (stage_->moments.back().empty())
      return fail("a column of a subquery has a type that is not known to all shards alike");
    const auto marks = std::count(stage_->text.begin(), stage_->text.end(), router::moment_mark) / 2;
    if (stage_->moments.back().size() * static_cast<std::size_t>(std::max<std::ptrdiff_t>(marks, 1)) > env_.max_gather)
      return refuse(p::make_error(error_id::gather_too_large, env_.max_gather, "of a subquery"));
  }
  if (gather_) {
    bound_values none;
    add_fragments(none);
    stage_->text = combining_text(*gather_);
    stage_->home = gather_->combiner;
    gather_.reset();
  }
  if (stage_->plan->answered_once) targets_ = targets{stage_->home};
  if (stage_->plan->only) {
    const auto home = std::find_if(targets_.begin(), targets_.end(),
                                   [&](branch_index i) { return branches_[i].shard == *stage_->plan->only; });
    if (home == targets_.end()) return refuse(tables_changed());
    targets_ = targets{*home};
  }
  stage_->text = router::with_moments(stage_->text, stage_->moments);
  if (stage_->plan->again) return stage_again(s, m, st);
  stage_->done = true;
  return true;
}

void session_machine::fail_stage(step& s, const p::error_report& error) {
  if (cycle_ == cycle_kind::simple) {
    refuse_simple(s, error);
  } else {
    (void)op_error(s, error);
  }
}

// The statement is planned anew with what has become known.
bool session_machine::stage_again(step& s, const p::bind_view* m, const statement* st) {
  const std::unique_ptr<stage_state> before = std::move(stage_);
  before->source.held.push_back(std::move(before->source.share));
  router::replanning known;
  known.picked = before->plan->pick == router::picking::finds;
  known.chosen = before->plan->chosen;
  known.passed_over = before->passed_over;
  const bool too_long = before->text.size() > env_.max_gather;
  const auto error = too_long ? p::make_error(error_id::gather_too_large, env_.max_gather, "of a subquery")
                              : begin_stage(s, st == nullptr ? *plan_ : *st->plan, before->text, m, st, known);
  if (stage_) {
    stage_->source.held = std::move(before->source.held);
    stage_->shown = before->shown || before->plan->query || before->plan->rows;
    if (known.picked) stage_->picked = rows_to_lock{std::move(before->said), before->listed};
  }
  if (error) fail_stage(s, *error);
  return !error && stage_over(s, m, st);
}

// Fewer rows are locked than were asked for, though there were more: others have them.
bool session_machine::lacks_rows(const p::bind_view* m, const statement* st) const {
  const router::row_limit& limit = stage_->plan->limit;
  const std::uint64_t wanted = st == nullptr ? limit.rows : rows_asked_for(limit, *st, *m).value_or(0);
  return gather_->rows < wanted && stage_->picked && stage_->picked->found >= wanted &&
         stage_->picked->found - wanted >= stage_->passed_over;
}

bool session_machine::picks_again(step& s, const p::bind_view* m, const statement* st) {
  const std::unique_ptr<stage_state> before = std::move(stage_);
  router::replanning known;
  known.passed_over = before->picked->found - gather_->rows;
  gather_.reset();
  const auto error = begin_stage(s, st == nullptr ? *plan_ : *st->plan, before->picked->text, m, st, known);
  if (stage_) {
    stage_->source.held = std::move(before->source.held);
    stage_->shown = true;
  }
  if (error) fail_stage(s, *error);
  return !error && stage_over(s, m, st);
}

// Bind of such a statement. True: it is done; false: it waits.
bool session_machine::bind_staged(step& s, const p::bind_view& m, const statement_ptr& st) {
  if (!stage_) {
    if (!drained(s)) return false;
    if (auto error = begin_stage(s, *st->plan, st->text, &m, st.get())) return op_error(s, *error);
  }
  if (!stage_over(s, &m, st.get())) return cycle_failed_;
  const bool bound = bind_parts(s, m, *st, st->text);
  if (bound && !cycle_failed_) open_portal(m.portal, st, targets_, merge_of(*st, m));
  stage_.reset();
  question_.reset();
  return bound;
}

}  // namespace pgbraid::proxy
