// INSERT, UPDATE and DELETE: what may be written where, and where the key of an inserted row stands; see analyzer.hpp.
#include <algorithm>

#include "router/plan/analyzer.hpp"
#include "router/plan/insert_select.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/refusals.hpp"
#include "router/plan/scatter.hpp"
#include "router/plan/written_view.hpp"

namespace pgbraid::router {

using protocol::error_id;
using protocol::make_error;

void analyzer::judge_write(std::size_t index) {
  if (!several()) return;
  const table_use& use = out_.uses[index];
  const std::string& name = use.table.full_name;
  // Defaults and triggers are those of the table below.
  const auto copied = [&](const std::string& below) { return context_.map->reference_tables.contains(below); };
  if (use.table.described != nullptr && use.table.described->kind == 'v') {
    const std::vector<std::string>& below = use.table.described->view_relations;
    // Of no table it has a trigger that each shard would run, or an error of the server's own.
    if (below.empty() || std::any_of(below.begin(), below.end(), copied))
      return out_.refuse(
          protocol::with_hint(make_error(error_id::reference_write, name), "Write the table below the view."));
  }
  switch (use.table.where) {
    case placement::reference:
      if (!context_.schema->single_writer.empty()) return out_.refuse(make_error(error_id::reference_write, name));
      if (use.table.described != nullptr) note_timed_code(use);
      out_.mirrored = true;
      return judge_constraints(use);
    case placement::unsharded:
      return judge_constraints(use);
    case placement::system:
      return out_.refuse(refuse_write("the system catalogs stand on every shard"));
    case placement::sharded:
      break;
    default:
      return;
  }
  if (use.table.described == nullptr) return;  // already refused
  if (use.keys.empty()) {
    std::string label;
    for (const std::string& part : use.table.sharding->key) label += (label.empty() ? "" : ", ") + part;
    return out_.refuse(make_error(error_id::key_not_provable, label, name));
  }
  judge_constraints(use);
  note_timed_code(use);
  count_claims(use);
}

// Triggers that write down the time, of the table itself or of those whose rows go or change with its own.
void analyzer::note_timed_code(const table_use& use) {
  const auto note = [&](const relation& table) {
    if (table.timed_code.empty()) return;
    out_.timed_code = table.timed_code.front();
    out_.timed_table = table.schema + "." + table.name;
  };
  note(*use.table.described);
  if (use.role == table_role::insert) return;
  for (const auto& [name, other] : context_.schema->relations) {
    const auto& to = other.refers_to;
    if (!other.timed_code.empty() && std::find(to.begin(), to.end(), use.table.full_name) != to.end()) note(other);
  }
}

void analyzer::judge_constraints(const table_use& use) {
  const std::string& name = use.table.full_name;
  if (use.table.described == nullptr || context_.map->accept_unenforced.contains(name)) return;
  const bool sharded = use.table.where == placement::sharded;
  for (const std::string& what : use.table.described->unenforced) {
    // A DELETE can only break what points at the table; all rows of other tables are in one place, or in each.
    const bool own = what.find("foreign key") == std::string::npos;
    if (own && !sharded) continue;
    if (use.role == table_role::delete_ && what.find(" refers to it ") == std::string::npos) continue;
    return out_.refuse(make_error(error_id::unenforced_constraint, name, what));
  }
}

std::size_t analyzer::position_of(const std::string& key, const sql::insert_query& q, const table_use& use) const {
  if (!q.columns.empty()) {
    for (std::size_t i = 0; i < q.columns.size(); ++i) {
      if (q.columns[i].name == key) return i;
    }
    return nowhere;
  }
  const std::vector<column>& columns = use.table.described->columns;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].name == key) return i;
  }
  return nowhere;
}

void analyzer::read_rows(const sql::insert_query& q, std::size_t index) {
  const table_use& use = out_.uses[index];
  if (q.source == nullptr) {
    for (std::size_t part = 0; part < use.keys.size(); ++part) miss_key({index, part});
    return;
  }
  const sql::select_query& source = *q.source;
  // With ORDER BY, LIMIT or WITH the rows are a query: its columns get types of their own before they are stored.
  const bool rows = !source.values.empty() && source.set_op == sql::set_operation::none && source.limit == nullptr &&
                    source.offset == nullptr && source.order_by.empty() && source.with.tables.empty();
  if (!rows) return tie_to_source(q, index, context_, marks_, out_);
  for (std::size_t part = 0; part < use.keys.size(); ++part) read_key_of_rows(q, {index, part});
}

