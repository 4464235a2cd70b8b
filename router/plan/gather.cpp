// Gathering; see gather.hpp. Source for what json_populate_recordset() makes of strings: the manual's chapter "JSON
// Functions and Operators".
#include "router/plan/gather.hpp"

#include <algorithm>
#include <set>

#include "router/plan/analysis.hpp"
#include "router/plan/words.hpp"

namespace pgbraid::router {
namespace {

/// FirstNormalObjectId (src/include/access/transam.h): what users create has OIDs from here on.
constexpr oid first_user_oid = 16384;

std::string quote_identifier(std::string_view name) {
  std::string out{'"'};
  for (const char c : name) {
    if (c == '"') out.push_back('"');
    out.push_back(c);
  }
  out.push_back('"');
  return out;
}

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

/// Every name that a column could be called by in the text, and whether some column may go unnamed (*, NATURAL).
struct mentioned {
  std::set<std::string, std::less<>> names;
  bool all = false;
};

mentioned names_in(std::string_view text) {
  mentioned out;
  char before = ' ';
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == '"') {
      std::string name;
      for (++i; i < text.size() && (text[i] != '"' || text.substr(i, 2) == "\"\""); ++i) {
        name.push_back(text[i]);
        if (text[i] == '"') ++i;
      }
      ++i;
      // U&"..." is decoded by the server only.
      out.all = out.all || before == '&';
      out.names.insert(std::move(name));
      before = '"';
      continue;
    }
    if (const std::size_t past = skip_quoted(text, i); past != i) {
      i = past;
      continue;
    }
    if (is_word_start(text[i])) {
      const std::size_t end = end_of_word(text, i);
      std::string word = lower_word(text.substr(i, end - i));
      out.all = out.all || word == "natural" || word == "table";
      out.names.insert(std::move(word));
      before = 'a';
      i = end;
      continue;
    }
    // count(*) names no column; any other star may.
    if (text[i] == '*' && before != '(') out.all = true;
    if (!is_blank(text[i])) before = text[i];
    ++i;
  }
  return out;
}

/// One sharded table of the statement.
struct table_part {
  const table_use* use = nullptr;
  bool all_columns = false;
  std::vector<const column*> columns;
};

bool may_gather(const analysis& a) {
  if (a.writes || a.locking || a.into || a.not_understood || a.refusal) return false;
  // Code that is not seen may look at the tables themselves; the catalog's functions tell of one shard's.
  if (!a.functions.user_code.empty() || a.functions.designated) return false;
  return std::none_of(a.levels.begin(), a.levels.end(), [](const query_level& level) {
    return level.tablesample || level.whole_row || !level.system_column.empty();
  });
}

std::optional<std::vector<table_part>> parts_of(const sql::statement& statement, const analysis& a, std::string_view text) {
  std::vector<table_part> parts;
  std::size_t placed = 0;
  std::vector<const sql::from_item*> items(a.uses.size(), nullptr);
  for (const auto& [item, use] : a.use_of) items[use] = item;
  const mentioned named = names_in(text);
  for (std::size_t i = 0; i < a.uses.size(); ++i) {
    const table_use& use = a.uses[i];
    if (use.table.where != placement::sharded) continue;
    ++placed;
    const sql::from_item* item = items[i];
    // A name with a schema reaches past WITH, and WITH has no children to leave out.
    if (item == nullptr || item->name.size() != 1 || item->only || use.table.described == nullptr) return std::nullopt;
    const auto& hidden = statement.select->with.tables;
    if (std::any_of(hidden.begin(), hidden.end(), [&](const sql::common_table& t) { return t.name == use.table.name; })) {
      return std::nullopt;
    }
    auto found = std::find_if(parts.begin(), parts.end(), [&](const table_part& p) { return p.use->table.full_name == use.table.full_name; });
    if (found == parts.end()) found = parts.insert(parts.end(), table_part{&use, named.all, {}});
    found->all_columns = found->all_columns || !use.column_aliases.empty();
  }
  if (placed == 0) return std::nullopt;
  for (table_part& part : parts) {
    const std::vector<column>& columns = part.use->table.described->columns;
    for (const column& c : columns) {
      if (part.all_columns || named.names.contains(c.name)) part.columns.push_back(&c);
    }
    // count(*) needs the rows, though nothing of them.
    if (part.columns.empty() && !columns.empty()) part.columns.push_back(&columns.front());
    // A type of one's own may be a domain over JSON.
    const auto own_type = [](const column* c) { return c->type >= first_user_oid; };
    if (part.columns.empty() || std::any_of(part.columns.begin(), part.columns.end(), own_type)) return std::nullopt;
  }
  return parts;
}

