// make_plan: text -> plan, for one statement or several. The steps are in the files beside this one.
#include <algorithm>
#include <utility>

#include "router/plan/analysis.hpp"
#include "router/plan/combine.hpp"
#include "router/plan/gather_text.hpp"
#include "router/plan/hints.hpp"
#include "router/plan/planner.hpp"
#include "router/plan/refusals.hpp"
#include "router/plan/statement_planner.hpp"
#include "router/plan/statements.hpp"
#include "router/plan/targets.hpp"
#include "router/sql/parser.hpp"

namespace pgbraid::router {

using protocol::error_id;
using protocol::make_error;
using kind = sql::statement_kind;

namespace {

plan unreadable(const plan_context& context, const sql::token_scan& scan, protocol::error_report error,
                const std::string& why) {
  plan out;
  out.opaque = true;
  out.user_code = true;
  out.mode = access::write;
  out.tag = first_word(scan.normalized);
  out.effect = scan.many_statements ? session_effect::other : effect_of_words(scan.normalized);
  out.reason = why;
  if (context.map->one_shard()) {
    out.where = fixed_target{to_shard{0}};
  } else {
    out.opaque = false;
    out.where = refusal(std::move(error));
  }
  return out;
}

planned all_pinned(plan p, const sql::token_scan& scan) {
  constant_marks marks{{}, scan};
  marks.pin_all();
  return {std::make_shared<const plan>(std::move(p)), marks.pinned(), {}};
}

}  // namespace

std::shared_ptr<const gather_plan> plan_gather(std::string_view text, const plan_context& given) {
  static const catalog empty_catalog;
  plan_context context = given;
  if (context.schema == nullptr) context.schema = &empty_catalog;
  sql::parse_result parsed = sql::parse(text);
  const auto* statements = std::get_if<std::vector<sql::statement>>(&parsed);
  if (statements == nullptr || statements->size() != 1) return nullptr;
  const sql::statement& statement = statements->front();
  analysis found;
  if (statement.kind == kind::copy && statement.copy != nullptr && statement.copy->query == nullptr) {
    const std::size_t use = analyze_table(statement.copy->table, table_role::read, context, found);
    const relation* described = found.uses[use].table.described;
    const auto whole = described == nullptr ? std::nullopt : copy_as_query(*statement.copy, *described, text);
    return whole ? plan_gather(*whole, given) : nullptr;
  }
  const auto query = query_of(statement, text);
  if (!query) return nullptr;
  const sql::token_scan none;
  constant_marks unused{{}, none};
  analyze(*query->statement, context, unused, found);
  return make_gather(*query, found, context);
}

planned make_plan(std::string_view text, const sql::token_scan& scan, const plan_context& given) {
  static const catalog empty_catalog;
  plan_context context = given;
  if (context.schema == nullptr) context.schema = &empty_catalog;

  if (text.size() > context.max_parse_bytes) {
    return all_pinned(unreadable(context, scan, make_error(error_id::statement_too_long, text.size()),
                                 "longer than limits.max_parse"),
                      scan);
  }
  const auto syntax = [&](const std::string& why) {
    return all_pinned(unreadable(context, scan, refuse_syntax(why), "not parsed: " + why), scan);
  };
  if (text.find('\0') != std::string_view::npos) return syntax("it contains a zero byte");
  if (!context.standard_conforming_strings && scan.has_backslash) {
    return syntax("a backslash while standard_conforming_strings is off");
  }
  if (context.multibyte_unsafe && !scan.ascii) return syntax("a client_encoding whose characters may contain quotes");

  sql::parse_result parsed = sql::parse(text);
  if (const auto* failure = std::get_if<sql::parse_failure>(&parsed)) {
    if (failure->too_complex) {
      return all_pinned(unreadable(context, scan, make_error(error_id::statement_too_complex, failure->message),
                                   "too complex to be parsed"),
                        scan);
    }
    return syntax(failure->message);
  }

  const auto& statements = std::get<std::vector<sql::statement>>(parsed);
  constant_marks marks{text, scan};
  const hint_or_error hint = read_hints(text, scan, context);
  const bool alone = statements.size() == 1;
  std::vector<plan> plans;
  plans.reserve(statements.size());
  for (const sql::statement& s : statements) plans.push_back(plan_statement(s, context, marks, text, alone, hint));
  plan whole = combine(std::move(plans), context);
  // What a comment says of a text holds for all that is in it.
  const auto* said = std::get_if<statement_hint>(&hint);
  if (said == nullptr || said->of_text) whole.one_by_one = false;
  return {std::make_shared<const plan>(std::move(whole)), marks.pinned(), marks.typed()};
}

}  // namespace pgbraid::router