// Without a default it would be NULL, and a row without a key belongs to no shard.
void analyzer::miss_key(key_place place) {
  const table_use& use = out_.uses[place.use];
  const column& key = *use.keys[place.part].stored;
  if (!key.draws.empty()) return;  // drawn first: see drawing.hpp
  if (has_random_default(key, context_)) return out_.note_drawn(key.name);
  out_.refuse(make_error(key.has_default ? error_id::missing_key : error_id::null_key, key.name, use.table.full_name));
}

void analyzer::read_key_of_rows(const sql::insert_query& q, key_place place) {
  const table_use& use = out_.uses[place.use];
  const column& key = *use.keys[place.part].stored;
  const std::size_t position = position_of(key.name, q, use);
  if (position == nowhere) return miss_key(place);
  // OVERRIDING USER VALUE stores another value than the one that stands there.
  if (q.overriding_user || (!q.columns.empty() && q.columns[position].indirection))
    return out_.refuse(make_error(error_id::key_not_provable, key.name, use.table.full_name));
  key_tie tie{place, {}, true};
  const std::vector<std::vector<sql::expr_ptr>>& rows = q.source->values;
  // Rows of different lengths are an error, which the server of the first one tells.
  const bool ragged =
      std::any_of(rows.begin(), rows.end(), [&](const auto& row) { return row.size() != rows.front().size(); });
  for (const std::vector<sql::expr_ptr>& row : rows) {
    if (ragged && !tie.sources.empty()) break;
    if (position >= row.size() || row[position] == nullptr) return miss_key(place);
    const sql::expr& value = *row[position];
    if (value.kind == sql::expr_kind::default_) return miss_key(place);
    auto found = read_key_value(value, key.type, *context_.schema, marks_);
    if (!found) {
      // The rows may be evaluated first.
      out_.key_unknown = true;
      return;
    }
    if (found->null) return out_.refuse(make_error(error_id::null_key, key.name, use.table.full_name));
    out_.note_tie(*found, key.type);
    tie.sources.push_back(std::move(*found));
  }
  out_.ties.push_back(std::move(tie));
}

// A WITH that writes may write the table below under its own name.
resolved_table analyzer::written_table(const sql::qualified_name& name, const sql::with_clause& with) const {
  resolved_table out = names_.resolve(name);
  const bool alone =
      with_depth_ == 0 && std::all_of(with.tables.begin(), with.tables.end(), [](const sql::common_table& t) {
        return t.query != nullptr && t.query->kind == sql::statement_kind::select;
      });
  return several() && alone ? through_view(std::move(out), context_) : out;
}

// What a view does not show cannot be named in the statement that goes to the shards.
void analyzer::judge_hidden_columns(const table_use& use) {
  if (use.table.through == nullptr) return;
  for (const column& c : use.table.through->hidden) {
    if (!c.draws.empty()) {
      out_.refuse(
          protocol::with_hint(refuse_write("column \"" + c.name + "\" would be set from a sequence of each shard"),
                              "Write the table below the view."));
    }
    const default_facts facts = facts_of_default(c, context_);
    out_.default_differs = out_.default_differs || facts.differs || facts.by_moment;
  }
}

void analyzer::judge_conflict_action(const sql::insert_query& q, std::size_t index) {
  const table_use& use = out_.uses[index];
  if (!several()) return;
  std::size_t taken = 0;  // parts of the key that become the new row's
  for (const sql::target& set : q.conflict_set) {
    if (use.key_part(set.name) == nowhere) continue;
    // The row that is in the way stands on the shard of the new one's key, and stays there.
    const sql::expr* value = set.value.get();
    const bool stays = value != nullptr && !set.indirection && value->kind == sql::expr_kind::column && !value->star &&
                       value->name.size() == 2 && value->name[1] == set.name &&
                       (value->name[0] == "excluded" || value->name[0] == use.alias);
    if (!stays) return out_.refuse(make_error(error_id::key_change, set.name, use.table.full_name));
    taken += value->name[0] == "excluded" ? 1 : 0;
  }
  // Where a constraint without the whole key is in the way, a part of each key would make a third one.
  if (taken > 0 && taken < use.keys.size() && !use.table.described->unenforced.empty())
    out_.refuse(make_error(error_id::key_change, use.key_label(), use.table.full_name));
}

