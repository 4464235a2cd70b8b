// Finds the calls in a statement's text; see moments.hpp.
#include "router/plan/moments.hpp"

#include <algorithm>
#include <array>

#include "router/plan/read_text.hpp"
#include "router/plan/words.hpp"

namespace pgbraid::router {
namespace {

/// Where the call that begins at `at` ends: a name or a word, and parentheses behind it.
std::optional<std::size_t> end_of_call(std::string_view text, const sql::expr& call) {
  if (call.location < 0) return std::nullopt;
  std::size_t at = static_cast<std::size_t>(call.location);
  const std::size_t parts = call.kind == sql::expr_kind::call ? call.name.size() : 1;
  for (std::size_t i = 0; i < parts; ++i) {
    if (at >= text.size() || !is_word_start(text[at])) return std::nullopt;
    const std::size_t end = end_of_word(text, at);
    const std::string word = lower_word(text.substr(at, end - at));
    if (word != call.name[i]) return std::nullopt;
    at = end;
    if (i + 1 == parts) break;
    at = skip_blanks(text, at);
    if (at >= text.size() || text[at] != '.') return std::nullopt;
    at = skip_blanks(text, at + 1);
  }
  const bool function = call.kind == sql::expr_kind::call;
  if (!function && call.type.modifiers.empty()) return at;
  const std::size_t open = skip_blanks(text, at);
  if (open >= text.size() || text[open] != '(') return std::nullopt;
  const std::size_t close = text.find(')', open);
  if (close == std::string_view::npos) return std::nullopt;
  return close + 1;
}

std::string type_of(const sql::expr& call) {
  const std::string& name = call.name.back();
  std::string type = "timestamptz";
  if (name == "current_date") type = "date";
  if (name == "current_time") type = "timetz";
  if (name == "localtime") type = "time";
  if (name == "localtimestamp") type = "timestamp";
  if (!call.type.modifiers.empty()) type += "(" + std::to_string(call.type.modifiers.front()) + ")";
  return type;
}

/// Of a default, read as the only column of a query.
bool is_understood(const read_text& read) {
  return read.select() != nullptr && !read.found.not_understood && !read.found.refusal && read.found.uses.empty();
}

std::string as_query(std::string_view expression) {
  return "SELECT (" + std::string{expression} + ")";
}

}  // namespace

bool moment_list::replace(std::string_view text, const analysis& found, std::vector<text_edit>& edits, std::size_t from,
                          std::size_t to, text_span bare) {
  if (found.moment_in_from) return false;
  for (const sql::expr* call : found.moments) {
    const auto end = end_of_call(text, *call);
    if (!end) return false;
    const auto begin = static_cast<std::size_t>(call->location);
    if (begin >= from && begin < to) continue;
    const std::string written{text.substr(begin, *end - begin)};
    const auto known = std::find(calls_.begin(), calls_.end(), written);
    const auto index = static_cast<std::size_t>(known - calls_.begin());
    if (known == calls_.end()) {
      calls_.push_back(written);
      types_.push_back(type_of(*call));
    }
    const std::string mark(1, moment_mark);
    const std::string value = "'" + mark + std::to_string(index) + mark + "'::pg_catalog." + type_of(*call);
    const bool alone = begin >= bare.begin && begin < bare.end;
    // A subquery, since its column gives the name that the call would give to a column of the result.
    edits.push_back({begin, *end - begin, alone ? value : "(SELECT " + value + " AS " + call->name.back() + ")"});
  }
  return true;
}

std::optional<std::string> moment_list::replace_in_default(std::string_view expression, const plan_context& context) {
  const std::string text = as_query(expression);
  const read_text read{text, context};
  if (!is_understood(read)) return std::nullopt;
  std::vector<text_edit> edits;
  if (!replace(text, read.found, edits)) return std::nullopt;
  return edited(text, std::string_view{"SELECT "}.size(), text.size(), std::move(edits));
}

std::vector<std::string> moment_list::samples() const {
  std::vector<std::string> out;
  for (const std::string& type : types_) {
    const bool of_day = type.starts_with("timetz") || type == "time" || type.starts_with("time(");
    out.emplace_back(of_day ? "00:00:00+00:00" : "2000-01-01T00:00:00+00:00");
  }
  return out;
}

std::string moment_list::sql() const {
  std::string out;
  // JSON has one form for each of these types, whatever the session's DateStyle.
  for (const std::string& call : calls_)
    out += (out.empty() ? "SELECT " : ", ") + ("pg_catalog.to_json(" + call) + ") OPERATOR(pg_catalog.#>>) '{}'";
  return out;
}

default_facts facts_of_default(const column& c, const plan_context& context) {
  default_facts out;
  if (!c.default_varies && !c.default_of_moment) return out;
  const read_text read{as_query(c.default_text), context};
  if (c.default_text.empty() || !is_understood(read)) {
    out.differs = true;
    return out;
  }
  const function_facts& f = read.found.functions;
  // 'now'::text and its like are the time too, in no form that can be replaced.
  constexpr std::array<std::string_view, 4> words{"'now", "'today", "'tomorrow", "'yesterday"};
  const bool in_words = std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return lower_word(c.default_text).find(word) != std::string::npos;
  });
  out.differs =
      in_words || !f.differs.empty() || !f.user_code.empty() || !f.sequence.empty() || !f.session_state.empty();
  out.by_moment = !read.found.moments.empty();
  out.by_row = std::any_of(read.found.levels.begin(), read.found.levels.end(),
                           [](const query_level& level) { return !level.by_row.empty(); });
  return out;
}

bool has_random_default(const column& c, const plan_context& context) {
  if (!c.has_default || !c.draws.empty()) return false;
  const default_facts facts = facts_of_default(c, context);
  return facts.by_row && !facts.by_moment && !facts.differs;
}

std::string with_moments(std::string_view text, std::span<const std::string> values) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t mark = text.find(moment_mark, at);
    out.append(text.substr(at, mark - at));
    if (mark == std::string_view::npos) break;
    const std::size_t end = text.find(moment_mark, mark + 1);
    const std::size_t index = std::stoul(std::string{text.substr(mark + 1, end - mark - 1)});
    if (index < values.size()) out.append(values[index]);
    at = end + 1;
  }
  return out;
}

}  // namespace pgbraid::router
