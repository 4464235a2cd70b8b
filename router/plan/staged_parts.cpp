// The parts of a write; see staged_parts.hpp.
#include "router/plan/staged_parts.hpp"

#include <algorithm>
#include <utility>

#include "router/plan/gather_text.hpp"
#include "router/plan/insert_select.hpp"
#include "router/plan/same_expression.hpp"
#include "router/plan/staged_source.hpp"
#include "router/plan/words.hpp"
#include "router/plan/writing_with.hpp"

namespace pgbraid::router {

namespace {

using kind = sql::statement_kind;

const std::vector<sql::target>& returned_by(const sql::statement& s) {
  static const std::vector<sql::target> nothing;
  if (s.insert != nullptr) return s.insert->returning;
  if (s.update != nullptr) return s.update->returning;
  return s.delete_ != nullptr ? s.delete_->returning : nothing;
}

/// The subqueries of an expression, outermost first.
void subqueries_of(const sql::expr& e, std::vector<const sql::expr*>& out) {
  if (e.kind == sql::expr_kind::subquery) out.push_back(&e);
  for (const sql::expr_ptr& child : e.children) {
    if (child != nullptr) subqueries_of(*child, out);
  }
}

/// Those that choose what a statement reads or writes, and those of RETURNING.
void subqueries_of(const sql::statement& s, std::vector<const sql::expr*>& out) {
  const auto look = [&](const sql::expr_ptr& e) {
    if (e != nullptr) subqueries_of(*e, out);
  };
  if (s.select != nullptr) look(s.select->where);
  if (s.update != nullptr) {
    look(s.update->where);
    for (const sql::target& t : s.update->set) look(t.value);
  }
  if (s.delete_ != nullptr) look(s.delete_->where);
  for (const sql::target& t : returned_by(s)) look(t.value);
  const sql::with_clause* with = own_with(s);
  if (with == nullptr) return;
  for (const sql::common_table& entry : with->tables) {
    if (entry.query == nullptr || entry.query->kind == kind::select) continue;
    // Names in it may mean entries of its own.
    const sql::with_clause* inner = own_with(*entry.query);
    if (inner == nullptr || inner->tables.empty()) subqueries_of(*entry.query, out);
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

/// What stands in the innermost parentheses around a place.
std::optional<text_span> around(std::string_view text, std::int32_t location) {
  if (location < 0) return std::nullopt;
  std::vector<std::size_t> open;
  for (std::size_t at = 0; at < static_cast<std::size_t>(location);) {
    if (text[at] == '(') open.push_back(at);
    if (text[at] == ')' && !open.empty()) open.pop_back();
    const std::size_t past = skip_quoted(text, at);
    at = past == at ? at + 1 : past;
  }
  return open.empty() ? std::nullopt : inside_parentheses(text, static_cast<std::int32_t>(open.back()));
}

/// The subqueries that stand for themselves in FROM or USING.
void subqueries_of(const std::vector<sql::from_item>& items, std::vector<const sql::select_query*>& out);

void subqueries_of(const sql::from_item& item, std::vector<const sql::select_query*>& out) {
  if (item.kind == sql::from_kind::subquery && !item.lateral && item.query != nullptr) out.push_back(item.query.get());
  if (item.left != nullptr) subqueries_of(*item.left, out);
  if (item.right != nullptr) subqueries_of(*item.right, out);
}

void subqueries_of(const std::vector<sql::from_item>& items, std::vector<const sql::select_query*>& out) {
  for (const sql::from_item& item : items) subqueries_of(item, out);
}

/// Where a query's first column stands.
std::int32_t first_place(const sql::select_query& q) {
  if (q.set_op != sql::set_operation::none) return q.left == nullptr ? -1 : first_place(*q.left);
  return q.targets.empty() ? -1 : q.targets.front().location;
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

/// The column of its table in which an INSERT stores what stands at a place of its query's list.
const column* stored_at(const sql::insert_query& q, const analysis& a, std::size_t at) {
  const auto use =
      std::find_if(a.uses.begin(), a.uses.end(), [](const table_use& u) { return u.role == table_role::insert; });
  if (use == a.uses.end() || use->table.described == nullptr) return nullptr;
  const std::vector<column>& columns = use->table.described->columns;
  if (q.columns.empty()) return at < columns.size() ? &columns[at] : nullptr;
  if (at >= q.columns.size() || q.columns[at].indirection) return nullptr;
  const auto named =
      std::find_if(columns.begin(), columns.end(), [&](const column& c) { return c.name == q.columns[at].name; });
  return named == columns.end() ? nullptr : &*named;
}

/// The query of an INSERT, whose constants would take the types of the columns in which they are stored, with these
/// types said; nothing where one cannot be.
std::optional<std::string> with_types(const sql::insert_query& q, std::string_view query, const analysis& a) {
  const std::vector<sql::target>& list = q.source->targets;
  const auto takes = [&](std::size_t i) { return takes_column_type(*list[i].value) && !has_own_type(*q.source, i); };
  std::vector<text_edit> edits;
  std::optional<select_clauses> clauses;
  bool star = false;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i].value == nullptr) return std::nullopt;
    star = star || (list[i].value->kind == sql::expr_kind::column && list[i].value->star);
    if (!takes(i)) continue;
    if (!clauses) clauses = clauses_of(query, 0, query.size());
    const column* stored = stored_at(q, a, i);
    const std::string_view type = stored == nullptr ? std::string_view{} : plain_type_name(stored->type);
    if (star || !clauses || i >= clauses->targets.size() || type.empty()) return std::nullopt;
    const auto value = without_name(query, clauses->targets[i], list[i].name);
    if (!value) return std::nullopt;
    edits.push_back({value->begin, 0, "CAST("});
    edits.push_back({value->end, 0, " AS pg_catalog." + std::string{type} + ")"});
  }
  return edited(query, 0, query.size(), std::move(edits));
}

/// The parts of one statement, in the order in which they are answered.
class part_list {
 public:
  part_list(const sql::statement& s, std::string_view text, const analysis& a, const carrier& by)
      : text_{text}, with_{own_with(s)} {
    if (with_ != nullptr && !with_->tables.empty()) {
      bodies_ = bodies_of_with(text, with_->tables.size());
      if (!bodies_) return;
    }
    for (std::size_t i = 0; bodies_ && i < bodies_->size(); ++i) {
      const sql::common_table& entry = with_->tables[i];
      if (entry.query->kind != kind::select) continue;  // its subqueries are parts
      const std::size_t last = with_->recursive ? bodies_->size() - 1 : i;
      parts.push_back({(*bodies_)[i], text_up_to(last) + "SELECT * FROM " + quote_identifier(entry.name),
                       entry.query->select == nullptr ? "NULL" : names_of(*entry.query->select), true, feeds_write(i),
                       occurrences(text, entry.name) == 1});
    }
    // Behind the entries: what is asked once is not asked again.
    if (s.insert != nullptr && (a.mirrored || by.one)) add_source(*s.insert, a, a.mirrored && a.conflict_source);
    std::vector<const sql::expr*> found;
    if (s.insert != nullptr && s.insert->source != nullptr && (a.mirrored || by.one)) {
      for (const std::vector<sql::expr_ptr>& row : s.insert->source->values) {
        for (const sql::expr_ptr& value : row) {
          if (value != nullptr) subqueries_of(*value, found);
        }
      }
    }
    subqueries_of(s, found);
    for (const sql::expr* each : found)
      add_subquery(*each, found, a.mirrored && each->sublink == sql::sublink_kind::array);
    std::vector<const sql::select_query*> joined;
    if (s.update != nullptr) subqueries_of(s.update->from, joined);
    if (s.delete_ != nullptr) subqueries_of(s.delete_->using_, joined);
    if (s.merge != nullptr && (a.mirrored || by.one)) subqueries_of(s.merge->source, joined);
    for (const sql::select_query* each : joined) add_joined(*each);
  }