void analyzer::read_insert(const sql::insert_query& q, std::size_t parent) {
  const std::size_t outer_tables = common_tables_.size();
  read_with(q.with, parent);
  const std::size_t level = add_level(parent);
  const std::size_t use = add_use(written_table(q.table, q.with), q.alias, level, table_role::insert);
  out_.levels[level].target = use;
  judge_write(use);
  judge_hidden_columns(out_.uses[use]);
  if (q.source != nullptr) read_select(*q.source, parent, false);
  if (several() && !out_.uses[use].keys.empty()) read_rows(q, use);
  if (several()) claim_rows(q, use, parent == nowhere && with_depth_ == 0);
  judge_conflict_action(q, use);
  const bool reads = std::any_of(out_.uses.begin(), out_.uses.end(),
                                 [](const table_use& each) { return each.role == table_role::read; });
  out_.conflict_source = q.on_conflict && reads && q.source != nullptr && q.source->values.empty();
  for (const sql::target& set : q.conflict_set) read_expr(set.value, level, literal::free);
  for (const sql::expr_ptr& e : q.conflict_exprs) read_expr(e, level, literal::free);
  read_targets(q.returning, level);
  leave_with(outer_tables);
  if (several()) look_at_sequences(q, out_.uses[use]);
  if (out_.mirrored) look_at_defaults(q, out_.uses[use]);
  if (several() && parent == nowhere && with_depth_ == 0) note_moments(q, out_.uses[use]);
  out_.rows_may_split = several() && parent == nowhere && with_depth_ == 0 && !out_.uses[use].keys.empty() &&
                        rows_stand_alone(q, out_.uses[use]);
}

// What each shard draws from a sequence of its own would be drawn twice.
void analyzer::look_at_sequences(const sql::insert_query& q, const table_use& use) {
  const bool many = use.table.where == placement::sharded || use.table.where == placement::reference;
  if (!many || use.table.described == nullptr) return;
  const auto is_default = [](const std::vector<sql::expr_ptr>& row, std::size_t at) {
    return at < row.size() && row[at] != nullptr && row[at]->kind == sql::expr_kind::default_;
  };
  const std::vector<const column*> left = left_to_default(q, use);
  for (const column& c : use.table.described->columns) {
    if (c.draws.empty()) continue;
    const std::size_t at = position_of(c.name, q, use);
    const bool rows = q.source != nullptr && !q.source->values.empty();
    const bool given = rows && at < q.source->values.front().size();
    const bool left_out = given ? std::any_of(q.source->values.begin(), q.source->values.end(), [&](const auto& row) { return is_default(row, at); })
                                : std::find(left.begin(), left.end(), &c) != left.end();
    if (left_out || (q.overriding_user && c.identity)) out_.drawn.push_back(c.name);
  }
  for (const sql::target& set : q.conflict_set) {
    if (set.value != nullptr && set.value->kind == sql::expr_kind::default_) refuse_sequence(set.name, use);
  }
}

void analyzer::refuse_sequence(const std::string& name, const table_use& use) {
  for (const column& c : use.table.described->columns) {
    if (c.name != name || c.draws.empty()) continue;
    out_.refuse(protocol::with_hint(refuse_write("column \"" + name + "\" would be set from a sequence of each shard"),
                                    "Set it to a number that nextval() has given in a statement of its own."));
  }
}

