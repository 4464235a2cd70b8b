// Takes the writes out of a WITH; see writing_with.hpp.
#include "router/plan/writing_with.hpp"

#include <algorithm>
#include <utility>

#include "router/plan/clauses.hpp"
#include "router/plan/columns.hpp"
#include "router/plan/gather_text.hpp"
#include "router/plan/insert_select.hpp"
#include "router/plan/read_text.hpp"
#include "router/plan/same_expression.hpp"
#include "router/plan/scatter.hpp"
#include "router/plan/staged.hpp"
#include "router/plan/staged_parts.hpp"
#include "router/plan/staged_source.hpp"
#include "router/plan/words.hpp"
#include "router/shard/value_map.hpp"
#include "router/sql/merge_query.hpp"

namespace pgbraid::router {
namespace {

using kind = sql::statement_kind;

bool writes(const sql::common_table& entry) {
  return entry.query != nullptr && entry.query->kind != kind::select;
}

std::string word_at(std::string_view text, std::size_t at) {
  return at < text.size() ? lower_word(text.substr(at, end_of_word(text, at) - at)) : std::string{};
}

bool names_entry(const analysis& a, const sql::with_clause& with) {
  return std::any_of(a.use_of.begin(), a.use_of.end(), [&](const auto& item) {
    const sql::qualified_name& name = item.first->name;
    return name.size() == 1 && std::any_of(with.tables.begin(), with.tables.end(),
                                           [&](const sql::common_table& entry) { return entry.name == name[0]; });
  });
}

const std::vector<sql::target>& returning_of(const sql::statement& s) {
  if (s.insert != nullptr) return s.insert->returning;
  return s.update != nullptr ? s.update->returning : s.delete_->returning;
}

/// Whether RETURNING may tell of other tables than the written one.
bool reads_others(const sql::statement& s) {
  return (s.update != nullptr && !s.update->from.empty()) || (s.delete_ != nullptr && !s.delete_->using_.empty());
}

/// The columns of RETURNING. False where one's name is not known.
bool describe_returning(const sql::statement& s, const analysis& a, const table_use& use, writing_entry& out) {
  for (const sql::target& t : returning_of(s)) {
    if (t.value == nullptr || t.indirection) return false;
    const sql::expr& value = *t.value;
    if (value.kind == sql::expr_kind::column && value.star) {
      const bool own = value.name.empty() ? !reads_others(s) : value.name.size() == 1 && value.name[0] == use.alias;
      if (!own) return false;
      for (const column& c : use.table.described->columns) out.columns.push_back({c.name, &c});
      continue;
    }
    const auto name = t.name.empty() ? result_name(value) : std::optional{t.name};
    if (!name) return false;
    const column* own = nullptr;
    if (value.kind == sql::expr_kind::column &&
        use_of_column(a, {use.level, nullptr}, value) == a.levels[use.level].target) {
      const auto& columns = use.table.described->columns;
      const auto found =
          std::find_if(columns.begin(), columns.end(), [&](const column& c) { return c.name == value.name.back(); });
      if (found != columns.end()) own = &*found;
    }
    out.columns.push_back({*name, own});
  }
  return true;
}

/// What stands behind RETURNING, outside of parentheses; "" without it.
std::string_view text_of_returning(std::string_view text) {
  int depth = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (const std::size_t past = skip_quoted(text, at); past != at) {
      at = past;
    } else if (is_word_start(text[at])) {
      const std::size_t end = end_of_word(text, at);
      if (depth == 0 && lower_word(text.substr(at, end - at)) == "returning") return text.substr(end);
      at = end;
    } else {
      depth += text[at] == '(' ? 1 : text[at] == ')' ? -1 : 0;
      ++at;
    }
  }
  return {};
}

/// What an INSERT needs to be each shard's own: all rows that it selects are there, or those of VALUES are shared out.
bool share_out(const sql::insert_query& q, std::string_view body, const analysis& found, const table_use& use,
               const plan_context& context, moment_list& moments, std::vector<text_edit>& edits, writing_entry& out) {
  if (found.insert_source != nullptr) return !judge_insert_select(found, context) && found.moment_defaults.empty();
  // What stands for an INSERT without rows knows its table by one name, and gives columns alone.
  const auto more = [](const query_level& level) {
    return level.row_value || level.whole_row || !level.system_column.empty();
  };
  if (!found.rows_may_split || found.key_unknown || !found.schema_columns.empty() ||
      std::any_of(found.levels.begin(), found.levels.end(), more))
    return false;
  if (!found.moment_defaults.empty() && !write_defaults(q, body, found, context, moments, edits)) return false;
  const std::string_view returned = text_of_returning(body);
  out.nothing = "SELECT 1 WHERE false";
  if (returned.empty()) return true;
  out.nothing.assign("SELECT ").append(returned).append("\n FROM ");
  out.nothing += quote_identifier(use.table.described->schema) + "." + quote_identifier(use.table.described->name) +
                 " AS " + quote_identifier(use.alias) + " WHERE false";
  return true;
}

/// The entries before this one that its body names, as a WITH in front of it; nothing where one of them is more than
/// constants, which are the same wherever they are said again.
std::optional<std::string> constants_for(std::string_view body, std::size_t entry, std::string_view text,
                                         const std::vector<text_span>& bodies, const sql::with_clause& with,
                                         const plan_context& context) {
  std::vector<std::size_t> named;
  std::string wanted{body};
  for (std::size_t i = entry; i > 0; --i) {
    const sql::common_table& other = with.tables[i - 1];
    if (occurrences(wanted, other.name) == 0) continue;
    const std::string_view query = bodies[i - 1].of(text);
    const read_text read{query, context};
    const analysis& a = read.found;
    const bool constant = read.select() != nullptr && a.uses.empty() && a.moments.empty() && !a.refusal &&
                          !a.not_understood && !a.into && a.parameter_uses.empty() && a.functions.differs.empty() &&
                          a.functions.user_code.empty() &&
                          std::all_of(a.levels.begin(), a.levels.end(), [](const auto& l) { return l.by_row.empty(); });
    if (writes(other) || !constant) return std::nullopt;
    wanted.append(" ").append(query);
    named.push_back(i - 1);
  }
  std::string out;
  for (auto i = named.rbegin(); i != named.rend(); ++i) {
    out.append(out.empty() ? "WITH " : ", ").append(quote_identifier(with.tables[*i].name));
    std::string columns;
    for (const std::string& name : with.tables[*i].columns)
      columns.append(columns.empty() ? "(" : ", ").append(quote_identifier(name));
    out.append(columns).append(columns.empty() ? " AS (" : ") AS (").append(bodies[*i].of(text)).append(") ");
  }
  return out;
}

/// All parts of the written table's key are equal to one value each.
bool tied_to_one_key(const analysis& a, std::size_t use) {
  for (std::size_t part = 0; part < a.uses[use].keys.size(); ++part) {
    const bool tied = std::any_of(a.ties.begin(), a.ties.end(), [&](const key_tie& tie) {
      return tie.place.use == use && tie.place.part == part && tie.sources.size() == 1 && !tie.sources.front().array;
    });
    if (!tied) return false;
  }
  return true;
}

/// A write that each shard does its part of by itself.
bool read_body(std::string_view body, const sql::with_clause& with, const plan_context& context, moment_list& moments,
               writing_entry& out) {
  const read_text read{body, context};
  if (read.statement() == nullptr) return false;
  const sql::statement& s = *read.statement();
  if (s.kind != kind::insert && s.kind != kind::update && s.kind != kind::delete_) return false;
  const analysis& found = read.found;
  if (found.refusal || found.not_understood || found.into || found.locking || found.moves || found.mirrored ||
      found.types_differ || found.written_types_differ || !found.functions.user_code.empty() || !found.drawn.empty() ||
      !found.draws.empty() || found.default_differs || names_entry(found, with) || only_home(found))
    return false;
  const auto use =
      std::find_if(found.uses.begin(), found.uses.end(), [](const table_use& u) { return u.role != table_role::read; });
  if (use == found.uses.end() || use->table.where != placement::sharded || use->keys.empty()) return false;
  // Another write of the statement may name the table below.
  if (use->table.through != nullptr) return false;
  if (s.kind == kind::insert && use->values != nullptr && use->values->looks_up()) return false;
  std::vector<text_edit> edits;
  if (!moments.replace(body, found, edits)) return false;
  if (s.kind == kind::insert) {
    if (!share_out(*s.insert, body, found, *use, context, moments, edits, out)) return false;
  } else if (!found.moment_defaults.empty() || judge_scatter(found, context)) {
    return false;
  }
  out.tied = s.kind != kind::insert && tied_to_one_key(found, static_cast<std::size_t>(use - found.uses.begin()));
  out.body = edited(body, 0, body.size(), std::move(edits));
  out.written = use->table.described;
  return describe_returning(s, found, *use, out);
}

/// Whether what is written to the one may be rows of the other: a table and one that inherits from it. Partitions are
/// reached by their root alone.
bool may_share_rows(const relation* one, const relation* other) {
  if (one == other) return true;
  const auto spreads = [](const relation* r) { return r != nullptr && r->kind == 'r' && r->writes_spread; };
  return spreads(one) && spreads(other);
}

/// Whether rows that refer to those of a table may go or change with what a statement does.
bool takes_along(const sql::statement& s, const relation& written) {
  if (s.kind == kind::delete_) return true;
  if (s.update == nullptr) return false;
  return std::any_of(s.update->set.begin(), s.update->set.end(), [&](const sql::target& t) {
    return std::any_of(
        written.unique_keys.begin(), written.unique_keys.end(),
        [&](const std::vector<std::string>& key) { return std::find(key.begin(), key.end(), t.name) != key.end(); });
  });
}

/// Whether a table's foreign keys lead to the other, by way of further tables or at once.
bool refers(const relation& from, const relation& to, const plan_context& context) {
  std::vector<const relation*> seen{&from};
  for (std::size_t i = 0; i < seen.size(); ++i) {
    for (const std::string& name : seen[i]->refers_to) {
      const auto found = context.schema->relations.find(name);
      if (found == context.schema->relations.end()) continue;
      if (&found->second == &to) return true;
      if (std::find(seen.begin(), seen.end(), &found->second) == seen.end()) seen.push_back(&found->second);
    }
  }
  return false;
}

/// Whether each shard comes to the same whichever of two writes of one table comes first. The two do not see each
/// other's rows; of a row that both change, one change is lost in PostgreSQL too (the manual's chapter "Data-Modifying
/// Statements in WITH"), which only two that name the same key can come to.
bool either_may_come_first(const writing_entry& one, const writing_entry& other) {
  if (one.written != other.written) return false;
  // Its triggers may change columns that the statement does not name.
  if (one.adds != other.adds && !one.written->row_code.empty()) return false;
  if (one.adds || other.adds) return (one.adds || !one.deletes) && (other.adds || !other.deletes);
  return one.tied && other.tied;
}

std::string stand_in(const writing_entry& entry) {
  if (entry.columns.empty()) return "SELECT 1 WHERE false";
  std::string out;
  for (const returned_column& c : entry.columns)
    out +=
        (out.empty() ? "SELECT NULL::pg_catalog.text AS " : ", NULL::pg_catalog.text AS ") + quote_identifier(c.name);
  return out;
}

}  // namespace

