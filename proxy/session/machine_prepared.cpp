// PREPARE, EXECUTE and DEALLOCATE in SQL. They stand on a backend under the client's own names and share one name space with
// the protocol's statements. A backend gets a name when it is first used there, and loses it before another session comes.
#include "proxy/session/machine.hpp"

#include "protocol/frontend.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;
using router::session_effect;

namespace {

// Marks ids of the protocol's statements among a backend's names.
constexpr std::uint64_t of_protocol = std::uint64_t{1} << 63;

std::string quoted_name(std::string_view name) {
  std::string out{"\""};
  for (const char c : name) out.append(c == '"' ? 2 : 1, c);
  out.push_back('"');
  return out;
}

constexpr std::string_view view_of_statements = "pg_catalog.pg_prepared_statements";

bool shows_statements(const router::plan& plan) { return !plan.reads.empty() && plan.reads.front() == view_of_statements; }

// The text has the name somewhere, however it is written, as a word of its own.
bool mentions(std::string_view text, std::string_view name) {
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == (b >= 'A' && b <= 'Z' ? b + 32 : b); };
  const auto in_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
           (c & 0x80) != 0;
  };
  for (auto from = text.begin();;) {
    const auto at = std::search(from, text.end(), name.begin(), name.end(), same);
    if (at == text.end()) return false;
    const auto end = at + static_cast<std::ptrdiff_t>(name.size());
    if ((at == text.begin() || !in_word(at[-1])) && (end == text.end() || !in_word(*end))) return true;
    from = at + 1;
  }
}

}  // namespace

bool session_machine::prepares(const router::plan& plan) noexcept {
  return plan.effect == session_effect::prepare && plan.statement_count == 1 && !plan.opaque && !plan.name.empty();
}

// EXECUTE of a statement that the protocol has prepared: where its rows are only its own plan tells.
bool session_machine::executes_statement(const router::plan& plan) const {
  return plan.effect == session_effect::execute && plan.statement_count == 1 && !plan.name.empty() &&
         !context_->context.map->one_shard() && statements_.contains(plan.name);
}

// EXECUTE within another statement, or by the extended protocol: one shard alone would carry it out.
std::optional<p::error_report> session_machine::executes_unseen(const router::plan& plan, std::string_view sql) const {
  if (plan.effect != session_effect::execute || statements_.empty() || unreadable(plan) ||
      context_->context.map->one_shard())
    return std::nullopt;
  bool seen = executes_statement(plan);
  if (plan.name.empty())
    statements_.for_each([&](const std::string& name, const statement_ptr&) { seen = seen || mentions(sql, name); });
  if (!seen) return std::nullopt;
  return p::with_hint(p::make_error(error_id::session_feature, "EXECUTE within a statement or by the extended protocol",
                                    "what it carries out may concern several shards"),
                      "Send EXECUTE as a simple query of its own.");
}

// What the name stands for now; 0: nothing.
std::uint64_t session_machine::id_of_name(std::string_view name) const {
  if (const sql_statement* known = sql_.find(name)) return known->id;
  if (const statement_ptr* known = statements_.find(name)) return (*known)->id | of_protocol;
  return 0;
}

void session_machine::own_query(step& s, branch_index i, std::string_view sql) {
  branch& b = branches_[i];
  const std::size_t from = s.backend_bytes.size();
  if (cycle_ == cycle_kind::batch) {
    // A simple query would commit the batch's implicit transaction.
    p::encode_parse(s.backend_bytes, "", sql);
    p::encode_bind(s.backend_bytes, "", "", {}, {}, {});
    p::encode_execute(s.backend_bytes, "");
    for (const answer kind : {answer::parse, answer::bind, answer::execute}) {
      expectation e{kind, disposition::swallow};
      e.local_type = of_names;
      b.expect(e);
    }
    b.unsynced = true;
    unnamed_portal_open_ = false;
  } else {
    p::encode_query(s.backend_bytes, sql);
    b.expect({answer::query, disposition::prepare});
    ++b.preparing;
  }
  b.facts->unnamed = 0;
  s.own_to_backend(i, from);
}