// A default that is not a constant would give each shard another value, but for the time, which is evaluated once.
void analyzer::look_at_defaults(const sql::insert_query& q, const table_use& use) {
  if (use.table.described == nullptr) return;
  const bool rows = q.source != nullptr && !q.source->values.empty();
  for (const column* c : left_to_default(q, use)) {
    if (!c->draws.empty()) continue;
    const default_facts facts = facts_of_default(*c, context_);
    if (facts.by_row && !facts.by_moment && !facts.differs && (rows || q.source == nullptr)) {
      out_.drawn.push_back(c->name);  // as a number of a sequence is
    } else if (!facts.by_row && !facts.differs && (rows || !facts.by_moment)) {
      if (facts.by_moment) out_.moment_defaults.push_back(c->name);
    } else if (out_.functions.differs.empty()) {
      out_.functions.differs = "the default of column \"" + c->name + "\"";
    }
  }
  for (const sql::target& set : q.conflict_set) {
    const bool to_default = set.value != nullptr && set.value->kind == sql::expr_kind::default_;
    const auto varies = [&](const column& c) {
      return c.name == set.name && (c.default_varies || c.default_of_moment);
    };
    const std::vector<column>& columns = use.table.described->columns;
    if (to_default && out_.functions.differs.empty() && std::any_of(columns.begin(), columns.end(), varies))
      out_.functions.differs = "the default of column \"" + set.name + "\"";
  }
}

// Those of a table that stands on one shard: it is that shard's time where the transaction did not begin elsewhere.
void analyzer::note_moments(const sql::insert_query& q, const table_use& use) {
  if (use.table.where != placement::unsharded || use.table.described == nullptr) return;
  if (q.source == nullptr || q.source->values.empty()) return;
  for (const column* c : left_to_default(q, use)) {
    const default_facts facts = facts_of_default(*c, context_);
    if (facts.by_moment && !facts.by_row && !facts.differs) out_.moment_defaults.push_back(c->name);
  }
}

// Columns whose default is no constant and is used in some row.
std::vector<const column*> analyzer::left_to_default(const sql::insert_query& q, const table_use& use) const {
  bool defaults = q.source == nullptr;
  if (q.source != nullptr) {
    for (const std::vector<sql::expr_ptr>& row : q.source->values) {
      for (const sql::expr_ptr& value : row) defaults = defaults || (value != nullptr && value->kind == sql::expr_kind::default_);
    }
  }
  std::vector<const column*> out;
  std::size_t position = 0;
  std::size_t given_without_names = 0;
  if (q.source != nullptr)
    given_without_names = q.source->values.empty() ? q.source->targets.size() : q.source->values.front().size();
  const auto star = [](const sql::target& t) {
    return t.value != nullptr && t.value->kind == sql::expr_kind::column && t.value->star;
  };
  if (q.source != nullptr && std::any_of(q.source->targets.begin(), q.source->targets.end(), star))
    given_without_names = columns_behind_stars(*q.source, out_);
  for (const column& c : use.table.described->columns) {
    const bool given = q.columns.empty() ? position < given_without_names
                                         : std::any_of(q.columns.begin(), q.columns.end(), [&](const sql::target& t) { return t.name == c.name; });
    ++position;
    if ((c.default_varies || c.default_of_moment) && (!given || defaults)) out.push_back(&c);
  }
  return out;
}

// A row of its own statement is what it was among others: nothing that is one value for the whole statement, and with
// RETURNING each row gives one, so that they can be put back in order. Notes the defaults that are one value.
bool analyzer::rows_stand_alone(const sql::insert_query& q, const table_use& use) {
  if (use.table.described == nullptr || q.source == nullptr) return false;
  // A subquery over reference tables is the same wherever its row is.
  const bool beside = std::all_of(out_.uses.begin(), out_.uses.end(), [&](const table_use& each) {
    return &each == &use || (each.role == table_role::read && each.table.where == placement::reference);
  });
  bool alone = !out_.default_differs && !q.source->values.empty() && beside && !out_.common_tables && !out_.locking &&
               out_.functions.differs.empty() &&
               !(q.source->values.size() > 1 && gives_sets(q.source->values, *context_.schema));
  for (const query_level& level : out_.levels) {
    const bool own = level.query == q.source.get() || level.target != nowhere;
    const bool same =
        chooses_none(level) && level.exact && !level.array && !level.tablesample && level.system_column.empty();
    alone = alone && (own ? level.system_column.empty() : same);
  }
  for (const column* c : left_to_default(q, use)) {
    if (!c->default_of_moment) continue;
    const default_facts facts = facts_of_default(*c, context_);
    if (facts.differs || (facts.by_row && facts.by_moment)) {
      out_.default_differs = true;
      alone = false;
    } else if (facts.by_moment) {
      out_.moment_defaults.push_back(c->name);
    }
  }
  return alone;
}

