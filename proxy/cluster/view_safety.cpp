#include "proxy/cluster/view_safety.hpp"

#include "proxy/cluster/definition_walk.hpp"
#include "router/sql/parser.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace pgbraid::proxy {

namespace {

namespace sql = router::sql;

class view_judge {
 public:
  view_judge(const router::catalog& content, const view_map& views) : content_(content), views_(views) {}

  const definition_findings& judge(const std::string& name, const view_facts& facts) {
    if (const auto done = done_.find(name); done != done_.end()) return done->second;
    definition_findings& mine = done_[name];
    mine.safe = false;
    mine.relations.insert(not_understood);
    definition_findings found;
    walk(facts, found);
    // Nested views come one level at a time; done_[name] answers meanwhile, so that a circle would end.
    const std::set<std::string> direct = found.relations;
    for (const std::string& below : direct) {
      const auto inner = views_.find(below);
      if (inner == views_.end()) {
        const auto relation = content_.relations.find(below);
        const bool view = relation != content_.relations.end() && relation->second.kind == 'v';
        if (view && relation->second.schema != "pg_catalog" && relation->second.schema != "information_schema") {
          found.safe = false;
          found.relations.insert(not_understood);
        }
        continue;
      }
      const definition_findings& deeper = judge(below, inner->second);
      found.safe = found.safe && deeper.safe;
      found.relations.insert(deeper.relations.begin(), deeper.relations.end());
      found.user_code.insert(deeper.user_code.begin(), deeper.user_code.end());
    }
    definition_findings& place = done_[name];
    place = std::move(found);
    return place;
  }

 private:
  void walk(const view_facts& facts, definition_findings& found) {
    const sql::parse_result parsed = sql::parse(facts.definition);
    const auto* statements = std::get_if<std::vector<sql::statement>>(&parsed);
    if (statements == nullptr || statements->size() != 1 || statements->front().kind != sql::statement_kind::select ||
        statements->front().unparsable_parts) {
      found.safe = false;
      found.relations.insert(not_understood);
    } else {
      walk_definition(content_, statements->front().select.get(), found);
    }
    for (const view_function& function : facts.functions) {
      // Those that are proved to read no table are like the server's own: see judge_functions.
      const auto traits = content_.functions.find(std::string_view{function.name}.substr(function.name.rfind('.') + 1));
      const bool known = traits != content_.functions.end();
      if (function.is_volatile && (!known || traits->second.any_volatile)) found.safe = false;
      // An aggregate is the server's own, whatever it calls.
      const bool code = known ? traits->second.any_user_code && (function.user_code || traits->second.any_aggregate)
                              : function.user_code;
      if (code) found.user_code.insert(function.name);
    }
  }

  const router::catalog& content_;
  const view_map& views_;
  std::map<std::string, definition_findings> done_;
};

}  // namespace

void judge_views(router::catalog& content, const view_map& views) {
  view_judge judge(content, views);
  for (const auto& [name, facts] : views) {
    const auto relation = content.relations.find(name);
    if (relation == content.relations.end() || relation->second.kind != 'v') continue;
    const definition_findings& found = judge.judge(name, facts);
    relation->second.view_read_safe = found.safe;
    relation->second.view_relations.assign(found.relations.begin(), found.relations.end());
    relation->second.user_code.assign(found.user_code.begin(), found.user_code.end());
  }
}

}  // namespace pgbraid::proxy