// PREPARE of a name that EXECUTE needs has failed, as for a table that is gone. A server that has the name takes the Bind and
// says so in Execute.
void session_machine::tell_bound(step& s, branch_index failed) {
  const branch& b = branches_[failed];
  if (!b.outstanding() || b.expected[b.next].what == disposition::forward || b.expected[b.next].local_type != of_names) return;
  for (std::size_t k = b.next; k < b.expected.size() && b.expected[k].kind != answer::sync; ++k) {
    if (b.expected[k].kind != answer::bind || b.expected[k].what != disposition::forward) continue;
    flush_run(s);
    local_answers_.push_back(p::backend::bind_complete);
    return tell_local_answers(s);
  }
}

// Statements that rid the backend of what another session has prepared there. Empty: none.
std::string session_machine::deallocate_foreign(branch_index i) {
  backend_facts& facts = *branches_[i].facts;
  if (!facts.sql || (facts.sql->owner == sql_owner_ && !facts.sql->unknown)) return {};
  std::string sql;
  if (facts.sql->unknown) {
    sql = "DEALLOCATE ALL";
    facts.prepared.clear();
    facts.unnamed = 0;
  } else {
    for (const auto& [name, id] : facts.sql->entries) sql.append(sql.empty() ? "" : "; ").append("DEALLOCATE ").append(quoted_name(name));
  }
  facts.sql.reset();
  return sql;
}

void session_machine::deallocate(step& s, branch_index i, std::string_view name) {
  own_query(s, i, "DEALLOCATE " + quoted_name(name));
  std::erase_if(branches_[i].facts->sql->entries, [&](const auto& entry) { return entry.first == name; });
}

void session_machine::prepare_name(step& s, branch_index i, const std::string& name, bool optional) {
  backend_facts& facts = *branches_[i].facts;
  if (const sql_statement* known = sql_.find(name)) {
    own_query(s, i, known->text);
    if (optional) {
      branches_[i].expected.back().local_type = of_optional_name;
      branches_[i].expected.back().statement = known->id;
    }
  } else {
    const statement& st = **statements_.find(name);
    const std::size_t from = s.backend_bytes.size();
    branch& b = branches_[i];
    p::encode_parse(s.backend_bytes, name, st.text, types_for(i, st.parameter_types));
    expectation parse{answer::parse, disposition::prepare};
    parse.local_type = optional ? of_optional_name : of_names;
    if (optional) parse.statement = id_of_name(name);
    b.expect(parse);
    if (cycle_ == cycle_kind::batch) {
      b.unsynced = true;
    } else {
      p::encode_sync(s.backend_bytes);
      b.expect({answer::sync, disposition::prepare});
      ++b.preparing;
    }
    s.own_to_backend(i, from);
  }
  if (sql_owner_ == 0) sql_owner_ = env_.statements.fresh_id();
  if (!facts.sql) facts.sql = std::make_unique<sql_names>();
  facts.sql->owner = sql_owner_;
  facts.sql->entries.emplace_back(name, id_of_name(name));
}

// The branch has the names that the statement may use, and none that stands for nothing any more. False: wait for its answers.
bool session_machine::names_in_place(step& s, branch_index i, const router::plan& plan, std::string_view sql) {
  branch& b = branches_[i];
  const bool shows = shows_statements(plan);
  if (sql_.empty() && !b.facts->sql && plan.effect != session_effect::execute && plan.effect != session_effect::prepare && !shows) return true;
  if (b.transaction == 'E') return true;
  bool waits = false;
  if ((shows && b.facts->prepared.size() > 0) || (b.facts->sql && b.facts->sql->unknown)) {
    // One of them failed; or what is seen is the client's own statements under its own names, and nothing else.
    own_query(s, i, "DEALLOCATE ALL");
    b.facts->prepared.clear();
    b.facts->sql.reset();
    waits = true;
  }
  if (b.facts->sql) {
    const auto entries = b.facts->sql->entries;
    for (const auto& [name, id] : entries) {
      if (id_of_name(name) == id) continue;
      deallocate(s, i, name);
      waits = true;
    }
  }
  const bool one = (plan.effect == session_effect::execute || plan.effect == session_effect::prepare) &&
                   plan.statement_count == 1 && !plan.name.empty();
  const auto need = [&](const std::string& name) {
    const auto has = [&](const auto& entry) { return entry.first == name; };
    if (b.facts->sql && std::any_of(b.facts->sql->entries.begin(), b.facts->sql->entries.end(), has)) return;
    // Where it is not the statement's own it need not succeed: its table may be gone. In a transaction it would end
    // that.
    const bool optional = !one && cycle_ == cycle_kind::simple && !txn_.active;
    if (optional && names_tried_) return;
    prepare_name(s, i, name, optional);
    waits = true;
  };
  if (one) {
    if (id_of_name(plan.name) != 0) need(plan.name);
  } else {
    // EXPLAIN EXECUTE, CREATE TABLE AS EXECUTE, several statements in one text, a DO block.
    sql_.for_each([&](const std::string& name, const sql_statement&) {
      if (shows || mentions(sql, name)) need(name);
    });
    if (shows) statements_.for_each([&](const std::string& name, const statement_ptr&) { need(name); });
  }
  names_tried_ = waits;
  return !waits || cycle_ == cycle_kind::batch;
}

