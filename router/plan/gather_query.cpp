// Where the query of a statement stands: EXPLAIN, DECLARE CURSOR and COPY carry one inside. See gather_text.hpp; source:
// the manual's reference of these commands.
#include <algorithm>

#include "router/plan/gather_text.hpp"
#include "router/plan/words.hpp"

namespace pgbraid::router {
namespace {

/// Past the first `word` outside parentheses and quotes, from `at` on; the text's end without one.
std::size_t past_word(std::string_view text, std::size_t at, std::string_view word) {
  int depth = 0;
  while (at < text.size()) {
    if (const std::size_t past = skip_quoted(text, at); past != at) {
      at = past;
    } else if (is_word_start(text[at])) {
      const std::size_t end = end_of_word(text, at);
      if (depth == 0 && lower_word(text.substr(at, end - at)) == word) return end;
      at = end;
    } else {
      depth += text[at] == '(' ? 1 : text[at] == ')' ? -1 : 0;
      ++at;
    }
  }
  return at;
}

/// The parenthesis that closes the one at `at`; the text's end without one.
std::size_t closing(std::string_view text, std::size_t at) {
  int depth = 0;
  while (at < text.size()) {
    if (const std::size_t past = skip_quoted(text, at); past != at) {
      at = past;
      continue;
    }
    if (text[at] == '(') ++depth;
    if (text[at] == ')' && --depth == 0) return at;
    at = is_word_start(text[at]) ? end_of_word(text, at) : at + 1;
  }
  return at;
}

std::string word_at(std::string_view text, std::size_t at) {
  return lower_word(text.substr(at, end_of_word(text, at) - at));
}

/// Where the query behind EXPLAIN and its options begins.
std::size_t past_explain(std::string_view text) {
  std::size_t at = skip_blanks(text, past_word(text, 0, "explain"));
  for (std::string word = word_at(text, at); word == "analyze" || word == "analyse" || word == "verbose"; word = word_at(text, at)) {
    at = skip_blanks(text, at + word.size());
  }
  if (at >= text.size() || text[at] != '(') return at;
  // A parenthesis holds options, or a query of its own.
  std::size_t inside = at;
  while (inside < text.size() && text[inside] == '(') inside = skip_blanks(text, inside + 1);
  const std::string word = word_at(text, inside);
  if (word == "select" || word == "with" || word == "values" || word == "table") return at;
  return skip_blanks(text, closing(text, at) + 1);
}

}  // namespace

std::string_view explain_words(std::string_view text) {
  return text.substr(0, past_explain(text));
}

std::optional<gather_query> query_of(const sql::statement& s, std::string_view text) {
  gather_query out;
  out.text = text;
  out.end = text.size();
  switch (s.kind) {
    case sql::statement_kind::select:
      out.statement = &s;
      return out;
    case sql::statement_kind::declare_cursor:
      // WITH HOLD runs the query at the transaction's end, on a server that is then kept for the session.
      if (s.inner == nullptr || s.inner->kind != sql::statement_kind::select || s.hold) return std::nullopt;
      out.statement = s.inner.get();
      out.begin = past_word(text, past_word(text, 0, "cursor"), "for");
      break;
    case sql::statement_kind::copy: {
      if (s.copy == nullptr || s.copy->query == nullptr || s.copy->query->kind != sql::statement_kind::select) return std::nullopt;
      if (s.copy->from || s.copy->program || !s.copy->file.empty()) return std::nullopt;
      out.statement = s.copy->query.get();
      const std::size_t open = skip_blanks(text, past_word(text, 0, "copy"));
      if (open >= text.size() || text[open] != '(') return std::nullopt;
      out.begin = open + 1;
      out.end = closing(text, open);
      out.literals = true;
      break;
    }
    case sql::statement_kind::explain:
      if (s.inner == nullptr || s.inner->kind != sql::statement_kind::select) return std::nullopt;
      out.statement = s.inner.get();
      out.begin = past_explain(text);
      break;
    default:
      return std::nullopt;
  }
  if (out.begin >= out.end || out.end > text.size()) return std::nullopt;
  return out;
}

std::optional<std::string> copy_as_query(const sql::copy_statement& copy, const relation& described, std::string_view text) {
  // COPY leaves generated columns out, and is not for partitioned tables.
  const std::size_t first = skip_blanks(text, past_word(text, 0, "copy"));
  // The old spelling COPY BINARY says in front of the table what belongs behind it.
  if (lower_word(text.substr(std::min(first, text.size()), 6)) == "binary") return std::nullopt;
  if (copy.from || copy.query != nullptr || described.kind != 'r' || described.row_security) return std::nullopt;
  const auto computed = [](const column& c) { return c.generated && !c.identity; };
  // A server refuses to copy them by name.
  const bool named = std::any_of(described.columns.begin(), described.columns.end(), [&](const column& c) {
    return computed(c) && std::find(copy.columns.begin(), copy.columns.end(), c.name) != copy.columns.end();
  });
  if (named) return std::nullopt;
  std::string columns;
  const auto add = [&](const std::string& name) { columns += (columns.empty() ? "" : ", ") + quote_identifier(name); };
  for (const std::string& name : copy.columns) add(name);
  if (copy.columns.empty()) {
    for (const column& c : described.columns) {
      if (!computed(c)) add(c.name);
    }
  }
  const std::size_t to = past_word(text, 0, "to");
  if (columns.empty() || to >= text.size()) return std::nullopt;
  std::string out = "COPY (SELECT " + columns + " FROM ONLY " + quote_identifier(described.schema) + "." + quote_identifier(described.name) + ") TO";
  return out.append(text.substr(to));
}

}  // namespace pgbraid::router
