// See prepare_target.hpp.
#include "router/plan/prepare_target.hpp"

#include <algorithm>
#include <variant>

#include "router/plan/combine.hpp"
#include "router/plan/planner.hpp"
#include "router/plan/refusals.hpp"
#include "router/plan/targets.hpp"
#include "router/sql/tokenizer.hpp"

namespace pgbraid::router {

namespace {

bool is_refused(const plan& p) {
  const auto* fixed = std::get_if<fixed_target>(&p.where);
  return fixed != nullptr && std::holds_alternative<to_refusal>(fixed->target);
}

/// Also as a statement that stands alone, for which more may be done.
bool is_refused_alone(const std::string& text, const plan_context& context) {
  sql::token_scan scan;
  sql::scan(text, scan);
  return is_refused(*make_plan(text, scan, context).plan);
}

}  // namespace

std::string prepared_statement(const sql::statement& s, std::string_view text) {
  const auto begin = static_cast<std::size_t>(std::max(s.location, 0));
  const std::string_view whole =
      text.substr(std::min(begin, text.size()), static_cast<std::size_t>(std::max(s.length, 0)));
  return std::string{prepared_text(whole)};
}

fixed_target prepare_target(const sql::statement& s, std::string_view text, bool alone, const plan& inner,
                            const plan_context& context, bool& by_protocol) {
  const auto* fixed = std::get_if<fixed_target>(&inner.where);
  if (fixed != nullptr && s.inner != nullptr) {
    if (is_refused(inner) && (!alone || is_refused_alone(prepared_statement(s, text), context))) return *fixed;
    const auto* one = std::get_if<to_shard>(&fixed->target);
    const bool anywhere = std::holds_alternative<to_any>(fixed->target) && inner.effect == session_effect::none;
    if (anywhere || (one != nullptr && one->shard == designated_shard)) return fixed_target{to_shard{designated_shard}};
  }
  by_protocol = alone && s.inner != nullptr && !s.inner->unparsable_parts;
  return refusal(protocol::with_hint(
      refuse_session("PREPARE of this statement", "EXECUTE could not tell over which shards it goes"),
      "Send PREPARE as a simple query of its own, or use the driver's prepared statements."));
}

}  // namespace pgbraid::router
