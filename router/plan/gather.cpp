// Gathering; see gather.hpp. Source for what json_populate_recordset() makes of strings: the manual's chapter "JSON
// Functions and Operators".
#include "router/plan/gather.hpp"

#include <algorithm>
#include <charconv>

#include "router/plan/analysis.hpp"
#include "router/plan/clauses.hpp"
#include "router/plan/gather_parts.hpp"
#include "router/plan/gather_sources.hpp"
#include "router/plan/gather_text.hpp"
#include "router/plan/partial.hpp"
#include "router/plan/same_expression.hpp"
#include "router/plan/words.hpp"
#include "router/plan/writing_with.hpp"

namespace pgbraid::router {

std::string json_key(std::string_view name) {
  constexpr std::string_view hex = "0123456789abcdef";
  std::string out{'"'};
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.append({'\\', c});
    } else if (byte < 0x20) {
      out.append({'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]});
    } else {
      out.push_back(c);
    }
  }
  return out + "\":";
}

std::string_view json_type_name(oid type) {
  constexpr oid json = 114, jsonb = 3802;
  if (type == json) return "json";
  return type == jsonb ? "jsonb" : "";
}

std::string text_name(std::size_t column) {
  return "pgbraid " + std::to_string(column);
}

std::string relation_name(const std::string& schema, const std::string& name) {
  return quote_identifier(schema) + "." + quote_identifier(name);
}

std::string relation_name(const gather_table& table) {
  return relation_name(table.table->schema, table.table->name);
}

std::string fragment_sql(const gather_set& set, std::string_view condition, std::string_view rows) {
  const std::vector<gather_table>& tables = set.tables;
  std::string out;
  for (std::size_t i = 0; i < tables.size(); ++i) {
    if (i > 0) out += " UNION ALL ";
    out += "SELECT " + std::to_string(i);
    const std::string alias = condition.empty() && rows.empty() ? "f" : quote_identifier(tables[i].alias);
    for (std::size_t k = 0; k < tables.size(); ++k) {
      for (const column* c : tables[k].columns) {
        out += ", ";
        // A NULL of the column's type: the branches of UNION must agree.
        out += k == i ? alias : "(NULL::" + relation_name(tables[k]) + ")";
        out += "." + quote_identifier(c->name);
      }
    }
    out += tables[i].only ? " FROM ONLY " : " FROM ";
    out += relation_name(tables[i]) + " AS " + alias;
    if (!condition.empty()) out.append(" WHERE ").append(condition);
    out.append(rows);
  }
  // No rows of a view are asked for, only whether it may be read.
  for (const gather_source& source : set.sources) {
    if (source.view == nullptr) continue;
    out += " UNION ALL SELECT 0";
    for (const gather_table& table : tables) {
      for (const column* c : table.columns)
        out += ", (NULL::" + relation_name(table) + ")." + quote_identifier(c->name);
    }
    out += " FROM " + relation_name(source.view->schema, source.view->name) + " AS f WHERE false";
  }
  return out;
}

std::string literal_mark(std::size_t fragment) {
  return std::string(1, '\0') + std::to_string(fragment) + std::string(1, '\0');
}

namespace {

/// Whether parts of the query may be put into the fragment: one table, one query level, nothing that could come out
/// otherwise when it is asked twice.
bool asks_one_table(const gather_query& query, const analysis& a, const gather_set& set) {
  if (query.statement->select == nullptr) return false;
  const sql::select_query& q = *query.statement->select;
  if (a.levels.size() != 1 || a.uses.size() != 1 || set.tables.size() != 1 || set.sources.size() != 1) return false;
  if (q.from.size() != 1 || q.from.front().kind != sql::from_kind::relation) return false;
  if (!a.uses.front().column_aliases.empty() || a.common_tables || a.set_operation || !a.schema_columns.empty())
    return false;
  return a.functions.write.empty() && !a.functions.transaction_dependent && !a.functions.needs_primary &&
         !a.functions.designated;
}

std::string_view condition_of(const gather_query& query, const select_clauses& clauses, const analysis& a) {
  const std::string_view condition = clauses.where.of(query.text);
  // What a parameter's type is follows from the first place where it stands.
  return names_parameters_once(condition, a) ? condition : std::string_view{};
}

constexpr bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

std::optional<std::uint64_t> count_in(const sql::expr_ptr& e) {
  if (e == nullptr || e->kind != sql::expr_kind::constant || e->constant != sql::constant_kind::integer)
    return std::nullopt;
  std::uint64_t value = 0;
  const auto read = std::from_chars(e->text.data(), e->text.data() + e->text.size(), value);
  return read.ec == std::errc{} ? std::optional{value} : std::nullopt;
}

/// An item of ORDER BY that is a number, with the SELECT item that it means in the number's place; nothing where that
/// is no column.
std::optional<std::string> numbered_item(const gather_query& query, const select_clauses& clauses,
                                         const sql::sort_key& key) {
  const sql::select_query& q = *query.statement->select;
  const auto number = count_in(key.value);
  if (!number || *number == 0 || *number > q.targets.size() || clauses.targets.size() != q.targets.size())
    return std::nullopt;
  for (const sql::target& t : q.targets) {
    if (t.value == nullptr || (t.value->kind == sql::expr_kind::column && t.value->star)) return std::nullopt;
  }
  const sql::target& meant = q.targets[*number - 1];
  const auto value = without_name(query.text, clauses.targets[*number - 1], meant.name);
  const std::string_view item = clauses.order_by[static_cast<std::size_t>(&key - q.order_by.data())].of(query.text);
  if (meant.value->kind != sql::expr_kind::column || !value || item.empty() || !is_digit(item.front()))
    return std::nullopt;
  std::size_t past = 0;
  while (past < item.size() && is_digit(item[past])) ++past;
  return std::string{value->of(query.text)}.append(item.substr(past));
}

/// ORDER BY and LIMIT of a query over one table's rows, for every shard: its first rows are among theirs. "" where more
/// than these must be known.
std::string first_rows(const gather_query& query, const select_clauses& clauses, const analysis& a) {
  const sql::select_query& q = *query.statement->select;
  const query_level& level = a.levels.front();
  if (!level.aggregate.empty() || !level.window.empty() || level.grouped || level.having || level.distinct ||
      q.limit_with_ties || a.functions.gives_sets)
    return {};
  const auto limit = count_in(q.limit),
             offset = q.offset == nullptr ? std::optional<std::uint64_t>{0} : count_in(q.offset);
  constexpr std::uint64_t many = 1'000'000'000;
  if (!limit || !offset || *limit > many || *offset > many) return {};
  if (clauses.order_by.size() != q.order_by.size() || clauses.limit.empty()) return {};
  std::string out;
  for (std::size_t i = 0; i < q.order_by.size(); ++i) {
    const sql::sort_key& key = q.order_by[i];
    if (key.value == nullptr) return {};
    std::string_view item = clauses.order_by[i].of(query.text);
    std::string by_number;
    if (key.value->kind == sql::expr_kind::constant) {
      const auto meant = numbered_item(query, clauses, key);
      if (!meant) return {};
      by_number = *meant;
      item = by_number;
    } else if (names_result(*key.value, q, a)) {
      return {};  // what is not in the fragment
    }
    if (!names_parameters_once(item, a)) return {};
    out.append(i == 0 ? " ORDER BY " : ", ").append(item);
  }
  return out + " LIMIT " + std::to_string(*limit + *offset);
}

std::string table_entry(const gather_table& table, const std::string& value) {
  const std::string rows = value + "::pg_catalog.json";
  std::string columns, texts;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const column& c = *table.columns[i];
    if (!columns.empty()) columns += ", ";
    if (const std::string_view type = json_type_name(c.type); !type.empty()) {
      const std::string name = quote_identifier(text_name(i));
      columns.append("f." + name + "::pg_catalog.").append(type).append(" AS ");
      texts += (texts.empty() ? "" : ", ") + name + " text";
    } else {
      columns += "f.";
    }
    columns += quote_identifier(c.name);
  }
  std::string from = "pg_catalog.json_populate_recordset(NULL::" + relation_name(table) + ", " + rows + ")";
  if (!texts.empty()) from = "ROWS FROM (" + from + ", pg_catalog.json_to_recordset(" + rows + ") AS (" + texts + "))";
  return quote_identifier(table.entry) + " AS MATERIALIZED (SELECT " + columns + " FROM " + from + " AS f)";
}

std::optional<std::string> view_entry(const gather_source& source, const gather_set& set) {
  auto edits = edits_of(source, set);
  if (!edits) return std::nullopt;
  std::string columns;
  for (const column& c : source.view->columns) columns += (columns.empty() ? "" : ", ") + quote_identifier(c.name);
  return quote_identifier(source.entry) + "(" + columns + ") AS NOT MATERIALIZED (" +
         edited(source.text, source.begin, source.end, std::move(*edits)) + ")";
}

/// The WITH of a statement that may be answered over gathered rows, or nullptr.
const sql::with_clause* with_of(const sql::statement& s) {
  if (s.kind == sql::statement_kind::select && s.select != nullptr) return &s.select->with;
  if (s.kind == sql::statement_kind::update && s.update != nullptr) return &s.update->with;
  if (s.kind == sql::statement_kind::delete_ && s.delete_ != nullptr) return &s.delete_->with;
  return nullptr;
}

/// Takes the marks out of the text and notes where they stood.
void place_literals(gather_plan& plan) {
  std::string out;
  const std::string_view text = plan.combine_sql;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t mark = text.find('\0', at);
    out.append(text.substr(at, mark - at));
    if (mark == std::string_view::npos) break;
    const std::size_t end = text.find('\0', mark + 1);
    const bool type = text[mark + 1] == 't';
    const std::size_t number = mark + (type ? 2 : 1);
    plan.gaps.push_back({out.size(), type ? gap_kind::type : gap_kind::rows,
                         std::stoul(std::string{text.substr(number, end - number)})});
    at = end + 1;
  }
  plan.combine_sql = std::move(out);
}

