// Names in a gathered statement's text; see gather_text.hpp. Source for GROUP BY: the manual's "Table Expressions" and
// check_functional_grouping() in pg_constraint.c; for what its items mean: findTargetlistEntrySQL92() in
// parse_clause.c.
#include "router/plan/gather_text.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <set>
#include <utility>

#include "router/plan/columns.hpp"
#include "router/plan/words.hpp"

namespace pgbraid::router {
namespace {

constexpr std::size_t no_place = std::string_view::npos;

/// A name of one or more parts as it stands in a text.
struct written_name {
  std::vector<std::string> parts;
  std::vector<std::size_t> begins;  ///< of each part
  std::size_t end = 0;
};

/// Reads up to `count` parts; nothing for a name that only the server decodes (U&"...").
std::optional<written_name> read_name(std::string_view text, std::size_t at, std::size_t count) {
  written_name out;
  while (at < text.size()) {
    out.begins.push_back(at);
    std::string part;
    if (text[at] == '"') {
      for (++at; at < text.size() && (text[at] != '"' || text.substr(at, 2) == "\"\""); ++at) {
        part.push_back(text[at]);
        if (text[at] == '"') ++at;
      }
      ++at;
    } else if (is_word_start(text[at])) {
      const std::size_t end = end_of_word(text, at);
      part = lower_word(text.substr(at, end - at));
      at = end;
      if (part == "u" && at < text.size() && text[at] == '&') return std::nullopt;
    } else {
      return std::nullopt;
    }
    out.parts.push_back(std::move(part));
    out.end = at;
    if (out.parts.size() == count) return out;
    at = skip_blanks(text, at);
    if (at >= text.size() || text[at] != '.') return std::nullopt;
    at = skip_blanks(text, at + 1);
  }
  return std::nullopt;
}

/// The last word before `at`, in lower case; "" where something else stands there.
std::string word_before(std::string_view text, std::size_t at, std::size_t& begin) {
  while (at > 0 && is_blank(text[at - 1])) --at;
  begin = at;
  while (begin > 0 && is_word_part(text[begin - 1])) --begin;
  return lower_word(text.substr(begin, at - begin));
}

/// schema.table.column: the schema goes, since what stands in FROM now has none.
std::optional<text_edit> without_schema(const sql::expr& column, std::string_view text) {
  if (column.location < 0) return std::nullopt;
  const auto name = read_name(text, static_cast<std::size_t>(column.location), column.name.size());
  if (!name || name->parts != column.name) return std::nullopt;
  const std::size_t table = name->begins[name->begins.size() - 2];
  return text_edit{name->begins.front(), table - name->begins.front(), {}};
}

/// Types without an order or a hash function of their own: GROUP BY does not take them.
bool may_group(const column& c) {
  constexpr std::array<oid, 10> without{114, 142, 600, 601, 602, 603, 604, 628, 718, 32};
  return std::find(without.begin(), without.end(), c.base_type != 0 ? c.base_type : c.type) == without.end();
}

/// The expression that an item of GROUP BY stands for: a column by its name, else one of the SELECT list by its number
/// or name.
const sql::expr* grouped_by(const sql::expr& item, const sql::select_query& q, const analysis& a, std::size_t level) {
  const auto star = [](const sql::target& t) { return t.value != nullptr && t.value->kind == sql::expr_kind::column && t.value->star; };
  if (item.kind == sql::expr_kind::constant && item.constant == sql::constant_kind::integer) {
    std::size_t number = 0;
    std::from_chars(item.text.data(), item.text.data() + item.text.size(), number);
    if (number == 0 || number > q.targets.size() || std::any_of(q.targets.begin(), q.targets.end(), star)) return nullptr;
    return q.targets[number - 1].value.get();
  }
  if (item.kind != sql::expr_kind::column || item.star) return nullptr;
  if (use_of_column(a, {level, nullptr}, item) != nowhere || item.name.size() != 1) return &item;
  const auto named = std::find_if(q.targets.begin(), q.targets.end(), [&](const sql::target& t) { return t.name == item.name[0]; });
  return named == q.targets.end() ? nullptr : named->value.get();
}

std::string shown_name(const table_use& use, const column& c) {
  const auto at = static_cast<std::size_t>(&c - use.table.described->columns.data());
  return at < use.column_aliases.size() ? use.column_aliases[at] : c.name;
}

/// A table's primary key in GROUP BY fixes all its other columns: naming them there too makes the same groups, and a
/// WITH entry has no key that the server could know of.
std::optional<text_edit> group_dependent(const query_level& level, std::size_t index, const analysis& a, const gather_set& set,
                                         const std::vector<const sql::from_item*>& items) {
  const sql::select_query& q = *level.query;
  std::set<std::pair<std::size_t, std::string>> grouped;
  std::size_t place = no_place;
  for (const sql::expr_ptr& item : q.group_by) {
    if (item == nullptr) continue;
    const sql::expr* value = grouped_by(*item, q, a, index);
    if (value == nullptr || value->kind != sql::expr_kind::column || value->name.empty()) continue;
    const std::size_t use = use_of_column(a, {index, nullptr}, *value);
    if (use == nowhere) continue;
    grouped.emplace(use, value->name.back());
    // The place of a column or a number is where its text begins.
    if (item->location >= 0) place = std::min(place, static_cast<std::size_t>(item->location));
  }
  if (place == no_place) return std::nullopt;
  std::string added;
  for (std::size_t i = 0; i < a.uses.size(); ++i) {
    const table_use& use = a.uses[i];
    const gather_table* table = use.level != index || items[i] == nullptr ? nullptr : set.table_of(use, items[i]->only);
    if (table == nullptr || use.table.described->primary_key.empty()) continue;
    const std::vector<column>& columns = use.table.described->columns;
    const auto in_group = [&](const column& c) { return grouped.contains({i, shown_name(use, c)}); };
    const auto whole_key = [&](const std::string& key) {
      return std::any_of(columns.begin(), columns.end(), [&](const column& c) { return c.name == key && in_group(c); });
    };
    const std::vector<std::string>& key = use.table.described->primary_key;
    if (!std::all_of(key.begin(), key.end(), whole_key)) continue;
    for (const column* c : table->columns) {
      if (may_group(*c) && !in_group(*c)) added += quote_identifier(use.alias) + "." + quote_identifier(shown_name(use, *c)) + ", ";
    }
  }
  if (added.empty()) return std::nullopt;
  return text_edit{place, 0, std::move(added)};
}

}  // namespace

std::size_t end_of_name(std::string_view text, std::size_t at, const sql::qualified_name& name) {
  const auto found = read_name(text, at, name.size());
  return found && found->parts == name ? found->end : at;
}

bool is_table_command(std::string_view text, std::size_t at) {
  std::size_t begin = at;
  std::string word = word_before(text, at, begin);
  if (word == "only") word = word_before(text, begin, begin);
  return word == "table";
}

std::optional<text_edit> in_place_of(const sql::from_item& item, const table_use& use, std::string instead,
                                     std::string_view text) {
  if (item.location < 0) return std::nullopt;
  const auto at = static_cast<std::size_t>(item.location);
  const auto name = read_name(text, at, item.name.size());
  if (!name || name->parts != item.name) return std::nullopt;
  text_edit edit{at, name->end - at, std::move(instead)};
  // orders * means what orders means.
  const std::size_t next = skip_blanks(text, name->end);
  if (next < text.size() && text[next] == '*') edit.length = next + 1 - at;
  // ONLY (orders) leaves no room for an alias.
  const std::size_t before = text.substr(0, at).find_last_not_of(" \t\r\n");
  if (item.only && item.alias.empty() && before != no_place && text[before] == '(') return std::nullopt;
  if (item.alias.empty() && !is_table_command(text, at)) edit.text += " AS " + quote_identifier(use.alias);
  return edit;
}

std::string quote_identifier(std::string_view name) {
  std::string out{'"'};
  for (const char c : name) {
    if (c == '"') out.push_back('"');
    out.push_back(c);
  }
  out.push_back('"');
  return out;
}

std::optional<std::vector<text_edit>> edits_of(const gather_source& source, const gather_set& set) {
  const analysis& a = *source.found;
  const std::vector<const sql::from_item*> items = items_of(a);
  std::vector<text_edit> out;
  for (std::size_t i = 0; i < a.uses.size(); ++i) {
    const std::string* entry = items[i] == nullptr ? nullptr : set.entry_of(a.uses[i], items[i]->only);
    if (entry == nullptr) continue;
    if (items[i]->name.size() == 1 && items[i]->name[0] == *entry) continue;
    auto edit = in_place_of(*items[i], a.uses[i], quote_identifier(*entry), source.text);
    if (!edit) return std::nullopt;
    out.push_back(std::move(*edit));
  }
  for (const auto& [column, use] : a.schema_columns) {
    if (items[use] == nullptr || set.entry_of(a.uses[use], items[use]->only) == nullptr) continue;
    auto edit = without_schema(*column, source.text);
    if (!edit) return std::nullopt;
    out.push_back(std::move(*edit));
  }
  for (std::size_t i = 0; i < a.levels.size(); ++i) {
    const query_level& level = a.levels[i];
    if (level.query == nullptr || level.query->group_by.empty() || level.query->grouping_sets) continue;
    if (auto edit = group_dependent(level, i, a, set, items)) out.push_back(std::move(*edit));
  }
  return out;
}

std::string edited(std::string_view text, std::size_t begin, std::size_t end, std::vector<text_edit> edits) {
  // What is put in front of a name stands in front of that name's own edit.
  std::stable_sort(edits.begin(), edits.end(), [](const text_edit& x, const text_edit& y) {
    return std::pair{x.at, x.length} < std::pair{y.at, y.length};
  });
  std::string out;
  for (const text_edit& edit : edits) {
    out.append(text.substr(begin, edit.at - begin)).append(edit.text);
    begin = edit.at + edit.length;
  }
  return out.append(text.substr(begin, end - begin));
}

}  // namespace pgbraid::router
