// Clauses in a text; see clauses.hpp. Source: the manual's reference of SELECT, and kwlist.h for which of these words
// are reserved: they can be names only behind AS or a dot.
#include "router/plan/clauses.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "router/plan/words.hpp"

namespace pgbraid::router {
namespace {

/// In the order in which they may follow each other.
enum class part : std::uint8_t { targets, from, where, group, having, order, limit };

struct clause_word {
  std::string_view word;
  part which;
  bool by;  ///< BY follows
};

constexpr std::array<clause_word, 8> clause_words{{{"from", part::from, false},
                                                   {"where", part::where, false},
                                                   {"group", part::group, true},
                                                   {"having", part::having, false},
                                                   {"order", part::order, true},
                                                   {"limit", part::limit, false},
                                                   {"offset", part::limit, false},
                                                   {"fetch", part::limit, false}}};

/// What makes a query more than one plain SELECT.
constexpr std::array<std::string_view, 7> others{"union", "intersect", "except", "window", "for", "into", "select"};

text_span trimmed(std::string_view text, text_span span) {
  while (span.begin < span.end && is_blank(text[span.begin])) ++span.begin;
  while (span.end > span.begin && is_blank(text[span.end - 1])) --span.end;
  return span;
}

/// Walks over a text outside of quotes and comments.
class walker {
 public:
  walker(std::string_view text, std::size_t begin, std::size_t end) : text_(text), at_(begin), end_(end) {}

  /// Goes on to the next word or sign; false at the end.
  bool next() {
    at_ = to_;
    return advance();
  }
  bool first() { return advance(); }

  [[nodiscard]] std::size_t begin() const { return at_; }
  [[nodiscard]] std::size_t end() const { return to_; }
  [[nodiscard]] int depth() const { return depth_; }
  [[nodiscard]] bool at_word() const { return word_; }
  [[nodiscard]] char sign() const { return text_[at_]; }
  [[nodiscard]] std::string word() const { return lower_word(text_.substr(at_, to_ - at_)); }
  /// The last word or sign before this one: a word in lower case, a sign, `"` for what is quoted.
  [[nodiscard]] const std::string& before() const { return before_; }
  [[nodiscard]] bool line_comment() const { return line_comment_; }

 private:
  bool advance() {
    before_ = std::move(current_);
    while (at_ < end_) {
      if (is_blank(text_[at_])) {
        ++at_;
        continue;
      }
      line_comment_ = line_comment_ || text_.substr(at_, 2) == "--";
      const std::size_t past = skip_quoted(text_, at_);
      if (past != at_ && skip_comment(text_, at_) != at_) {
        at_ = past;
        continue;
      }
      word_ = past == at_ && is_word_start(text_[at_]);
      to_ = past != at_ ? past : word_ ? end_of_word(text_, at_) : at_ + 1;
      current_ = word_ ? word() : std::string{text_[at_]};
      if (past == at_ && (text_[at_] == '(' || text_[at_] == '[')) ++depth_;
      if (past == at_ && (text_[at_] == ')' || text_[at_] == ']')) --depth_;
      return true;
    }
    to_ = at_;
    return false;
  }