  std::vector<once_part> parts;

 private:
  /// The WITH to the end of an entry.
  std::string text_up_to(std::size_t entry) const {
    return std::string{text_.substr(0, (*bodies_)[entry].end + 1)} + " ";
  }

  /// Whether a write in the WITH names an entry: its rows stand in front of that on every shard.
  bool feeds_write(std::size_t entry) const {
    for (std::size_t i = entry + 1; i < bodies_->size(); ++i) {
      const bool is_write = with_->tables[i].query->kind != kind::select;
      if (is_write && occurrences((*bodies_)[i].of(text_), with_->tables[entry].name) > 0) return true;
    }
    return false;
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

  /// Whether an opening parenthesis is the first thing of an item.
  bool stands_in_from(std::size_t parenthesis) const {
    std::size_t end = parenthesis;
    while (end > 0 && is_blank(text_[end - 1])) --end;
    if (end > 0 && text_[end - 1] == ',') return true;
    std::size_t begin = end;
    while (begin > 0 && is_word_start(text_[begin - 1])) --begin;
    const std::string before = lower_word(text_.substr(begin, end - begin));
    return before == "from" || before == "using" || before == "join";
  }

  void add_joined(const sql::select_query& q) {
    const auto place = around(text_, first_place(q));
    // With a WITH of its own, or parentheses around a part of it, that is not all of it.
    if (!place || !q.with.tables.empty() || !stands_in_from(place->begin - 1)) return;
    std::string query{place->of(text_)};
    if (names_entry(query)) query.insert(0, text_up_to(bodies_->size() - 1));
    parts.push_back({*place, std::move(query), names_of(q), false, false});
  }

  // INSERT ... SELECT into a reference table.
  void add_source(const sql::insert_query& q, const analysis& a, bool first) {
    const auto at = parts_of_text(text_);
    if (!at || q.source == nullptr || !q.source->values.empty()) return;
    if (q.source->set_op != sql::set_operation::none && q.source->targets.empty()) return;
    auto typed = with_types(q, text_.substr(at->source, at->end - at->source), a);
    if (!typed) return;
    std::string query = std::move(*typed);
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

}  // namespace

carrier carrier_of(const analysis& a, bool with_writes) {
  const auto written = std::find_if(a.uses.begin(), a.uses.end(), [](const table_use& use) {
    return use.role != table_role::read && use.table.where == placement::unsharded;
  });
  if (written != a.uses.end()) return {false, written->table.shard, false};
  const bool inserts =
      std::any_of(a.uses.begin(), a.uses.end(), [](const table_use& use) { return use.role == table_role::insert; });
  const bool rows_of_its_own =
      !with_writes && !a.mirrored && (a.writes || !a.locking) && (!inserts || a.merge != nullptr);
  return {!rows_of_its_own, std::nullopt, a.merge != nullptr && !a.mirrored};
}

std::vector<once_part> parts_of(const sql::statement& s, std::string_view text, const analysis& a, const carrier& by) {
  return std::move(part_list{s, text, a, by}.parts);
}

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

}  // namespace pgbraid::router
