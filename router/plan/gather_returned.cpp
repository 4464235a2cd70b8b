// What a WITH writes, and the rows of RETURNING, in the texts of a gathered statement. See writing_with.hpp; source for
// RETURNING in WITH: the manual's chapter "WITH Queries".
#include <utility>

#include "router/plan/gather_parts.hpp"
#include "router/plan/gather_text.hpp"

namespace pgbraid::router {
namespace {

std::string write_name(std::size_t entry) {
  return quote_identifier("pgbraid write " + std::to_string(entry));
}

std::string returned_name(std::size_t column) {
  return "c" + std::to_string(column);
}

/// What with_inserts() looks for.
std::string insert_mark(std::size_t insert) {
  return std::string(1, '\0') + std::to_string(insert) + std::string(1, '\0');
}

/// As literal_mark(), for a column's type.
std::string type_mark(std::size_t column) {
  return std::string(1, '\0') + "t" + std::to_string(column) + std::string(1, '\0');
}

/// A column of RETURNING that json_populate_recordset() reads; the others travel as text under names of their own.
bool is_populated(const returned_column& c) {
  return c.own != nullptr && json_type_name(c.own->type).empty() && c.own->base_type == 0;
}

/// The query over the rows of RETURNING: fragment `fragment`, whose columns begin with `first` among those of all
/// fragments.
std::string returned_rows(const writing_entry& entry, std::size_t fragment, std::size_t first) {
  if (entry.columns.empty()) return "SELECT 1 WHERE false";
  const std::string rows = literal_mark(fragment) + "::pg_catalog.json";
  std::string columns, texts;
  bool populated = false;
  for (std::size_t i = 0; i < entry.columns.size(); ++i) {
    const returned_column& c = entry.columns[i];
    columns += i == 0 ? "SELECT " : ", ";
    if (is_populated(c)) {
      populated = true;
      columns += "f." + quote_identifier(c.own->name);
    } else {
      const std::string name = quote_identifier(text_name(i));
      columns += "f." + name + "::" + type_mark(first + i);
      texts += (texts.empty() ? "" : ", ") + name + " pg_catalog.text";
    }
    columns += " AS " + quote_identifier(c.name);
  }
  const std::string relation = relation_name(entry.written->schema, entry.written->name);
  const std::string whole = "pg_catalog.json_populate_recordset(NULL::" + relation + ", " + rows + ")";
  const std::string parts = "pg_catalog.json_to_recordset(" + rows + ") AS ";
  if (texts.empty()) return columns + " FROM " + whole + " AS f";
  if (!populated) return columns + " FROM " + parts + "f(" + texts + ")";
  return columns + " FROM ROWS FROM (" + whole + ", " + parts + "(" + texts + ")) AS f";
}

}  // namespace

std::string fragment_sql(const gather_set& set, const writing_with& writing) {
  const std::vector<writing_entry>& entries = writing.entries;
  std::string with, returned;
  std::size_t inserts = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    std::string names;
    for (std::size_t k = 0; k < entries[i].columns.size(); ++k) {
      names += (k == 0 ? "" : ", ") + returned_name(k);
      returned += ", (SELECT " + returned_name(k) + " FROM " + write_name(i) + " WHERE false)";
    }
    with += (i == 0 ? "WITH " : ", ") + write_name(i) + (names.empty() ? "" : "(" + names + ")");
    with += " AS (" + (entries[i].nothing.empty() ? entries[i].body : insert_mark(inserts++)) + "\n)";
  }
  std::string missing;
  for (const gather_table& table : set.tables) {
    for (const column* c : table.columns)
      missing += ", (NULL::" + relation_name(table) + ")." + quote_identifier(c->name);
  }
  std::string out;
  const auto add = [&](std::string part) { out += (out.empty() ? " " : " UNION ALL ") + std::move(part); };
  if (!set.tables.empty()) add("SELECT f.*" + returned + " FROM (" + fragment_sql(set, {}, {}) + ") AS f");
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].columns.empty()) continue;
    std::string part = "SELECT " + std::to_string(set.tables.size() + i) + missing;
    for (std::size_t j = 0; j < entries.size(); ++j) {
      for (std::size_t k = 0; k < entries[j].columns.size(); ++k) {
        part += j == i ? ", " + write_name(i) + "." + returned_name(k)
                       : ", (SELECT " + returned_name(k) + " FROM " + write_name(j) + " WHERE false)";
      }
    }
    add(part + " FROM " + write_name(i));
  }
  if (out.empty()) out = " SELECT 0 WHERE false";
  return with + out;
}

void add_returned(const writing_with& writing, const gather_set& set, gather_plan& plan,
                  std::vector<text_edit>& edits) {
  std::size_t first = 0;
  for (const gather_table& table : set.tables) first += table.columns.size();
  for (std::size_t i = 0; i < writing.entries.size(); ++i) {
    const writing_entry& entry = writing.entries[i];
    if (!entry.nothing.empty()) plan.inserts.push_back({entry.body, entry.nothing});
    gather_fragment fragment{relation_name(entry.written->schema, entry.written->name), {}};
    for (std::size_t k = 0; k < entry.columns.size(); ++k) {
      const returned_column& c = entry.columns[k];
      fragment.json_keys.push_back(json_key(is_populated(c) ? c.own->name : text_name(k)));
      plan.types_in_text = plan.types_in_text || !is_populated(c);
    }
    edits.push_back({entry.begin, entry.length, returned_rows(entry, set.tables.size() + i, first)});
    plan.fragments.push_back(std::move(fragment));
    first += entry.columns.size();
  }
  plan.casts_text = plan.types_in_text;
}

}  // namespace pgbraid::router
