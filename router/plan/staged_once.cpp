// A part of a write that is a query by itself is answered once, and the statement is planned anew with its rows in the
// text; see staged_source.hpp. Source: the manual's chapter "WITH Queries": an entry is evaluated once, and not at all
// where nobody names it.
#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

#include "router/plan/clauses.hpp"
#include "router/plan/columns.hpp"
#include "router/plan/gather_text.hpp"
#include "router/plan/insert_select.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/same_expression.hpp"
#include "router/plan/scatter.hpp"
#include "router/plan/staged_source.hpp"
#include "router/plan/words.hpp"
#include "router/plan/writing_with.hpp"
#include "router/sql/parser.hpp"

namespace pgbraid::router {

namespace {

using kind = sql::statement_kind;

/// A part of a statement, and what is asked in its place.
struct once_part {
  text_span place;
  std::string query;
  std::string columns;  ///< a SELECT list of the same names, as far as they are known
  bool entry = false;   ///< of the WITH: later parts may name it
  bool first = false;   ///< whatever it is
};

/// The subqueries of an expression, outermost first.
void subqueries_of(const sql::expr& e, std::vector<const sql::expr*>& out) {
  if (e.kind == sql::expr_kind::subquery) out.push_back(&e);
  for (const sql::expr_ptr& child : e.children) {
    if (child != nullptr) subqueries_of(*child, out);
  }
}

/// What stands in the parentheses behind a place.
std::optional<text_span> inside_parentheses(std::string_view text, std::int32_t location) {
  if (location < 0) return std::nullopt;
  std::size_t at = static_cast<std::size_t>(location);
  while (at < text.size() && text[at] != '(') {
    const std::size_t past = skip_quoted(text, at);
    at = past == at ? at + 1 : past;
  }
  const auto past = past_parentheses(text, at, text.size());
  return past ? std::optional{text_span{at + 1, *past - 1}} : std::nullopt;
}

std::string names_of(const sql::select_query& q) {
  constexpr std::string_view any = "NULL";
  if (q.set_op != sql::set_operation::none || !q.values.empty()) return std::string{any};
  std::string out;
  for (const sql::target& t : q.targets) {
    const bool star = t.value == nullptr || (t.value->kind == sql::expr_kind::column && t.value->star);
    const auto name = star ? std::nullopt : t.name.empty() ? result_name(*t.value) : std::optional{t.name};
    if (!name) return std::string{any};
    out.append(out.empty() ? "" : ", ").append("NULL::pg_catalog.text AS ").append(quote_identifier(*name));
  }
  return out.empty() ? std::string{any} : out;
}

/// How often a name stands in a text, outside of constants.
std::size_t occurrences(std::string_view text, const std::string& name) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (is_word_start(text[at])) {
      const std::size_t end = end_of_word(text, at);
      if (lower_word(text.substr(at, end - at)) == name) ++count;
      at = end;
    } else if (const std::size_t past = skip_quoted(text, at); past != at) {
      if (text[at] == '"' && end_of_name(text, at, {name}) == past) ++count;
      at = past;
    } else {
      ++at;
    }
  }
  return count;
}

/// The parts of one statement, in the order in which they are answered.
class part_list {
 public:
  part_list(const sql::statement& s, std::string_view text, const analysis& a) : text_{text}, with_{own_with(s)} {
    if (with_ != nullptr && !with_->tables.empty()) {
      bodies_ = bodies_of_with(text, with_->tables.size());
      if (!bodies_) return;
    }
    for (std::size_t i = 0; bodies_ && i < bodies_->size(); ++i) {
      const sql::common_table& entry = with_->tables[i];
      const std::size_t last = with_->recursive ? bodies_->size() - 1 : i;
      parts.push_back({(*bodies_)[i], text_up_to(last) + "SELECT * FROM " + quote_identifier(entry.name),
                       entry.query->select == nullptr ? "NULL" : names_of(*entry.query->select), true});
    }
    // Behind the entries: what is asked once is not asked again.
    if (s.insert != nullptr && a.mirrored) add_source(*s.insert, a.conflict_source);
    std::vector<const sql::expr*> found;
    const auto look = [&](const sql::expr_ptr& e) {
      if (e != nullptr) subqueries_of(*e, found);
    };
    if (s.select != nullptr) look(s.select->where);
    if (s.update != nullptr) {
      look(s.update->where);
      for (const sql::target& t : s.update->set) look(t.value);
    }
    if (s.delete_ != nullptr) look(s.delete_->where);
    for (const sql::expr* each : found)
      add_subquery(*each, found, a.mirrored && each->sublink == sql::sublink_kind::array);
  }

  std::vector<once_part> parts;

 private:
  /// The WITH to the end of an entry.
  std::string text_up_to(std::size_t entry) const {
    return std::string{text_.substr(0, (*bodies_)[entry].end + 1)} + " ";
  }

