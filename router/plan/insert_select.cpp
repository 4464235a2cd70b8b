// INSERT ... SELECT; see insert_select.hpp.
#include "router/plan/insert_select.hpp"

#include <algorithm>
#include <utility>

#include "router/plan/columns.hpp"
#include "router/plan/keys.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/refusals.hpp"
#include "router/plan/words.hpp"
#include "router/shard/hash.hpp"

namespace pgbraid::router {
namespace {

/// What the query gives the column at `position`, where that can be seen: an expression, or a column behind a star.
struct given_value {
  const sql::expr* value = nullptr;
  std::string column;  ///< of the query's only table
};

std::optional<given_value> value_at(const sql::select_query& q, std::size_t position, const analysis& a) {
  std::size_t at = 0;
  for (const sql::target& t : q.targets) {
    if (t.value == nullptr) return std::nullopt;
    if (t.value->kind == sql::expr_kind::column && t.value->star) {
      if (q.from.size() != 1 || q.from.front().kind != sql::from_kind::relation) return std::nullopt;
      const auto use = a.use_of.find(&q.from.front());
      if (use == a.use_of.end() || a.uses[use->second].table.described == nullptr) return std::nullopt;
      const table_use& table = a.uses[use->second];
      const std::vector<column>& columns = table.table.described->columns;
      if (position < at + columns.size()) {
        const std::size_t i = position - at;
        return given_value{nullptr, i < table.column_aliases.size() ? table.column_aliases[i] : columns[i].name};
      }
      at += columns.size();
      continue;
    }
    if (at++ == position) return given_value{t.value.get(), {}};
  }
  return std::nullopt;
}

bool below(const sql::from_item& item, const sql::from_item* wanted) {
  if (&item == wanted) return true;
  if (item.kind != sql::from_kind::join) return false;
  return (item.left != nullptr && below(*item.left, wanted)) || (item.right != nullptr && below(*item.right, wanted));
}

/// Whether every row of the result has a row of `wanted`: no outer join puts NULLs in its place.
bool always_there(const sql::from_item& item, const sql::from_item* wanted) {
  if (&item == wanted) return true;
  if (item.kind != sql::from_kind::join || item.left == nullptr || item.right == nullptr) return false;
  const bool left = below(*item.left, wanted);
  if (item.join == sql::join_kind::full) return false;
  if (item.join == sql::join_kind::left && !left) return false;
  if (item.join == sql::join_kind::right && left) return false;
  return always_there(left ? *item.left : *item.right, wanted);
}

/// The column of a key that the query gives.
std::optional<key_place> key_of_source(const given_value& given, std::size_t level, const sql::select_query& q,
                                       const analysis& a) {
  std::size_t use = nowhere;
  std::string_view name = given.column;
  if (given.value == nullptr) {
    const auto found = a.use_of.find(&q.from.front());
    use = found == a.use_of.end() ? nowhere : found->second;
  } else {
    if (given.value->kind != sql::expr_kind::column || given.value->star || given.value->name.empty()) return std::nullopt;
    use = use_of_column(a, {level, nullptr}, *given.value);
    name = given.value->name.back();
  }
  const std::size_t part = use == nowhere ? nowhere : a.uses[use].shown_part(name);
  if (part == nowhere || a.uses[use].level != level || a.uses[use].table.where != placement::sharded) return std::nullopt;
  for (const auto& [item, each] : a.use_of) {
    if (each != use) continue;
    const sql::from_item* wanted = item;
    const bool there =
        std::any_of(q.from.begin(), q.from.end(), [&](const sql::from_item& f) { return always_there(f, wanted); });
    return there ? std::optional{key_place{use, part}} : std::nullopt;
  }
  return std::nullopt;
}

const std::vector<sql::target>* returning_of(const sql::statement& s) {
  if (s.insert != nullptr) return &s.insert->returning;
  if (s.update != nullptr) return &s.update->returning;
  return s.delete_ != nullptr ? &s.delete_->returning : nullptr;
}

struct returned_name {
  std::string name;
  std::size_t part = nowhere;  ///< of the written table's key
};

/// What comes back from a write of WITH; empty where that is not known column by column.
std::vector<returned_name> columns_returned(const written_entry& rows, const analysis& a) {
  const table_use& use = a.uses[rows.use];
  const std::vector<sql::target>* list = returning_of(*rows.entry->query);
  if (list == nullptr || use.table.described == nullptr || use.table.through != nullptr || a.moves) return {};
  std::vector<returned_name> out;
  for (const sql::target& t : *list) {
    if (t.value == nullptr || t.indirection) return {};
    const sql::expr& value = *t.value;
    const bool column = value.kind == sql::expr_kind::column;
    if (column && value.star) {
      const query_level& level = a.levels[use.level];
      const bool alone = value.name.empty() && (level.from == nullptr || level.from->empty());
      if (!alone && !(value.name.size() == 1 && value.name[0] == use.alias)) return {};
      for (const router::column& c : use.table.described->columns) out.push_back({c.name, use.shown_part(c.name)});
      continue;
    }
    returned_name each{t.name.empty() && column ? value.name.back() : t.name};
    if (column && use_of_column(a, {use.level, nullptr}, value) == rows.use)
      each.part = use.shown_part(value.name.back());
    out.push_back(std::move(each));
  }
  const std::vector<std::string>& names = rows.entry->columns;
  for (std::size_t i = 0; i < std::min(out.size(), names.size()); ++i) out[i].name = names[i];
  return out;
}

/// The FROM item that gives a column, if it is what a WITH entry writes.
const sql::from_item* item_returned(const sql::select_query& q, const sql::expr& column, const analysis& a) {
  for (const auto& [item, rows] : a.returned) {
    const sql::from_item* wanted = item;
    const std::string& shown = item->alias.empty() ? item->name.back() : item->alias;
    const std::size_t qualified = column.star ? 1 : 2;
    const bool only = q.from.size() == 1 && &q.from.front() == item && column.name.size() + 1 == qualified;
    const bool named = column.name.size() == qualified && column.name[0] == shown;
    const bool there =
        std::any_of(q.from.begin(), q.from.end(), [&](const sql::from_item& f) { return always_there(f, wanted); });
    if (there && item->column_aliases.empty() && (named || only)) return item;
  }
  return nullptr;
}

/// The key's column of a written row that the query gives at `position`, as RETURNING of a WITH entry tells it.
std::optional<key_place> key_returned(const sql::select_query& q, std::size_t position, const analysis& a) {
  std::size_t at = 0;
  for (const sql::target& t : q.targets) {
    if (t.value == nullptr) return std::nullopt;
    const bool column = t.value->kind == sql::expr_kind::column;
    if (at == position && column && !t.value->star) {
      const sql::from_item* item = item_returned(q, *t.value, a);
      if (item == nullptr) return std::nullopt;
      const written_entry& rows = a.returned.at(item);
      const std::vector<returned_name> names = columns_returned(rows, a);
      const auto named = [&](const returned_name& n) { return n.name == t.value->name.back(); };
      const auto found = std::find_if(names.begin(), names.end(), named);
      const bool one = std::count_if(names.begin(), names.end(), named) == 1;
      return one && found->part != nowhere ? std::optional{key_place{rows.use, found->part}} : std::nullopt;
    }
    if (!column || !t.value->star) {
      ++at;
      continue;
    }
    const sql::from_item* item = item_returned(q, *t.value, a);
    const std::vector<returned_name> names =
        item == nullptr ? std::vector<returned_name>{} : columns_returned(a.returned.at(item), a);
    if (names.empty()) return std::nullopt;
    if (position < at + names.size()) {
      const std::size_t part = names[position - at].part;
      return part == nowhere ? std::nullopt : std::optional{key_place{a.returned.at(item).use, part}};
    }
    at += names.size();
  }
  return std::nullopt;
}

/// True if all columns of the key of one table stand in GROUP BY: no group has rows of two shards.
bool groups_by_key(const sql::select_query& q, std::size_t level, const analysis& a) {
  const auto grouped = [&](std::size_t wanted, std::size_t part) {
    return std::any_of(q.group_by.begin(), q.group_by.end(), [&](const sql::expr_ptr& e) {
      if (e == nullptr || e->kind != sql::expr_kind::column || e->star || e->name.empty()) return false;
      return use_of_column(a, {level, nullptr}, *e) == wanted && a.uses[wanted].shown_part(e->name.back()) == part;
    });
  };
  for (std::size_t use = 0; use < a.uses.size(); ++use) {
    const table_use& each = a.uses[use];
    if (each.level != level || each.keys.empty() || each.table.where != placement::sharded) continue;
    bool all = true;
    for (std::size_t part = 0; part < each.keys.size() && all; ++part) all = grouped(use, part);
    if (all) return true;
  }
  return false;
}

std::size_t level_of(const analysis& a, const sql::select_query* q) {
  for (std::size_t i = 0; i < a.levels.size(); ++i) {
    if (a.levels[i].query == q) return i;
  }
  return nowhere;
}

}  // namespace

bool stored_alike(const column& from, const column& to) {
  if (from.type == to.type) return from.modifier == to.modifier || to.modifier < 0;
  const auto integer = [](oid type) {
    return type == type_oid::int2 || type == type_oid::int4 || type == type_oid::int8;
  };
  return integer(from.type) && integer(to.type);
}

void tie_to_source(const sql::insert_query& q, std::size_t use, const plan_context& context, constant_marks& marks,
                   analysis& out) {
  out.insert_source = q.source.get();
  const table_use& written = out.uses[use];
  const std::vector<column>& columns = written.table.described->columns;
  const std::size_t count = q.columns.empty() ? columns.size() : q.columns.size();
  const std::size_t level = level_of(out, q.source.get());
  std::vector<key_place> sources;  // what gives the key's columns, those of one table in their order
  for (std::size_t part = 0; part < written.keys.size(); ++part) {
    const column& key = *written.keys[part].stored;
    std::size_t position = nowhere;
    for (std::size_t i = 0; i < count; ++i) {
      if ((q.columns.empty() ? columns[i].name : q.columns[i].name) == key.name) position = i;
    }
    if (position == nowhere && !key.draws.empty()) continue;  // drawn with the rows
    if (position == nowhere && has_random_default(key, context)) {
      out.note_drawn(key.name);
      continue;
    }
    if (position == nowhere) {
      out.refuse(
          protocol::make_error(key.has_default ? protocol::error_id::missing_key : protocol::error_id::null_key,
                               key.name, written.table.full_name));
      return;
    }
    if (level == nowhere || q.source->set_op != sql::set_operation::none || !q.source->values.empty()) continue;
    if (const auto back = key_returned(*q.source, position, out)) {
      if (stored_alike(*out.uses[back->use].keys[back->part].stored, key)) out.edges.push_back({*back, {use, part}});
      continue;
    }
    const auto given = value_at(*q.source, position, out);
    if (!given) continue;
    if (given->value != nullptr) {
      auto found = read_key_value(*given->value, key.type, *context.schema, marks);
      if (found && !found->null) {
        out.note_tie(*found, key.type);
        key_tie tie{{use, part}, {}, true};
        tie.sources.push_back(std::move(*found));
        out.ties.push_back(std::move(tie));
        continue;
      }
    }
    const auto source = key_of_source(*given, level, *q.source, out);
    if (source && stored_alike(*out.uses[source->use].keys[source->part].stored, key)) sources.push_back(*source);
    if (!source || sources.size() != part + 1 || sources.back().part != part || source->use != sources.front().use) sources.clear();
  }
  if (sources.size() != written.keys.size()) return;
  const table_use& from = out.uses[sources.front().use];
  if (from.keys.size() != written.keys.size() || from.table.sharding->function != written.table.sharding->function) return;
  for (std::size_t part = 0; part < sources.size(); ++part) out.edges.push_back({sources[part], {use, part}});
  out.key_source_use = sources.front().use;
}

std::optional<scatter_problem> judge_insert_select(const analysis& a, const plan_context& context) {
  const auto problem = [](std::string reason) {
    return scatter_problem{std::move(reason), "Select the rows first and insert them with VALUES, tied to their keys."};
  };
  if (!context.schema->single_writer.empty()) return problem("a write");
  if (std::string other = read_elsewhere(a); !other.empty()) return problem(std::move(other));
  const auto writes =
      std::count_if(a.uses.begin(), a.uses.end(), [](const table_use& use) { return use.role != table_role::read; });
  if (writes != 1 || a.key_source_use == nowhere) return problem("INSERT ... SELECT into a sharded table");
  if (a.default_differs) return problem("the default of a column may be another value on each shard");
  if (a.locking || a.common_tables || a.set_operation)
    return problem("INSERT of a query with WITH, UNION or row locks");
  const std::size_t level = level_of(a, a.insert_source);
  if (level == nowhere) return problem("INSERT ... SELECT into a sharded table");
  const query_level& source = a.levels[level];
  if (!joined_by_key(a, a.key_source_use))
    return problem("a join of sharded tables that is not on their sharding keys");
  const bool grouped = source.grouped && !source.query->grouping_sets && groups_by_key(*source.query, level, a);
  if (source.limited || !source.window.empty() || !source.query->distinct_on.empty() || source.tablesample ||
      !source.system_column.empty() || source.whole_row ||
      ((source.grouped || source.having || !source.aggregate.empty()) && !grouped)) {
    return problem("INSERT of rows that depend on those of other shards");
  }
  if (!a.functions.differs.empty()) return problem(a.functions.differs + " may give another value on each shard");
  for (std::size_t i = 0; i < a.levels.size(); ++i) {
    const query_level& each = a.levels[i];
    if (i == level || each.target != nowhere) continue;
    if (!each.by_row.empty()) return problem("function \"" + each.by_row + "\" may give another value on each shard");
    if (auto reason = problem_of_nested(a, i)) return problem(std::move(*reason));
  }
  if (source.query->from.empty() || !keeps_partition(a, source.query->from))
    return problem("an outer join that keeps rows of a reference table without a partner");
  return std::nullopt;
}

std::size_t columns_behind_stars(const sql::select_query& q, const analysis& a) {
  std::size_t count = 0;
  for (const sql::target& t : q.targets) {
    if (t.value == nullptr) return 0;
    if (t.value->kind != sql::expr_kind::column || !t.value->star) {
      ++count;
      continue;
    }
    if (q.from.size() != 1 || q.from.front().kind != sql::from_kind::relation) return 0;
    const auto use = a.use_of.find(&q.from.front());
    if (use == a.use_of.end() || a.uses[use->second].table.described == nullptr) return 0;
    count += a.uses[use->second].table.described->columns.size();
  }
  return count;
}

std::optional<std::size_t> end_of_columns(const sql::insert_query& q, std::string_view text) {
  if (q.columns.empty() || q.columns.back().location < 0) return std::nullopt;
  const auto name = static_cast<std::size_t>(q.columns.back().location);
  if (name >= text.size()) return std::nullopt;
  const std::size_t end = text[name] == '"' ? skip_quoted(text, name) : end_of_word(text, name);
  const std::size_t close = skip_blanks(text, end);
  if (end == name || close >= text.size() || text[close] != ')') return std::nullopt;
  return end;
}

std::optional<insert_text> parts_of_text(std::string_view text) {
  insert_text out;
  std::size_t at = 0;
  int depth = 0;
  bool inserted = false, sourced = false, into = false;
  std::string before;
  while (at < text.size()) {
    if (const std::size_t past = skip_quoted(text, at); past != at) {
      // A comment is no name.
      if (text[at] == '"') before = "\"";
      at = past;
      continue;
    }
    const char c = text[at];
    if (depth == 0 && is_word_start(c)) {
      const std::size_t end = end_of_word(text, at);
      const std::string word = lower_word(text.substr(at, end - at));
      if (!inserted && word == "insert") {
        inserted = true;
        out.insert = at;
      } else if (inserted && !sourced && before != "." && before != "into" && before != "as" &&
                 (word == "select" || word == "values" || word == "with" || word == "table" || word == "default")) {
        // A list of columns and OVERRIDING stand in front of it.
        if (word == "default") return std::nullopt;
        sourced = true;
        out.source = at;
      } else if (sourced && before != "." && before != "as" && word == "returning") {
        out.end = at;
        return out;
      } else if (sourced && before != "." && before != "as" && word == "on") {
        const std::size_t next = skip_blanks(text, end);
        if (lower_word(text.substr(next, end_of_word(text, next) - next)) == "conflict") {
          out.end = at;
          return out;
        }
      }
      into = into || word == "into";
      before = word;
      at = end;
      continue;
    }
    if (c == '(') {
      // The query itself may stand in parentheses; a list of columns is a list of names.
      if (depth == 0 && inserted && into && !sourced) {
        const std::size_t inside = text.find_first_not_of("( \t\r\n", at);
        const std::string word =
            inside == std::string_view::npos ? "" : lower_word(text.substr(inside, end_of_word(text, inside) - inside));
        if (word == "select" || word == "with" || word == "values" || word == "table") {
          sourced = true;
          out.source = at;
        }
      }
      ++depth;
    } else if (c == ')') {
      --depth;
    } else if (c == ';' && depth == 0) {
      break;
    }
    if (!is_blank(c)) before = std::string(1, c);
    ++at;
  }
  if (!sourced) return std::nullopt;
  out.end = at;
  return out;
}

}  // namespace pgbraid::router
