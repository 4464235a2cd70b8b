// Writes that go out in two steps; see staged.hpp.
#include "router/plan/staged.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "router/plan/clauses.hpp"
#include "router/plan/gather_text.hpp"
#include "router/plan/insert_select.hpp"
#include "router/plan/merge.hpp"
#include "router/plan/merge_source.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/planner.hpp"
#include "router/plan/read_text.hpp"
#include "router/plan/row_moves.hpp"
#include "router/plan/rows.hpp"
#include "router/plan/scatter.hpp"
#include "router/plan/staged_locks.hpp"
#include "router/plan/staged_parts.hpp"
#include "router/plan/staged_source.hpp"
#include "router/plan/words.hpp"
#include "router/plan/writing_with.hpp"

namespace pgbraid::router {
namespace {

/// Copies of a reference table need not have their rows in the same order.
bool orders_copies(const analysis& a, std::size_t level) {
  return !a.levels[level].exact && std::any_of(a.uses.begin(), a.uses.end(), [&](const table_use& use) {
    return use.level == level && use.table.where == placement::reference;
  });
}

bool may_read_gathered(const analysis& a, const plan_context& context) {
  if (!writes_spread(a, context) || a.locking || a.into || a.not_understood || a.refusal || a.types_differ)
    return false;
  if (!a.functions.differs.empty() || !a.functions.user_code.empty() || a.functions.measures_shard) return false;
  for (const table_use& use : a.uses) {
    // A view would be evaluated on each shard, for which its rows must not depend on anything: they are fetched
    // instead.
    const bool here = use.table.where == placement::sharded || use.table.where == placement::reference;
    if (!here) return false;
    if (use.role != table_role::read &&
        (use.table.where != placement::sharded || use.keys.empty() || use.level >= a.levels.size()))
      return false;
  }
  // What is asked anew for each row that is written, may choose anew for each.
  for (std::size_t i = 0; i < a.levels.size(); ++i) {
    if (!a.levels[i].top && !a.levels[i].of_written_row && orders_copies(a, i)) return false;
  }
  return std::all_of(a.levels.begin(), a.levels.end(), [](const query_level& level) {
    if (level.tablesample || level.row_value || !level.system_column.empty()) return false;
    return level.top || chooses_none(level) || (level.of_written_row && level.by_row.empty());
  });
}

}  // namespace

bool write_defaults(const sql::insert_query& q, std::string_view text, const analysis& a, const plan_context& context,
                    moment_list& moments, std::vector<text_edit>& edits) {
  const auto written =
      std::find_if(a.uses.begin(), a.uses.end(), [](const table_use& use) { return use.role == table_role::insert; });
  if (written == a.uses.end() || written->table.described == nullptr || q.source == nullptr || q.source->values.empty())
    return false;
  const std::vector<row_extent> rows = rows_of(text);
  const std::vector<std::vector<sql::expr_ptr>>& values = q.source->values;
  if (rows.size() != values.size()) return false;
  const std::vector<column>& columns = written->table.described->columns;
  // Without a list of columns the values are those of the first ones.
  std::vector<std::string> named;
  for (const sql::target& t : q.columns) {
    if (t.indirection) return false;
    named.push_back(t.name);
  }
  const std::size_t given = values.front().size();
  if (q.columns.empty()) {
    if (given > columns.size()) return false;
    for (std::size_t i = 0; i < given; ++i) named.push_back(columns[i].name);
  }
  std::string more_columns, more_values;
  for (const std::string& name : a.moment_defaults) {
    const auto c = std::find_if(columns.begin(), columns.end(), [&](const column& each) { return each.name == name; });
    if (c == columns.end()) return false;
    const auto value = moments.replace_in_default(c->default_text, context);
    if (!value) return false;
    const auto place = std::find(named.begin(), named.end(), name);
    if (place == named.end()) {
      more_columns += ", " + quote_identifier(name);
      more_values += ", " + *value;
      continue;
    }
    const auto at = static_cast<std::size_t>(place - named.begin());
    for (const std::vector<sql::expr_ptr>& row : values) {
      if (at >= row.size() || row[at] == nullptr) return false;
      if (row[at]->kind != sql::expr_kind::default_) continue;
      if (row[at]->location < 0) return false;
      edits.push_back({static_cast<std::size_t>(row[at]->location), std::string_view{"DEFAULT"}.size(), *value});
    }
  }
  if (more_columns.empty()) return true;
  if (!q.columns.empty()) {
    const auto end = end_of_columns(q, text);
    if (!end) return false;
    edits.push_back({*end, 0, more_columns});
  } else {
    std::string list;
    for (const std::string& name : named) list += (list.empty() ? "" : ", ") + quote_identifier(name);
    const std::size_t keyword = values_keyword(text);
    if (keyword == std::string_view::npos || q.overriding) return false;
    edits.push_back({keyword, 0, "(" + list + more_columns + ") "});
  }
  for (const row_extent& row : rows) edits.push_back({row.end - 1, 0, more_values});
  return true;
}

namespace {

/// The time in UPDATE ... SET column = DEFAULT.
bool write_defaults(const sql::update_query& q, const analysis& a, const plan_context& context, moment_list& moments,
                    std::vector<text_edit>& edits) {
  const auto written =
      std::find_if(a.uses.begin(), a.uses.end(), [](const table_use& use) { return use.role == table_role::update; });
  if (written == a.uses.end() || written->table.described == nullptr) return false;
  for (const sql::target& set : q.set) {
    if (set.value == nullptr || set.value->kind != sql::expr_kind::default_) continue;
    if (std::find(a.moment_defaults.begin(), a.moment_defaults.end(), set.name) == a.moment_defaults.end()) continue;
    const std::vector<column>& columns = written->table.described->columns;
    const auto c =
        std::find_if(columns.begin(), columns.end(), [&](const column& each) { return each.name == set.name; });
    if (c == columns.end() || set.value->location < 0) return false;
    const auto value = moments.replace_in_default(c->default_text, context);
    if (!value) return false;
    edits.push_back({static_cast<std::size_t>(set.value->location), std::string_view{"DEFAULT"}.size(), *value});
  }
  return true;
}

bool write_defaults(const sql::statement& s, std::string_view text, const analysis& a, const plan_context& context,
                    moment_list& moments, std::vector<text_edit>& edits) {
  if (a.moment_defaults.empty()) return true;
  if (s.insert != nullptr) return write_defaults(*s.insert, text, a, context, moments, edits);
  if (s.merge != nullptr) return write_merge_defaults(*s.merge, text, a, context, moments, edits);
  return s.update != nullptr && write_defaults(*s.update, a, context, moments, edits);
}

/// Its rows must be there before it is known where they go: they are those of a query, or a row whose values are.
bool selects_first(const sql::insert_query& q, const analysis& a, const plan_context& context) {
  if (a.insert_source != nullptr) return !a.moment_defaults.empty() || !a.drawn.empty() || judge_insert_select(a, context);
  if (a.key_unknown) return true;
  const auto reads = [](const table_use& use) {
    return use.role == table_role::read && use.table.where != placement::reference;
  };
  return q.source != nullptr && q.source->values.size() == 1 && std::any_of(a.uses.begin(), a.uses.end(), reads);
}

/// Each shard may be given the statement, or its own rows of it, once the time is in its text.
bool every_shard_may(const sql::statement& s, const analysis& a, const plan_context& context, bool chosen) {
  const auto by_row = [](const query_level& level) { return !level.by_row.empty(); };
  if (a.mirrored) return !judge_mirror(a, true, chosen) && std::none_of(a.levels.begin(), a.levels.end(), by_row);
  if (s.kind == sql::statement_kind::insert)
    return a.insert_source != nullptr ? !judge_insert_select(a, context) : a.rows_may_split;
  const bool locks = s.kind == sql::statement_kind::select && a.locking && !a.writes;
  if (locks && make_merge(s, a, context) != nullptr) return true;
  return (locks || s.kind == sql::statement_kind::update || s.kind == sql::statement_kind::delete_ ||
          s.kind == sql::statement_kind::merge) &&
         !judge_scatter(a, context);
}

/// A SELECT, UPDATE or DELETE over rows of other shards. Null where these cannot stand for their tables.
std::shared_ptr<staged_write> make_over_rows(const sql::statement& s, std::string_view text, const analysis& a,
                                             const plan_context& context, const writing_with* writing,
                                             std::vector<text_edit> edits) {
  gather_query query;
  query.statement = &s;
  query.text = text;
  query.end = text.size();
  query.literals = true;
  query.edits = std::move(edits);
  query.writing = writing;
  auto out = std::make_shared<staged_write>();
  out->rows = make_gather(query, a, context);
  if (out->rows == nullptr || !takes_part(out->rows->combiner, context)) return nullptr;
  out->text = out->rows->combine_sql;
  return out;
}

std::shared_ptr<const staged_write> make_behind_writes(const sql::statement& s, std::string_view text,
                                                       const analysis& found, const plan_context& context) {
  const auto writing = take_writes_out(s, text, found, context);
  if (!writing) return nullptr;
  const read_text read{writing->text, context};
  if (read.statement() == nullptr) return nullptr;
  const sql::statement& rest = *read.statement();
  const analysis& a = read.found;
  if (a.refusal || a.mirrored || a.moves || !may_come_after(*writing, rest, a, context)) return nullptr;
  const auto through = [](const table_use& use) { return use.table.through != nullptr; };
  if (std::any_of(a.uses.begin(), a.uses.end(), through)) return nullptr;
  std::shared_ptr<staged_write> out;
  if (rest.kind == sql::statement_kind::insert && carrier_of(a, false).one)
    return make_into_one(rest, *writing, a, text, context);
  if (rest.kind == sql::statement_kind::insert) {
    if (!a.drawn.empty() && a.insert_source == nullptr) return nullptr;
    out = std::make_shared<staged_write>();
    out->shown = text;
    out->source = make_source(*rest.insert, writing->text, a, context, &*writing, *out);
    return out->source == nullptr ? nullptr : out;
  }
  moment_list moments = writing->moments;
  std::vector<text_edit> edits;
  if (!a.moment_defaults.empty() || a.default_differs || !moments.replace(writing->text, a, edits)) return nullptr;
  if (rest.kind != sql::statement_kind::select && !may_read_gathered(a, context)) return nullptr;
  out = make_over_rows(rest, writing->text, a, context, &*writing, std::move(edits));
  if (out == nullptr) return nullptr;
  out->moments_sql = moments.sql();
  out->answered_once = rest.kind == sql::statement_kind::select;
  out->shown = text;
  return out;
}

}  // namespace

std::shared_ptr<const staged_write> make_staged(const sql::statement& s, std::string_view text, const analysis& a,
                                                const plan_context& context, replanning* again) {
  if (text.find(moment_mark) != std::string_view::npos || !context.schema->single_writer.empty()) return nullptr;
  // SEARCH and CYCLE stand behind the bodies of WITH, and would be left behind.
  const sql::with_clause* with = own_with(s);
  if (with != nullptr && with->recursive && (has_word(text, "search") || has_word(text, "cycle"))) return nullptr;
  if (writes_in_with(s)) {
    const auto out = make_behind_writes(s, text, a, context);
    return out == nullptr ? make_once(s, text, a, context, again) : out;
  }
  if (!a.drawn.empty() && a.insert_source == nullptr) return nullptr;  // drawn first: see drawing.hpp
  if (a.moves) {
    std::string why;
    const auto moved = make_row_move(*s.update, text, a, context, why);
    return moved == nullptr ? make_once(s, text, a, context, again) : moved;
  }
  auto out = std::make_shared<staged_write>();
  if (s.kind == sql::statement_kind::insert && !a.mirrored &&
      (again != nullptr || selects_first(*s.insert, a, context))) {
    out->source = make_source(*s.insert, text, a, context, nullptr, *out);
    return out->source == nullptr ? make_once(s, text, a, context, again) : out;
  }
  const bool views = std::any_of(a.uses.begin(), a.uses.end(),
                                 [](const table_use& use) { return use.table.where == placement::spread_view; });
  if (s.merge != nullptr && !a.mirrored && (views || judge_scatter(a, context))) {
    out->source = make_merge_source(*s.merge, text, a, context, *out);
    return out->source == nullptr ? make_once(s, text, a, context, again) : out;
  }
  if (only_home(a)) return make_once(s, text, a, context, again);
  moment_list moments;
  std::vector<text_edit> edits;
  if (a.default_differs || !moments.replace(text, a, edits)) return nullptr;
  if (!write_defaults(s, text, a, context, moments, edits)) return nullptr;
  out->moments_sql = moments.sql();
  const bool changes = s.kind == sql::statement_kind::update || s.kind == sql::statement_kind::delete_;
  if (changes && !a.mirrored && (views || judge_scatter(a, context))) {
    const auto over =
        may_read_gathered(a, context) ? make_over_rows(s, text, a, context, nullptr, std::move(edits)) : nullptr;
    if (over == nullptr) return make_once(s, text, a, context, again);
    over->moments_sql = std::move(out->moments_sql);
    return over;
  } else {
    if (views || !every_shard_may(s, a, context, again != nullptr && again->chosen)) {
      const auto locked = locks_rows_alone(s, a) ? make_locked_select(s, text, a, context, again) : nullptr;
      return locked == nullptr ? make_once(s, text, a, context, again) : locked;
    }
    out->text = edited(text, 0, text.size(), std::move(edits));
  }
  return out;
}

namespace {

/// The time that columns of INSERT ... SELECT are left to by default, behind its columns and behind its SELECT list.
bool select_defaults(const sql::insert_query& q, std::string_view text, const analysis& a, const plan_context& context,
                     moment_list& moments, std::vector<text_edit>& edits) {
  const auto written =
      std::find_if(a.uses.begin(), a.uses.end(), [](const table_use& use) { return use.role == table_role::insert; });
  const auto parts = parts_of_text(text);
  const auto list = end_of_columns(q, text);
  if (written == a.uses.end() || written->table.described == nullptr || !parts || q.columns.empty() || !list)
    return false;
  const auto clauses = clauses_of(text, parts->source, parts->end);
  if (!clauses || clauses->targets.empty()) return false;
  std::string names, values;
  for (const std::string& name : a.moment_defaults) {
    const std::vector<column>& columns = written->table.described->columns;
    const auto c = std::find_if(columns.begin(), columns.end(), [&](const column& each) { return each.name == name; });
    const auto value = c == columns.end() ? std::nullopt : moments.replace_in_default(c->default_text, context);
    if (!value) return false;
    names += ", " + quote_identifier(name);
    values += ", " + *value;
  }
  edits.push_back({*list, 0, names});
  edits.push_back({clauses->targets.back().end, 0, values});
  return true;
}

}  // namespace

std::shared_ptr<const staged_write> make_timed(const sql::statement& s, std::string_view text, const analysis& a,
                                               const plan_context& context) {
  const bool query = s.kind == sql::statement_kind::select || s.kind == sql::statement_kind::insert ||
                     s.kind == sql::statement_kind::update || s.kind == sql::statement_kind::delete_ ||
                     s.kind == sql::statement_kind::merge;
  // What WITH writes may leave columns to the time, which would be the shard's beside the transaction's.
  if (!query || writes_in_with(s) || (a.moments.empty() && a.moment_defaults.empty()) || a.default_differs ||
      a.refusal || text.find(moment_mark) != std::string_view::npos)
    return nullptr;
  moment_list moments;
  std::vector<text_edit> edits;
  if (!moments.replace(text, a, edits)) return nullptr;
  const bool selects = !a.moment_defaults.empty() && a.insert_source != nullptr && s.insert != nullptr;
  if (selects ? !select_defaults(*s.insert, text, a, context, moments, edits)
              : !write_defaults(s, text, a, context, moments, edits))
    return nullptr;
  auto out = std::make_shared<staged_write>();
  out->moments_sql = moments.sql();
  out->text = edited(text, 0, text.size(), std::move(edits));
  return out;
}

std::shared_ptr<const staged_write> plan_timed(std::string_view text, const plan_context& given) {
  static const catalog empty_catalog;
  plan_context context = given;
  if (context.schema == nullptr) context.schema = &empty_catalog;
  const read_text read{text, context};
  return read.statement() == nullptr ? nullptr : make_timed(*read.statement(), text, read.found, context);
}

std::shared_ptr<const staged_write> plan_staged(std::string_view text, const plan_context& given, replanning* again) {
  static const catalog empty_catalog;
  plan_context context = given;
  if (context.schema == nullptr) context.schema = &empty_catalog;
  const read_text read{text, context};
  return read.statement() == nullptr ? nullptr : make_staged(*read.statement(), text, read.found, context, again);
}

}  // namespace pgbraid::router
