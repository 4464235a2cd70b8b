// Values that must be unique over all shards are claimed before the statement that gives them to rows; see claims.hpp.
#include "proxy/session/claims.hpp"

#include <algorithm>
#include <utility>

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "proxy/session/machine.hpp"
#include "router/plan/refusals.hpp"
#include "router/plan/targets.hpp"

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;

namespace {

p::error_report refuse(const router::claim_plan& plan, std::size_t column, std::string_view why, std::string hint) {
  auto out = router::refuse_claim(plan.columns[column].column, plan.schema + '.' + plan.table, why);
  return hint.empty() ? out : p::with_hint(std::move(out), std::move(hint));
}

p::error_report claims_unseen(const router::claim_plan& plan, std::size_t column) {
  return refuse(plan, column, "a transaction with one snapshot does not see what others have committed meanwhile",
                "Use READ COMMITTED for what writes it.");
}

p::error_report claims_outside(const router::claim_plan& plan, std::size_t column) {
  return refuse(plan, column, "the transaction was begun in the middle of a batch, on one shard",
                "Begin the transaction in a batch of its own.");
}

}  // namespace

// Before the statement gets its place, by route_. What keeps its values from being claimed.
std::optional<p::error_report> session_machine::arrange_claims(
    const router::plan& plan, std::string_view text, std::span<const router::sql::constant_position> constants,
    std::span<const router::bound_parameter> parameters) {
  using router::sql::isolation_level;
  std::size_t unread = 0;
  auto values = router::read_claims(*plan.claims, text, constants, parameters, context_->literals, unread);
  if (!values) return refuse(*plan.claims, unread, "its value cannot be read for sure", {});
  // Bind is looked at anew for as long as it waits.
  const claims_state* const before = needs_.claims();
  if (before != nullptr && before->plan == plan.claims && before->operation == operation_ && before->values == *values)
    return std::nullopt;
  needs_.drop_claims();
  if (values->empty()) return std::nullopt;

  const std::size_t column = values->front().column;
  const auto* one = std::get_if<router::to_shard>(&route_.target);
  const auto* many = std::get_if<router::to_many>(&route_.target);
  if (std::holds_alternative<router::to_refusal>(route_.target)) return std::nullopt;  // told when it gets no place
  if (one == nullptr && (many == nullptr || many->rows.empty()))
    return refuse(*plan.claims, column, "its rows may stand on several shards",
                  "Tie the statement to one value of the sharding key.");
  const bool one_snapshot = txn_.active ? txn_.one_snapshot()
                                        : default_isolation_ == isolation_level::repeatable_read ||
                                              default_isolation_ == isolation_level::serializable;
  if (one_snapshot) return claims_unseen(*plan.claims, column);
  if (txn_.foreign) return claims_outside(*plan.claims, column);
  claims_state claims;
  claims.plan = plan.claims;
  claims.values = std::move(*values);
  if (one != nullptr) {
    claims.homes.push_back(one->shard);
  } else {
    claims.homes = many->rows;
  }
  claims.operation = operation_;
  if (const auto* twice = router::claimed_twice(claims.values, claims.homes)) {
    if (plan.claims->if_taken == router::claim_plan::taken::unknowable)
      return refuse(*plan.claims, twice->column, "two of the rows have the same value, on different shards",
                    "Insert them in statements of their own.");
    claims.taken =
        std::make_shared<const p::error_report>(router::value_is_taken(*plan.claims, twice->column, twice->text));
  }
  needs_.add(std::move(claims));
  return std::nullopt;
}

// The statement has its place.
void session_machine::place_claims(step& s) {
  claims_state* const claims = needs_.claims();
  if (claims == nullptr || !claims->over.empty()) return;
  for (const router::shard_index shard : router::owning_shards(*context_->context.map))
    claims->over.push_back(branch_for(s, shard, false));
}

// The simple statement, or the one that has numbers in its place.
std::optional<p::error_report> session_machine::claim_of_simple() {
  thread_local router::sql::token_scan scan;
  p::query_view query;
  (void)p::decode(input_.substr(p::frame_header_size, cycle_bytes_ - p::frame_header_size), query);
  const std::string_view text = question_ ? std::string_view{question_->text} : query.text;
  router::sql::scan(text, scan);
  return arrange_claims(*plan_, text, scan.constants, {});
}