void analyzer::read_update(const sql::update_query& q, std::size_t parent) {
  const std::size_t outer_tables = common_tables_.size();
  read_with(q.with, parent);
  const std::size_t level = add_level(parent);
  const std::size_t use = add_use(written_table(q.table, q.with), q.alias, level, table_role::update);
  out_.levels[level].target = use;
  out_.levels[level].top = parent == nowhere && with_depth_ == 0;
  out_.levels[level].from = &q.from;
  judge_write(use);
  read_from(q.from, level);
  for (std::size_t i = 0; i < q.set.size(); ++i) {
    const sql::target& set = q.set[i];
    const bool shares = i + 1 < q.set.size() && q.set[i + 1].value == nullptr;  // one subquery for several columns
    if (several() && out_.uses[use].key_part(set.name) != nowhere) {
      if (shares) return out_.refuse(make_error(error_id::key_change, set.name, out_.uses[use].table.full_name));
      read_new_key(set, use);
    }
    if (set.value != nullptr && set.value->kind == sql::expr_kind::default_) set_to_default(set.name, use);
    read_expr(set.value, level, literal::free);
  }
  if (several()) claim_changes(q, use, parent == nowhere && with_depth_ == 0);
  read_where(q.where, level);
  read_targets(q.returning, level);
  leave_with(outer_tables);
}

void analyzer::read_new_key(const sql::target& set, std::size_t index) {
  const table_use& use = out_.uses[index];
  const query_level& level = out_.levels[use.level];
  if (set.value == nullptr || set.indirection || level.parent != nowhere || !level.top) {
    return out_.refuse(make_error(error_id::key_change, set.name, use.table.full_name));
  }
  const sql::expr& value = *set.value;
  const key_column& key = use.keys[use.key_part(set.name)];
  if (value.kind == sql::expr_kind::column && !value.star && value.name.back() == key.name &&
      use_of_column(out_, {use.level, nullptr}, value) == index)
    return;  // it stays what it is
  out_.moves = true;
  if (value.kind == sql::expr_kind::default_) return;
  if (use.keys.size() > 1) return;
  auto found = read_key_value(value, key.stored->type, *context_.schema, marks_);
  if (!found) return;
  out_.note_tie(*found, key.stored->type);
  out_.new_key = std::move(found);
}

void analyzer::set_to_default(const std::string& name, std::size_t use) {
  // A view without defaults of its own gives NULL.
  if (out_.uses[use].table.through != nullptr) return;
  const relation* described = out_.uses[use].table.described;
  const placement where = out_.uses[use].table.where;
  if (several() && described != nullptr && (where == placement::sharded || where == placement::reference))
    refuse_sequence(name, out_.uses[use]);
  query_level& level = out_.levels[out_.uses[use].level];
  const auto differs = [&] {
    if (out_.functions.differs.empty()) out_.functions.differs = "the default of column \"" + name + "\"";
  };
  if (described == nullptr) return differs();
  const auto found = std::find_if(described->columns.begin(), described->columns.end(),
                                  [&](const column& c) { return c.name == name; });
  if (found == described->columns.end() || !found->default_varies) return;
  const default_facts facts = facts_of_default(*found, context_);
  if (facts.differs || (facts.by_moment && facts.by_row)) return differs();
  if (facts.by_moment) out_.moment_defaults.push_back(name);
  if (facts.by_row && level.by_row.empty()) level.by_row = "DEFAULT";
}

void analyzer::read_delete(const sql::delete_query& q, std::size_t parent) {
  const std::size_t outer_tables = common_tables_.size();
  read_with(q.with, parent);
  const std::size_t level = add_level(parent);
  const std::size_t use = add_use(written_table(q.table, q.with), q.alias, level, table_role::delete_);
  out_.levels[level].target = use;
  out_.levels[level].top = parent == nowhere && with_depth_ == 0;
  out_.levels[level].from = &q.using_;
  judge_write(use);
  read_from(q.using_, level);
  read_where(q.where, level);
  read_targets(q.returning, level);
  leave_with(outer_tables);
}

}  // namespace pgbraid::router
