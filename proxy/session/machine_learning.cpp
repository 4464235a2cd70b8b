// What the transaction under way has defined is learnt from its own servers, when a statement goes by it. See
// learning.hpp.
#include "proxy/session/learning.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "proxy/session/machine.hpp"

#include <algorithm>
#include <utility>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;

namespace {

constexpr unsigned most_rounds = 5;  // while others' definitions come in between

}  // namespace

// With one snapshot for all of it, a shard that the transaction has not seen yet would be seen too early.
bool session_machine::can_learn() const {
  const router::plan_context& context = context_->context;
  return env_.state->own && !txn_.untold && client_status() != 'E' && !txn_.one_snapshot() &&
         context.standard_conforming_strings && context.utf8;
}

bool session_machine::goes_by_made(const router::plan& plan) const {
  if (!txn_.active || !can_learn() || is_control(plan)) return false;
  if (made_->forgotten()) return true;
  // Others have defined something since, or the topology is another one.
  const database_state& published = *env_.state;
  if (own_ && (beneath_->map != published.map || beneath_->schema != published.schema)) return true;
  return made_->unlearnt() &&
         (!made_->outdated(plan).empty() || is_refused(plan) || (!defines(plan) && made_->changes_anything()));
}

// True: it is known now, and plans are to be made anew. False: it waits, or has failed.
bool session_machine::learnt(step& s) {
  if (cycle_failed_) return false;
  if (!learning_) learning_ = std::make_unique<learning_state>();
  if (!learning_->published) {
    if (cycle_ == cycle_kind::batch && !drained(s)) return false;
    begin_learning(s);
    return false;
  }
  if (anything_outstanding()) return false;
  learning_state& l = *learning_;
  if (!l.second) {
    l.second = true;
    ask_definitions(s);
    return false;
  }
  const bool moved = l.published->map != env_.state->map || !env_.state->own ||
                     std::any_of(l.servers.begin(), l.servers.end(), [&](const learning_state::server& each) {
                       return l.published->own->moved_between(each.told);
                     });
  if (moved && l.rounds < most_rounds && can_learn()) {
    begin_learning(s);
    return false;
  }
  std::vector<std::optional<own_definitions::reading>> told(l.published->shards.size());
  for (learning_state::server& each : l.servers) told[each.shard] = std::move(each.told);
  const auto made = [this](std::string_view name) { return made_->makes(name); };
  database_state_ptr own = moved ? nullptr : l.published->own->see(*l.published, told, made, l.began);
  if (!own) {
    fail_learning(s, p::make_error(error_id::definition_unknown, "what this transaction has defined"));
    return false;
  }
  if (!own->served) {
    fail_learning(s, p::make_error(error_id::definition_unfit, own->reason));
    return false;
  }
  beneath_ = l.published;
  own_ = std::move(own);
  made_->learn();
  learning_.reset();
  adopt_settings();
  return true;
}

void session_machine::begin_learning(step& s) {
  learning_state& l = *learning_;
  l.published = env_.state;
  l.servers.clear();
  l.second = false;
  ++l.rounds;
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    const branch& b = branches_[i];
    if (b.state != branch_state::ready || !b.in_block || b.replica || b.shard >= l.published->shards.size()) continue;
    l.servers.push_back({static_cast<branch_index>(i), b.shard, {}});
  }
  if (l.servers.empty() || !l.published->own)
    return fail_learning(s, p::make_error(error_id::definition_unknown, "what this transaction has defined"));
  ask_definitions(s);
}

void session_machine::fail_learning(step& s, const p::error_report& error) {
  learning_.reset();
  cycle_ == cycle_kind::simple ? refuse_simple(s, error) : static_cast<void>(op_error(s, error));
}

void session_machine::ask_definitions(step& s) {
  learning_state& l = *learning_;
  if (!l.second) l.began = env_.now();
  for (const learning_state::server& each : l.servers) {
    branch& b = branches_[each.branch];
    const std::size_t from = s.backend_bytes.size();
    p::encode_query(s.backend_bytes,
                    l.second ? l.published->own->second_text(each.told.first) : l.published->own->first_text());
    s.own_to_backend(each.branch, from);
    b.facts->unnamed = 0;
    b.expect({answer::query, disposition::gather, 0, asking_definitions});
  }
}

void session_machine::take_definition(branch_index i, std::string_view row) {
  answered_text* const text = learning_->text_of(i);
  p::data_row_view view;
  if (text == nullptr || text->empty() || !p::decode(row, view)) return;
  answered_row& out = text->back().emplace_back();
  auto values = view.columns.values();
  for (p::wire_value value; values.next(value);) {
    out.emplace_back(value.null ? std::nullopt : std::optional<std::string>{value.bytes});
  }
}

// The transaction has ended, or gone back behind what was learnt.
void session_machine::forget_own() {
  if (!std::exchange(own_, nullptr)) return;
  beneath_.reset();
  adopt_settings();
}

}  // namespace pgbraid::proxy