const sql::with_clause* own_with(const sql::statement& s) {
  if (s.select != nullptr) return &s.select->with;
  if (s.insert != nullptr) return &s.insert->with;
  if (s.update != nullptr) return &s.update->with;
  if (s.merge != nullptr) return &s.merge->with;
  return s.delete_ != nullptr ? &s.delete_->with : nullptr;
}

std::optional<std::vector<text_span>> bodies_of_with(std::string_view text, std::size_t count) {
  std::vector<text_span> out;
  std::size_t at = with_position(text);
  const auto past_list = [&]() -> bool {
    const auto past = past_parentheses(text, at, text.size());
    if (past) at = skip_blanks(text, *past);
    return past.has_value();
  };
  const auto past_word = [&](std::string_view word) {
    if (word_at(text, at) != word) return false;
    at = skip_blanks(text, end_of_word(text, at));
    return true;
  };
  while (out.size() < count) {
    at = skip_blanks(text, at);
    if (at >= text.size()) return std::nullopt;
    const std::size_t end = text[at] == '"' ? skip_quoted(text, at) : end_of_word(text, at);
    if (end == at) return std::nullopt;
    at = skip_blanks(text, end);
    if (at < text.size() && text[at] == '(' && !past_list()) return std::nullopt;
    if (!past_word("as")) return std::nullopt;
    if (past_word("not") && word_at(text, at) != "materialized") return std::nullopt;
    (void)past_word("materialized");
    if (at >= text.size() || text[at] != '(') return std::nullopt;
    const auto past = past_parentheses(text, at, text.size());
    if (!past) return std::nullopt;
    out.push_back({at + 1, *past - 1});
    at = skip_blanks(text, *past);
    if (out.size() == count) break;
    if (at >= text.size() || text[at] != ',') return std::nullopt;
    ++at;
  }
  return out;
}

