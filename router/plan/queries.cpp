// Query levels, FROM lists and the relations in them; see analyzer.hpp.
#include <algorithm>
#include <utility>

#include "router/plan/analyzer.hpp"
#include "router/plan/refusals.hpp"
#include "router/plan/words.hpp"
#include "router/shard/hash.hpp"
#include "router/shard/value_map.hpp"

namespace pgbraid::router {

using protocol::error_id;
using protocol::make_error;

void describe_key(table_use& use, const topology& map) {
  use.keys.clear();
  if (use.table.where != placement::sharded || use.table.described == nullptr) return;
  const std::vector<column>& columns = use.table.described->columns;
  for (const std::string& part : use.table.sharding->key) {
    const auto found = std::find_if(columns.begin(), columns.end(), [&](const column& c) { return c.name == part; });
    if (found == columns.end() || !hashable_key_type(found->type) || !found->deterministic) return use.keys.clear();
    const auto i = static_cast<std::size_t>(found - columns.begin());
    use.keys.push_back({&*found, i < use.column_aliases.size() ? use.column_aliases[i] : found->name});
  }
  if (use.table.sharding->function == shard_function::hash) return;
  std::string problem;
  const column& key = *use.keys.front().stored;
  use.values = use.keys.size() > 1 ? nullptr : values_of(map, *use.table.sharding, key, problem);
  if (use.values == nullptr) use.keys.clear();
}

std::size_t table_use::key_part(std::string_view column) const {
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const key_column& k) { return k.stored->name == column; });
  return found == keys.end() ? nowhere : static_cast<std::size_t>(found - keys.begin());
}

std::size_t table_use::shown_part(std::string_view name) const {
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const key_column& k) { return k.name == name; });
  return found == keys.end() ? nowhere : static_cast<std::size_t>(found - keys.begin());
}

std::string table_use::key_label() const {
  std::string out;
  for (const key_column& each : keys) out += (out.empty() ? "" : ", ") + each.stored->name;
  return out;
}

std::size_t analyzer::add_level(std::size_t parent) {
  out_.levels.emplace_back();
  out_.levels.back().parent = parent;
  if (parent == on_level_) out_.levels.back().parent_root = on_join_;
  return out_.levels.size() - 1;
}

void analyzer::read_statement(const sql::statement& s, std::size_t parent, bool top) {
  out_.not_understood = out_.not_understood || s.unparsable_parts;
  switch (s.kind) {
    case sql::statement_kind::select:
      if (s.select != nullptr) return read_select(*s.select, parent, top);
      break;
    case sql::statement_kind::insert:
      if (s.insert != nullptr) return read_insert(*s.insert, parent);
      break;
    case sql::statement_kind::update:
      if (s.update != nullptr) return read_update(*s.update, parent);
      break;
    case sql::statement_kind::delete_:
      if (s.delete_ != nullptr) return read_delete(*s.delete_, parent);
      break;
    case sql::statement_kind::merge:
      if (s.merge != nullptr && with_depth_ == 0) return read_merge(*s.merge, parent);
      break;
    default:
      break;
  }
  out_.not_understood = true;
}

void analyzer::read_with(const sql::with_clause& with, std::size_t parent) {
  const auto read_body = [&](const sql::common_table& table, common_entry& entry) {
    out_.common_tables = true;
    out_.common_names.push_back(table.name);
    const std::size_t first = out_.levels.size(), uses = out_.uses.size();
    ++with_depth_;
    if (table.query != nullptr) read_statement(*table.query, parent, false);
    --with_depth_;
    if (table.query == nullptr) return;
    for (std::size_t use = uses; use < out_.uses.size() && entry.written.entry == nullptr; ++use) {
      if (out_.uses[use].role != table_role::read) entry.written = {&table, use};
    }
    if (table.query->kind != sql::statement_kind::select) return;
    entry.first = first;
    entry.last = out_.levels.size();
  };
  if (with.recursive) {
    const std::size_t from = common_tables_.size();
    for (const sql::common_table& table : with.tables) common_tables_.push_back({table.name});
    for (std::size_t i = 0; i < with.tables.size(); ++i) {
      common_entry body;
      read_body(with.tables[i], body);
      common_tables_[from + i].first = body.first;
      common_tables_[from + i].last = body.last;
    }
    return;
  }
  for (const sql::common_table& table : with.tables) {
    common_entry entry{table.name};
    read_body(table, entry);
    common_tables_.push_back(std::move(entry));
  }
}

/// The WITH entries behind the first `outer` are in scope no more: which of them somebody reads is known.
void analyzer::leave_with(std::size_t outer) {
  for (std::size_t i = outer; i < common_tables_.size(); ++i) {
    const common_entry& entry = common_tables_[i];
    for (std::size_t level = entry.first; level < entry.last && !entry.read; ++level) out_.levels[level].unread = true;
  }
  common_tables_.resize(outer);
}

