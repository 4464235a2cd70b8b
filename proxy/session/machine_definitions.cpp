// Tables that have just been made or redefined: nobody goes by what the catalog said of them before.
#include "proxy/session/machine.hpp"

#include <algorithm>

namespace pgbraid::proxy {

namespace p = protocol;
using protocol::error_id;
using namespace std::chrono_literals;

namespace {

constexpr auto longest_wait = 5s;  // for the catalog to be read again

// What takes locks that keep others from printing the definitions behind a table.
bool locks_tables(const router::plan& plan) {
  return defines(plan) || plan.tag.starts_with("TRUNCATE") || plan.tag.starts_with("LOCK") ||
         plan.tag.starts_with("DROP");
}

// The first name that a plan goes by with a definition from `since` on; null: none. What is to be unique goes by the
// table itself. `whatever`: what any statement may go by counts too.
const std::string* defined_since(const router::plan& plan, const recent_definitions& known, steady_time since,
                                 bool whatever) {
  const auto look = [&](const std::vector<std::string>& names) -> const std::string* {
    const auto found = std::find_if(names.begin(), names.end(), [&](const std::string& name) {
      const steady_time when = known.latest(name);
      return when != steady_time::min() && when >= since;
    });
    return found == names.end() ? nullptr : &*found;
  };
  for (const auto* list : goes_by(plan)) {
    if (const auto* found = look(*list)) return found;
  }
  // A query, or what names a table; other definitions go by what the servers know.
  static const std::vector<std::string> all{std::string{router::anything}};
  const auto lists = goes_by(plan);
  const bool any = plan.effect == router::session_effect::none && plan.defines.empty() && plan.alters.empty();
  const bool named = std::any_of(lists.begin(), lists.end(), [](const auto* list) { return !list->empty(); });
  if (const auto* found = whatever && (any || named) ? look(all) : nullptr) return found;
  if (!plan.makes_unique) return nullptr;
  const auto* found = look(plan.alters);
  return found != nullptr ? found : look(plan.defines);
}

}  // namespace

session_machine::~session_machine() {
  stop_awaiting_catalog();
}

void session_machine::note_definitions(const router::plan& plan) {
  if (!env_.state->definitions) return;
  if (!made_) made_ = std::make_unique<definitions_made>();
  made_->add(plan);
}

// The transaction is over, and its client has not been told yet.
void session_machine::publish_definitions() {
  const std::unique_ptr<definitions_made> made = std::move(made_);
  if (env_.state->definitions) env_.state->definitions->note(made->names(), env_.now());
}

// True: what the statement is about has been redefined, and the catalog is older.
bool session_machine::waits_for_definition(const router::plan& plan) {
  const database_state& state = *env_.state;
  const bool behind = state.definitions && state.definitions->latest() != steady_time::min() &&
                      state.schema_as_of <= state.definitions->latest();
  if (!behind) return false;
  // Of several statements others may go by what was defined before: they wait while none of them holds a lock yet. So
  // does a transaction that goes on behind its definitions: once it has locked a table, the catalog may not be
  // readable.
  const bool goes_on = txn_.active && !txn_.own && !made_ && locks_tables(plan);
  if (!plan.defines.empty() && !plan.makes_unique && !plan.one_by_one && !goes_on) return false;
  const auto& known = *state.definitions;
  // Any definition may be why: of the tables that it names, under whatever name, or of those that refer to them and
  // were seen on some of the shards only.
  const bool refused_lately = is_refused(plan) && !plan.one_by_one && env_.now() <= known.latest() + longest_wait;
  const steady_time since = std::max(state.schema_as_of, env_.now() - longest_wait);
  const bool first_lock = goes_on && known.latest() >= since;
  if (!refused_lately && !first_lock && defined_since(plan, known, since, true) == nullptr) return false;
  if (!std::exchange(awaits_catalog_, true)) ++env_.awaiting_catalog;
  return true;
}

std::optional<p::error_report> session_machine::judge_definitions(const router::plan& plan) const {
  if (!env_.state->definitions) return std::nullopt;
  if (made_ && txn_.active) {
    if (made_->forgotten() && !is_control(plan)) return p::make_error(error_id::table_remade, "a table");
    if (made_->changes_anything() && !is_control(plan) && !defines(plan))
      return p::make_error(error_id::table_remade, described_name(std::string{router::anything}));
    if (const std::string name = made_->outdated(plan); !name.empty())
      return p::make_error(error_id::table_remade, described_name(name));
  }
  if (!plan.defines.empty() && !plan.makes_unique) return std::nullopt;
  const recent_definitions& known = *env_.state->definitions;
  const steady_time as_of = known_state().schema_as_of;
  if (known.latest() == steady_time::min() || as_of > known.latest()) return std::nullopt;
  // What one server gets as it stands does not wait for servers that are down, only because a type is new.
  if (const std::string* name = defined_since(plan, known, as_of, plan.by_columns))
    return p::make_error(error_id::definition_unknown, described_name(*name));
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