// What others give to rows between Bind and Execute is not looked at. The unnamed portal lasts until the next Bind.
std::optional<p::error_report> session_machine::refuse_named_claims(std::string_view portal) const {
  if (portal.empty()) return std::nullopt;
  const claims_state& claims = *needs_.claims();
  return refuse(*claims.plan, claims.values.front().column,
                "a portal with a name may be executed behind another statement that gives it",
                "Bind the statement to the unnamed portal.");
}

// COPY is about to begin. What keeps the values of its rows from being claimed.
std::optional<p::error_report> session_machine::claims_of_copy(const router::copy_layout& layout) const {
  if (layout.claimed.empty() || !(txn_.one_snapshot() || txn_.foreign)) return std::nullopt;
  const router::claim_plan plan{layout.schema, layout.relation, layout.claimed};
  return txn_.foreign ? claims_outside(plan, 0) : claims_unseen(plan, 0);
}

// COPY has been taken by all servers. True: it is over when the values of its rows are claimed. That others may have
// given them to rows since does no harm: who claims them first does not see the other's, and who is last sees both.
bool session_machine::must_claim_copied(std::string_view tag) {
  if (copy_->splitter.claims().values.empty() || !copy_->tag.empty()) return false;
  copy_->tag = tag;
  return true;
}

// Every row of the COPY stands where it belongs. True: its values are claimed, or it has failed.
bool session_machine::copied_are_claimed(step& s) {
  copy_state& c = *copy_;
  if (cycle_failed_) return true;
  if (!needs_.claims() && c.claims) {
    // They have gone with a server, and nobody knows of the values any more: the rows must not be committed.
    const auto untold = std::exchange(txn_.untold, nullptr);
    fail_need(s, untold ? *untold : p::make_error(error_id::server_lost, "while values were claimed"));
    return true;
  }
  if (!needs_.claims()) {
    c.claims = true;
    const router::copy_layout& layout = c.splitter.layout();
    claims_state claims;
    claims.plan = std::make_shared<const router::claim_plan>(
        router::claim_plan{layout.schema, layout.relation, layout.claimed, router::claim_plan::taken::fails});
    claims.values = std::move(c.splitter.claims().values);
    claims.homes = std::move(c.splitter.claims().homes);
    for (const copy_state::part& each : c.parts) claims.over.push_back(each.branch);
    const auto by_shard = [this](branch_index x, branch_index y) { return branches_[x].shard < branches_[y].shard; };
    std::sort(claims.over.begin(), claims.over.end(), by_shard);
    needs_.add(std::move(claims));
  }
  if (!claimed(s)) return false;
  if (cycle_failed_) return true;
  needs_.drop_claims();
  tell_completion(s, std::exchange(c.tag, {}));
  return true;
}

// True: they are claimed on all branches. False: it waits, or has failed.
bool session_machine::claimed(step& s) {
  claims_state& claims = *needs_.claims();
  for (const branch_index i : next_in_turn(s, claims, claims.taken != nullptr)) {
    const router::shard_index asked = branches_[i].shard;
    ask_need(s, i, router::claim_statement(*claims.plan, claims.values, claims.homes, asked), of_claims);
  }
  return claims.at == asked_in_turn::phase::held;
}

// A shard's answer: for each column a value that is taken, or NULL.
void session_machine::take_claim_row(std::string_view body) {
  claims_state* const claims = needs_.claims();
  p::data_row_view row;
  if (claims == nullptr || claims->taken || !p::decode(body, row)) return;
  p::wire_value value;
  auto values = row.columns.values();
  for (std::size_t column = 0; values.next(value) && column < claims->plan->columns.size(); ++column) {
    if (value.null) continue;
    claims->taken = std::make_shared<const p::error_report>(router::value_is_taken(*claims->plan, column, value.bytes));
    claims->taken_column = column;
    return;
  }
}

// A branch has answered, the last of those that were asked or not.
void session_machine::claim_answered(step& s) {
  const claims_state* const claims = needs_.claims();
  if (claims == nullptr || !claims->taken || cycle_failed_) return;
  using taken = router::claim_plan::taken;
  switch (claims->plan->if_taken) {
    case taken::by_count:
      return;  // told when the statement has changed a row
    case taken::fails:
      return fail_need(s, *claims->taken);
    case taken::unknowable: {
      auto error =
          refuse(*claims->plan, claims->taken_column,
                 "a row of another shard has the value already, and what ON CONFLICT makes of that cannot be told here",
                 "Select the row first, and update it or leave it.");
      error.detail = claims->taken->detail;
      return fail_need(s, error);
    }
  }
}

}  // namespace pgbraid::proxy
