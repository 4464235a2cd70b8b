// Gathering; see gather.hpp. Source for what json_populate_recordset() makes of strings: the manual's chapter "JSON
// Functions and Operators".
#include "router/plan/gather.hpp"

#include <algorithm>

#include "router/plan/analysis.hpp"
#include "router/plan/gather_sources.hpp"
#include "router/plan/gather_text.hpp"
#include "router/plan/words.hpp"

namespace pgbraid::router {
namespace {

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

/// The name of the JSON types, "" for all others.
std::string_view json_type_name(oid type) {
  constexpr oid json = 114, jsonb = 3802;
  if (type == json) return "json";
  return type == jsonb ? "jsonb" : "";
}

/// What a JSON column is called on its way.
std::string text_name(std::size_t column) { return "pgbraid " + std::to_string(column); }

std::string relation_name(const std::string& schema, const std::string& name) {
  return quote_identifier(schema) + "." + quote_identifier(name);
}

std::string relation_name(const gather_table& table) {
  return relation_name(table.table->schema, table.table->name);
}

/// The query's condition, where it may be put into the fragment: one table, one query level, nothing that could come out
/// otherwise when it is asked twice.
std::string_view condition_of(const gather_query& query, const analysis& a, const gather_set& set) {
  if (query.statement->select == nullptr) return {};
  const sql::select_query& q = *query.statement->select;
  if (a.levels.size() != 1 || a.uses.size() != 1 || set.tables.size() != 1 || set.sources.size() != 1 || q.where == nullptr) return {};
  if (q.from.size() != 1 || q.from.front().kind != sql::from_kind::relation) return {};
  if (!a.uses.front().column_aliases.empty() || a.common_tables || a.set_operation || !a.schema_columns.empty()) return {};
  if (!a.functions.write.empty() || a.functions.transaction_dependent || a.functions.needs_primary || a.functions.designated) return {};
  const std::string_view condition = where_clause(query.text.substr(query.begin, query.end - query.begin));
  return condition.find('$') == std::string_view::npos ? condition : std::string_view{};
}

std::string fragment_sql(const gather_set& set, std::string_view condition) {
  const std::vector<gather_table>& tables = set.tables;
  std::string out;
  for (std::size_t i = 0; i < tables.size(); ++i) {
    if (i > 0) out += " UNION ALL ";
    out += "SELECT " + std::to_string(i);
    const std::string alias = condition.empty() ? "f" : quote_identifier(tables[i].alias);
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
  }
  // No rows of a view are asked for, only whether it may be read.
  for (const gather_source& source : set.sources) {
    if (source.view == nullptr) continue;
    out += " UNION ALL SELECT 0";
    for (const gather_table& table : tables) {
      for (const column* c : table.columns) out += ", (NULL::" + relation_name(table) + ")." + quote_identifier(c->name);
    }
    out += " FROM " + relation_name(source.view->schema, source.view->name) + " AS f WHERE false";
  }
  return out;
}

/// Marks where a fragment's literal belongs, until all offsets are known: no statement contains a zero byte.
std::string literal_mark(std::size_t fragment) {
  return std::string(1, '\0') + std::to_string(fragment) + std::string(1, '\0');
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
  return quote_identifier(source.entry) + "(" + columns + ") AS NOT MATERIALIZED (" + edited(source.text, source.begin, source.end, std::move(*edits)) + ")";
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
    plan.literals.emplace_back(out.size(), std::stoul(std::string{text.substr(mark + 1, end - mark - 1)}));
    at = end + 1;
  }
  plan.combine_sql = std::move(out);
}

/// The shard that has what cannot be fetched, or whose types clients know; false if no single one has.
bool choose_combiner(const gather_set& set, std::optional<shard_index>& combiner) {
  const auto known_there = [](const gather_source& source) { return source.found->types_differ || source.found->functions.designated; };
  if (std::any_of(set.sources.begin(), set.sources.end(), known_there)) combiner = designated_shard;
  for (const gather_source& source : set.sources) {
    for (const table_use& use : source.found->uses) {
      if (use.table.where == placement::system) return false;
      if (use.table.where != placement::unsharded) continue;
      if (combiner && *combiner != use.table.shard) return false;
      combiner = use.table.shard;
    }
  }
  return true;
}

}  // namespace

std::shared_ptr<const gather_plan> make_gather(const gather_query& query, const analysis& a, const plan_context& context) {
  const sql::with_clause* with = with_of(*query.statement);
  if (with == nullptr) return nullptr;
  const auto set = gather_sources(query, a, context);
  auto out = std::make_shared<gather_plan>();
  if (!set || !choose_combiner(*set, out->combiner)) return nullptr;
  auto edits = edits_of(set->sources.back(), *set);
  if (!edits) return nullptr;

  out->parameters = static_cast<std::uint32_t>(a.parameter_uses.size());
  out->fragment_sql = fragment_sql(*set, condition_of(query, a, *set));
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
  edits->push_back({query.begin + with_position(own), 0, has_with ? " " + entries + "," : "WITH " + entries + " "});
  out->combine_sql = edited(query.text, 0, query.text.size(), std::move(*edits));
  out->described_sql = query.literals ? own : query.text;
  if (query.literals) place_literals(*out);
  return out;
}

}  // namespace pgbraid::router
