// Tables that have just been made or redefined: nobody goes by what the catalog said of them before.
#include "proxy/session/machine.hpp"

#include <algorithm>
#include <array>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;
using namespace std::chrono_literals;

namespace {

constexpr auto longest_wait = 5s;  // for the catalog to be read again

// Any definition may be why: of the tables that it names, under whatever name, or of those that refer to them and were
// seen on some of the shards only.
bool is_refused(const router::plan& plan) {
  const auto* fixed = std::get_if<router::fixed_target>(&plan.where);
  return fixed != nullptr && std::holds_alternative<router::to_refusal>(fixed->target);
}

// What a plan goes by: tables, and functions as "name()".
std::array<const std::vector<std::string>*, 3> goes_by(const router::plan& plan) {
  return {&plan.reads, &plan.writes, &plan.calls};
}

steady_time newest_of(const router::plan& plan, const recent_definitions& known) {
  steady_time newest = steady_time::min();
  for (const auto* list : goes_by(plan)) {
    for (const std::string& name : *list) newest = std::max(newest, known.latest(name));
  }
  return newest;
}

bool contains(const std::vector<std::string>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

// For messages.
std::string described(const std::string& name) {
  return name.ends_with("()") ? fmt::format("function \"{}\"", name.substr(0, name.size() - 2))
                              : fmt::format("table \"{}\"", name);
}

}  // namespace

session_machine::~session_machine() {
  stop_awaiting_catalog();
}

void session_machine::note_definitions(const router::plan& plan) {
  if (!env_.state->definitions) return;
  if (!made_) made_ = std::make_unique<definitions_made>();
  const auto add = [](std::vector<std::string>& list, const std::string& name) {
    if (!contains(list, name)) list.push_back(name);
  };
  for (const auto* list : {&plan.defines, &plan.alters}) {
    for (const std::string& name : *list) {
      add(made_->names, name);
      if (plan.alters_all || (plan.remakes && list == &plan.defines)) add(made_->remade, name);
    }
  }
}

// The transaction is over, and its client has not been told yet.
void session_machine::publish_definitions() {
  const std::unique_ptr<definitions_made> made = std::move(made_);
  if (env_.state->definitions) env_.state->definitions->note(made->names, env_.now());
}

// True: what the statement is about has been redefined, and the catalog is older.
bool session_machine::waits_for_definition(const router::plan& plan) {
  const database_state& state = *env_.state;
  const bool behind = state.definitions && state.definitions->latest() != steady_time::min() &&
                      state.schema_as_of <= state.definitions->latest();
  if (!behind || !plan.defines.empty()) return false;
  const steady_time newest =
      is_refused(plan) ? state.definitions->latest() : newest_of(plan, *state.definitions);
  if (state.schema_as_of > newest || env_.now() > newest + longest_wait) return false;
  if (!std::exchange(awaits_catalog_, true)) ++env_.awaiting_catalog;
  return true;
}

std::optional<p::error_report> session_machine::judge_definitions(const router::plan& plan) const {
  if (!env_.state->definitions || !plan.defines.empty()) return std::nullopt;
  if (made_ && txn_.active) {
    for (const auto* list : goes_by(plan)) {
      const auto& stale = plan.by_columns || list == &plan.calls ? made_->names : made_->remade;
      for (const std::string& name : *list) {
        if (contains(stale, bare_name(name))) return p::make_error(error_id::table_remade, described(name));
      }
    }
  }
  const recent_definitions& known = *env_.state->definitions;
  if (known.latest() == steady_time::min() || env_.state->schema_as_of > known.latest()) return std::nullopt;
  for (const auto* list : goes_by(plan)) {
    for (const std::string& name : *list) {
      const steady_time when = known.latest(name);
      if (when != steady_time::min() && env_.state->schema_as_of <= when)
        return p::make_error(error_id::definition_unknown, described(name));
    }
  }
  return std::nullopt;
}

p::error_report session_machine::declares_by_hint() {
  return p::with_hint(
      p::make_error(error_id::session_feature, "CREATE TABLE with a key in a comment, by the extended protocol",
                    "a second command goes with it"),
      "COMMENT ON TABLE ... IS 'pgbraid: key=...' does the same, in the same transaction.");
}

void session_machine::on_catalog(step& s) {
  if (!awaits_catalog_) return;
  stop_awaiting_catalog();
  if (cycle_ != cycle_kind::none) return work(s);
  s.more_input = true;
}

void session_machine::stop_awaiting_catalog() noexcept {
  if (std::exchange(awaits_catalog_, false)) --env_.awaiting_catalog;
}

}  // namespace pgbraid::proxy