/// The shard that has what cannot be fetched, or whose types clients know; false if no single one has. `kept`: see
/// gather_query.
bool choose_combiner(const gather_set& set, bool kept, std::optional<shard_index>& combiner) {
  const auto known_there = [](const gather_source& source) {
    return source.found->types_differ || source.found->functions.designated;
  };
  if (std::any_of(set.sources.begin(), set.sources.end(), known_there)) combiner = designated_shard;
  for (const gather_source& source : set.sources) {
    for (const table_use& use : source.found->uses) {
      if (use.table.where == placement::system) return false;
      if (use.table.where != placement::unsharded) continue;
      if (combiner && *combiner != use.table.shard) return false;
      combiner = use.table.shard;
    }
  }
  // Rows in binary may name types by OIDs, of which clients know the first shard's.
  const auto renumbered = [](const gather_source& source) { return source.found->types_renumbered.has_value(); };
  if (!combiner && !kept && std::any_of(set.sources.begin(), set.sources.end(), renumbered))
    combiner = designated_shard;
  return true;
}

void note_parameters(gather_plan& plan) {
  plan.fragment_parameters.resize(plan.parameters);
  plan.combine_parameters.resize(plan.parameters);
  const auto note_fragment = [&](std::string_view text) {
    for (const std::size_t n : parameters_in(text)) {
      if (n <= plan.parameters) plan.fragment_parameters[n - 1] = true;
    }
  };
  note_fragment(plan.fragment_sql);
  for (const spread_insert& insert : plan.inserts) note_fragment(insert.body);
  for (const std::size_t n : parameters_in(plan.combine_sql)) {
    if (n <= plan.parameters) plan.combine_parameters[n - 1] = true;
  }
}

}  // namespace

