#include "proxy/cluster/function_safety.hpp"

#include "proxy/cluster/definition_walk.hpp"
#include "proxy/cluster/plpgsql_body.hpp"
#include "router/plan/words.hpp"
#include "router/sql/parser.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <utility>
#include <variant>

namespace pgbraid::proxy {

namespace {

namespace sql = router::sql;

/// What one function computes; none: it is not known to do no more than that.
using queries = std::optional<std::vector<std::string>>;

/// The query of a body in standard SQL, of which the server tells the function's whole definition; "" where it is not
/// the only thing in there that looks like one.
std::string standard_body(const std::string& definition) {
  constexpr std::string_view one = "\nRETURN ", block = "\nBEGIN ATOMIC\n";
  const bool returns = definition.find(one) != definition.npos;
  const std::string_view mark = returns ? one : block;
  const std::size_t at = definition.find(mark);
  if (at == definition.npos || at != definition.rfind(mark) || (returns && definition.find(block) != definition.npos))
    return {};
  std::string body = definition.substr(at + mark.size());
  if (returns) return "SELECT " + body;
  const std::size_t end = body.rfind("\nEND");
  return end == body.npos ? std::string{} : body.substr(0, end);
}

queries queries_of(const function_body& body) {
  if (!body.provable) return std::nullopt;
  std::vector<std::string> out;
  if (!body.defaults.empty()) out.push_back("SELECT " + body.defaults);
  if (body.language == "sql") {
    out.push_back(body.standard ? standard_body(body.text) : body.text);
    return out;
  }
  // How often it is called is not the same everywhere, and shows in what it says.
  const std::optional<plpgsql_body> code = read_plpgsql(body.signature, body.text, false);
  if (!code || code->speaks) return std::nullopt;
  out.insert(out.end(), code->expressions.begin(), code->expressions.end());
  return out;
}

using statements = std::vector<sql::statement>;

/// Whether a word that is the time where it is read as one may stand among the constants: 'now', another moment on each
/// shard. A call of now() is none.
bool names_a_moment(std::string_view text) {
  constexpr std::array<std::string_view, 4> moments{"now", "today", "tomorrow", "yesterday"};
  // Dollars stand around constants.
  const auto letter = [&](std::size_t at) {
    return at < text.size() && text[at] != '$' && router::is_word_start(text[at]);
  };
  for (std::size_t at = 0, end = 0; at < text.size(); at = std::max(end, at + 1)) {
    for (end = at; letter(end);) ++end;
    const std::string word = router::lower_word(text.substr(at, end - at));
    const std::size_t behind = router::skip_blanks(text, end);
    const bool called = behind < text.size() && text[behind] == '(';
    if (!called && std::find(moments.begin(), moments.end(), word) != moments.end()) return true;
  }
  return false;
}

/// None: one of them is more than a SELECT.
std::optional<std::vector<statements>> parsed(const queries& texts) {
  if (!texts) return std::nullopt;
  std::vector<statements> out;
  for (const std::string& text : *texts) {
    sql::parse_result result = sql::parse(text);
    auto* const found = std::get_if<statements>(&result);
    if (found == nullptr || found->size() != 1) return std::nullopt;
    const sql::statement& statement = found->front();
    if (statement.kind != sql::statement_kind::select || statement.unparsable_parts) return std::nullopt;
    if (names_a_moment(text)) return std::nullopt;
    out.push_back(std::move(*found));
  }
  return out;
}

/// None: one of them reads a table, or may.
std::optional<definition_findings> findings_of(const std::vector<statements>& all, const router::catalog& content) {
  definition_findings found;
  for (const statements& each : all) walk_definition(content, each.front().select.get(), found);
  if (found.calls_user_code || !found.relations.empty()) return std::nullopt;
  return found;
}

}  // namespace

void judge_functions(router::catalog& content, const std::vector<function_body>& bodies,
                     const std::set<std::string>& only_user_code) {
  struct overloads {
    bool provable = true;
    std::vector<statements> code;
  };
  std::map<std::string, overloads> open;
  for (const function_body& body : bodies) {
    const auto known = content.functions.find(std::string_view{body.name});
    if (known == content.functions.end()) continue;
    known->second.any_user_code = true;
    overloads& all = open[body.name];
    auto code = all.provable && !content.user_casts ? parsed(queries_of(body)) : std::nullopt;
    all.provable = code.has_value();
    if (code) std::move(code->begin(), code->end(), std::back_inserter(all.code));
  }
  std::erase_if(open, [](const auto& each) { return !each.second.provable; });
  const auto proved = [&](const overloads& all, const router::function_traits& declared) {
    const std::optional<definition_findings> found = findings_of(all.code, content);
    // What varies is no matter where the function says so of itself.
    return found && found->safe && (!found->varies || (declared.any_stable && !declared.any_volatile));
  };
  // One that calls another is proved in a later round than that one.
  for (bool again = true; again;) {
    again = std::erase_if(open, [&](const auto& each) {
              router::function_traits& traits = content.functions.find(std::string_view{each.first})->second;
              if (!proved(each.second, traits)) return false;
              traits.any_user_code = false;
              if (only_user_code.contains(each.first)) traits.any_volatile = false;
              return true;
            }) > 0;
  }
}

std::optional<row_trigger> judge_row_trigger(const router::catalog& content, std::string_view body) {
  // Another value for each row on one server too.
  constexpr std::array<std::string_view, 5> by_chance{"random", "gen_random_uuid", "uuid_generate_v4",
                                                      "clock_timestamp", "pgbraid.id"};
  // The time of the transaction, and what sessions are on every shard alike.
  constexpr std::array<std::string_view, 19> of_time{"now",
                                                     "transaction_timestamp",
                                                     "statement_timestamp",
                                                     "current_timestamp",
                                                     "current_date",
                                                     "current_time",
                                                     "localtime",
                                                     "localtimestamp",
                                                     "current_user",
                                                     "session_user",
                                                     "current_role",
                                                     "user",
                                                     "current_setting",
                                                     "age",
                                                     "date_trunc",
                                                     "date_part",
                                                     "extract",
                                                     "timezone",
                                                     "to_timestamp"};
  if (content.user_casts) return std::nullopt;
  std::optional<plpgsql_body> code = read_plpgsql("() RETURNS trigger", body, true);
  if (!code) return std::nullopt;
  const auto expressions = parsed(std::move(code->expressions));
  const std::optional<definition_findings> found = expressions ? findings_of(*expressions, content) : std::nullopt;
  if (!found || !found->only_calls) return std::nullopt;
  const bool known = std::all_of(
      found->volatile_calls.begin(), found->volatile_calls.end(),
      [&](const std::string& name) { return std::find(by_chance.begin(), by_chance.end(), name) != by_chance.end(); });
  const bool told = std::all_of(found->varying.begin(), found->varying.end(), [&](const std::string& name) {
    return std::find(of_time.begin(), of_time.end(), name) != of_time.end();
  });
  if (!known || !told) return std::nullopt;
  row_trigger trigger;
  trigger.assigned = std::move(code->assigned);
  trigger.whole_row = code->whole_row;
  trigger.told_time = found->varies;
  trigger.by_chance = !found->volatile_calls.empty();
  return trigger;
}

std::optional<row_trigger> judge_c_trigger(std::string_view function) {
  const std::string_view name = function.substr(function.rfind('.') + 1);
  row_trigger trigger;
  if (name == "moddatetime") {
    trigger.told_time = true;
  } else if (name == "autoinc" || name == "check_primary_key" || name == "check_foreign_key") {
    // A sequence of each shard is drawn from; other tables are read or written.
    trigger.whole_row = trigger.by_chance = true;
  } else {
    return std::nullopt;
  }
  return trigger;
}

}  // namespace pgbraid::proxy
