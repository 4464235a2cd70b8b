// The probe: one question to a backend on which user code has run, before it goes back. What must stay there pins the
// session, settings become the session's own, and a pin whose reason is gone ends.
#include "proxy/session/machine.hpp"

#include "protocol/backend.hpp"
#include "protocol/frontend.hpp"

#include <algorithm>
#include <array>

namespace pgbraid::proxy {

namespace p = protocol;

namespace {

struct trace {
  std::string_view reason;     ///< for the pin
  std::string_view condition;
};

constexpr std::array traces{
    trace{"temporary objects", "SELECT FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema()"},
    trace{"temporary objects", "SELECT FROM pg_catalog.pg_proc WHERE pronamespace = pg_catalog.pg_my_temp_schema()"},
    trace{"temporary objects", "SELECT FROM pg_catalog.pg_type WHERE typnamespace = pg_catalog.pg_my_temp_schema()"},
    trace{"advisory locks", "SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()"},
    trace{"LISTEN", "SELECT FROM pg_catalog.pg_listening_channels()"},
    trace{"a WITH HOLD cursor", "SELECT FROM pg_catalog.pg_cursors WHERE is_holdable"},
};
constexpr std::string_view deallocated = "deallocated statements", prepared = "PREPARE";

std::string quoted(std::string_view text) {
  std::string out{"'"};
  for (const char c : text) out.append(c == '\'' ? 2 : 1, c);
  out.push_back('\'');
  return out;
}

std::string quoted_name(std::string_view name) {
  std::string out{"\""};
  for (const char c : name) out.append(c == '"' ? 2 : 1, c);
  out.push_back('"');
  return out;
}

}  // namespace

// Rows of (reason, NULL, NULL) and of (NULL, setting, value). A value of NULL: no longer set by the session.
void session_machine::ask_probe(step& s, branch_index i) {
  branch& b = branches_[i];
  b.dirty = false;
  probe_pins_ = false;
  std::string sql;
  for (const trace& t : traces) {
    sql.append(sql.empty() ? "SELECT '" : " UNION ALL SELECT '").append(t.reason).append("', NULL, NULL WHERE EXISTS (").append(t.condition).append(")");
  }
  sql.append(fmt::format(" UNION ALL SELECT '{}', NULL, NULL WHERE EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql", prepared));
  if (b.facts->sql) {
    std::string names;
    for (const auto& [name, id] : b.facts->sql->entries) names.append(names.empty() ? "" : ", ").append(quoted(name));
    if (!names.empty()) sql.append(" AND name NOT IN (").append(names).append(")");
  }
  sql.append(")");
  sql.append(fmt::format(" UNION ALL SELECT '{}', NULL, NULL WHERE (SELECT count(*) FROM pg_catalog.pg_prepared_statements"
                         " WHERE NOT from_sql AND name <> '') < {}", deallocated, b.facts->prepared.size()));
  sql.append(" UNION ALL SELECT NULL, pg_catalog.lower(name), CASE WHEN source = 'session' THEN pg_catalog.current_setting(name) END"
             " FROM pg_catalog.pg_settings WHERE name NOT LIKE 'transaction\\_%' AND (source = 'session'");
  if (!current_->entries.empty()) {
    std::string names;
    for (const setting& entry : current_->entries) names.append(names.empty() ? "" : ", ").append(quoted(entry.name));
    sql.append(" OR pg_catalog.lower(name) IN (").append(names).append(")");
  }
  sql.append(") UNION ALL SELECT NULL, 'session_authorization', session_user"
             " UNION ALL SELECT NULL, 'role', pg_catalog.current_setting('role')");
  const std::size_t from = s.backend_bytes.size();
  p::encode_query(s.backend_bytes, sql);
  s.own_to_backend(i, from);
  b.facts->unnamed = 0;
  b.expect({answer::query, disposition::probe});
}

void session_machine::probe_row(branch_index i, std::string_view body) {
  p::data_row_view row;
  p::wire_value reason, name, value;
  if (!p::decode(body, row) || !row.columns.at(0, reason) || !row.columns.at(1, name) || !row.columns.at(2, value)) return;
  if (!reason.null) {
    probe_pins_ = true;
    return pin(i, std::string{reason.bytes});
  }
  const setting* known = current_->find(name.bytes);
  settings_ptr found = current_;
  if (name.bytes == "session_authorization") {
    if (value.bytes == (known != nullptr ? std::string_view{known->value} : std::string_view{user_})) return;
    found = value.bytes == user_ ? env_.settings.without(current_, name.bytes)
                                 : env_.settings.with(current_, {"session_authorization", std::string{value.bytes}, "SET SESSION AUTHORIZATION " + quoted_name(value.bytes)});
  } else if (name.bytes == "role") {
    if (value.bytes == (known != nullptr ? std::string_view{known->value} : std::string_view{"none"})) return;
    found = value.bytes == "none" ? env_.settings.without(current_, name.bytes)
                                  : env_.settings.with(current_, {"role", std::string{value.bytes}, "SET ROLE " + quoted_name(value.bytes)});
  } else if (value.null) {
    found = env_.settings.without(current_, name.bytes);
  } else if (known == nullptr || known->value != value.bytes) {
    found = env_.settings.with(current_, {std::string{name.bytes}, std::string{value.bytes}, set_config_statement(name.bytes, value.bytes)});
  }
  if (found == current_) return;
  backend_facts& facts = *branches_[i].facts;
  if (facts.current == current_) facts.current = found;
  current_ = local_ = std::move(found);
  adopt_settings();
}

// The probe has been answered: what it would have told of is gone.
void session_machine::probe_over(branch_index i) {
  if (probe_pins_ || pinned_ != i) return;
  const auto seen = [&](const trace& t) { return t.reason == pinned_because(); };
  if (!std::any_of(traces.begin(), traces.end(), seen) && pinned_because() != prepared) return;
  pinned_ = -1;
  pin_reason_.reset();
}

// Statements after which a pin's reason may be gone.
bool session_machine::may_unpin(const router::plan& plan) const noexcept {
  return plan.effect == router::session_effect::unlisten || plan.effect == router::session_effect::use_cursor ||
         plan.effect == router::session_effect::deallocate || plan.tag.starts_with("DROP");
}

}  // namespace pgbraid::proxy
