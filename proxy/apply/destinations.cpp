#include "proxy/apply/destinations.hpp"

#include "proxy/apply/index_words.hpp"
#include "proxy/session/routing_context.hpp"
#include "router/plan/alone.hpp"
#include "router/plan/planner.hpp"
#include "router/plan/statements.hpp"
#include "router/shard/value_map.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <variant>

namespace pgbraid::proxy::apply {

namespace sql = router::sql;
using kind = sql::statement_kind;

namespace {

constexpr const char* through_pgbraid = "Say it through pgbraid when the file has been applied.";

line_report refusal_of(const script_statement& s, const protocol::error_report& error) {
  return {s.line, error.message, error.detail, error.hint, std::string{protocol::row_of(error.id).sqlstate}, {}};
}

line_report own_refusal(const script_statement& s, std::string why, std::string hint) {
  return {s.line, std::move(why), {}, std::move(hint), "0A000", {}};
}

bool is_rows(const sql::statement& s) {
  return s.kind == kind::insert || s.kind == kind::update || s.kind == kind::delete_ || s.kind == kind::merge ||
         s.kind == kind::select;
}

std::string last_part(const std::string& full_name) {
  return full_name.substr(full_name.rfind('.') + 1);
}

/// What SET and its kin make of the settings that planning goes by.
class planning_settings {
 public:
  void end_group() { local_ = session_; }

  void take(const sql::statement& s) {
    if (s.kind == kind::set_constraints) return;
    if (s.kind == kind::select) return put(session_, "search_path", s.select->targets.front().value->children[1]->text);
    const sql::variable_statement& v = s.variable;
    if (s.kind == kind::set_local) return put(local_, v.name, value_of(v));
    if (v.name == "session_authorization") drop("role");
    if (s.kind == kind::reset && v.name == "all") {
      session_ = registry_.none();
      local_ = session_;
    } else if (s.kind == kind::reset || v.to_default) {
      drop(v.name);
    } else {
      put(session_, v.name, value_of(v));
    }
  }

  [[nodiscard]] const settings& now() const { return *local_; }

 private:
  static std::string value_of(const sql::variable_statement& v) {
    std::string out;
    for (const std::string& part : v.values) {
      if (!out.empty()) out += ", ";
      out += v.name == "search_path" ? quoted_name(part) : part;
    }
    return out;
  }

  void put(settings_ptr& into, const std::string& name, const std::string& value) {
    const bool session = &into == &session_;
    into = registry_.with(into, {name, value, {}});
    if (session) local_ = registry_.with(local_, {name, value, {}});
  }

  void drop(const std::string& name) {
    session_ = registry_.without(session_, name);
    local_ = registry_.without(local_, name);
  }

  settings_registry registry_;
  settings_ptr session_ = registry_.none(), local_ = session_;
};

class planning {
 public:
  planning(const std::string& user, const database_state_ptr& state, std::size_t max_parse)
      : user_(user), state_(state), contexts_(max_parse), one_(state->map->one_shard()) {
    for (std::size_t i = 0; i < state->map->shards.size(); ++i) all_.push_back(static_cast<router::shard_index>(i));
  }

  void end_group() { settings_.end_group(); }

  /// A refusal, or nothing and `out` is filled.
  std::optional<line_report> plan(const script_statement& s, destination& out) {
    if (s.kind == statement_class::setting) return plan_setting(s, out);
    const auto context = contexts_.get(user_, settings_.now(), state_);
    if (s.kind == statement_class::alone) return plan_alone(s, context->context, out);
    out.writes = true;
    if (!one_ && s.tree.kind == kind::select)
      return own_refusal(s, "SELECT neither defines nor changes anything", "Take it out of the file.");
    sql::token_scan scan;
    const router::plan_ptr plan = context->cache.get(s.text, scan, context->context);
    const router::route r = router::resolve(*plan, *state_->map, s.text, scan.constants, {}, context->literals);
    if (const auto* refused = std::get_if<router::to_refusal>(&r.target)) return refusal_of(s, refused->error());
    if (one_) {
      out.shards = all_;
      return std::nullopt;
    }
    note_defined(s.tree);
    const auto* one = std::get_if<router::to_shard>(&r.target);
    const auto* many = std::get_if<router::to_many>(&r.target);
    const bool in_parts = plan->staged || plan->draws || plan->claims || plan->whole_directory ||
                          plan->copy != nullptr || looks_up(*plan) || (many != nullptr && !many->rows.empty());
    if ((one == nullptr && many == nullptr) || in_parts || plan->effect == router::session_effect::temporary) {
      return own_refusal(s, router::tag_of(s.tree) + " is not the same statement on each shard", through_pgbraid);
    }
    if (is_rows(s.tree)) {
      if (auto refused = of_defined(s, *plan)) return refused;
    }
    out.shards = one != nullptr ? std::vector<router::shard_index>{one->shard} : many->shards;
    return std::nullopt;
  }