std::string with_inserts(std::string_view fragment_sql, std::span<const std::string> inserts) {
  std::string out;
  for (std::size_t at = 0; at < fragment_sql.size();) {
    const std::size_t mark = fragment_sql.find('\0', at);
    out.append(fragment_sql.substr(at, mark - at));
    if (mark == std::string_view::npos) break;
    const std::size_t end = fragment_sql.find('\0', mark + 1);
    out.append(inserts[std::stoul(std::string{fragment_sql.substr(mark + 1, end - mark - 1)})]);
    at = end + 1;
  }
  return out;
}

std::shared_ptr<const gather_plan> wrapped(const gather_plan& plan, std::string_view prefix, std::string_view suffix,
                                           shard_index combiner) {
  if (plan.combiner && *plan.combiner != combiner) return nullptr;
  auto out = std::make_shared<gather_plan>(plan);
  out->combine_sql = std::string{prefix}.append(plan.combine_sql).append(suffix);
  for (gather_gap& gap : out->gaps) gap.at += prefix.size();
  out->combiner = combiner;
  if (plan.otherwise != nullptr) out->otherwise = wrapped(*plan.otherwise, prefix, suffix, combiner);
  return out;
}

std::shared_ptr<const gather_plan> make_gather(const gather_query& query, const analysis& a,
                                               const plan_context& context) {
  const sql::with_clause* with = with_of(*query.statement);
  if (with == nullptr) return nullptr;
  const auto set = gather_sources(query, a, context);
  auto out = std::make_shared<gather_plan>();
  if (!set || !choose_combiner(*set, query.kept, out->combiner)) return nullptr;
  auto edits = edits_of(set->sources.back(), *set);
  if (!edits) return nullptr;

  out->parameters =
      static_cast<std::uint32_t>(query.writing != nullptr ? query.writing->parameters : a.parameter_uses.size());
  const auto clauses = query.writing == nullptr && asks_one_table(query, a, *set)
                           ? clauses_of(query.text, query.begin, query.end)
                           : std::nullopt;
  const std::string_view condition = clauses ? condition_of(query, *clauses, a) : std::string_view{};
  const bool all_rows = clauses && query.statement->select->where != nullptr && condition.empty();
  out->fragment_sql = query.writing != nullptr
                          ? fragment_sql(*set, *query.writing)
                          : fragment_sql(*set, condition, clauses && !all_rows ? first_rows(query, *clauses, a) : "");
  std::string entries;
  for (std::size_t i = 0; i < set->tables.size(); ++i) {
    const gather_table& table = set->tables[i];
    gather_fragment fragment{table.table->full_name, {}};
    for (std::size_t k = 0; k < table.columns.size(); ++k) {
      const column& c = *table.columns[k];
      fragment.json_keys.push_back(json_key(json_type_name(c.type).empty() ? c.name : text_name(k)));
    }
    out->fragments.push_back(std::move(fragment));
    if (i > 0) entries += ", ";
    entries += table_entry(table, query.literals ? literal_mark(i) : "$" + std::to_string(out->parameters + 1 + i));
  }
  for (const gather_source& source : set->sources) {
    if (source.view == nullptr) continue;
    const auto entry = view_entry(source, *set);
    if (!entry) return nullptr;
    entries += ", " + *entry;
  }
  const std::string_view own = query.text.substr(query.begin, query.end - query.begin);
  const bool has_with = !with->tables.empty();
  edits->insert(edits->end(), query.edits.begin(), query.edits.end());
  if (query.writing != nullptr) add_returned(*query.writing, *set, *out, *edits);
  if (!entries.empty())
    edits->push_back(
        {query.begin + with_position(own, has_with), 0, has_with ? " " + entries + "," : "WITH " + entries + " "});
  out->combine_sql = edited(query.text, 0, query.text.size(), std::move(*edits));
  out->described_sql = query.literals ? own : query.text;
  out->rows_in_text = query.literals;
  if (query.literals) place_literals(*out);
  note_parameters(*out);
  if (query.statement->kind != sql::statement_kind::select || query.writing != nullptr) return out;
  auto partial = make_partial(query, a, context);
  if (partial == nullptr) return out;
  partial->parameters = out->parameters;
  partial->combiner = out->combiner;
  partial->described_sql = out->described_sql;
  note_parameters(*partial);
  partial->otherwise = std::move(out);
  return partial;
}

}  // namespace pgbraid::router
