// MERGE in two steps; see merge_source.hpp.
#include "router/plan/merge_source.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "router/plan/gather_text.hpp"
#include "router/plan/merge_into.hpp"
#include "router/plan/read_text.hpp"
#include "router/plan/staged_source.hpp"
#include "router/plan/words.hpp"
#include "router/shard/hash.hpp"

namespace pgbraid::router {
namespace {

/// Calls `see(begin, end, word, before)` for each word outside of parentheses, quotes and comments. `before`: what
/// stands in front of it, a word or a character.
template <class See>
void each_word(std::string_view text, See see) {
  int depth = 0;
  std::string before;
  for (std::size_t at = 0; at < text.size();) {
    if (const std::size_t past = skip_quoted(text, at); past != at) {
      if (text[at] == '"') before = "\"";
      at = past;
      continue;
    }
    if (is_word_start(text[at])) {
      const std::size_t end = end_of_word(text, at);
      std::string word = lower_word(text.substr(at, end - at));
      if (depth == 0) see(at, end, word, before);
      before = std::move(word);
      at = end;
      continue;
    }
    depth += text[at] == '(' ? 1 : text[at] == ')' ? -1 : 0;
    if (!is_blank(text[at])) before = std::string(1, text[at]);
    ++at;
  }
}

/// Where MERGE begins, and the source in it.
struct merge_text {
  std::size_t merge = 0, source = 0, end = 0;
};

std::optional<merge_text> parts_of_merge(std::string_view text) {
  merge_text out;
  std::size_t seen = 0;  // of MERGE, USING and ON
  each_word(text, [&](std::size_t begin, std::size_t end, const std::string& word, const std::string& before) {
    if (before == ".") return;
    if (seen == 0 && word == "merge") {
      // A WITH entry may have that name.
      const std::size_t next = skip_blanks(text, end);
      if (lower_word(text.substr(next, end_of_word(text, next) - next)) != "into") return;
      out.merge = begin;
      seen = 1;
    } else if (seen == 1 && word == "using") {
      out.source = end;
      seen = 2;
    } else if (seen == 2 && word == "on") {
      out.end = begin;
      seen = 3;
    }
  });
  return seen == 3 ? std::optional{out} : std::nullopt;
}

/// Behind THEN INSERT of each action that inserts.
std::vector<std::size_t> ends_of_inserts(std::string_view text) {
  std::vector<std::size_t> out;
  each_word(text, [&](std::size_t, std::size_t end, const std::string& word, const std::string& before) {
    if (word == "insert" && before == "then") out.push_back(end);
  });
  return out;
}

/// VALUES behind a place, and what closes its row.
struct row_place {
  std::size_t values = 0, close = 0;
};

std::optional<row_place> row_behind(std::string_view text, std::size_t from) {
  std::optional<row_place> out;
  each_word(text.substr(from), [&](std::size_t begin, std::size_t end, const std::string& word, const std::string&) {
    if (out || word != "values") return;
    const std::size_t open = skip_blanks(text, from + end);
    int depth = 0;
    for (std::size_t at = open; at < text.size();) {
      if (const std::size_t past = skip_quoted(text, at); past != at) {
        at = past;
        continue;
      }
      depth += text[at] == '(' ? 1 : text[at] == ')' ? -1 : 0;
      if (depth == 0) {
        out = row_place{from + begin, at};
        return;
      }
      ++at;
    }
  });
  return out;
}

bool add_insert_defaults(const sql::insert_query& q, std::string_view text, std::size_t from, const table_use& use,
                         const std::vector<std::string>& defaults, const plan_context& context, moment_list& moments,
                         std::vector<text_edit>& edits) {
  if (q.source == nullptr) return false;
  const std::vector<sql::expr_ptr>& row = q.source->values.front();
  const std::vector<column>& columns = use.table.described->columns;
  std::vector<std::string> named;
  for (const sql::target& t : q.columns) named.push_back(t.name);
  for (std::size_t i = 0; q.columns.empty() && i < std::min(row.size(), columns.size()); ++i)
    named.push_back(columns[i].name);
  if (named.size() != row.size()) return false;
  std::string more_columns, more_values;
  for (const std::string& name : defaults) {
    const auto c = std::find_if(columns.begin(), columns.end(), [&](const column& each) { return each.name == name; });
    const auto place = std::find(named.begin(), named.end(), name);
    const sql::expr* given =
        place == named.end() ? nullptr : row[static_cast<std::size_t>(place - named.begin())].get();
    if (place != named.end() && (given == nullptr || given->kind != sql::expr_kind::default_)) continue;
    const auto value = c == columns.end() ? std::nullopt : moments.replace_in_default(c->default_text, context);
    if (!value) return false;
    if (given == nullptr) {
      more_columns += ", " + quote_identifier(name);
      more_values += ", " + *value;
    } else if (given->location < 0) {
      return false;
    } else {
      edits.push_back({static_cast<std::size_t>(given->location), std::string_view{"DEFAULT"}.size(), *value});
    }
  }
  if (more_columns.empty()) return true;
  const auto place = row_behind(text, from);
  if (!place) return false;
  if (q.columns.empty()) {
    if (q.overriding) return false;
    std::string list;
    for (const std::string& name : named) list += (list.empty() ? "" : ", ") + quote_identifier(name);
    edits.push_back({place->values, 0, "(" + list + more_columns + ") "});
  } else {
    const auto end = end_of_columns(q, text);
    if (!end || *end < from || *end > place->values) return false;
    edits.push_back({*end, 0, more_columns});
  }
  edits.push_back({place->close, 0, more_values});
  return true;
}

/// The columns of the source that are the target's key for ON and for each INSERT; empty where there are none.
std::vector<std::string> keys_of(const analysis& a, const table_use& target, const plan_context& context) {
  const std::vector<merged_key> equal = merged_keys(a, context);
  std::vector<std::string> out;
  for (std::size_t part = 0; part < target.keys.size(); ++part) {
    const auto found = std::find_if(equal.begin(), equal.end(), [&](const merged_key& each) {
      if (each.part != part) return false;
      return std::all_of(a.merge->actions.begin(), a.merge->actions.end(), [&](const sql::merge_action& action) {
        if (action.insert == nullptr) return true;
        const sql::expr* value = inserted_value(*action.insert, target.keys[part].stored->name, target);
        return value != nullptr && column_of_source(a, *value, true) == each.column;
      });
    });
    if (found == equal.end()) return {};
    out.push_back(found->column);
  }
  return out;
}

/// What is left of the statement beside its source is the same on every shard, and reads no other table.
bool stands_alone(const analysis& rest) {
  if (rest.refusal || rest.types_differ || rest.not_understood || rest.merge == nullptr || rest.locking || rest.into ||
      rest.default_differs || rest.mirrored || !rest.drawn.empty() || !rest.draws.empty())
    return false;
  const function_facts& f = rest.functions;
  if (!f.differs.empty() || !f.user_code.empty() || f.measures_shard) return false;
  for (std::size_t i = 0; i < rest.levels.size(); ++i) {
    const query_level& level = rest.levels[i];
    if (level.row_value || !level.system_column.empty()) return false;
    // A subquery that names nothing around it is answered once, whatever it calls.
    if (!level.top && (!level.by_row.empty() || problem_of_nested(rest, i))) return false;
  }
  return std::all_of(rest.uses.begin(), rest.uses.end(), [](const table_use& use) {
    return use.role != table_role::read && use.table.where == placement::sharded && !use.keys.empty();
  });
}

/// How the source's columns are called, where the statement or the catalog says it.
std::vector<std::string> names_of(const sql::from_item& source, const analysis& a) {
  std::vector<std::string> out;
  if (source.kind == sql::from_kind::relation) {
    const auto use = a.use_of.find(&source);
    if (use == a.use_of.end() || a.uses[use->second].table.described == nullptr) return out;
    for (const column& c : a.uses[use->second].table.described->columns) out.push_back(c.name);
  } else if (source.kind == sql::from_kind::subquery && source.query->set_op == sql::set_operation::none) {
    const sql::select_query& q = *source.query;
    for (std::size_t i = 0; !q.values.empty() && i < q.values.front().size(); ++i)
      out.push_back("column" + std::to_string(i + 1));
    for (const sql::target& t : q.targets) {
      const bool column = t.value != nullptr && t.value->kind == sql::expr_kind::column;
      if (column && t.value->star) return {};
      out.push_back(t.name.empty() && column ? t.value->name.back() : t.name);
    }
  }
  for (std::size_t i = 0; i < std::min(out.size(), source.column_aliases.size()); ++i)
    out[i] = source.column_aliases[i];
  return out;
}

/// Those of the source's columns that the rest may name, as a server evaluates no others; empty: all of them.
std::vector<std::string> columns_named(const sql::from_item& source, const analysis& a, const analysis& rest,
                                       std::string_view text) {
  std::vector<std::string> names = names_of(source, a);
  const bool rows =
      std::any_of(rest.levels.begin(), rest.levels.end(), [](const query_level& l) { return l.whole_row; });
  const auto unsure = [&](const std::string& name) {
    return name.empty() || std::count(names.begin(), names.end(), name) > 1 || lower_word(name) != name;
  };
  const std::string lower = lower_word(text);
  if (rows || lower.find("u&") != std::string::npos || std::any_of(names.begin(), names.end(), unsure)) return {};
  const std::vector<std::string> words = words_of(text);
  std::erase_if(names, [&](const std::string& name) {
    return std::find(words.begin(), words.end(), name) == words.end() &&
           lower.find(quote_identifier(name)) == std::string::npos;
  });
  return names;
}

/// What compares characters may depend on their collation, which rows that travel do not have. `text`: the source and
/// what is in front of the statement; `named`: see columns_named().
bool collates_by_itself(const sql::from_item& source, std::string_view text, const std::vector<std::string>& named,
                        const analysis& a) {
  const std::vector<std::string> words = words_of(text);
  if (std::find(words.begin(), words.end(), "collate") != words.end()) return true;
  const auto itself = a.use_of.find(&source);
  for (std::size_t i = 0; i < a.uses.size(); ++i) {
    const table_use& use = a.uses[i];
    if (use.role != table_role::read) continue;
    if (use.table.described == nullptr) return true;
    const bool some = itself != a.use_of.end() && itself->second == i && !named.empty();
    const std::vector<column>& columns = use.table.described->columns;
    for (std::size_t at = 0; at < columns.size(); ++at) {
      const std::string& shown = at < use.column_aliases.size() ? use.column_aliases[at] : columns[at].name;
      const bool travels = !some || std::find(named.begin(), named.end(), shown) != named.end();
      if (travels && !columns[at].default_collation) return true;
    }
  }
  return false;
}

bool share_parameters(std::string_view one, std::string_view other) {
  const std::vector<std::size_t> left = parameters_in(one), right = parameters_in(other);
  return std::any_of(left.begin(), left.end(),
                     [&](std::size_t n) { return std::find(right.begin(), right.end(), n) != right.end(); });
}

}  // namespace

bool write_merge_defaults(const sql::merge_query& q, std::string_view text, const analysis& a,
                          const plan_context& context, moment_list& moments, std::vector<text_edit>& edits) {
  if (a.moment_defaults.empty()) return true;
  const table_use& use = a.uses[merge_target(a)];
  std::vector<std::string> defaults = a.moment_defaults;
  std::sort(defaults.begin(), defaults.end());
  defaults.erase(std::unique(defaults.begin(), defaults.end()), defaults.end());
  const std::vector<std::size_t> inserts = ends_of_inserts(text);
  std::size_t seen = 0;
  for (const sql::merge_action& action : q.actions) {
    if (action.insert != nullptr) {
      if (seen >= inserts.size() ||
          !add_insert_defaults(*action.insert, text, inserts[seen], use, defaults, context, moments, edits))
        return false;
      ++seen;
    }
    for (const sql::target& set : action.set) {
      if (set.value == nullptr || set.value->kind != sql::expr_kind::default_) continue;
      if (!std::binary_search(defaults.begin(), defaults.end(), set.name)) continue;
      const std::vector<column>& columns = use.table.described->columns;
      const auto c =
          std::find_if(columns.begin(), columns.end(), [&](const column& each) { return each.name == set.name; });
      const auto value = c == columns.end() || set.value->location < 0
                             ? std::nullopt
                             : moments.replace_in_default(c->default_text, context);
      if (!value) return false;
      edits.push_back({static_cast<std::size_t>(set.value->location), std::string_view{"DEFAULT"}.size(), *value});
    }
  }
  return seen == inserts.size();
}

std::shared_ptr<const staged_source> make_merge_source(const sql::merge_query& q, std::string_view text,
                                                       const analysis& a, const plan_context& context,
                                                       staged_write& staged) {
  if (a.refusal || a.types_differ || a.locking || a.into || a.not_understood || !a.schema_columns.empty())
    return nullptr;
  const std::size_t written = merge_target(a);
  const std::string alias = source_name(q.source.front());
  const auto parts = parts_of_merge(text);
  if (written == nowhere || a.uses[written].keys.empty() || alias.empty() || !parts) return nullptr;
  const query_level& own = a.levels[a.uses[written].level];
  if (own.row_value || !own.system_column.empty()) return nullptr;
  // All columns of a function's result may be its one value: the rows that stand for them are rows.
  if (own.whole_row && q.source.front().kind == sql::from_kind::function) return nullptr;
  const std::string source{text.substr(parts->source, parts->end - parts->source)};

  // The statement with something in the source's place.
  std::string rest{text.substr(parts->merge, parts->source - parts->merge)};
  rest += " (";
  const std::size_t begin = rest.size();
  rest += "SELECT NULL) AS " + quote_identifier(alias) + " ";
  const std::size_t end = rest.size();
  rest += text.substr(parts->end);
  const read_text read{rest, context};
  if (read.statement() == nullptr || read.statement()->merge == nullptr) return nullptr;
  const analysis& found = read.found;
  if (!stands_alone(found)) return nullptr;
  const table_use& target = found.uses[merge_target(found)];
  const relation& table = *target.table.described;

  const std::string first{text.substr(0, parts->merge)};
  if (share_parameters(first + source, rest)) return nullptr;
  // One server says what time it is for the source, another might for the rest.
  const std::size_t moments_of_source = a.moments.size() - std::min(a.moments.size(), found.moments.size());
  if (moments_of_source > 0 && (!found.moments.empty() || !found.moment_defaults.empty())) return nullptr;
  moment_list moments;
  std::vector<text_edit> edits, front, behind;
  if (!moments.replace(rest, found, edits)) return nullptr;
  if (!write_merge_defaults(*read.statement()->merge, rest, found, context, moments, edits)) return nullptr;
  for (text_edit& edit : edits) (edit.at < begin ? front : behind).push_back(std::move(edit));

  auto merge = std::make_shared<merge_source>();
  merge->alias = alias;
  merge->inserts = q.inserts();
  merge->keys = keys_of(found, target, context);
  if (merge->inserts && merge->keys.empty()) return nullptr;
  merge->key_is_there = std::all_of(target.keys.begin(), target.keys.end(), [&](const key_column& key) {
    return std::find(table.primary_key.begin(), table.primary_key.end(), key.stored->name) != table.primary_key.end();
  });

  const auto query = std::make_shared<staged_query>();
  const std::vector<std::string> named = columns_named(q.source.front(), a, found, rest);
  if (collates_by_itself(q.source.front(), first + source, named, a) || names_own_type(first + source, *context.schema))
    return nullptr;
  std::string list;
  for (const std::string& name : named) list += (list.empty() ? "" : ", ") + quote_identifier(name);
  if (list.empty()) list = "*";
  if (!plan_query(first + "SELECT " + list + " FROM " + source, context, *query, staged)) return nullptr;
  query->shown = text;
  auto out = std::make_shared<staged_source>();
  out->before = edited(rest, 0, begin, std::move(front));
  out->after = edited(rest, end, rest.size(), std::move(behind));
  for (const column& c : table.columns) out->columns.push_back({c.name, c.type, false});
  out->relation = quote_identifier(table.schema) + "." + quote_identifier(table.name);
  out->table = target.table.full_name;
  out->values = target.values;
  for (const key_column& part : target.keys)
    out->keys.push_back({part.stored->name, 0, part.stored->type, part.stored->modifier});
  out->merge = std::move(merge);
  staged.moments_sql = moments.sql();
  staged.query = query;
  return out;
}

std::shared_ptr<const staged_source> with_columns(const staged_source& source, const std::vector<std::string>& names,
                                                  const std::vector<oid>& types) {
  constexpr oid first_user_oid = 16384;
  auto out = std::make_shared<staged_source>(source);
  out->columns.clear();
  std::string list;
  for (std::size_t i = 0; i < names.size(); ++i) {
    list += (list.empty() ? "" : ", ") + quote_identifier(names[i]);
    // A type of the database's own is said by a column of the target that has it.
    const auto same = std::find_if(source.columns.begin(), source.columns.end(), [&](const source_column& c) {
      return c.type == types[i] && types[i] >= first_user_oid;
    });
    out->columns.push_back(same == source.columns.end() ? source_column{names[i], 0} : *same);
  }
  if (list.empty()) return nullptr;
  out->after = ") AS " + quote_identifier(source.merge->alias) + "(" + list + ") " + source.after;
  bool tied = source.merge->keys.size() == source.keys.size();
  for (std::size_t part = 0; tied && part < source.keys.size(); ++part) {
    const auto at = std::find(names.begin(), names.end(), source.merge->keys[part]);
    if (at == names.end()) return nullptr;
    out->keys[part].at = static_cast<std::size_t>(at - names.begin());
    // What is equal to a key by another operator than its own may be on any shard.
    tied = source.merge->inserts || ties_key(source.keys[part].type, types[out->keys[part].at]);
  }
  if (!tied) out->keys.clear();
  return out;
}

}  // namespace pgbraid::router