  bool names_entry(std::string_view part) const {
    return with_ != nullptr && std::any_of(with_->tables.begin(), with_->tables.end(),
                                           [&](const auto& entry) { return occurrences(part, entry.name) > 0; });
  }

  void add_subquery(const sql::expr& e, const std::vector<const sql::expr*>& all, bool first) {
    const auto place = inside_parentheses(text_, e.location);
    // What stands in a subquery with a WITH of its own may mean that.
    const bool in_with = std::any_of(all.begin(), all.end(), [&](const sql::expr* outer) {
      return outer != &e && outer->query != nullptr && !outer->query->with.tables.empty();
    });
    if (!place || in_with || e.query == nullptr) return;
    std::string query{place->of(text_)};
    if (names_entry(query)) {
      if (!e.query->with.tables.empty()) return;
      query.insert(0, text_up_to(bodies_->size() - 1));
    }
    parts.push_back({*place, std::move(query), "NULL", false, first});
  }

  // INSERT ... SELECT into a reference table: constants among its columns would take those columns' types.
  void add_source(const sql::insert_query& q, bool first) {
    const auto at = parts_of_text(text_);
    if (!at || q.source == nullptr || !q.source->values.empty()) return;
    for (const sql::target& t : q.source->targets) {
      if (t.value == nullptr || takes_column_type(*t.value)) return;
    }
    if (q.source->set_op != sql::set_operation::none && q.source->targets.empty()) return;
    std::string query{text_.substr(at->source, at->end - at->source)};
    if (names_entry(query)) {
      if (!q.source->with.tables.empty()) return;
      query.insert(0, text_up_to(bodies_->size() - 1));
    }
    parts.push_back({{at->source, at->end}, std::move(query), names_of(*q.source), false, first});
  }

  std::string_view text_;
  const sql::with_clause* with_;
  std::optional<std::vector<text_span>> bodies_;
};

/// Where no shard may answer it for itself. `alone`: nor get the rows of others with the statement around it.
bool must_come_first(const analysis& found, bool alone) {
  const auto elsewhere = [&](const table_use& use) {
    const placement where = use.table.where;
    return where == placement::unsharded || where == placement::system || where == placement::spread_view ||
           (alone && where != placement::reference);
  };
  // What copies of a reference table would each tell in their own way.
  const auto differs = [&](const query_level& level) {
    return alone &&
           ((!level.aggregate.empty() && !level.plain_count) || level.grouped || level.distinct || level.array);
  };
  return std::any_of(found.uses.begin(), found.uses.end(), elsewhere) ||
         !std::all_of(found.levels.begin(), found.levels.end(), chooses_none) ||
         std::any_of(found.levels.begin(), found.levels.end(), differs) || (alone && found.set_operation);
}

bool has_own_collation(const analysis& found) {
  return std::any_of(found.uses.begin(), found.uses.end(), [](const table_use& use) {
    if (use.table.described == nullptr) return true;
    const std::vector<column>& columns = use.table.described->columns;
    return std::any_of(columns.begin(), columns.end(), [](const column& c) { return !c.default_collation; });
  });
}

enum class verdict : std::uint8_t {
  may_stay,    ///< where it stands: each shard answers it for itself, or it is a part of what does not
  impossible,  ///< it must come first, and cannot
  comes_first
};

/// The query as a statement of its own, if it is one that must be answered first.
verdict judge_part(const once_part& part, const analysis& a, const plan_context& context, staged_query& query,
                   staged_write& out) {
  const sql::parse_result parsed = sql::parse(part.query);
  const auto* statements = std::get_if<std::vector<sql::statement>>(&parsed);
  if (statements == nullptr || statements->size() != 1 || statements->front().kind != kind::select)
    return verdict::impossible;
  analysis found;
  const sql::token_scan none;
  constant_marks unused{{}, none};
  analyze(statements->front(), context, unused, found);
  const bool first = part.first && !found.uses.empty();
  if (!first && !must_come_first(found, a.mirrored || (a.locking && !a.writes))) return verdict::may_stay;
  // A subquery stands for itself only without columns of the queries around it.
  if (found.unresolved || gives_no_column(*statements->front().select)) return verdict::impossible;
  // Another server would tell another time.
  if (!found.moments.empty() || !has_parameters_alone(part.query, a)) return verdict::impossible;
  if (!plan_query(part.query, context, query, out)) return verdict::impossible;
  query.collated =
      has_own_collation(found) || names_own_type(part.query, *context.schema) || has_word(part.query, "collate");
  return verdict::comes_first;
}

std::string mark() {
  return std::string(1, moment_mark) + "0" + std::string(1, moment_mark);
}

std::string with_part(std::string_view text, const text_span& place, std::string_view instead) {
  std::string out{text.substr(0, place.begin)};
  return out.append(instead).append(text.substr(place.end));
}

