// What the rows of a reference table become; see staged_chosen.hpp.
#include "router/plan/staged_chosen.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "router/plan/clauses.hpp"
#include "router/plan/columns.hpp"
#include "router/plan/gather_text.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/same_expression.hpp"
#include "router/plan/staged_source.hpp"
#include "router/plan/words.hpp"
#include "router/plan/writing_with.hpp"

namespace pgbraid::router {
namespace {

constexpr std::string_view rows_alias = "pgbraid_chosen";

/// Whether the primary key tells all of its rows apart, and nothing else is done where they change.
bool may_choose(const analysis& a, const table_use& use) {
  if (use.table.where != placement::reference || use.table.described == nullptr || !a.levels[use.level].top)
    return false;
  const relation& table = *use.table.described;
  return table.kind == 'r' && !table.writes_spread && !table.row_security && table.user_code.empty() &&
         !table.primary_key.empty();
}

/// It may be evaluated by one server, in another statement than the one in which it stands.
bool may_come_first(const analysis& a) {
  const function_facts& f = a.functions;
  for (const std::string* trace : {&f.user_code, &f.differs, &f.session_state, &f.other_state, &f.sequence, &f.pins}) {
    if (!trace->empty()) return false;
  }
  return a.draws.empty() && !f.notifies && !f.own_setting && !f.measures_shard && !f.listening_channels && !a.locking &&
         !a.into && !a.not_understood && !a.refusal && a.schema_columns.empty() &&
         std::all_of(a.levels.begin(), a.levels.end(), [](const query_level& l) { return l.system_column.empty(); });
}

/// Constants, whose types are those of the columns that they are given to.
bool stays_in_set(const sql::expr& e) {
  return e.kind == sql::expr_kind::constant || takes_column_type(e);
}

/// (SELECT constant AS now), as the time is written.
bool reads_nothing(const sql::expr& e) {
  if (e.query == nullptr || e.sublink != sql::sublink_kind::scalar) return false;
  const sql::select_query& q = *e.query;
  return q.with.tables.empty() && q.from.empty() && q.where == nullptr && q.set_op == sql::set_operation::none &&
         q.targets.size() == 1 && q.targets.front().value != nullptr &&
         q.targets.front().value->kind == sql::expr_kind::cast && q.targets.front().value->children.size() == 1 &&
         q.targets.front().value->children.front() != nullptr &&
         q.targets.front().value->children.front()->kind == sql::expr_kind::constant;
}

class chooser {
 public:
  chooser(const sql::update_query& q, std::string_view text, const analysis& a, const plan_context& context,
          const table_use& use, const update_clauses& clauses)
      : q_{q}, text_{text}, a_{a}, context_{context}, use_{use}, clauses_{clauses} {}

  std::optional<chosen_rows> write() {
    for (const std::string& name : use_.table.described->primary_key) {
      const std::string key = add("k", quote_identifier(use_.alias) + "." + quote_identifier(name));
      distinct_ += (distinct_.empty() ? "" : ", ") + key;
      found_by_ += (found_by_.empty() ? "" : " AND ") + quote_identifier(use_.alias) + "." + quote_identifier(name) +
                   " OPERATOR(pg_catalog.=) " + std::string{rows_alias} + "." + key;
    }
    std::string returning;
    if (!write_values() || !write_returning(returning)) return std::nullopt;
    chosen_rows out;
    const std::string_view with = text_.substr(0, clauses_.begin);
    if (!q_.with.tables.empty()) out.read = with;
    std::string rows = "SELECT " + list_ + " FROM " + std::string{clauses_.target.of(text_)};
    if (!clauses_.from.empty()) rows.append(", ").append(clauses_.from.of(text_));
    if (!clauses_.where.empty()) rows.append(" WHERE ").append(clauses_.where.of(text_));
    out.query = out.read + "SELECT DISTINCT ON (" + distinct_ + ") * FROM (" + rows +
                (sets_key() ? " FOR UPDATE OF " : " FOR NO KEY UPDATE OF ") + quote_identifier(use_.alias) + ") AS " +
                std::string{rows_alias};
    out.read += rows;
    out.front = "UPDATE " + std::string{clauses_.target.of(text_)} + " SET" + sets_text() + " FROM (";
    out.behind = ") AS " + std::string{rows_alias} + " WHERE " + found_by_ + returning;
    out.timed = std::any_of(a_.moments.begin(), a_.moments.end(), [&](const sql::expr* call) {
      return clauses_.returning.empty() || call->location < static_cast<std::int32_t>(clauses_.returning.begin);
    });
    if (!has_parameters_apart(out)) return std::nullopt;
    return out;
  }