std::string relation_name(const table_part& part) {
  return quote_identifier(part.use->table.schema) + "." + quote_identifier(part.use->table.name);
}

/// The statement's condition, where it may be put into the fragment: one table, one query level, nothing that could come
/// out otherwise when it is asked twice.
std::string_view condition_of(const sql::statement& statement, const analysis& a, const std::vector<table_part>& parts,
                              std::string_view text) {
  const sql::select_query& q = *statement.select;
  if (a.levels.size() != 1 || a.uses.size() != 1 || parts.size() != 1 || q.where == nullptr) return {};
  if (q.from.size() != 1 || q.from.front().kind != sql::from_kind::relation) return {};
  if (!a.uses.front().column_aliases.empty() || a.common_tables || a.set_operation) return {};
  if (!a.functions.write.empty() || a.functions.transaction_dependent || a.functions.needs_primary) return {};
  const std::string_view condition = where_clause(text);
  return condition.find('$') == std::string_view::npos ? condition : std::string_view{};
}

std::string fragment_sql(const std::vector<table_part>& parts, std::string_view condition) {
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += " UNION ALL ";
    out += "SELECT " + std::to_string(i);
    const std::string alias = condition.empty() ? "f" : quote_identifier(parts[i].use->alias);
    for (std::size_t k = 0; k < parts.size(); ++k) {
      for (const column* c : parts[k].columns) {
        out += ", ";
        // A NULL of the column's type: the branches of UNION must agree.
        out += k == i ? alias : "(NULL::" + relation_name(parts[k]) + ")";
        out += "." + quote_identifier(c->name);
      }
    }
    out += " FROM " + relation_name(parts[i]) + " AS " + alias;
    if (!condition.empty()) out.append(" WHERE ").append(condition);
  }
  return out;
}

std::string with_entry(const table_part& part, std::size_t parameter) {
  const std::string rows = "$" + std::to_string(parameter) + "::pg_catalog.json";
  std::string columns, texts;
  for (std::size_t i = 0; i < part.columns.size(); ++i) {
    const column& c = *part.columns[i];
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
  std::string from = "pg_catalog.json_populate_recordset(NULL::" + relation_name(part) + ", " + rows + ")";
  if (!texts.empty()) from = "ROWS FROM (" + from + ", pg_catalog.json_to_recordset(" + rows + ") AS (" + texts + "))";
  return quote_identifier(part.use->table.name) + " AS MATERIALIZED (SELECT " + columns + " FROM " + from + " AS f)";
}

/// The shard that has what cannot be fetched; false if no single one has.
bool choose_combiner(const analysis& a, std::optional<shard_index>& combiner) {
  for (const table_use& use : a.uses) {
    if (use.table.where == placement::system) return false;
    if (use.table.where != placement::unsharded) continue;
    if (combiner && *combiner != use.table.shard) return false;
    combiner = use.table.shard;
  }
  return true;
}

}  // namespace

std::shared_ptr<const gather_plan> make_gather(const sql::statement& statement, const analysis& a, std::string_view text) {
  if (statement.kind != sql::statement_kind::select || statement.select == nullptr || !may_gather(a)) return nullptr;
  auto out = std::make_shared<gather_plan>();
  if (!choose_combiner(a, out->combiner)) return nullptr;
  const auto parts = parts_of(statement, a, text);
  if (!parts) return nullptr;

  out->parameters = static_cast<std::uint32_t>(a.parameter_uses.size());
  out->fragment_sql = fragment_sql(*parts, condition_of(statement, a, *parts, text));
  std::string entries;
  for (std::size_t i = 0; i < parts->size(); ++i) {
    const table_part& part = (*parts)[i];
    gather_fragment fragment{part.use->table.full_name, {}};
    for (std::size_t k = 0; k < part.columns.size(); ++k) {
      const column& c = *part.columns[k];
      fragment.json_keys.push_back(json_key(json_type_name(c.type).empty() ? c.name : text_name(k)));
    }
    out->fragments.push_back(std::move(fragment));
    if (i > 0) entries += ", ";
    entries += with_entry(part, out->parameters + 1 + i);
  }
  const std::size_t at = with_position(text);
  const bool has_with = !statement.select->with.tables.empty();
  const std::string inserted = has_with ? " " + entries + "," : "WITH " + entries + " ";
  out->combine_sql.append(text.substr(0, at)).append(inserted).append(text.substr(at));
  return out;
}

}  // namespace pgbraid::router