  std::string_view text_;
  std::size_t at_, to_ = 0, end_;
  int depth_ = 0;
  bool word_ = false, line_comment_ = false;
  std::string before_, current_;
};

/// The pieces between the commas of a list.
std::vector<text_span> items_of_list(std::string_view text, text_span list) {
  std::vector<text_span> out;
  if (list.empty()) return out;
  std::size_t from = list.begin;
  walker walk{text, list.begin, list.end};
  for (bool more = walk.first(); more; more = walk.next()) {
    if (walk.depth() != 0 || walk.at_word() || walk.sign() != ',') continue;
    out.push_back(trimmed(text, {from, walk.begin()}));
    from = walk.end();
  }
  out.push_back(trimmed(text, {from, list.end}));
  return out;
}

/// SELECT and what may follow it at once; false where another query begins.
bool read_head(std::string_view text, walker& walk, select_clauses& out, std::size_t end) {
  if (!walk.first() || !walk.at_word() || walk.word() != "select") return false;
  out.begin = walk.begin();
  if (!walk.next()) return false;
  if (!walk.at_word() || (walk.word() != "distinct" && walk.word() != "all")) return true;
  out.distinct = {walk.begin(), walk.end()};
  const bool distinct = walk.word() == "distinct";
  if (!walk.next()) return false;
  if (!distinct || !walk.at_word() || walk.word() != "on") return true;
  if (!walk.next() || walk.at_word() || walk.sign() != '(') return false;
  const auto past = past_parentheses(text, walk.begin(), end);
  if (!past) return false;
  out.distinct.end = *past;
  while (walk.begin() < *past) {
    if (!walk.next()) return false;
  }
  return true;
}

void put(std::string_view text, select_clauses& out, part which, text_span span) {
  span = trimmed(text, span);
  switch (which) {
    case part::targets:
      out.targets = items_of_list(text, span);
      return;
    case part::from:
      out.from = span;
      return;
    case part::where:
      out.where = span;
      return;
    case part::group:
      out.group_by = items_of_list(text, span);
      return;
    case part::having:
      out.having = span;
      return;
    case part::order:
      out.order_by = items_of_list(text, span);
      return;
    case part::limit:
      out.limit = span;
      return;
  }
}

}  // namespace

std::optional<std::size_t> past_parentheses(std::string_view text, std::size_t at, std::size_t end) {
  walker walk{text, at, end};
  for (bool more = walk.first(); more; more = walk.next()) {
    if (walk.depth() == 0) return walk.end();
  }
  return std::nullopt;
}

std::optional<text_span> without_name(std::string_view text, text_span item, std::string_view name) {
  if (name.empty()) return item;
  const std::string_view whole = item.of(text);
  std::size_t end = whole.size();
  if (whole.back() == '"') {
    // A doubled quote is a quote in the name.
    for (--end; end > 0 && (whole[end - 1] != '"' || (end > 1 && whole[end - 2] == '"'));)
      end -= whole[end - 1] == '"' ? 2 : 1;
    if (end == 0) return std::nullopt;
    --end;
  } else {
    while (end > 0 && is_word_part(whole[end - 1])) --end;
    if (end == whole.size() || lower_word(whole.substr(end)) != name) return std::nullopt;
  }
  const auto skip_blanks_before = [&] {
    while (end > 0 && is_blank(whole[end - 1])) --end;
  };
  skip_blanks_before();
  if (end > 2 && lower_word(whole.substr(end - 2, 2)) == "as" && !is_word_part(whole[end - 3])) end -= 2;
  skip_blanks_before();
  // Behind a comment, or U&"...".
  if (end == 0 || whole[end - 1] == '/' || whole[end - 1] == '&') return std::nullopt;
  return text_span{item.begin, item.begin + end};
}

std::optional<text_span> call_at(std::string_view text, std::int32_t location, std::size_t end, std::string_view name,
                                 std::size_t& open) {
  if (location < 0) return std::nullopt;
  const auto begin = static_cast<std::size_t>(location);
  std::size_t at = begin;
  std::string word;
  while (at < end && (is_word_start(text[at]) || text[at] == '.')) {
    const std::size_t past = text[at] == '.' ? at + 1 : end_of_word(text, at);
    word = lower_word(text.substr(at, past - at));
    at = skip_blanks(text, past);
  }
  if (at >= end || text[at] != '(' || word != name) return std::nullopt;
  open = at;
  const auto past = past_parentheses(text, at, end);
  if (!past) return std::nullopt;
  return text_span{begin, *past};
}

std::optional<select_clauses> clauses_of(std::string_view text, std::size_t begin, std::size_t end) {
  select_clauses out;
  walker walk{text, begin, end};
  if (!read_head(text, walk, out, end)) return std::nullopt;
  part current = part::targets;
  std::size_t from = walk.begin();
  out.end = end;
  for (bool more = true; more; more = walk.next()) {
    if (walk.depth() < 0) return std::nullopt;
    if (walk.depth() > 0) continue;
    if (!walk.at_word()) {
      if (walk.sign() != ';') continue;
      out.end = walk.begin();
      break;
    }
    // Behind a dot every word is a name, and IS DISTINCT FROM is an operator.
    const std::string word = walk.word();
    if (walk.before() == "." || (word == "from" && walk.before() == "distinct")) continue;
    const bool other = std::find(others.begin(), others.end(), word) != others.end();
    const auto clause =
        std::find_if(clause_words.begin(), clause_words.end(), [&](const clause_word& c) { return c.word == word; });
    if (!other && clause == clause_words.end()) continue;
    if (other || walk.before() == "as") return std::nullopt;
    // LIMIT, OFFSET and FETCH come in any order.
    if (clause->which == part::limit && current == part::limit) continue;
    if (clause->which <= current) return std::nullopt;
    put(text, out, current, {from, walk.begin()});
    current = clause->which;
    from = current == part::limit ? walk.begin() : walk.end();
    if (!clause->by) continue;
    if (!walk.next() || !walk.at_word() || walk.word() != "by") return std::nullopt;
    from = walk.end();
  }
  if (walk.line_comment()) return std::nullopt;
  put(text, out, current, {from, out.end});
  out.end = trimmed(text, {out.begin, out.end}).end;
  return out;
}

namespace {

/// "column = value": the value. "(column, ...) = [ROW] (value, ...)": the values. False for what is neither.
bool add_assigned(std::string_view text, text_span item, std::vector<text_span>& out) {
  walker walk{text, item.begin, item.end};
  bool more = walk.first();
  if (!more) return false;
  const bool several = !walk.at_word() && walk.sign() == '(';
  const std::size_t open = walk.begin();
  while (more && (walk.depth() != 0 || walk.at_word() || walk.sign() != '=')) more = walk.next();
  if (!more) return false;
  const text_span value = trimmed(text, {walk.end(), item.end});
  if (!several) {
    out.push_back(value);
    return !value.empty();
  }
  std::size_t at = value.begin;
  if (at < value.end && is_word_start(text[at])) {
    const std::size_t end = end_of_word(text, at);
    if (lower_word(text.substr(at, end - at)) != "row") return false;
    at = skip_blanks(text, end);
  }
  const auto names_end = past_parentheses(text, open, item.end);
  const auto past = at < value.end && text[at] == '(' ? past_parentheses(text, at, value.end) : std::nullopt;
  if (!past || *past != value.end || !names_end) return false;
  const std::vector<text_span> names = items_of_list(text, trimmed(text, {open + 1, *names_end - 1}));
  const std::vector<text_span> values = items_of_list(text, trimmed(text, {at + 1, *past - 1}));
  const std::string first = lower_word(text.substr(values.empty() ? at : values.front().begin));
  const auto queries = [&](std::string_view word) { return first.starts_with(word); };
  if (names.size() != values.size() || queries("select") || queries("with") || queries("values") || queries("table"))
    return false;
  for (const text_span& each : values) {
    if (each.empty()) return false;
    out.push_back(each);
  }
  return names.size() > 1;
}

/// The first word at which an UPDATE begins, with the walk standing on it.
bool find_update(walker& walk) {
  for (bool more = walk.first(); more; more = walk.next()) {
    if (walk.depth() != 0 || !walk.at_word() || walk.word() != "update") continue;
    // An entry of WITH may have that name.
    const std::string& before = walk.before();
    if (before != "with" && before != "recursive" && before != ",") return true;
  }
  return false;
}

}  // namespace

std::optional<update_clauses> update_clauses_of(std::string_view text) {
  constexpr std::array<std::string_view, 4> words{"set", "from", "where", "returning"};
  update_clauses out;
  walker walk{text, 0, text.size()};
  if (!find_update(walk)) return std::nullopt;
  out.begin = walk.begin();
  text_span sets;
  const std::array<text_span*, 5> parts{&out.target, &sets, &out.from, &out.where, &out.returning};
  std::size_t current = 0, from = walk.end(), end = text.size();
  while (walk.next()) {
    if (walk.depth() != 0) continue;
    if (!walk.at_word()) {
      if (walk.sign() != ';') continue;
      end = walk.begin();
      break;
    }
    const std::string word = walk.word();
    const std::string& before = walk.before();
    if (before == "." || before == "as" || (word == "from" && before == "distinct")) continue;
    const auto found = std::find(words.begin(), words.end(), word);
    if (found == words.end()) continue;
    const auto next = static_cast<std::size_t>(found - words.begin()) + 1;
    // SET is a name too: of the table, or of a column.
    if (next == 1 && (current > 0 || before == "update")) continue;
    if (next <= current || (current == 0 && next != 1)) return std::nullopt;
    *parts[current] = trimmed(text, {from, walk.begin()});
    current = next;
    from = walk.end();
  }
  if (current == 0 || walk.line_comment()) return std::nullopt;
  *parts[current] = trimmed(text, {from, end});
  for (const text_span& item : items_of_list(text, sets)) {
    if (!add_assigned(text, item, out.values)) return std::nullopt;
  }
  return out;
}

}  // namespace pgbraid::router