void analyzer::read_select(const sql::select_query& q, std::size_t parent, bool top) {
  const std::size_t outer_tables = common_tables_.size();
  read_with(q.with, parent);
  out_.locking = out_.locking || q.locking;
  out_.locking_below = out_.locking_below || (q.locking && !(top && q.set_op == sql::set_operation::none));
  out_.into = out_.into || q.into;
  if (q.set_op == sql::set_operation::none) {
    read_core(q, parent, top);
  } else {
    out_.set_operation = true;
    if (q.left != nullptr) read_select(*q.left, parent, false);
    if (q.right != nullptr) read_select(*q.right, parent, false);
    // ORDER BY and LIMIT of the whole see the result's columns only.
    const std::size_t level = add_level(parent);
    out_.levels[level].ordered = !q.order_by.empty();
    out_.levels[level].limited = q.limit != nullptr || q.offset != nullptr;
    read_sort_keys(q.order_by, level);
    read_expr(q.limit, level, literal::pinned);
    read_expr(q.offset, level, literal::pinned);
  }
  leave_with(outer_tables);
}

void analyzer::read_core(const sql::select_query& q, std::size_t parent, bool top) {
  const std::size_t level = add_level(parent);
  const auto shape = [&]() -> query_level& { return out_.levels[level]; };
  shape().from = &q.from;
  shape().query = &q;
  shape().top = top;
  shape().distinct = q.distinct;
  shape().grouped = !q.group_by.empty() || q.grouping_sets;
  shape().having = q.having != nullptr;
  shape().ordered = !q.order_by.empty();
  shape().limited = q.limit != nullptr || q.offset != nullptr;
  shape().values = !q.values.empty();
  if (!q.windows.empty()) shape().window = "WINDOW";
  read_from(q.from, level);
  read_where(q.where, level);
  read_targets(q.targets, level);
  for (const std::vector<sql::expr_ptr>& row : q.values) {
    for (const sql::expr_ptr& value : row) read_expr(value, level, literal::free);
  }
  for (const sql::expr_ptr& e : q.distinct_on) read_expr(e, level, literal::pinned);
  for (const sql::expr_ptr& e : q.group_by) read_expr(e, level, literal::pinned);
  read_expr(q.having, level, literal::free);
  for (const sql::expr_ptr& e : q.windows) read_expr(e, level, literal::pinned);
  read_sort_keys(q.order_by, level);
  // With one shard nothing depends on how many rows are asked for.
  const literal count = several() ? literal::pinned : literal::free;
  read_expr(q.limit, level, count);
  read_expr(q.offset, level, count);
}

void analyzer::read_targets(const std::vector<sql::target>& targets, std::size_t level) {
  for (const sql::target& t : targets) {
    if (t.value == nullptr) continue;
    // A star by itself is all columns; anywhere else it is a row.
    if (t.value->kind == sql::expr_kind::column && t.value->star) {
      out_.bare_names = out_.bare_names || !out_.levels[level].top;
      continue;
    }
    read_expr(*t.value, level, literal::free);
  }
}

void analyzer::read_sort_keys(const std::vector<sql::sort_key>& keys, std::size_t level) {
  for (const sql::sort_key& key : keys) read_expr(key.value, level, literal::pinned);
}

void analyzer::read_where(const sql::expr_ptr& where, std::size_t level) {
  if (where == nullptr) return;
  read_expr(*where, level, literal::free);
  add_condition(*where, level, nullptr, confines::all, context_, marks_, out_);
}

void analyzer::read_from(const std::vector<sql::from_item>& items, std::size_t level) {
  for (const sql::from_item& item : items) read_from_item(item, level);
}