 private:
  /// A further column of the query; its name.
  std::string add(std::string_view kind, const std::string& value) {
    const std::string name = "pgbraid_" + std::string{kind} + std::to_string(++columns_);
    list_ += (list_.empty() ? "" : ", ") + value + " AS " + name;
    return name;
  }

  [[nodiscard]] bool sets_key() const {
    const std::vector<std::string>& key = use_.table.described->primary_key;
    return std::any_of(q_.set.begin(), q_.set.end(),
                       [&](const sql::target& t) { return std::find(key.begin(), key.end(), t.name) != key.end(); });
  }

  /// What columns are set to: in the query, but for constants.
  bool write_values() {
    if (clauses_.values.size() != q_.set.size() || clauses_.values.empty()) return false;
    for (std::size_t i = 0; i < q_.set.size(); ++i) {
      const sql::target& set = q_.set[i];
      if (set.value == nullptr) return false;
      const text_span& place = clauses_.values[i];
      std::string value = "(" + std::string{place.of(text_)} + ")";
      if (set.value->kind == sql::expr_kind::default_) {
        const auto own = default_of(set.name);
        if (!own) continue;
        value = "(" + *own + ")";
      } else if (stays_in_set(*set.value)) {
        continue;
      }
      edits_.push_back({place.begin, place.end - place.begin, std::string{rows_alias} + "." + add("n", value)});
    }
    return true;
  }

  /// A default that is another value in each row; nothing for others, which each copy comes to by itself.
  [[nodiscard]] std::optional<std::string> default_of(const std::string& name) const {
    for (const column& c : use_.table.described->columns) {
      if (c.name != name || !c.default_varies) continue;
      const default_facts facts = facts_of_default(c, context_);
      if (facts.by_row && !facts.by_moment && !facts.differs) return c.default_text;
    }
    return std::nullopt;
  }

  [[nodiscard]] std::string sets_text() const {
    // SET stands between the target and the first value.
    std::size_t begin = clauses_.target.end;
    while (begin < text_.size() && !is_word_start(text_[begin])) {
      const std::size_t past = skip_quoted(text_, begin);
      begin = past == begin ? begin + 1 : past;
    }
    begin = end_of_word(text_, begin);
    const std::size_t end = end_of_sets();
    std::vector<text_edit> edits = edits_;
    return edited(text_, begin, end, std::move(edits));
  }

  /// Behind the last value, and the parenthesis of a row.
  [[nodiscard]] std::size_t end_of_sets() const {
    std::size_t end = clauses_.values.back().end;
    const std::size_t next = skip_blanks(text_, end);
    const bool closes = next < text_.size() && text_[next] == ')';
    return closes ? next + 1 : end;
  }

  /// The columns of FROM that RETURNING names come with the rows.
  bool write_returning(std::string& out) {
    if (q_.returning.empty()) return true;
    const std::string list = "SELECT " + std::string{clauses_.returning.of(text_)};
    const auto items = clauses_of(list, 0, list.size());
    if (!items || items->targets.size() != q_.returning.size()) return false;
    const std::size_t ahead = clauses_.returning.begin - std::string_view{"SELECT "}.size();
    for (std::size_t i = 0; i < q_.returning.size(); ++i) {
      const text_span place{items->targets[i].begin + ahead, items->targets[i].end + ahead};
      std::string item;
      if (!write_returned(q_.returning[i], place, item)) return false;
      out += (out.empty() ? " RETURNING " : ", ") + item;
    }
    return true;
  }

  bool write_returned(const sql::target& t, const text_span& place, std::string& out) {
    if (t.value == nullptr) return false;
    const bool star = t.value->kind == sql::expr_kind::column && t.value->star;
    if (star && (t.value->name.empty() || !of_written(*t.value))) return write_stars(t.value->name, out);
    std::vector<text_edit> edits;
    if (!find_columns(*t.value, edits)) return false;
    const bool renamed = !edits.empty() && t.name.empty();
    const auto name = renamed ? result_name(*t.value) : std::nullopt;
    if (renamed && !name) return false;
    out = edited(text_, place.begin, place.end, std::move(edits));
    if (name) out += " AS " + quote_identifier(*name);
    return true;
  }

