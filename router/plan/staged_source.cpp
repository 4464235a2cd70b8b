// INSERT in two steps; see staged_source.hpp.
#include "router/plan/staged_source.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "router/plan/drawing.hpp"
#include "router/plan/gather_text.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/read_text.hpp"
#include "router/plan/rows.hpp"
#include "router/plan/staged_parts.hpp"
#include "router/plan/targets.hpp"
#include "router/plan/value_rows.hpp"
#include "router/plan/words.hpp"
#include "router/plan/written_type.hpp"

namespace pgbraid::router {
namespace {

bool is_star(const sql::expr& e) {
  return e.kind == sql::expr_kind::column && e.star;
}

/// The expressions that give the columns, as far as they are written.
std::vector<const sql::expr*> values_of(const sql::select_query& q) {
  std::vector<const sql::expr*> out;
  if (q.set_op != sql::set_operation::none) return out;
  if (!q.values.empty()) {
    for (const sql::expr_ptr& e : q.values.front()) out.push_back(e.get());
  } else {
    for (const sql::target& t : q.targets) out.push_back(t.value.get());
  }
  return out;
}

/// What stands in each column of several rows. False where they cannot be evaluated as a query.
bool describe_rows(const std::vector<std::vector<sql::expr_ptr>>& rows, staged_source& out) {
  for (std::size_t i = 0; i < std::min(rows.front().size(), out.columns.size()); ++i) {
    source_column& c = out.columns[i];
    const value_column what = look_at_column(rows, i);
    c.untyped = c.of_rows = what == value_column::untyped;
    // A constant may say less than all of an interval: its column may know the rest.
    if (what == value_column::mixed || (c.untyped && c.type == type_oid::interval)) return false;
  }
  return true;
}

bool describe_columns(const sql::insert_query& q, const relation& table, staged_source& out) {
  for (const sql::target& t : q.columns) {
    const auto c = std::find_if(table.columns.begin(), table.columns.end(),
                                [&](const column& each) { return each.name == t.name; });
    if (t.indirection || c == table.columns.end()) return false;
    out.columns.push_back({c->name, c->type, false});
  }
  if (q.columns.empty()) {
    for (const column& c : table.columns) out.columns.push_back({c.name, c.type, false});
  }
  if (q.source->values.size() > 1) return describe_rows(q.source->values, out);
  bool star = false;
  std::size_t at = 0;
  for (const sql::expr* value : values_of(*q.source)) {
    if (value == nullptr || value->kind == sql::expr_kind::default_) return false;
    star = star || is_star(*value);
    if (!star && at < out.columns.size())
      out.columns[at].untyped = takes_column_type(*value) && !has_own_type(*q.source, at);
    if (star && takes_column_type(*value)) return false;
    ++at;
  }
  return true;
}

/// What is left to sequences is drawn beside the query's rows, on the designated shard, whose sequences count.
bool draw_with_rows(const analysis& a, const relation& table, staged_query& query, staged_write& staged,
                    staged_source& out) {
  if (a.drawn.empty()) return true;
  if (query.only && *query.only != designated_shard) return false;
  std::vector<const column*> columns;
  for (const std::string& name : a.drawn) {
    const auto c =
        std::find_if(table.columns.begin(), table.columns.end(), [&](const column& each) { return each.name == name; });
    const bool named = std::any_of(out.columns.begin(), out.columns.end(), [&](const source_column& s) { return s.name == name; });
    // The numbers must keep the order of the rows, so nothing else may be asked for in the statement.
    if (c == table.columns.end() || c->default_of_moment || named) return false;
    columns.push_back(&*c);
    out.columns.push_back({c->name, c->type, false});
  }
  const drawing_query around = draw_beside(columns);
  query.only = designated_shard;
  if (!query.sql.empty()) query.sql = around.prefix + query.sql + around.suffix;
  if (staged.rows != nullptr) staged.rows = wrapped(*staged.rows, around.prefix, around.suffix, designated_shard);
  return staged.rows != nullptr || !query.sql.empty();
}

/// Whether ON CONFLICT or RETURNING of an INSERT calls what may give another value on each shard.
bool differs_behind(std::string_view text, const insert_text& parts, const plan_context& context) {
  if (skip_blanks(text, parts.end) >= text.size()) return false;
  const read_text rest{
      std::string{text.substr(0, parts.source)} + "VALUES (NULL)" + std::string{text.substr(parts.end)}, context};
  return rest.statement() == nullptr || !rest.found.functions.differs.empty();
}

}  // namespace

bool takes_part(const std::optional<shard_index>& combiner, const plan_context& context) {
  if (!combiner) return true;
  const std::vector<shard_index> owners = owning_shards(*context.map);
  return std::find(owners.begin(), owners.end(), *combiner) != owners.end();
}

std::optional<shard_index> only_home(const analysis& a) {
  for (const table_use& use : a.uses) {
    if (use.table.where == placement::unsharded) return use.table.shard;
    if (use.table.where == placement::system) return designated_shard;
  }
  return std::nullopt;
}

bool gives_no_column(const sql::select_query& q) {
  return q.set_op == sql::set_operation::none && q.values.empty() && q.targets.empty();
}

bool plan_query(const std::string& sql, const plan_context& context, staged_query& source, staged_write& out,
                const writing_with* writing) {
  const read_text read{sql, context};
  if (read.statement() == nullptr || read.statement()->kind != sql::statement_kind::select) return false;
  const analysis& found = read.found;
  if (found.writes || found.locking || found.into || found.not_understood || found.refusal ||
      !found.functions.user_code.empty() || found.functions.measures_shard)
    return false;
  const auto spreads = [](const table_use& use) {
    return use.table.where == placement::sharded || use.table.where == placement::spread_view;
  };
  if (writing != nullptr || std::any_of(found.uses.begin(), found.uses.end(), spreads)) {
    gather_query query;
    query.statement = read.statement();
    query.text = sql;
    query.end = sql.size();
    query.literals = true;
    query.kept = true;
    query.writing = writing;
    out.rows = make_gather(query, found, context);
    if (out.rows == nullptr || !takes_part(out.rows->combiner, context)) return false;
    source.only = out.rows->combiner;
    return true;
  }
  if (found.functions.designated) source.only = designated_shard;
  for (const table_use& use : found.uses) {
    if (use.table.where == placement::reference) continue;
    if (use.table.where != placement::unsharded && use.table.where != placement::system) return false;
    const shard_index shard = use.table.where == placement::system ? designated_shard : use.table.shard;
    if (source.only && *source.only != shard) return false;
    source.only = shard;
  }
  source.sql = sql;
  return true;
}

namespace {

/// How many columns the query gives; 0 where that cannot be seen.
std::size_t given_columns(const sql::insert_query& q, const analysis& a) {
  const std::vector<const sql::expr*> values = values_of(*q.source);
  const bool stars =
      std::any_of(values.begin(), values.end(), [](const sql::expr* e) { return e == nullptr || is_star(*e); });
  return stars ? columns_behind_stars(*q.source, a) : values.size();
}

/// Adds the columns of moment_defaults to the list of columns that stands at the end of `before`.
bool add_defaults(const sql::insert_query& q, const analysis& a, const relation& table, const plan_context& context,
                  moment_list& moments, std::size_t insert, std::vector<text_edit>& edits, std::string_view text,
                  std::string& list, staged_source& out) {
  std::string more;
  // They come with the rows, and so in front.
  for (const std::string& name : a.drawn) more += ", " + quote_identifier(name);
  for (const std::string& name : a.moment_defaults) {
    const auto c =
        std::find_if(table.columns.begin(), table.columns.end(), [&](const column& each) { return each.name == name; });
    if (c == table.columns.end()) return false;
    const auto value = moments.replace_in_default(c->default_text, context);
    if (!value) return false;
    more += ", " + quote_identifier(name);
    out.more_columns += ", " + *value;
  }
  if (more.empty()) return true;
  if (q.overriding) return false;
  const bool always = std::any_of(a.drawn.begin(), a.drawn.end(), [&](const std::string& name) {
    return std::any_of(table.columns.begin(), table.columns.end(),
                       [&](const column& c) { return c.name == name && c.identity && c.generated; });
  });
  const std::string override = always ? " OVERRIDING SYSTEM VALUE " : "";
  if (!q.columns.empty()) {
    const auto end = end_of_columns(q, text);
    if (!end || *end < insert) return false;
    edits.push_back({*end, 0, more});
    // At the end of what stands in front of the query.
    list = override;
    return true;
  }
  const std::size_t given = given_columns(q, a);
  if (given == 0 || given > table.columns.size()) return false;
  for (std::size_t i = 0; i < given; ++i) list += (list.empty() ? "(" : ", ") + quote_identifier(table.columns[i].name);
  list += more + ") " + override;
  return true;
}

}  // namespace

bool takes_column_type(const sql::expr& e) {
  if (e.kind == sql::expr_kind::parameter) return true;
  return e.kind == sql::expr_kind::constant &&
         (e.constant == sql::constant_kind::string || e.constant == sql::constant_kind::null);
}

bool has_own_type(const sql::select_query& q, std::size_t at) {
  if (q.distinct && q.distinct_on.empty()) return true;
  if (at >= q.targets.size()) return false;
  const auto means = [&](const sql::expr_ptr& e) {
    if (e == nullptr) return false;
    if (e->kind == sql::expr_kind::constant) return e->text == std::to_string(at + 1);
    return e->kind == sql::expr_kind::column && e->name.size() == 1 && e->name[0] == q.targets[at].name;
  };
  return std::any_of(q.group_by.begin(), q.group_by.end(), means) ||
         std::any_of(q.distinct_on.begin(), q.distinct_on.end(), means) ||
         std::any_of(q.order_by.begin(), q.order_by.end(), [&](const sql::sort_key& key) { return means(key.value); });
}

std::shared_ptr<const staged_source> make_source(const sql::insert_query& q, std::string_view text, const analysis& a,
                                                 const plan_context& context, const writing_with* writing,
                                                 staged_write& staged) {
  const auto written =
      std::find_if(a.uses.begin(), a.uses.end(), [](const table_use& use) { return use.role == table_role::insert; });
  const auto writes =
      std::count_if(a.uses.begin(), a.uses.end(), [](const table_use& use) { return use.role != table_role::read; });
  if (writes != 1 || written == a.uses.end() || written->keys.empty() || q.source == nullptr ||
      !context.schema->single_writer.empty())
    return nullptr;
  if (a.refusal || a.types_differ || a.locking || a.into || a.not_understood || a.default_differs) return nullptr;
  const query_level& own = a.levels[written->level];
  if (own.row_value || !own.system_column.empty()) return nullptr;
  const auto parts = parts_of_text(text);
  if (!parts) return nullptr;
  auto out = std::make_shared<staged_source>();
  const std::string_view after = text.substr(parts->end);
  // What reads tables there would read those of its own shard.
  const bool reads_none = a.uses.size() == 1;
  const bool queries = has_word(after, "select") || has_word(after, "table");
  // One value for all rows, which each shard would draw by itself.
  const bool draws = std::any_of(a.levels.begin(), a.levels.end(), [&](const query_level& level) {
    return &level != &a.levels[written->level] && !level.by_row.empty();
  });
  if (queries && (!reads_none || draws)) return nullptr;
  if (!a.functions.differs.empty() && differs_behind(text, *parts, context)) return nullptr;
  const relation& table = *written->table.described;
  if (!describe_columns(q, table, *out)) return nullptr;
  std::string sql{text.substr(parts->source, parts->end - parts->source)};
  // A single row of VALUES may give several, as a SELECT list does.
  if (q.source->values.size() == 1 && gives_sets(q.source->values, *context.schema)) {
    const std::vector<row_extent> rows = rows_of(text);
    const auto is_default = [](const sql::expr_ptr& e) { return e == nullptr || e->kind == sql::expr_kind::default_; };
    const auto& values = q.source->values.front();
    if (rows.size() != 1 || std::any_of(values.begin(), values.end(), is_default)) return nullptr;
    sql = "SELECT " + std::string{text.substr(rows.front().begin + 1, rows.front().end - rows.front().begin - 2)};
  }
  const std::string with{q.with.tables.empty() ? std::string_view{} : text.substr(0, parts->insert)};
  if (!with.empty()) {
    if (!q.source->with.tables.empty()) return nullptr;
    sql = with + sql;
  }
  // What ON CONFLICT and RETURNING name goes with the rows to their shards.
  const bool with_rows = std::any_of(q.with.tables.begin(), q.with.tables.end(), [&](const sql::common_table& entry) {
    return occurrences(after, entry.name) > 0;
  });
  const auto in_with = [&](const sql::expr* moment) {
    return moment->location < 0 || static_cast<std::size_t>(moment->location) < parts->insert;
  };
  if (with_rows && (!reads_none || draws || std::any_of(a.moments.begin(), a.moments.end(), in_with))) return nullptr;
  const auto query = std::make_shared<staged_query>();
  if (!plan_query(sql, context, *query, staged, writing)) return nullptr;
  query->shown = staged.shown.empty() ? std::string{text} : staged.shown;
  staged.query = query;
  // Without a list of columns the query gives the first ones.
  if (!a.drawn.empty() && q.columns.empty()) {
    const std::size_t given = given_columns(q, a);
    if (given == 0 || given > out->columns.size()) return nullptr;
    out->columns.resize(given);
  }
  if (q.overriding_user || !draw_with_rows(a, table, *query, staged, *out)) return nullptr;

  moment_list moments = writing != nullptr ? writing->moments : moment_list{};
  std::vector<text_edit> edits;
  std::string list;
  if (!moments.replace(text, a, edits, 0, parts->end)) return nullptr;
  if (!add_defaults(q, a, table, context, moments, parts->insert, edits, text, list, *out)) return nullptr;
  staged.moments_sql = moments.sql();
  std::vector<text_edit> front, behind;
  for (text_edit& edit : edits) (edit.at < parts->source ? front : behind).push_back(std::move(edit));
  out->before =
      (with_rows ? with : std::string{}) + edited(text, parts->insert, parts->source, std::move(front)) + list;
  out->after = edited(text, parts->end, text.size(), std::move(behind));
  out->relation = quote_identifier(table.schema) + "." + quote_identifier(table.name);
  out->table = written->table.full_name;
  out->values = written->values;
  for (const key_column& part : written->keys) {
    const column& stored = *part.stored;
    const auto key = std::find_if(out->columns.begin(), out->columns.end(),
                                  [&](const source_column& c) { return c.name == stored.name; });
    if (key == out->columns.end()) return nullptr;
    out->keys.push_back({stored.name, static_cast<std::size_t>(key - out->columns.begin()), stored.type, stored.modifier});
  }
  out->in_order = !q.returning.empty() && !q.on_conflict;
  return out;
}

}  // namespace pgbraid::router