void analyzer::read_from_item(const sql::from_item& item, std::size_t level) {
  if (item.tablesample) out_.levels[level].tablesample = true;
  switch (item.kind) {
    case sql::from_kind::relation: {
      if (const common_entry* entry = read_common_table(item.name)) {
        if (entry->written.use != nowhere) out_.returned.emplace(&item, entry->written);
        break;
      }
      const std::size_t use = add_use(item.name, item.alias, level, table_role::read);
      out_.uses[use].column_aliases = item.column_aliases;
      describe_key(out_.uses[use], *context_.map);
      const bool copies = item.tablesample && out_.uses[use].table.where != placement::sharded;
      out_.levels[level].samples_copies = out_.levels[level].samples_copies || copies;
      out_.use_of.emplace(&item, use);
      break;
    }
    case sql::from_kind::subquery:
      // Only a LATERAL subquery sees its neighbours; the others see what stands outside this level.
      if (item.query != nullptr) read_select(*item.query, item.lateral ? level : out_.levels[level].parent, false);
      break;
    case sql::from_kind::function:
      break;
    case sql::from_kind::join:
      return read_join(item, level);
    case sql::from_kind::values_like_other:
      out_.not_understood = true;
      break;
  }
  // What FROM calls is called once for the whole statement, and so on each shard anew.
  std::string by_row = std::exchange(out_.levels[level].by_row, {});
  functions_.expect_columns(item.column_types);
  for (const sql::expr_ptr& e : item.functions) {
    read_expr(e, level, literal::free);
    out_.moment_in_from = out_.moment_in_from || (!out_.moments.empty() && out_.moments.back() == e.get());
  }
  functions_.expect_columns({});
  if (!out_.levels[level].by_row.empty() && out_.functions.differs.empty())
    out_.functions.differs = "function \"" + out_.levels[level].by_row + "\" in FROM";
  out_.levels[level].by_row = std::move(by_row);
}

void analyzer::read_join(const sql::from_item& item, std::size_t level) {
  if (item.left != nullptr) read_from_item(*item.left, level);
  if (item.right != nullptr) read_from_item(*item.right, level);
  confines which = confines::all;
  if (item.join == sql::join_kind::left) which = confines::right;
  if (item.join == sql::join_kind::right) which = confines::left;
  if (item.join == sql::join_kind::full) which = confines::none;
  if (item.natural || !item.using_columns.empty()) out_.bare_names = true;
  if (item.natural || !item.using_columns.empty()) add_merged_columns(item, which, context_, out_);
  if (item.condition == nullptr) return;
  const std::size_t outer_level = std::exchange(on_level_, level);
  const sql::from_item* outer_join = std::exchange(on_join_, &item);
  read_expr(*item.condition, level, literal::free);
  on_level_ = outer_level;
  on_join_ = outer_join;
  add_condition(*item.condition, level, &item, which, context_, marks_, out_);
}

const analyzer::common_entry* analyzer::read_common_table(const sql::qualified_name& name) {
  if (name.size() != 1) return nullptr;
  const auto named = [&](const common_entry& entry) { return entry.name == name[0]; };
  const auto found = std::find_if(common_tables_.rbegin(), common_tables_.rend(), named);
  if (found == common_tables_.rend()) return nullptr;
  found->read = true;
  return &*found;
}

std::size_t analyzer::add_use(const sql::qualified_name& name, const std::string& alias, std::size_t level,
                              table_role role) {
  return add_use(names_.resolve(name), alias, level, role);
}

std::size_t analyzer::add_use(resolved_table table, const std::string& alias, std::size_t level, table_role role) {
  table_use use;
  use.table = std::move(table);
  use.aliased = !alias.empty();
  use.alias = use.aliased ? alias : use.table.name;
  use.level = level;
  use.role = role;
  describe_key(use, *context_.map);
  out_.writes = out_.writes || role != table_role::read;
  judge_relation(use.table, role);
  if (role == table_role::read) judge_readable(use.table);
  out_.uses.push_back(std::move(use));
  return out_.uses.size() - 1;
}

/// Over several shards: whether the topology says where this relation is.
void analyzer::judge_relation(const resolved_table& table, table_role role) {
  if (!several()) return;
  if (table.where == placement::unknown || table.where == placement::unlisted) {
    const auto unfit = context_.map->unfit.find(table.full_name);
    if (unfit != context_.map->unfit.end())
      return out_.refuse(make_error(error_id::unfit_table, unfit->first, unfit->second));
  }
  switch (table.where) {
    case placement::unknown:
      out_.refuse(context_.schema->relations.empty() ? catalog_not_read()
                                                     : make_error(error_id::unknown_table, table.full_name));
      return;
    case placement::unlisted:
      out_.refuse(make_error(error_id::unlisted_table, table.full_name, context_.map->database));
      return;
    case placement::temporary:
      out_.refuse(refuse_session("a temporary table", "it lives on one server only"));
      return;
    case placement::spread_view:
      // Refused by the cascade's steps, all but gathering.
      break;
    case placement::sharded:
      if (table.described == nullptr) {
        out_.refuse(context_.schema->relations.empty() ? catalog_not_read()
                                                       : make_error(error_id::unknown_table, table.full_name));
        return;
      }
      break;
    case placement::reference:
    case placement::unsharded:
    case placement::system:
      break;
  }
  if (table.described == nullptr) return;
  const auto types_differ = [&] { return make_error(error_id::types_differ, table.full_name, table.described->types_differ_detail); };
  if (table.described->types_renumbered && !out_.types_renumbered) out_.types_renumbered = types_differ();
  if (table.described->types_differ) {
    protocol::error_report error = types_differ();
    if (role != table_role::read) {
      out_.written_types_differ = std::move(error);
    } else if (!out_.types_differ) {
      out_.types_differ = std::move(error);
    }
  }
  judge_code(table, role);
}

