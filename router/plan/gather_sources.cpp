// The tables and views of a gathered statement; see gather_sources.hpp.
#include "router/plan/gather_sources.hpp"

#include <algorithm>
#include <set>
#include <utility>
#include <variant>

#include "router/plan/columns.hpp"
#include "router/plan/words.hpp"
#include "router/sql/parser.hpp"

namespace pgbraid::router {
namespace {

/// FirstNormalObjectId (src/include/access/transam.h): what users create has OIDs from here on.
constexpr oid first_user_oid = 16384;

/// Views in views in views: deeper than anybody builds them.
constexpr std::size_t max_views = 64;

/// Whether nothing that users made has the name of a function, an operator or a type in a view's definition, which
/// names what is not in pg_catalog with its schema.
bool names_catalog_alone(std::string_view text, const catalog& schema) {
  named_words named;
  add_names(text, named);
  const auto calls = [&](const std::string& name) {
    const auto function = schema.functions.find(name);
    return schema.user_collations.contains(name) ||
           (function != schema.functions.end() && !function->second.pg_catalog_only);
  };
  // A table is a type as well.
  const auto made = [&](const std::string& type) {
    return schema.user_types.contains(type) ||
           std::any_of(schema.relations.begin(), schema.relations.end(), [&](const auto& each) {
             return each.second.name == type && each.second.schema != "pg_catalog";
           });
  };
  const std::vector<std::string> types = names_of_types(text, true);
  return schema.user_operators.empty() && std::none_of(named.names.begin(), named.names.end(), calls) &&
         std::none_of(types.begin(), types.end(), made);
}

bool may_gather(const analysis& a, bool writes) {
  if (a.writes != writes || a.locking || a.into || a.not_understood || a.refusal) return false;
  // Code that is not seen may look at the tables themselves; the catalog's functions tell of one shard's.
  if (!a.functions.user_code.empty() || a.functions.measures_shard) return false;
  return std::none_of(a.levels.begin(), a.levels.end(),
                      [](const query_level& level) { return level.tablesample || level.row_value || !level.system_column.empty(); });
}

/// A string in JSON comes out of json_populate_recordset() as it went in, but for what is JSON itself: see with_entry().
bool travels(const column& c) {
  constexpr oid json = 114, jsonb = 3802;
  return c.type < first_user_oid || (c.base_type != json && c.base_type != jsonb);
}

/// What is known of a view: its statement and what was found in it.
struct view_parts {
  sql::parse_result parsed;
  analysis found;
};

class collector {
 public:
  explicit collector(const plan_context& context) : context_(context) {
    inside_views_ = context;
    inside_views_.search_path = {"pg_catalog"};
  }

  bool add(gather_source source) {
    const analysis& a = *source.found;
    // What the statement itself may write has been judged before.
    const bool changes = source.view == nullptr && source.statement->kind != sql::statement_kind::select;
    if (!may_gather(a, changes)) return false;
    const bool whole_rows = std::any_of(a.levels.begin(), a.levels.end(), [](const query_level& level) { return level.whole_row; });
    const std::vector<const sql::from_item*> items = items_of(a);
    for (std::size_t i = 0; i < a.uses.size(); ++i) {
      const table_use& use = a.uses[i];
      const sql::from_item* item = items[i];
      if (use.role != table_role::read) continue;
      // The row of a table keeps the table's own names for its columns, that of a WITH entry does not.
      if (whole_rows && !use.column_aliases.empty()) return false;
      if (use.table.where == placement::spread_view) {
        if (item == nullptr || !add_view(*use.table.described)) return false;
      } else if (use.table.where == placement::sharded) {
        if (item == nullptr || use.table.described == nullptr) return false;
        add_table(use, *item, source.view != nullptr);
      }
    }
    out_.sources.push_back(std::move(source));
    return true;
  }

  /// `without`: there may be no table.
  std::optional<gather_set> finish(bool without) {
    if ((out_.tables.empty() && !without) || !choose_columns()) return std::nullopt;
    choose_entries();
    return std::move(out_);
  }

 private:
  void add_table(const table_use& use, const sql::from_item& item, bool in_view) {
    auto found = std::find_if(out_.tables.begin(), out_.tables.end(), [&](const gather_table& t) {
      return t.table->full_name == use.table.full_name && t.only == item.only;
    });
    if (found == out_.tables.end()) {
      found = out_.tables.insert(out_.tables.end(), gather_table{&use.table, use.alias, item.only, {}, false, false, {}});
    }
    // A name with a schema reaches past WITH.
    found->renamed = found->renamed || in_view || item.only || item.name.size() != 1;
    found->all_columns = found->all_columns || !use.column_aliases.empty();
  }

