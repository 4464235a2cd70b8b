// A Parse that stands alone, of a text that a server has parsed under the same conditions, is answered without a
// server: the statement is prepared where it is first used. Some clients wait for this answer while they hold
// connections for others (pgbench prepares synchronously, with all of its thread's clients), so that asking for one
// could wait for ever.
#include "proxy/session/machine.hpp"

#include "protocol/frontend.hpp"

#include <algorithm>
#include <functional>

namespace pgbraid::proxy {

namespace p = protocol;

// All that decides whether a text can be parsed, and that a client can differ in: its database, its role, its settings,
// and the types that it declares.
std::uint64_t session_machine::parse_key(const statement& st) const {
  std::string key = env_.state->name;
  key.append(1, '\0').append(user_);
  for (const setting& entry : local_->entries) key.append(1, '\0').append(entry.sql);
  key.append(2, '\0').append(st.text).append(1, '\0');
  for (const router::oid type : st.parameter_types) key.append(std::to_string(type)).append(1, ',');
  return std::hash<std::string_view>{}(key);
}

// Nothing else is asked in this batch, and the session has no server connection that could be asked.
bool session_machine::parsed_before(const statement& st) const {
  if (!batch_synced_ || pinned_ >= 0) return false;
  if (!holds_nothing()) return false;
  const auto other = [](const operation& o) { return o.type != p::frontend::parse && o.type != p::frontend::sync; };
  if (std::any_of(operations_.begin(), operations_.end(), other)) return false;
  return env_.statements.memory().parsed(parse_key(st));
}

// The server has parsed it. What the open transaction has created, or a temporary object, may be what it is about: then
// that says nothing about others.
void session_machine::note_parsed(branch_index i, statement& st) {
  const branch& b = branches_[i];
  if (st.noted || pinned_ >= 0 || txn_.foreign) return;
  const auto changing = [](const branch& each) {
    return each.state == branch_state::ready && (each.ddl || each.dirty);
  };
  if (b.transaction == 'E' || std::any_of(branches_.begin(), branches_.end(), changing)) return;
  st.noted = true;
  env_.statements.memory().note_parsed(parse_key(st));
}

}  // namespace pgbraid::proxy
