// set_config() over several shards: a SELECT of nothing else goes to every server that the transaction is open on, as
// SET does. What the settings have become the server tells in its row, and servers that come later are told so too.
#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"
#include "proxy/session/machine.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;
using router::config_argument;

namespace {

struct known_argument {
  bool null = true;
  bool binary = false;
  std::string_view text;
};

// What cannot be known the server complains of.
known_argument value_of(const config_argument& argument, const p::bind_view* m) {
  if (argument.parameter == 0) return {argument.null, false, argument.text};
  p::wire_value bound;
  const auto at = static_cast<std::size_t>(argument.parameter - 1);
  if (m == nullptr || !m->parameter(at, bound)) return {};
  return {bound.null, m->binary(at), bound.bytes};
}

// As boolin() and boolrecv() read what they take at all.
bool truth_of(const known_argument& value) {
  if (value.null) return false;
  if (value.binary) return !value.text.empty() && value.text.front() != 0;
  const std::size_t first = value.text.find_first_not_of(" \t\n\v\f\r");
  if (first == std::string_view::npos) return false;
  const std::string_view word = value.text.substr(first);
  const char c = static_cast<char>(word.front() | 0x20);
  return c == 't' || c == 'y' || word.front() == '1' || (c == 'o' && word.size() > 1 && (word[1] | 0x20) == 'n');
}

std::string lower(std::string_view name) {
  std::string out{name};
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

std::optional<p::error_report> refusal_of(const config_change& change, const settings& startup) {
  const auto refused = [&](std::string_view why, std::string_view hint) {
    return p::with_hint(p::make_error(error_id::session_feature, "set_config() of " + change.name, std::string{why}),
                        std::string{hint});
  };
  if (change.name.starts_with("pgbraid.")) return refused("no server knows it", "Use SET, in a statement of its own.");
  if (change.name.starts_with("transaction_"))
    return refused("it is what the transaction has begun with", "Use SET TRANSACTION.");
  if (change.name == "seed") return refused("no server tells what it has become", "Use SET.");
  if (change.to_default && startup.find(change.name) != nullptr)
    return refused("its default is what the client has logged in with", "Use RESET.");
  return std::nullopt;
}

}  // namespace

// What the statement is to change, by its constants and the parameters that are bound.
std::optional<p::error_report> session_machine::read_configs(const router::plan& plan, const p::bind_view* m,
                                                             std::vector<config_change>& out) const {
  for (const router::config_call& call : plan.configures) {
    config_change change{lower(value_of(call.name, m).text), value_of(call.value, m).null,
                         truth_of(value_of(call.local, m))};
    if (auto refused = refusal_of(change, *startup_)) return refused;
    out.push_back(std::move(change));
  }
  return std::nullopt;
}

// The servers that must make the change: all that the transaction is open on, or one.
void session_machine::place_config(step& s, targets& out) {
  const bool binds = std::any_of(operations_.begin(), operations_.end(),
                                 [](const operation& o) { return o.type == p::frontend::bind; });
  const bool goes_on = cycle_ == cycle_kind::batch && binds && (more_to_bind() || !batch_synced_);
  // What is said up to Sync is one transaction, which the change belongs to, on whatever servers.
  if (!txn_.active && goes_on && nothing_unsynced()) begin_own();
  const bool everywhere = takes_snapshot_anywhere();
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    const branch& b = branches_[i];
    if (b.state != branch_state::ready || everywhere) continue;
    if (txn_.active ? b.in_block : b.unsynced || static_cast<int>(i) == pinned_)
      out.push_back(static_cast<branch_index>(i));
  }
  if (!txn_.active && out.size() > 1) out.resize(1);
  if (!out.empty()) return;
  if (!everywhere) return out.push_back(branch_for(s, any_shard(true), false));
  for (std::size_t i = 0; i < context_->context.map->shards.size(); ++i) {
    out.push_back(branch_for(s, static_cast<router::shard_index>(i), false));
  }
}

// The first of its servers answers for all.
void session_machine::mirror_config(const router::plan& plan) {
  if (plan.configures.empty() || targets_.size() < 2) return;
  router::to_many all;
  all.mirrored = true;
  for (const branch_index i : targets_) all.shards.push_back(branches_[i].shard);
  route_.target = std::move(all);
}

// The last row before the statement's end is its own.
void session_machine::take_config_row(std::string_view body) {
  p::data_row_view row;
  if (!p::decode(body, row)) return;
  config_->values.clear();
  auto values = row.columns.values();
  for (p::wire_value value; values.next(value);) config_->values.emplace_back(value.bytes);
}

// Execute is on its way. What comes behind it is planned with what it has changed.
bool session_machine::config_executed(step& s) {
  if (!drained(s)) return false;
  config_over();
  return true;
}

void session_machine::config_over() {
  const std::unique_ptr<config_state> done = std::move(config_);
  if (cycle_failed_ || done->values.size() != done->changes.size()) return;
  for (std::size_t i = 0; i < done->changes.size(); ++i) {
    const config_change& change = done->changes[i];
    if (change.local && !txn_.active) continue;
    if (!txn_.active && cycle_ == cycle_kind::batch && !batch_base_) batch_base_ = current_;
    change_config(change, done->values[i]);
  }
  adopt_settings();
}

void session_machine::change_config(const config_change& change, const std::string& value) {
  const settings_ptr before = current_;
  const std::optional<std::string_view> said =
      change.to_default ? std::nullopt : std::optional<std::string_view>{value};
  const std::string sql = set_config_statement(change.name, said, false);
  // One of nobody's is there from now on, and empty.
  const bool custom = change.name.find('.') != std::string::npos;
  const auto changed = [&](const settings_ptr& base) {
    if (change.to_default && !custom) return env_.settings.without(base, change.name);
    if (change.name == "datestyle")
      return env_.settings.with(base, date_style_setting(base->find(change.name), value, sql));
    return env_.settings.with(base, {change.name, value, sql});
  };
  if (!change.local) {
    // A change of the session's user ends its role.
    if (change.name == "session_authorization") current_ = env_.settings.without(current_, "role");
    current_ = changed(current_);
    for (branch& b : branches_) {
      if (b.facts != nullptr && b.facts->current == before) b.facts->current = current_;
    }
  }
  local_ = txn_.active ? changed(local_) : current_;
  if (!txn_.active) return;
  txn_.prologue.push_back({prologue_entry::kind::set,
                           set_config_statement(change.name, said, change.local),
                           {},
                           current_,
                           local_,
                           listening_ ? listening_->changes.size() : 0});
}

}  // namespace pgbraid::proxy