/// The statement without the bodies of WITH entries that nobody names; "" where all are named.
std::string without_unused(const sql::statement& s, std::string_view text) {
  const sql::with_clause* with = own_with(s);
  if (with == nullptr || with->tables.empty()) return {};
  const auto bodies = bodies_of_with(text, with->tables.size());
  if (!bodies) return {};
  std::vector<text_edit> edits;
  for (std::size_t i = 0; i < bodies->size(); ++i) {
    const text_span& body = (*bodies)[i];
    std::string nothing = "SELECT NULL";
    for (std::size_t k = 1; k < with->tables[i].columns.size(); ++k) nothing += ", NULL";
    if (body.of(text) == nothing || occurrences(text, with->tables[i].name) != 1) continue;
    edits.push_back({body.begin, body.end - body.begin, std::move(nothing)});
  }
  return edits.empty() ? std::string{} : edited(text, 0, text.size(), std::move(edits));
}

/// The whole statement is shown to the server that is asked, which must know all of its tables. False: another must be
/// asked.
bool ask_at(shard_index home, const plan_context& context, staged_query& query, staged_write& out) {
  if (query.only && *query.only != home) return false;
  query.only = home;
  if (out.rows == nullptr) return true;
  if (!takes_part(home, context)) return false;
  auto there = std::make_shared<gather_plan>(*out.rows);
  there->combiner = home;
  out.rows = std::move(there);
  return true;
}

/// Names are found in the text, so they must stand there as they are meant; and entries must come after what they name.
bool readable(const sql::statement& s, std::string_view text) {
  constexpr std::size_t longest_name = 63;
  for (const std::string_view decoded : {"u&\"", "U&\""}) {
    if (text.find(decoded) != std::string_view::npos) return false;
  }
  const sql::with_clause* with = own_with(s);
  if (with == nullptr) return true;
  if (with->recursive && with->tables.size() > 1) return false;
  return std::none_of(with->tables.begin(), with->tables.end(),
                      [](const sql::common_table& entry) { return entry.name.size() >= longest_name; });
}

}  // namespace

bool names_own_type(std::string_view text, const catalog& schema) {
  bool behind_cast = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t past = skip_quoted(text, at);
    const bool quoted = past != at && text[at] == '"';
    if (!quoted && past != at) {
      at = past;
    } else if (quoted || is_word_start(text[at])) {
      const std::size_t end = quoted ? past : end_of_word(text, at);
      const std::string word =
          quoted ? std::string{text.substr(at + 1, end - at - 2)} : lower_word(text.substr(at, end - at));
      const std::size_t next = skip_blanks(text, end);
      const bool constant = next < text.size() && text[next] == '\'';
      if ((behind_cast || constant) && schema.user_types.contains(word)) return true;
      const bool qualifies = next < text.size() && text[next] == '.';
      behind_cast = (behind_cast && qualifies) || (!quoted && word == "as");
      at = end;
    } else {
      if (text.substr(at, 2) == "::") {
        behind_cast = true;
        ++at;
      } else if (!is_blank(text[at]) && text[at] != '.') {
        behind_cast = false;
      }
      ++at;
    }
  }
  return false;
}

std::shared_ptr<const staged_write> make_once(const sql::statement& s, std::string_view text, const analysis& a,
                                              const plan_context& context) {
  constexpr std::size_t most_parts = 16;  // each is planned on its own, and what is left anew
  if (!readable(s, text)) return nullptr;
  if (const std::string less = without_unused(s, text); !less.empty()) {
    const auto rest = plan_staged(less, context);
    if (rest == nullptr || rest->moves) return nullptr;
    auto out = std::make_shared<staged_write>(*rest);
    const bool asks = out->rows || out->query || !out->moments_sql.empty();
    // A server checks what it does not carry out.
    if (!asks && only_home(a)) return nullptr;
    if (!asks) out->text = text;
    if (out->shown.empty()) out->shown = text;
    return out;
  }
  // How the rows of a SELECT are merged is planned before they are known.
  if (s.select != nullptr && (!s.select->order_by.empty() || s.select->limit != nullptr || s.select->offset != nullptr))
    return nullptr;
  const part_list all{s, text, a};
  if (all.parts.size() > most_parts) return nullptr;
  for (const once_part& part : all.parts) {
    auto out = std::make_shared<staged_write>();
    const auto query = std::make_shared<staged_query>();
    const verdict told = judge_part(part, a, context, *query, *out);
    if (told == verdict::impossible && part.entry) return nullptr;
    if (told != verdict::comes_first) continue;
    if (const auto home = only_home(a); home && !ask_at(*home, context, *query, *out)) return nullptr;
    // The rest must be what can be carried out over several shards.
    const auto rest = plan_staged(with_part(text, part.place, "SELECT " + part.columns), context);
    if (rest == nullptr || rest->moves || rest->source != nullptr) return nullptr;
    out->text = with_part(text, part.place, mark());
    out->again = true;
    query->shown = text;
    out->query = query;
    return out;
  }
  return nullptr;
}

}  // namespace pgbraid::router
