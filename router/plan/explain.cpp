// What EXPLAIN says of pgbraid's own part; see explain.hpp.
#include "router/plan/explain.hpp"

#include "router/plan/analysis.hpp"
#include "router/plan/gather_text.hpp"
#include "router/plan/merge.hpp"
#include "router/plan/refusals.hpp"
#include "router/plan/targets.hpp"
#include "router/plan/words.hpp"

namespace pgbraid::router {
namespace {

/// As one line.
std::string line_of(std::string_view label, std::string_view text) {
  std::string out{label};
  for (const char c : text) out.push_back(c == '\n' || c == '\r' || c == '\t' ? ' ' : c);
  while (!out.empty() && (out.back() == ' ' || out.back() == ';')) out.pop_back();
  return out;
}

std::string_view how(const plan& p, const gather_plan* gathered, bool merged, bool splits) {
  if (splits) return "each shard gets its own rows, in one transaction";
  if (!p.writes.empty()) return "each shard writes its own rows, in one transaction";
  if (merged) return "the shards' rows come sorted and are merged";
  if (gathered == nullptr) return "the shards' rows, one behind the other";
  if (gathered->otherwise != nullptr) return "in two steps: each shard aggregates its rows, one server what came of it";
  return "rows are gathered from the shards, and one server answers the statement over them";
}

bool may_ask_several(const plan& p) {
  if (const auto* keyed = std::get_if<keyed_target>(&p.where)) {
    const bool one_value = keyed->groups.size() == 1 && keyed->groups.front().single();
    return !one_value && (keyed->scatter_allowed || keyed->split_allowed || !keyed->gather.empty());
  }
  const route_target& target = std::get<fixed_target>(p.where).target;
  return std::holds_alternative<to_many>(target) || std::holds_alternative<to_gather>(target);
}

std::shared_ptr<const explain_layout> make_explain(std::string_view text, const plan& p, const gather_plan* gathered,
                                                   bool merged) {
  if (!may_ask_several(p)) return nullptr;
  const auto* keyed = std::get_if<keyed_target>(&p.where);
  const bool gathers = keyed != nullptr ? !keyed->gather.empty()
                                        : std::holds_alternative<to_gather>(std::get<fixed_target>(p.where).target);
  if (!gathers) gathered = nullptr;
  if (gathers && gathered == nullptr && !merged) return nullptr;
  auto out = std::make_shared<explain_layout>();
  out->json = explain_format(text) == "json";
  out->steps.push_back(
      line_of("pgbraid: ", how(p, gathered, merged && gathers, keyed != nullptr && keyed->split_allowed)));
  out->steps.push_back(line_of("  Why: ", p.reason));
  if (!merged && gathered != nullptr) {
    out->asked = std::string{explain_words(text)} + gathered->fragment_sql;
    out->steps.push_back(line_of("  Asked of each shard: ", gathered->fragment_sql));
    out->steps.push_back(line_of("  Then asked of one server: ", gathered->combine_sql));
  } else {
    out->steps.push_back("  Asked of each shard: the statement itself");
  }
  return out;
}

}  // namespace

std::string explain_format(std::string_view text) {
  const std::string_view options = explain_words(text);
  for (std::size_t at = 0; at < options.size();) {
    if (!is_word_start(options[at])) {
      const std::size_t past = skip_comment(options, at);
      at = past == at ? at + 1 : past;
      continue;
    }
    const std::size_t end = end_of_word(options, at);
    const bool named = lower_word(options.substr(at, end - at)) == "format";
    at = end;
    if (!named) continue;
    at = skip_blanks(options, at);
    if (at < options.size() && (options[at] == '\'' || options[at] == '"')) ++at;
    return lower_word(options.substr(at, end_of_word(options, at) - at));
  }
  return "text";
}

void explain_shards(const sql::statement& s, std::string_view text, const std::optional<gather_query>& query,
                    const analysis& a, const plan_context& context, plan& out) {
  if (!may_ask_several(out)) return;
  auto* fixed = std::get_if<fixed_target>(&out.where);
  const auto refuse_several = [&](protocol::error_report error) {
    if (fixed != nullptr) {
      out.where = refusal(std::move(error));
      return;
    }
    auto& keyed = std::get<keyed_target>(out.where);
    keyed.scatter_allowed = keyed.split_allowed = false;
    keyed.gather.clear();
    keyed.several_refusal = std::move(error);
  };
  const std::string format = explain_format(text);
  if (format != "text" && format != "json") {
    return refuse_several(refuse_read("EXPLAIN with FORMAT " + format, "Use FORMAT TEXT or JSON."));
  }
  if (s.explain_analyze && a.writes && !(a.moments.empty() && a.moment_defaults.empty())) {
    return refuse_several(refuse_write("the time in this statement"));
  }
  const auto* many = fixed == nullptr ? nullptr : std::get_if<to_many>(&fixed->target);
  if (many != nullptr && many->mirrored) {
    if (!s.explain_analyze) out.where = fixed_target{to_any{}};
    return;
  }
  const auto gathered = query ? make_gather(*query, a, context) : nullptr;
  const bool merged = query && make_merge(*query->statement, a, context) != nullptr;
  out.explain = make_explain(text, out, gathered.get(), merged);
}

}  // namespace pgbraid::router
