// A subquery that chooses some rows of many is answered once, and every shard gets its rows; see staged_source.hpp.
#include <algorithm>
#include <utility>
#include <variant>

#include "router/plan/gather_text.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/rows.hpp"
#include "router/plan/scatter.hpp"
#include "router/plan/staged_source.hpp"
#include "router/plan/words.hpp"
#include "router/sql/parser.hpp"

namespace pgbraid::router {

namespace {

/// The subqueries of an expression, outermost first.
void subqueries_of(const sql::expr& e, std::vector<const sql::expr*>& out) {
  if (e.kind == sql::expr_kind::subquery) out.push_back(&e);
  for (const sql::expr_ptr& child : e.children) {
    if (child != nullptr) subqueries_of(*child, out);
  }
}

/// What stands in the parentheses behind a place.
std::optional<row_extent> inside_parentheses(std::string_view text, std::int32_t location) {
  if (location < 0) return std::nullopt;
  std::size_t at = static_cast<std::size_t>(location);
  while (at < text.size() && text[at] != '(') {
    const std::size_t past = skip_quoted(text, at);
    at = past == at ? at + 1 : past;
  }
  int depth = 0;
  for (std::size_t i = at; i < text.size();) {
    if (const std::size_t past = skip_quoted(text, i); past != i) {
      i = past;
      continue;
    }
    depth += text[i] == '(' ? 1 : text[i] == ')' ? -1 : 0;
    if (depth == 0) return row_extent{at + 1, i};
    ++i;
  }
  return std::nullopt;
}

}  // namespace

bool make_once(const sql::statement& s, std::string_view text, const plan_context& context, staged_write& out) {
  const sql::expr_ptr* where = nullptr;
  if (s.kind == sql::statement_kind::update && s.update->with.tables.empty()) where = &s.update->where;
  if (s.kind == sql::statement_kind::delete_ && s.delete_->with.tables.empty()) where = &s.delete_->where;
  if (where == nullptr || *where == nullptr) return false;
  std::vector<const sql::expr*> all;
  subqueries_of(**where, all);
  constexpr std::string_view placeholder = "SELECT NULL";
  for (const sql::expr* each : all) {
    const auto place = inside_parentheses(text, each->location);
    if (!place) continue;
    // What stands in a subquery with a WITH of its own may mean that.
    const bool in_with = std::any_of(all.begin(), all.end(), [&](const sql::expr* outer) {
      return outer != each && outer->query != nullptr && !outer->query->with.tables.empty();
    });
    if (in_with) continue;
    const auto query = std::make_shared<staged_query>();
    if (!plan_query(std::string{text.substr(place->begin, place->end - place->begin)}, context, *query, out, true))
      continue;
    // The rest must be what every shard may carry out by itself.
    std::string rest{text.substr(0, place->begin)};
    rest.append(placeholder).append(text.substr(place->end));
    const sql::parse_result parsed = sql::parse(rest);
    const auto* statements = std::get_if<std::vector<sql::statement>>(&parsed);
    if (statements == nullptr || statements->size() != 1 || statements->front().kind != s.kind) return false;
    analysis found;
    const sql::token_scan none;
    constant_marks unused{{}, none};
    analyze(statements->front(), context, unused, found);
    if (found.refusal || found.not_understood || found.types_differ || found.mirrored || found.default_differs ||
        judge_scatter(found, context))
      return false;
    moment_list moments;
    std::vector<text_edit> edits;
    if (!found.moment_defaults.empty() || !moments.replace(rest, found, edits)) return false;
    edits.push_back({place->begin, placeholder.size(),
                     std::string(1, moment_mark) + std::to_string(moments.size()) + std::string(1, moment_mark)});
    out.moments_sql = moments.sql();
    out.text = edited(rest, 0, rest.size(), std::move(edits));
    query->shown = text;
    out.query = query;
    return true;
  }
  out.rows = nullptr;
  return false;
}

}  // namespace pgbraid::router
