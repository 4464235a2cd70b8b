// Tables whose rows are fetched; see staged_tables.hpp.
#include "router/plan/staged_tables.hpp"

#include <algorithm>
#include <utility>

#include "router/plan/columns.hpp"
#include "router/plan/gather_text.hpp"
#include "router/plan/words.hpp"

namespace pgbraid::router {

namespace {

/// The columns that the statement may name. `all`: whether it does or not.
std::vector<const column*> columns_of(const relation& table, std::string_view text, bool all) {
  named_words named;
  add_names(text, named);
  std::vector<const column*> out;
  for (const column& c : table.columns) {
    if (all || named.all || named.names.contains(c.name)) out.push_back(&c);
  }
  // count(*) needs the rows, though nothing of them.
  if (out.empty() && !table.columns.empty()) out.push_back(&table.columns.front());
  return out;
}

/// The word ONLY in front of a name; nothing where it does not stand right there.
std::optional<std::size_t> place_of_only(std::string_view text, std::size_t name) {
  constexpr std::string_view word = "only";
  while (name > 0 && is_blank(text[name - 1])) --name;
  if (name < word.size() || lower_word(text.substr(name - word.size(), word.size())) != word) return std::nullopt;
  return name - word.size();
}

/// What must change in the text for one occurrence: its name goes, parentheses come.
std::optional<text_edit> without_name(std::string_view text, const sql::from_item& item, const table_use& use) {
  if (item.location < 0 || item.tablesample || is_table_command(text, static_cast<std::size_t>(item.location)))
    return std::nullopt;
  auto edit = in_place_of(item, use, "()", text);
  if (!edit || !item.only) return edit;
  const auto only = place_of_only(text, edit->at);
  if (!only) return std::nullopt;
  edit->length += edit->at - *only;
  edit->at = *only;
  return edit;
}

bool stands_for_itself(const analysis& a) {
  return std::all_of(a.levels.begin(), a.levels.end(), [](const query_level& level) {
    return !level.tablesample && !level.row_value && level.system_column.empty();
  });
}

/// A primary key in GROUP BY stands for all other columns of its table. Of sharded tables it is known.
bool groups_by_key(const analysis& a, const table_use& use) {
  const query_level& level = a.levels[use.level];
  const bool keyless = use.table.described->kind == 'v' ||
                       (use.table.where == placement::sharded && use.table.described->primary_key.empty());
  return !keyless && level.query != nullptr && !level.query->group_by.empty();
}

}  // namespace

std::optional<fetched_table> fetch_table(std::string_view text, const analysis& a,
                                         const std::function<bool(const table_use&)>& stays) {
  const std::vector<const sql::from_item*> items = items_of(a);
  const auto first = std::find_if(a.uses.begin(), a.uses.end(),
                                  [&](const table_use& use) { return use.role == table_role::read && !stays(use); });
  if (first == a.uses.end() || first->table.described == nullptr || !a.schema_columns.empty() || !stands_for_itself(a))
    return std::nullopt;
  const sql::from_item* shown = items[static_cast<std::size_t>(first - a.uses.begin())];
  if (shown == nullptr) return std::nullopt;
  const relation& table = *first->table.described;
  std::vector<text_edit> edits;
  const bool whole_rows =
      std::any_of(a.levels.begin(), a.levels.end(), [](const query_level& level) { return level.whole_row; });
  bool all = whole_rows || renames_joined(a);
  for (std::size_t i = 0; i < a.uses.size(); ++i) {
    const table_use& use = a.uses[i];
    if (use.role != table_role::read || use.table.described != first->table.described || items[i] == nullptr ||
        items[i]->only != shown->only)
      continue;
    auto edit = without_name(text, *items[i], use);
    // The row of a table keeps the table's own names for its columns, that of a query does not.
    if (!edit || groups_by_key(a, use) || (whole_rows && !use.column_aliases.empty())) return std::nullopt;
    // Rows that stand beside the written one are kept whole, with what a view makes of them.
    all = all || !use.column_aliases.empty() || (table.kind == 'v' && a.levels[use.level].target != nowhere);
    edits.push_back(std::move(*edit));
  }
  fetched_table out;
  std::string list;
  for (const column* c : columns_of(table, text, all)) {
    if (c->base_type != 0) return std::nullopt;  // a value of a domain comes as one of the type below it
    const std::string name = quote_identifier(c->name);
    list += (list.empty() ? "" : ", ") + name;
    out.columns += (out.columns.empty() ? "NULL::pg_catalog.text AS " : ", NULL::pg_catalog.text AS ") + name;
    out.collated = out.collated || !c->default_collation;
  }
  if (list.empty()) return std::nullopt;
  out.query = "SELECT " + list + (shown->only ? " FROM ONLY " : " FROM ") + quote_identifier(table.schema) + "." +
              quote_identifier(table.name);
  std::sort(edits.begin(), edits.end(), [](const text_edit& x, const text_edit& y) { return x.at < y.at; });
  std::size_t from = 0;
  for (const text_edit& edit : edits) {
    out.text.append(text.substr(from, edit.at - from));
    out.at.push_back(out.text.size() + 1);
    out.text += edit.text;
    from = edit.at + edit.length;
  }
  out.text.append(text.substr(from));
  return out;
}

std::string with_rows(const fetched_table& table, std::string_view rows) {
  std::string out;
  std::size_t from = 0;
  for (const std::size_t at : table.at) {
    out.append(table.text, from, at - from).append(rows);
    from = at;
  }
  return out.append(table.text, from);
}

}  // namespace pgbraid::router
