// INSERT in two steps; see staged_source.hpp. Source for the types' OIDs: src/include/catalog/pg_type.dat.
#include "router/plan/staged_source.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "router/plan/gather_text.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/rows.hpp"
#include "router/plan/words.hpp"
#include "router/sql/parser.hpp"

namespace pgbraid::router {
namespace {

struct named_type {
  oid type;
  std::string_view name;
};

constexpr std::array<named_type, 58> plain_types{{
    {16, "bool"},
    {17, "bytea"},
    {18, "\"char\""},
    {19, "name"},
    {20, "int8"},
    {21, "int2"},
    {23, "int4"},
    {25, "text"},
    {26, "oid"},
    {114, "json"},
    {142, "xml"},
    {600, "point"},
    {601, "lseg"},
    {602, "path"},
    {603, "box"},
    {604, "polygon"},
    {628, "line"},
    {650, "cidr"},
    {700, "float4"},
    {701, "float8"},
    {718, "circle"},
    {774, "macaddr8"},
    {829, "macaddr"},
    {869, "inet"},
    {1042, "bpchar"},
    {1043, "\"varchar\""},
    {1082, "date"},
    {1083, "\"time\""},
    {1114, "\"timestamp\""},
    {1184, "timestamptz"},
    {1186, "\"interval\""},
    {1266, "timetz"},
    {1560, "\"bit\""},
    {1562, "varbit"},
    {1700, "\"numeric\""},
    {2950, "uuid"},
    {3614, "tsvector"},
    {3615, "tsquery"},
    {3802, "jsonb"},
    {3904, "int4range"},
    {3906, "numrange"},
    {3908, "tsrange"},
    {3910, "tstzrange"},
    {3912, "daterange"},
    {3926, "int8range"},
    {1000, "_bool"},
    {1005, "_int2"},
    {1007, "_int4"},
    {1009, "_text"},
    {1015, "_varchar"},
    {1016, "_int8"},
    {1021, "_float4"},
    {1022, "_float8"},
    {1115, "_timestamp"},
    {1182, "_date"},
    {1185, "_timestamptz"},
    {1231, "_numeric"},
    {2951, "_uuid"},
}};

bool has_word(std::string_view text, std::string_view wanted) {
  for (std::size_t at = 0; at < text.size();) {
    if (const std::size_t past = skip_quoted(text, at); past != at) {
      at = past;
    } else if (is_word_start(text[at])) {
      const std::size_t end = end_of_word(text, at);
      if (lower_word(text.substr(at, end - at)) == wanted) return true;
      at = end;
    } else {
      ++at;
    }
  }
  return false;
}

bool is_star(const sql::expr& e) {
  return e.kind == sql::expr_kind::column && e.star;
}

/// Takes the type of the column that it is stored in.
bool takes_type(const sql::expr& e) {
  if (e.kind == sql::expr_kind::parameter) return true;
  return e.kind == sql::expr_kind::constant &&
         (e.constant == sql::constant_kind::string || e.constant == sql::constant_kind::null);
}

/// The expressions that give the columns, as far as they are written.
std::vector<const sql::expr*> values_of(const sql::select_query& q) {
  std::vector<const sql::expr*> out;
  if (q.set_op != sql::set_operation::none) return out;
  if (q.values.size() == 1) {
    for (const sql::expr_ptr& e : q.values.front()) out.push_back(e.get());
  } else if (q.values.empty()) {
    for (const sql::target& t : q.targets) out.push_back(t.value.get());
  }
  return out;
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
  // Grouped or made distinct, a constant gets a type before it is stored.
  const bool typed = q.source->distinct || !q.source->group_by.empty();
  bool star = false;
  std::size_t at = 0;
  for (const sql::expr* value : values_of(*q.source)) {
    if (value == nullptr || value->kind == sql::expr_kind::default_) return false;
    star = star || is_star(*value);
    if (!star && at < out.columns.size()) out.columns[at].untyped = !typed && takes_type(*value);
    if (star && takes_type(*value)) return false;
    ++at;
  }
  return true;
}

/// The query as a statement of its own: which server answers it, or whose rows it needs.
bool plan_query(const std::string& sql, const plan_context& context, staged_query& source, staged_write& out,
                bool choosing) {
  const sql::parse_result parsed = sql::parse(sql);
  const auto* statements = std::get_if<std::vector<sql::statement>>(&parsed);
  if (statements == nullptr || statements->size() != 1 || statements->front().kind != sql::statement_kind::select)
    return false;
  analysis found;
  const sql::token_scan none;
  constant_marks unused{{}, none};
  analyze(statements->front(), context, unused, found);
  if (found.writes || found.locking || found.into || found.not_understood || found.refusal ||
      !found.functions.user_code.empty())
    return false;
  if (choosing && std::all_of(found.levels.begin(), found.levels.end(), chooses_none)) return false;
  const auto spreads = [](const table_use& use) {
    return use.table.where == placement::sharded || use.table.where == placement::spread_view;
  };
  if (std::any_of(found.uses.begin(), found.uses.end(), spreads)) {
    gather_query query;
    query.statement = &statements->front();
    query.text = sql;
    query.end = sql.size();
    query.literals = true;
    out.rows = make_gather(query, found, context);
    if (out.rows == nullptr) return false;
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

/// Adds the columns of moment_defaults to the list of columns that stands at the end of `before`.
bool add_defaults(const sql::insert_query& q, const analysis& a, const relation& table, const plan_context& context,
                  moment_list& moments, std::size_t insert, std::vector<text_edit>& edits, std::string_view text,
                  std::string& list, staged_source& out) {
  std::string more;
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
  if (!q.columns.empty()) {
    if (q.columns.back().location < static_cast<std::int32_t>(insert)) return false;
    const auto name = static_cast<std::size_t>(q.columns.back().location);
    const std::size_t end = text[name] == '"' ? skip_quoted(text, name) : end_of_word(text, name);
    const std::size_t close = skip_blanks(text, end);
    if (end == name || close >= text.size() || text[close] != ')') return false;
    edits.push_back({end, 0, more});
    return true;
  }
  const std::vector<const sql::expr*> values = values_of(*q.source);
  const bool stars =
      std::any_of(values.begin(), values.end(), [](const sql::expr* e) { return e == nullptr || is_star(*e); });
  const std::size_t given = stars ? columns_behind_stars(*q.source, a) : values.size();
  if (given == 0 || given > table.columns.size()) return false;
  for (std::size_t i = 0; i < given; ++i) list += (list.empty() ? "(" : ", ") + quote_identifier(table.columns[i].name);
  list += more + ") ";
  return true;
}

}  // namespace

std::string_view plain_type_name(oid type) noexcept {
  const auto found =
      std::find_if(plain_types.begin(), plain_types.end(), [&](const named_type& t) { return t.type == type; });
  return found == plain_types.end() ? std::string_view{} : found->name;
}

std::shared_ptr<const staged_source> make_source(const sql::insert_query& q, std::string_view text, const analysis& a,
                                                 const plan_context& context, staged_write& staged) {
  const auto written =
      std::find_if(a.uses.begin(), a.uses.end(), [](const table_use& use) { return use.role == table_role::insert; });
  const auto writes =
      std::count_if(a.uses.begin(), a.uses.end(), [](const table_use& use) { return use.role != table_role::read; });
  if (writes != 1 || written == a.uses.end() || written->key == nullptr || q.source == nullptr ||
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
  if (has_word(after, "select") || has_word(after, "table")) return nullptr;
  if (!a.functions.differs.empty() && skip_blanks(after, 0) < after.size()) return nullptr;
  const relation& table = *written->table.described;
  if (!describe_columns(q, table, *out)) return nullptr;
  std::string sql{text.substr(parts->source, parts->end - parts->source)};
  if (!q.with.tables.empty()) {
    if (!q.source->with.tables.empty()) return nullptr;
    sql = std::string{text.substr(0, parts->insert)} + sql;
  }
  const auto query = std::make_shared<staged_query>();
  if (!plan_query(sql, context, *query, staged, false)) return nullptr;
  query->shown = text;
  staged.query = query;

  moment_list moments;
  std::vector<text_edit> edits;
  std::string list;
  if (!moments.replace(text, a, edits, 0, parts->end)) return nullptr;
  if (!add_defaults(q, a, table, context, moments, parts->insert, edits, text, list, *out)) return nullptr;
  staged.moments_sql = moments.sql();
  std::vector<text_edit> front, behind;
  for (text_edit& edit : edits) (edit.at < parts->source ? front : behind).push_back(std::move(edit));
  out->before = edited(text, parts->insert, parts->source, std::move(front)) + list;
  out->after = edited(text, parts->end, text.size(), std::move(behind));
  out->relation = quote_identifier(table.schema) + "." + quote_identifier(table.name);
  out->table = written->table.full_name;
  out->key = written->key->name;
  out->key_type = written->key->type;
  out->modifier = written->key->modifier;
  const auto key = std::find_if(out->columns.begin(), out->columns.end(),
                                [&](const source_column& c) { return c.name == out->key; });
  if (key == out->columns.end()) return nullptr;
  out->key_at = static_cast<std::size_t>(key - out->columns.begin());
  out->in_order = !q.returning.empty() && !q.on_conflict;
  return out;
}

namespace {

/// The subqueries of an expression, outermost first.
void subqueries_of(const sql::expr& e, std::vector<const sql::expr*>& out) {
  if (e.kind == sql::expr_kind::subquery) out.push_back(&e);
  for (const sql::expr_ptr& child : e.children) {
    if (child != nullptr) subqueries_of(*child, out);
  }
}

/// What stands in the parentheses behind a place.
std::optional<row_extent> inside_parentheses(std::string_view text, std::int32_t location) {
  if (location < 0) return std::nullopt;
  std::size_t at = static_cast<std::size_t>(location);
  while (at < text.size() && text[at] != '(') {
    const std::size_t past = skip_quoted(text, at);
    at = past == at ? at + 1 : past;
  }
  int depth = 0;
  for (std::size_t i = at; i < text.size();) {
    if (const std::size_t past = skip_quoted(text, i); past != i) {
      i = past;
      continue;
    }
    depth += text[i] == '(' ? 1 : text[i] == ')' ? -1 : 0;
    if (depth == 0) return row_extent{at + 1, i};
    ++i;
  }
  return std::nullopt;
}

}  // namespace

bool make_once(const sql::statement& s, std::string_view text, const plan_context& context, staged_write& out) {
  const sql::expr_ptr* where = nullptr;
  if (s.kind == sql::statement_kind::update && s.update->with.tables.empty()) where = &s.update->where;
  if (s.kind == sql::statement_kind::delete_ && s.delete_->with.tables.empty()) where = &s.delete_->where;
  if (where == nullptr || *where == nullptr) return false;
  std::vector<const sql::expr*> all;
  subqueries_of(**where, all);
  constexpr std::string_view placeholder = "SELECT NULL";
  for (const sql::expr* each : all) {
    const auto place = inside_parentheses(text, each->location);
    if (!place) continue;
    const auto query = std::make_shared<staged_query>();
    if (!plan_query(std::string{text.substr(place->begin, place->end - place->begin)}, context, *query, out, true))
      continue;
    // The rest must be what every shard may carry out by itself.
    std::string rest{text.substr(0, place->begin)};
    rest.append(placeholder).append(text.substr(place->end));
    const sql::parse_result parsed = sql::parse(rest);
    const auto* statements = std::get_if<std::vector<sql::statement>>(&parsed);
    if (statements == nullptr || statements->size() != 1 || statements->front().kind != s.kind) return false;
    analysis found;
    const sql::token_scan none;
    constant_marks unused{{}, none};
    analyze(statements->front(), context, unused, found);
    if (found.refusal || found.not_understood || found.types_differ || found.mirrored || found.default_differs ||
        judge_scatter(found, context))
      return false;
    moment_list moments;
    std::vector<text_edit> edits;
    if (!found.moment_defaults.empty() || !moments.replace(rest, found, edits)) return false;
    edits.push_back({place->begin, placeholder.size(),
                     std::string(1, moment_mark) + std::to_string(moments.size()) + std::string(1, moment_mark)});
    out.moments_sql = moments.sql();
    out.text = edited(rest, 0, rest.size(), std::move(edits));
    query->shown = text;
    out.query = query;
    return true;
  }
  out.rows = nullptr;
  return false;
}

std::string source_select(const staged_source& source, const std::vector<oid>& types,
                          const std::vector<std::optional<std::string>>& constants, std::string_view json) {
  constexpr oid first_user_oid = 16384;
  const auto literal = [](std::string_view value) {
    std::string out{"E'"};
    for (const char c : value) {
      if (c == '\'' || c == '\\') out.push_back(c);
      out.push_back(c);
    }
    return out + "'";
  };
  if (types.size() > source.columns.size()) return {};
  std::string list, names;
  for (std::size_t i = 0; i < types.size(); ++i) {
    const std::string name = "c" + std::to_string(i);
    if (i > 0) list += ", ", names += ", ";
    names += name + " pg_catalog.text";
    const source_column& c = source.columns[i];
    if (c.untyped) {
      list += i < constants.size() && constants[i] ? literal(*constants[i]) : "NULL";
    } else if (const std::string_view type = plain_type_name(types[i]); !type.empty()) {
      list.append("f." + name + "::pg_catalog.").append(type);
    } else if (types[i] >= first_user_oid && types[i] == c.type) {
      list += "(pg_catalog.json_populate_record(NULL::" + source.relation + ", pg_catalog.json_build_object(" +
              literal(c.name) + ", f." + name + "))).";
      list += quote_identifier(c.name);
    } else {
      return {};
    }
  }
  return "SELECT " + list + source.more_columns + " FROM pg_catalog.json_to_recordset(" + literal(json) +
         "::pg_catalog.json) AS f(" + names + ") ";
}

}  // namespace pgbraid::router
