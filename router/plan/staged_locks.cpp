// Locked rows that a server puts in order, or that are found first; see staged_locks.hpp. Source: the manual's page
// "SELECT", "The Locking Clause".
#include "router/plan/staged_locks.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "router/plan/gather_text.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/read_text.hpp"
#include "router/plan/same_expression.hpp"
#include "router/plan/staged_source.hpp"
#include "router/plan/words.hpp"

namespace pgbraid::router {

namespace {

bool is_one_of(const std::string& word, std::span<const std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// The clause in a text, as far as its words say; reads it word by word.
class locking_reader {
 public:
  explicit locking_reader(std::string_view text) : text_{text} {}

  std::optional<locking_query> read() {
    for (std::size_t at = 0; at < text_.size();) {
      const std::size_t past = skip_comment(text_, at);
      if (past != at || is_blank(text_[at])) {
        at = past != at ? past : at + 1;
        continue;
      }
      const std::size_t end = end_of_piece(at);
      if (depth_ == 0 && !take(at, end)) return std::nullopt;
      at = end;
    }
    if (begin_ == std::string_view::npos) return std::nullopt;
    const std::size_t end = std::min(end_, text_.find_last_not_of("; \t\r\n") + 1);
    out_.clause = text_.substr(begin_, end - begin_);
    while (!out_.clause.empty() && is_blank(out_.clause.back())) out_.clause.pop_back();
    out_.read.assign(text_.substr(0, begin_));
    while (!out_.read.empty() && is_blank(out_.read.back())) out_.read.pop_back();
    if (end_ < text_.size())
      out_.read.append(" ").append(text_.substr(end_, text_.find_last_not_of("; \t\r\n") + 1 - end_));
    return std::move(out_);
  }

 private:
  std::size_t end_of_piece(std::size_t at) {
    if (const std::size_t past = skip_quoted(text_, at); past != at) return past;
    if (is_word_start(text_[at])) return end_of_word(text_, at);
    if (text_[at] == '(' || text_[at] == ')') depth_ += text_[at] == '(' ? 1 : -1;
    return at + 1;
  }

  /// False: it is another clause than can be followed.
  bool take(std::size_t at, std::size_t end) {
    constexpr std::array<std::string_view, 8> words{"update", "share", "no", "key", "nowait", "skip", "locked", "of"};
    constexpr std::array<std::string_view, 3> behind{"limit", "offset", "fetch"};
    const bool is_word = is_word_start(text_[at]);
    const std::string word = is_word ? lower_word(text_.substr(at, end - at)) : std::string{};
    if (begin_ == std::string_view::npos || end_ < text_.size()) {
      if (word != "for") return true;
      const bool first = begin_ == std::string_view::npos;
      begin_ = at;
      return first;
    }
    if (is_one_of(word, behind)) {
      end_ = at;
      return true;
    }
    if (names_ && out_.named.empty() && (is_word || text_[at] == '"')) {
      out_.named = text_.substr(at, end - at);
      return true;
    }
    names_ = names_ || word == "of";
    return is_one_of(word, words) || text_[at] == ';';
  }

  std::string_view text_;
  std::size_t begin_ = std::string_view::npos, end_ = text_.size();
  int depth_ = 0;
  bool names_ = false;
  locking_query out_;
};

bool ends_in_limit(std::string_view text) {
  constexpr std::string_view word = " LIMIT ";
  const std::size_t at = text.rfind(word);
  return at != std::string_view::npos && at + word.size() < text.size() &&
         text.find_first_not_of("0123456789", at + word.size()) == std::string_view::npos;
}

/// FOR UPDATE OF the only table there is.
bool names_its_table(const locking_query& q, const analysis& found) {
  return q.named.empty() || end_of_name(q.named, 0, {found.uses.front().alias}) == q.named.size();
}

/// What a row is known by, over all shards: the primary key, and the sharding key beside it.
std::vector<std::string> names_of_row(const table_use& use) {
  std::vector<std::string> out;
  if (use.table.described == nullptr || use.keys.empty() || !use.column_aliases.empty()) return out;
  out = use.table.described->primary_key;
  if (out.empty()) return out;
  for (const key_column& key : use.keys) {
    if (std::find(out.begin(), out.end(), key.name) == out.end()) out.push_back(key.name);
  }
  return out;
}

/// Whether ORDER BY means columns of the table alone, so that it stays what it is behind another SELECT list.
bool orders_by_table(const sql::select_query& q, const analysis& a) {
  return std::all_of(q.order_by.begin(), q.order_by.end(), [&](const sql::sort_key& key) {
    if (key.value == nullptr || key.value->kind == sql::expr_kind::constant) return false;
    return key.value->kind != sql::expr_kind::column || key.value->name.size() != 1 || !names_result(*key.value, q, a);
  });
}

std::string limit_text(const row_limit& limit, std::uint64_t more) {
  const std::string plus = more == 0 ? "" : " + " + std::to_string(more);
  return limit.parameter > 0 ? "$" + std::to_string(limit.parameter) + "::pg_catalog.int8" + plus
                             : std::to_string(limit.rows + more);
}

}  // namespace

std::optional<locking_query> without_locking(std::string_view text) {
  return locking_reader{text}.read();
}

std::optional<std::size_t> place_behind_targets(std::string_view text) {
  const auto locking = without_locking(text);
  const auto clauses = locking ? clauses_of(locking->read, 0, locking->read.size()) : std::nullopt;
  return clauses && !clauses->from.empty() ? std::optional{clauses->from.begin} : std::nullopt;
}

bool locks_rows_alone(const sql::statement& s, const analysis& a) {
  const auto rows_of_table = [](const query_level& level) {
    return level.aggregate.empty() && level.window.empty() && !level.grouped && !level.having && !level.distinct;
  };
  return std::all_of(a.levels.begin(), a.levels.end(), rows_of_table) && s.kind == sql::statement_kind::select &&
         s.select != nullptr && a.locking && !a.writes && !a.locking_below && a.levels.size() == 1 &&
         a.uses.size() == 1 && a.uses.front().table.where == placement::sharded && a.functions.differs.empty();
}

std::shared_ptr<const staged_write> make_locked_rows(std::string_view text, const plan_context& context, bool picked) {
  const auto locking = without_locking(text);
  if (!locking) return nullptr;
  const read_text read{locking->read, context};
  if (read.select() == nullptr || read.found.uses.size() != 1 || !read.found.moments.empty() ||
      !names_its_table(*locking, read.found))
    return nullptr;
  gather_query query;
  query.statement = read.statement();
  query.text = locking->read;
  query.end = locking->read.size();
  query.literals = true;
  auto rows = make_gather(query, read.found, context);
  while (rows != nullptr && rows->otherwise != nullptr) rows = rows->otherwise;
  if (rows == nullptr || rows->fragments.size() != 1 || !takes_part(rows->combiner, context)) return nullptr;
  // Nothing may be locked that one server would have passed over.
  const auto clauses = clauses_of(locking->read, 0, locking->read.size());
  const std::string where = " AS " + quote_identifier(read.found.uses.front().alias) + " WHERE ";
  const auto said = [&](const text_span& clause) {
    return clause.empty() ||
           rows->fragment_sql.find(where + std::string{clause.of(locking->read)}) != std::string::npos;
  };
  const bool limited = read.select()->limit != nullptr || read.select()->offset != nullptr;
  if (!clauses || !said(clauses->where) || (limited && !picked && !ends_in_limit(rows->fragment_sql))) return nullptr;
  auto locked = std::make_shared<gather_plan>(*rows);
  locked->fragment_sql.append(" ").append(locking->clause);
  auto out = std::make_shared<staged_write>();
  out->text = locked->combine_sql;
  out->rows = std::move(locked);
  out->answered_once = true;
  out->shown = text;
  return out;
}

std::optional<picked_rows> pick_rows(std::string_view text, const plan_context& context, std::uint64_t passed_over) {
  const auto locking = without_locking(text);
  if (!locking) return std::nullopt;
  const read_text read{locking->read, context};
  if (read.select() == nullptr || read.found.uses.size() != 1 || read.found.levels.size() != 1 ||
      !names_its_table(*locking, read.found))
    return std::nullopt;
  const sql::select_query& q = *read.select();
  const auto clauses = clauses_of(locking->read, 0, locking->read.size());
  const auto limit = limit_of(q.limit);
  const std::vector<std::string> names = names_of_row(read.found.uses.front());
  if (!clauses || clauses->limit.empty() || !limit || names.empty() || q.limit == nullptr || q.offset != nullptr ||
      q.limit_with_ties || !orders_by_table(q, read.found))
    return std::nullopt;
  std::string keys;
  picked_rows out;
  for (const std::string& name : names) {
    const std::string part = quote_identifier(read.found.uses.front().alias) + "." + quote_identifier(name);
    keys.append(keys.empty() ? "" : ", ").append(part);
    out.nothing.append(out.nothing.empty() ? "" : ", ").append("NULL");
  }
  const auto piece = [&](std::string_view word, const text_span& clause) {
    return clause.empty() ? std::string{} : std::string{word}.append(clause.of(locking->read));
  };
  const std::string from = piece(" FROM ", clauses->from);
  std::string order;
  for (const text_span& item : clauses->order_by)
    order.append(order.empty() ? " ORDER BY " : ", ").append(item.of(locking->read));
  if (names.size() > 1) out.nothing = "(" + out.nothing + ")";
  out.limit = *limit;
  out.candidates =
      "SELECT " + keys + from + piece(" WHERE ", clauses->where) + order + " LIMIT " + limit_text(*limit, passed_over);
  std::string list;
  for (const text_span& item : clauses->targets) list.append(list.empty() ? "" : ", ").append(item.of(locking->read));
  const std::string condition =
      clauses->where.empty() ? std::string{} : "(" + std::string{clauses->where.of(locking->read)} + ") AND ";
  out.locking = "SELECT " + list + from + " WHERE " + condition + (names.size() == 1 ? keys : "(" + keys + ")") +
                " IN (" + std::string(1, moment_mark) + "0" + std::string(1, moment_mark) + ")" + order + " " +
                std::string{clauses->limit.of(locking->read)} + " " + locking->clause;
  return out;
}

}  // namespace pgbraid::router
