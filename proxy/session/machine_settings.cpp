// What SET, RESET and the end of a transaction do to the session's settings.
#include "proxy/session/machine.hpp"

namespace pgbraid::proxy {

using router::session_effect;
using router::sql::isolation_level;

void session_machine::end_transaction(bool committed) {
  end_listens(committed);
  needs_.reset();
  if (blocks_ && !committed) blocks_->ahead.forget();
  settings_ptr base = txn_.base;
  for (branch& b : branches_) {
    if (!b.in_block || b.facts == nullptr) continue;
    if (!committed && b.facts->current == current_) b.facts->current = base;
  }
  if (!committed) current_ = base;
  const bool chained = txn_.chained;
  if (chained && changed_) publish_changes();
  if (made_) publish_definitions();
  const bool had_own = own_ != nullptr;
  own_.reset();
  const bool had_local = local_ != current_;
  local_ = current_;
  if (had_local || had_own || !committed) adopt_settings();
  if (!chained) {
    txn_.clear();
    for (branch& b : branches_) b.in_block = false;
    return;
  }
  // AND CHAIN: a new transaction of the same kind has begun on every branch.
  // One that was begun in a text of several statements has no prologue of its own.
  prologue_entry begin = txn_.prologue.empty() ? prologue_entry{} : txn_.prologue.front();
  std::string modes;
  switch (txn_.isolation) {
    case isolation_level::serializable: modes = " ISOLATION LEVEL SERIALIZABLE"; break;
    case isolation_level::repeatable_read: modes = " ISOLATION LEVEL REPEATABLE READ"; break;
    default:
      if (default_isolation_ != txn_.isolation) modes = " ISOLATION LEVEL READ COMMITTED";
      break;
  }
  const char* access = txn_.read_only ? " READ ONLY" : default_read_only_ ? " READ WRITE" : "";
  begin.sql = "BEGIN" + modes + access;
  begin.settings_before = current_;
  begin.local_before = local_;
  txn_.prologue.assign(1, std::move(begin));
  txn_.failed = txn_.primary_only = txn_.chained = txn_.imported = txn_.snapshots = false;
  txn_.snapshot_anywhere = false;
  txn_.home.reset();
  txn_.writer.reset();
  txn_.base = current_;
}

void session_machine::roll_back_to(int savepoint) {
  txn_.failed = false;
  if (savepoint < 0) {
    // Which one of the servers' it is nobody knows.
    if (made_) made_->forget();
    return forget_own();
  }
  const prologue_entry& entry = txn_.prologue[static_cast<std::size_t>(savepoint)];
  if (listening_ && listening_->changes.size() > entry.listens) listening_->changes.resize(entry.listens);
  if (made_) made_->back_to(entry.made);
  if (made_ && made_->forgotten()) forget_own();
  for (branch& b : branches_) {
    if (b.in_block && b.facts != nullptr && b.facts->current == current_) b.facts->current = entry.settings_before;
  }
  const bool changed = current_ != entry.settings_before || local_ != entry.local_before;
  current_ = entry.settings_before;
  local_ = entry.local_before;
  txn_.prologue.resize(static_cast<std::size_t>(savepoint) + 1);
  if (changed) adopt_settings();
}

void session_machine::change_setting(const router::plan& plan, std::string_view sql) {
  const router::sql::variable_statement& variable = plan.variable;
  settings_ptr before = current_;
  std::string value;
  for (const std::string& part : variable.values) {
    if (!value.empty()) value.append(", ");
    // The parts of a search_path are names by now, whatever they were written as.
    if (variable.name == "search_path") {
      value.push_back('"');
      for (const char c : part) value.append(c == '"' ? 2 : 1, c);
      value.push_back('"');
    } else {
      value.append(part);
    }
  }
  const bool reset = plan.effect == session_effect::reset || variable.to_default;
  // Text that the grammar did not take has no name to go by: it stands for itself.
  const std::string name = variable.name.empty() && !reset ? std::string{sql} : variable.name;
  const auto made = [&](const settings_ptr& base) {
    if (name == "datestyle") return date_style_setting(base->find(name), value, sql);
    return setting{name, value, std::string{sql}};
  };
  // A change of the session's user ends its role.
  if (name == "session_authorization") current_ = env_.settings.without(current_, "role");
  if (plan.effect == session_effect::set_session_characteristics) {
    current_ = env_.settings.with(current_, {"session characteristics", value, std::string{sql}});
    if (plan.modes.isolation != isolation_level::unset) {
      const char* level = plan.modes.isolation == isolation_level::serializable      ? "serializable"
                          : plan.modes.isolation == isolation_level::repeatable_read ? "repeatable read"
                          : plan.modes.isolation == isolation_level::read_uncommitted ? "read uncommitted"
                                                                                      : "read committed";
      current_ = env_.settings.with(current_, {"default_transaction_isolation", level, set_statement("default_transaction_isolation", level)});
    }
    if (plan.modes.read_only) {
      const char* word = *plan.modes.read_only ? "on" : "off";
      current_ = env_.settings.with(current_, {"default_transaction_read_only", word, set_statement("default_transaction_read_only", word)});
    }
    current_ = env_.settings.without(current_, "session characteristics");
    local_ = current_;
  } else if (plan.effect == session_effect::set_local) {
    local_ = env_.settings.with(local_, made(local_));
    return adopt_settings();
  } else if (reset && (name == "all" || name.empty())) {
    // Who one is, RESET ALL leaves alone.
    settings_ptr after = startup_;
    for (const char* kept : {"session_authorization", "role"}) {
      if (const setting* entry = current_->find(kept)) after = env_.settings.with(after, *entry);
    }
    current_ = local_ = after;
  } else if (reset) {
    const setting* own = startup_->find(name);
    current_ = own == nullptr ? env_.settings.without(current_, name) : env_.settings.with(current_, *own);
    local_ = current_;
  } else {
    current_ = env_.settings.with(current_, made(current_));
    local_ = current_;
  }
  for (branch& b : branches_) {
    if (b.facts == nullptr || b.facts->current != before) continue;
    b.facts->current = current_;
  }
  adopt_settings();
}

}  // namespace pgbraid::proxy