 private:
  void note_defined(const sql::statement& s) {
    const std::string tag = router::tag_of(s);
    if (s.kind != kind::ddl || tag == "COMMENT" || tag == "GRANT" || tag == "REVOKE" || tag.ends_with(" SCHEMA"))
      return;
    for (const sql::qualified_name& name : s.relations) defined_.insert(name.back());
    // Functions, types and the like: whatever statement may use them.
    code_defined_ = code_defined_ || s.relations.empty();
  }

  std::optional<line_report> plan_setting(const script_statement& s, destination& out) {
    if (s.tree.variable.name.starts_with("pgbraid.")) {
      return own_refusal(s, "\"" + s.tree.variable.name + "\" is a setting of pgbraid's sessions",
                         "Take it out of the file.");
    }
    settings_.take(s.tree);
    out.shards = all_;
    return std::nullopt;
  }

  std::optional<line_report> plan_alone(const script_statement& s, const router::plan_context& context,
                                        destination& out) const {
    out.writes = true;
    sql::token_scan scan;
    sql::scan(s.text, scan);
    if (!scan.hints.empty())
      return own_refusal(s, "a hint for pgbraid means nothing to a statement outside of transactions",
                         "Leave the hint out.");
    const bool index = s.tree.tag == "CREATE INDEX";
    if (const auto words = index ? read_index(s.text) : std::nullopt; index && (!words || words->name.empty())) {
      return own_refusal(s, "an index without a plain name cannot be known again when the file is run again",
                         "Give the index a name.");
    }
    const router::fixed_target target = router::alone_target(s.tree, context);
    if (const auto* refused = std::get_if<router::to_refusal>(&target.target)) return refusal_of(s, refused->error());
    const auto* one = std::get_if<router::to_shard>(&target.target);
    out.shards = one != nullptr ? std::vector<router::shard_index>{one->shard} : all_;
    return std::nullopt;
  }

  /// Rows of a table that stands in the file before.
  [[nodiscard]] std::optional<line_report> of_defined(const script_statement& s, const router::plan& plan) const {
    if (code_defined_)
      return own_refusal(s, "what it does may depend on functions or types that the file itself defines",
                         through_pgbraid);
    for (const std::vector<std::string>* names : {&plan.reads, &plan.writes}) {
      for (const std::string& name : *names) {
        if (!defined_.contains(last_part(name))) continue;
        return own_refusal(s, "the rows of " + name + ", which the file itself defines, cannot be told apart yet",
                           through_pgbraid);
      }
    }
    return std::nullopt;
  }

  static bool looks_up(const router::plan& plan) {
    const auto* keyed = std::get_if<router::keyed_target>(&plan.where);
    return keyed != nullptr &&
           std::any_of(keyed->groups.begin(), keyed->groups.end(), [](const router::key_group& group) {
             return group.values != nullptr && group.values->looks_up();
           });
  }

  const std::string& user_;
  const database_state_ptr& state_;
  routing_contexts contexts_;
  planning_settings settings_;
  std::vector<router::shard_index> all_;
  std::set<std::string> defined_;  ///< names of relations, without their schemas
  bool code_defined_ = false;
  bool one_;
};

}  // namespace

destinations find_destinations(const script& file, const std::string& user, const database_state_ptr& state,
                               std::size_t max_parse) {
  destinations out;
  out.of.resize(file.statements.size());
  planning planner{user, state, max_parse};
  for (const statement_group& group : file.groups) {
    for (std::size_t i = group.first; i < group.first + group.count; ++i) {
      if (auto refused = planner.plan(file.statements[i], out.of[i])) out.errors.push_back(std::move(*refused));
    }
    planner.end_group();
  }
  return out;
}

}  // namespace pgbraid::proxy::apply