/// What runs behind a relation and may depend on rows of other shards, unless the topology says that it does not.
void analyzer::judge_code(const resolved_table& table, table_role role) {
  const router::topology& map = *context_.map;
  const auto local = [&](const std::string& full, const std::string& bare) {
    return map.shard_local.contains(full) || map.shard_local.contains(bare);
  };
  if (local(table.full_name, table.name)) return;
  const auto refuse_each = [&](const std::vector<std::string>& code, const std::string& of) {
    for (const std::string& each : code) {
      if (map.shard_local.contains(each)) continue;
      const bool named = each.find(" \"") != std::string::npos;  // a policy or a rule
      out_.refuse(make_error(error_id::user_code, (named ? each : "function \"" + each + "\"") + " of \"" + of + "\""));
    }
  };
  const relation& described = *table.described;
  const bool view = described.kind == 'v' && !system_schema(table.schema);
  const bool written = role != table_role::read;
  const bool whole = table.where == placement::reference;  // of which judge_mirror judges writes
  if (view || (written && !whole && table.where != placement::system))
    refuse_each(described.user_code, table.full_name);
  if (!written) refuse_each(described.policy_code, table.full_name);
  // Rows are locked by what UPDATE may do, too.
  if (!written && out_.locking && described.row_security) refuse_each(described.user_code, table.full_name);
  if (!view) return;
  for (const std::string& below : described.view_relations) {
    const auto inner = context_.schema->relations.find(below);
    if (inner != context_.schema->relations.end() && !local(below, inner->second.name))
      refuse_each(inner->second.policy_code, below);
  }
}

/// Whether a relation may be read on a replica.
void analyzer::judge_readable(const resolved_table& table) {
  const auto not_a_read = [&](std::string why) {
    if (out_.relation_write.empty()) out_.relation_write = std::move(why);
  };
  // A user's view over the catalog is judged as the view it is.
  if (system_schema(table.schema)) {
    if (server_state_view(table.name)) out_.relation_needs_primary = true;
    return;
  }
  if (table.described == nullptr) return not_a_read("relation \"" + table.full_name + "\" is not known to the catalog");
  const relation& r = *table.described;
  if (r.persistence == 't') return not_a_read("\"" + table.full_name + "\" is a temporary table");
  if (r.persistence == 'u') out_.relation_needs_primary = true;
  switch (r.kind) {
    case 'r':
    case 'p':
    case 'm':
      break;
    case 'S':
      out_.relation_needs_primary = true;
      break;
    case 'v':
      if (!r.view_read_safe) return not_a_read("view \"" + table.full_name + "\" is not proved to be free of writes");
      for (const std::string& below : r.view_relations) {
        const auto dot = below.find('.');
        if (dot == std::string::npos) continue;
        const std::string_view name = std::string_view{below}.substr(dot + 1);
        const relation* inner = context_.schema->find_relation(std::string_view{below}.substr(0, dot), name);
        const bool unlogged = inner != nullptr && (inner->persistence != 'p' || inner->kind == 'S');
        if (unlogged || server_state_view(name)) out_.relation_needs_primary = true;
        if (inner != nullptr && inner->kind == 'f')
          not_a_read("view \"" + table.full_name + "\" reads a foreign table");
      }
      break;
    default:
      return not_a_read("\"" + table.full_name + "\" is no ordinary table");
  }
}

bool names_parameters_once(std::string_view part, const analysis& a) {
  const std::vector<std::size_t> named = parameters_in(part);
  return std::all_of(named.begin(), named.end(), [&](std::size_t n) { return n <= a.parameter_uses.size() && a.parameter_uses[n - 1] == 1; });
}

std::size_t analyze_table(const sql::qualified_name& name, table_role role, const plan_context& context,
                          analysis& out) {
  const sql::token_scan none;
  constant_marks marks{{}, none};
  analyzer walk{context, marks, out};
  out.levels.emplace_back();
  const std::size_t use = walk.add_use(name, {}, out.levels.size() - 1, role);
  if (role != table_role::read) walk.judge_write(use);
  return use;
}

void analyze(const sql::statement& statement, const plan_context& context, constant_marks& marks, analysis& out) {
  analyzer walk{context, marks, out};
  walk.read_statement(statement, nowhere, true);
  if (out.claiming_writes > out.claims_known)
    out.refuse(refuse_claim(out.claimed_column, out.claimed_table, claims_not_known));
}

}  // namespace pgbraid::router