  bool add_view(const relation& view) {
    const auto same = [&](const gather_source& source) { return source.view == &view; };
    if (std::any_of(out_.sources.begin(), out_.sources.end(), same)) return true;
    if (++views_ > max_views || !view.view_read_safe || view.columns.empty() || view.definition.empty()) return false;
    // Its definition takes pg_catalog to be looked through first.
    if (!name_resolver{context_}.catalog_first() && !names_catalog_alone(view.definition, *context_.schema))
      return false;
    // Policies ask who reads, and in a view that is its owner.
    const auto guarded = [&](const std::string& name) {
      const auto below = context_.schema->relations.find(name);
      return below == context_.schema->relations.end() || below->second.row_security;
    };
    if (std::any_of(view.view_relations.begin(), view.view_relations.end(), guarded)) return false;
    auto parts = std::make_shared<view_parts>();
    parts->parsed = sql::parse(view.definition);
    const auto* statements = std::get_if<std::vector<sql::statement>>(&parts->parsed);
    if (statements == nullptr || statements->size() != 1 || statements->front().kind != sql::statement_kind::select) return false;
    const sql::token_scan none;
    constant_marks unused{{}, none};
    analyze(statements->front(), inside_views_, unused, parts->found);
    gather_source source;
    source.statement = &statements->front();
    source.found = &parts->found;
    source.text = view.definition;
    source.end = source.text.find_last_not_of("; \n\t") + 1;
    source.view = &view;
    source.owner = parts;
    return add(std::move(source));
  }

  bool choose_columns() {
    named_words named;
    for (const gather_source& source : out_.sources) {
      add_names(source.text, named);
      const auto whole = [](const query_level& level) { return level.whole_row; };
      named.all = named.all || renames_joined(*source.found) ||
                  std::any_of(source.found->levels.begin(), source.found->levels.end(), whole);
    }
    for (gather_table& table : out_.tables) {
      const std::vector<column>& columns = table.table->described->columns;
      for (const column& c : columns) {
        // A domain may refuse the NULL of a column that is not fetched.
        if (named.all || table.all_columns || c.base_type != 0 || named.names.contains(c.name)) table.columns.push_back(&c);
      }
      // count(*) needs the rows, though nothing of them.
      if (table.columns.empty() && !columns.empty()) table.columns.push_back(&columns.front());
      if (table.columns.empty()) return false;
      if (!std::all_of(table.columns.begin(), table.columns.end(), [](const column* c) { return travels(*c); })) return false;
    }
    return true;
  }

  void choose_entries() {
    std::set<std::string, std::less<>> taken;
    for (const gather_source& source : out_.sources) taken.insert(source.found->common_names.begin(), source.found->common_names.end());
    std::size_t number = 0;
    const auto own_name = [&] { return "pgbraid " + std::to_string(++number); };
    for (gather_table& table : out_.tables) {
      table.renamed = table.renamed || !taken.insert(table.table->name).second;
      table.entry = table.renamed ? own_name() : table.table->name;
    }
    for (gather_source& source : out_.sources) {
      if (source.view != nullptr) source.entry = own_name();
    }
  }

  const plan_context& context_;
  plan_context inside_views_;
  gather_set out_;
  std::size_t views_ = 0;
};

}  // namespace

const gather_table* gather_set::table_of(const table_use& use, bool only) const {
  const auto found = std::find_if(tables.begin(), tables.end(), [&](const gather_table& t) {
    return t.only == only && t.table->full_name == use.table.full_name;
  });
  return found == tables.end() ? nullptr : &*found;
}

const std::string* gather_set::entry_of(const table_use& use, bool only) const {
  if (const gather_table* table = table_of(use, only)) return &table->entry;
  const auto found = std::find_if(sources.begin(), sources.end(), [&](const gather_source& s) {
    return s.view != nullptr && s.view == use.table.described;
  });
  return found == sources.end() ? nullptr : &found->entry;
}

std::vector<const sql::from_item*> items_of(const analysis& a) {
  std::vector<const sql::from_item*> items(a.uses.size(), nullptr);
  for (const auto& [item, use] : a.use_of) items[use] = item;
  return items;
}

std::optional<gather_set> gather_sources(const gather_query& query, const analysis& found, const plan_context& context) {
  collector all{context};
  gather_source source;
  source.statement = query.statement;
  source.found = &found;
  source.text = query.text;
  source.begin = query.begin;
  source.end = query.end;
  if (!all.add(std::move(source))) return std::nullopt;
  return all.finish(query.writing != nullptr);
}

}  // namespace pgbraid::router