bool has_parameters_alone(std::string_view part, const analysis& a) {
  const std::vector<std::size_t> here = parameters_in(part);
  return std::all_of(here.begin(), here.end(), [&](std::size_t n) {
    return n <= a.parameter_uses.size() &&
           static_cast<std::size_t>(std::count(here.begin(), here.end(), n)) == a.parameter_uses[n - 1];
  });
}

bool writes_in_with(const sql::statement& s) {
  const sql::with_clause* with = own_with(s);
  return with != nullptr && std::any_of(with->tables.begin(), with->tables.end(), writes);
}

std::optional<writing_with> take_writes_out(const sql::statement& s, std::string_view text, const analysis& a,
                                            const plan_context& context) {
  const sql::with_clause* with = own_with(s);
  if (with == nullptr || with->recursive || text.find(moment_mark) != std::string_view::npos) return std::nullopt;
  const auto bodies = bodies_of_with(text, with->tables.size());
  if (!bodies) return std::nullopt;
  writing_with out;
  out.parameters = a.parameter_uses.size();
  std::size_t from = 0;
  for (std::size_t i = 0; i < bodies->size(); ++i) {
    if (!writes(with->tables[i])) continue;
    const std::string_view own = (*bodies)[i].of(text);
    const auto constants = constants_for(own, i, text, *bodies, *with, context);
    // An entry's own WITH may mean other things by those names.
    if (!constants || (!constants->empty() && word_at(own, skip_blanks(own, 0)) == "with")) return std::nullopt;
    const std::string body = *constants + std::string{own};
    writing_entry entry;
    if (!has_parameters_alone(body, a) || !read_body(body, *with, context, out.moments, entry)) return std::nullopt;
    const sql::statement& query = *with->tables[i].query;
    entry.deletes = takes_along(query, *entry.written);
    entry.adds = query.insert != nullptr && !query.insert->on_conflict;
    const auto again = [&](const writing_entry& other) {
      return may_share_rows(other.written, entry.written) && !either_may_come_first(other, entry);
    };
    if (std::any_of(out.entries.begin(), out.entries.end(), again)) return std::nullopt;
    out.text.append(text.substr(from, (*bodies)[i].begin - from));
    entry.begin = out.text.size();
    out.text += stand_in(entry);
    entry.length = out.text.size() - entry.begin;
    from = (*bodies)[i].end;
    out.entries.push_back(std::move(entry));
  }
  out.text.append(text.substr(from));
  return out;
}

bool may_come_after(const writing_with& writing, const sql::statement& s, const analysis& rest,
                    const plan_context& context) {
  return std::none_of(rest.uses.begin(), rest.uses.end(), [&](const table_use& use) {
    // What is done to rows that refer to those that are gone or have other keys, is done when the whole statement has
    // ended.
    const bool goes_along =
        use.role != table_role::read && use.table.described != nullptr &&
        std::any_of(writing.entries.begin(), writing.entries.end(), [&](const writing_entry& entry) {
          return entry.deletes && entry.written != nullptr && refers(*use.table.described, *entry.written, context);
        });
    if (goes_along) return true;
    const bool changed = std::any_of(writing.entries.begin(), writing.entries.end(), [&](const writing_entry& entry) {
      return may_share_rows(entry.written, use.table.described);
    });
    if (!changed || s.kind == kind::select) return false;
    // Rows that an INSERT reads have been fetched with the writes; those that it adds are none that they have met.
    return s.kind != kind::insert || (use.role != table_role::read && s.insert->on_conflict);
  });
}

}  // namespace pgbraid::router