// PREPARE has been sent: when the cycle ends well the session has a new statement.
void session_machine::note_prepare(branch_index i, const router::plan& plan, std::string_view sql) {
  pending_prepare_ = std::make_unique<pending_prepare>(pending_prepare{plan.name, std::string{sql}, i});
}

void session_machine::prepare_over() {
  const std::unique_ptr<pending_prepare> made = std::move(pending_prepare_);
  if (made->branch >= branches_.size()) return;
  branch& b = branches_[made->branch];
  if (b.state != branch_state::ready) return;
  if (cycle_failed_) {
    // In a batch it may have been prepared before something else failed.
    b.dirty = b.dirty || operations_.size() > 1;
    return;
  }
  if (sql_owner_ == 0) sql_owner_ = env_.statements.fresh_id();
  const std::uint64_t id = env_.statements.fresh_id();
  if (!b.facts->sql) b.facts->sql = std::make_unique<sql_names>();
  b.facts->sql->owner = sql_owner_;
  b.facts->sql->entries.emplace_back(made->name, id);
  sql_.set(made->name, {id, made->text});
}

// The server's error, if it names one of the protocol's statements, with the client's own name. Empty: it does not.
std::string session_machine::with_own_name(std::string_view frame) const {
  constexpr std::string_view prefix = "\"pgbraid_";
  const std::size_t at = frame.find(prefix);
  const std::size_t end = at == std::string_view::npos ? at : frame.find('"', at + 1);
  if (end == std::string_view::npos) return {};
  const std::string_view theirs = frame.substr(at + 1, end - at - 1);
  std::string out;
  statements_.for_each([&](const std::string& name, const statement_ptr& st) {
    if (!out.empty() || st->backend_name != theirs) return;
    out.append(frame.substr(0, at + 1)).append(name).append(frame.substr(end));
    const std::uint32_t length = static_cast<std::uint32_t>(out.size() - 1);
    for (int byte = 0; byte < 4; ++byte) out[static_cast<std::size_t>(1 + byte)] = static_cast<char>(length >> (24 - 8 * byte));
  });
  return out;
}

// Bind and Describe of a statement that SQL has prepared: it has the client's own name on the server.
bool session_machine::op_on_name(step& s, std::string_view name, std::string_view frame, answer kind) {
  static const router::plan anything = [] {
    router::plan plan;
    plan.effect = session_effect::execute;
    plan.user_code = true;
    return plan;
  }();
  p::error_report refusal;
  route_ = {router::to_shard{0}, router::access::write, true};
  if (!place(s, anything, route_, targets_, refusal)) return op_error(s, refusal);
  if (!settle(s, targets_)) return false;
  const branch_index i = targets_.front();
  router::plan named = anything;
  named.name = name;
  (void)names_in_place(s, i, named, {});
  mark_use(anything, route_, targets_);
  branches_[i].expect({kind, disposition::forward});
  branches_[i].unsynced = true;
  s.to_backend(i, frame);
  return true;
}

}  // namespace pgbraid::proxy