  /// All columns of all tables, or of one in FROM.
  bool write_stars(const sql::qualified_name& named, std::string& out) {
    if (named.size() > 1) return false;
    if (named.empty()) out = quote_identifier(use_.alias) + ".*";
    for (const sql::from_item& item : q_.from) {
      const auto found = a_.use_of.find(&item);
      if (found == a_.use_of.end()) return false;
      const table_use& use = a_.uses[found->second];
      if (use.table.described == nullptr || !use.column_aliases.empty()) return false;
      if (!named.empty() && named.front() != use.alias) continue;
      for (const column& c : use.table.described->columns) {
        const std::string value = quote_identifier(use.alias) + "." + quote_identifier(c.name);
        out += (out.empty() ? "" : ", ") + std::string{rows_alias} + "." + add("r", value) + " AS " +
               quote_identifier(c.name);
      }
    }
    return !out.empty();
  }

  /// Edits for the columns in an expression of RETURNING that are not the written table's. False: it has others than
  /// can be told apart.
  bool find_columns(const sql::expr& e, std::vector<text_edit>& edits) {
    if (e.kind == sql::expr_kind::subquery || e.query != nullptr) {
      return (q_.from.empty() && q_.with.tables.empty()) || reads_nothing(e);
    }
    if (e.kind == sql::expr_kind::column && !of_written(e)) {
      if (e.star || e.location < 0 || e.name.empty() || e.name.size() > 2) return false;
      if (e.name.size() == 1 && names_whole_row(a_, use_.level, e.name[0])) return false;
      const auto begin = static_cast<std::size_t>(e.location);
      const std::size_t end = end_of_name(text_, begin, e.name);
      if (end == begin) return false;
      std::string value{text_.substr(begin, end - begin)};
      edits.push_back({begin, end - begin, std::string{rows_alias} + "." + add("r", value)});
    }
    if (e.filter != nullptr || !e.order.empty() || !e.window.empty()) return false;
    return std::all_of(e.children.begin(), e.children.end(),
                       [&](const sql::expr_ptr& child) { return child == nullptr || find_columns(*child, edits); });
  }

  /// Beyond doubt, or there is no other table.
  [[nodiscard]] bool of_written(const sql::expr& e) const {
    if (q_.from.empty()) return true;
    if (e.star) return e.name.size() == 1 && e.name[0] == use_.alias;
    if (e.name.size() > 1) return e.name.size() == 2 && e.name[0] == use_.alias;
    if (e.name.empty()) return false;
    // A column of that name in another table too would be ambiguous, and be told so by the server.
    return has_column(use_, e.name[0]) || (e.name[0] == use_.alias && names_whole_row(a_, use_.level, e.name[0]));
  }

  /// Each of the two statements tells the types of its own parameters: of one that stands alone they are the same.
  [[nodiscard]] bool has_parameters_apart(const chosen_rows& rows) const {
    for (const std::size_t n : parameters_in(rows.read)) {
      if (n > a_.parameter_uses.size() || a_.parameter_uses[n - 1] != 1) return false;
    }
    return true;
  }

  const sql::update_query& q_;
  std::string_view text_;
  const analysis& a_;
  const plan_context& context_;
  const table_use& use_;
  const update_clauses& clauses_;
  std::string list_, distinct_, found_by_;
  std::vector<text_edit> edits_;
  std::size_t columns_ = 0;
};

}  // namespace

std::optional<chosen_rows> choose_rows(const sql::statement& s, std::string_view text, const analysis& a,
                                       const plan_context& context) {
  if (s.update == nullptr || !a.mirrored || !may_come_first(a) || text.find(rows_alias) != std::string_view::npos)
    return std::nullopt;
  const auto writes = [](const table_use& use) { return use.role != table_role::read; };
  const auto written = std::find_if(a.uses.begin(), a.uses.end(), writes);
  const bool copies = std::all_of(a.uses.begin(), a.uses.end(),
                                  [](const table_use& use) { return use.table.where == placement::reference; });
  if (!copies || std::count_if(a.uses.begin(), a.uses.end(), writes) != 1 || !may_choose(a, *written))
    return std::nullopt;
  const auto clauses = update_clauses_of(text);
  if (!clauses) return std::nullopt;
  const std::vector<sql::common_table>& entries = s.update->with.tables;
  const bool bare = skip_blanks(text, 0) == clauses->begin;
  // An entry of the table's name hides it from a SELECT, but not from an UPDATE.
  const bool hidden = std::any_of(entries.begin(), entries.end(),
                                  [&](const sql::common_table& e) { return e.name == s.update->table.back(); });
  if (bare != entries.empty() || hidden) return std::nullopt;
  return chooser{*s.update, text, a, context, *written, *clauses}.write();
}

}  // namespace pgbraid::router
