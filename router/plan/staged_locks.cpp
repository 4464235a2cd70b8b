// Locked rows that a server puts in order; see staged_locks.hpp. Source: the manual's page "SELECT", "The Locking
// Clause".
#include "router/plan/staged_locks.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "router/plan/clauses.hpp"
#include "router/plan/gather_text.hpp"
#include "router/plan/staged_source.hpp"
#include "router/plan/words.hpp"
#include "router/sql/parser.hpp"

namespace pgbraid::router {

namespace {

/// FOR UPDATE and its like at the end of a text; nothing where something else stands behind it, a table's name too.
std::optional<std::size_t> place_of_locking(std::string_view text) {
  constexpr std::array<std::string_view, 5> words{"update", "share", "no", "key", "nowait"};
  std::optional<std::size_t> out;
  int depth = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (const std::size_t past = skip_quoted(text, at); past != at) {
      if (out) return std::nullopt;
      at = past;
    } else if (is_word_start(text[at])) {
      const std::size_t end = end_of_word(text, at);
      const std::string word = lower_word(text.substr(at, end - at));
      if (depth == 0 && word == "for" && !out) {
        out = at;
      } else if (out && std::find(words.begin(), words.end(), word) == words.end()) {
        return std::nullopt;
      }
      at = end;
    } else {
      depth += text[at] == '(' ? 1 : text[at] == ')' ? -1 : 0;
      if (out && !is_blank(text[at]) && text[at] != ';') return std::nullopt;
      ++at;
    }
  }
  return out;
}

bool ends_in_limit(std::string_view text) {
  constexpr std::string_view word = " LIMIT ";
  const std::size_t at = text.rfind(word);
  return at != std::string_view::npos && at + word.size() < text.size() &&
         text.find_first_not_of("0123456789", at + word.size()) == std::string_view::npos;
}

}  // namespace

bool locks_rows_alone(const sql::statement& s, const analysis& a) {
  const auto rows_of_table = [](const query_level& level) {
    return level.aggregate.empty() && level.window.empty() && !level.grouped && !level.having && !level.distinct;
  };
  return std::all_of(a.levels.begin(), a.levels.end(), rows_of_table) && s.kind == sql::statement_kind::select &&
         s.select != nullptr && a.locking && !a.writes && !a.locking_below && a.levels.size() == 1 &&
         a.uses.size() == 1 && a.uses.front().table.where == placement::sharded && a.functions.differs.empty() &&
         a.moments.empty() && (s.select->limit == nullptr || s.select->lock_waits);
}

std::shared_ptr<const staged_write> make_locked_rows(std::string_view text, const plan_context& context) {
  const auto locking = place_of_locking(text);
  if (!locking) return nullptr;
  std::size_t end = *locking;
  while (end > 0 && is_blank(text[end - 1])) --end;
  const std::string read{text.substr(0, end)};
  const sql::parse_result parsed = sql::parse(read);
  const auto* statements = std::get_if<std::vector<sql::statement>>(&parsed);
  if (statements == nullptr || statements->size() != 1) return nullptr;
  const sql::statement& s = statements->front();
  analysis found;
  const sql::token_scan none;
  constant_marks unused{{}, none};
  analyze(s, context, unused, found);
  gather_query query;
  query.statement = &s;
  query.text = read;
  query.end = read.size();
  query.literals = true;
  auto rows = make_gather(query, found, context);
  while (rows != nullptr && rows->otherwise != nullptr) rows = rows->otherwise;
  if (rows == nullptr || rows->fragments.size() != 1 || !takes_part(rows->combiner, context)) return nullptr;
  // Nothing may be locked that one server would have passed over.
  const auto clauses = clauses_of(read, 0, read.size());
  const std::string where = " AS " + quote_identifier(found.uses.front().alias) + " WHERE ";
  const auto said = [&](const text_span& clause) {
    return clause.empty() || rows->fragment_sql.find(where + std::string{clause.of(read)}) != std::string::npos;
  };
  const bool limited = s.select->limit != nullptr || s.select->offset != nullptr;
  if (!clauses || !said(clauses->where) || (limited && !ends_in_limit(rows->fragment_sql))) return nullptr;
  auto locked = std::make_shared<gather_plan>(*rows);
  locked->fragment_sql.append(" ").append(text.substr(*locking, text.find_last_not_of("; \t\r\n") + 1 - *locking));
  auto out = std::make_shared<staged_write>();
  out->text = locked->combine_sql;
  out->rows = std::move(locked);
  out->answered_once = true;
  out->shown = text;
  return out;
}

}  // namespace pgbraid::router
