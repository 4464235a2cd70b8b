// Which values a statement gives to columns that are unique over all shards; see claims.hpp and analyzer.hpp.
#include <algorithm>
#include <utility>

#include "router/plan/analyzer.hpp"
#include "router/plan/claims.hpp"
#include "router/plan/columns.hpp"
#include "router/plan/refusals.hpp"

namespace pgbraid::router {

namespace {

const claimed_column* claimed(const table_use& use, std::string_view name) {
  if (use.table.described == nullptr) return nullptr;
  for (const claimed_column& each : use.table.described->claimed) {
    if (each.column == name) return &each;
  }
  return nullptr;
}

const column* stored(const table_use& use, const std::string& name) {
  for (const column& c : use.table.described->columns) {
    if (c.name == name) return &c;
  }
  return nullptr;
}

/// excluded.c or t.c: the row that is in the way keeps its value, or gets the one that is claimed.
bool takes_own_or_claimed(const sql::target& set, const table_use& use) {
  const sql::expr* value = set.value.get();
  return value != nullptr && !set.indirection && value->kind == sql::expr_kind::column && !value->star &&
         value->name.size() == 2 && value->name[1] == set.name &&
         (value->name[0] == "excluded" || value->name[0] == use.alias);
}

bool is_null(const key_source& source) {
  return source.from == key_source::origin::pinned && source.null;
}

void add_column(analysis& out, const table_use& use, claimed_values values) {
  if (std::all_of(values.rows.begin(), values.rows.end(), is_null)) return;
  if (out.claims == nullptr) {
    out.claims = std::make_shared<claim_plan>();
    out.claims->schema = use.table.described->schema;
    out.claims->table = use.table.described->name;
  }
  out.claims->columns.push_back(std::move(values));
}

}  // namespace

// Every such write counts until its values are known.
void analyzer::count_claims(const table_use& use) {
  const bool gives = use.role == table_role::insert || use.role == table_role::update;
  if (!gives || use.table.described == nullptr || use.table.described->claimed.empty()) return;
  const std::string& column = use.table.described->claimed.front().column;
  ++out_.claiming_writes;
  name_claimed(use, column);
  const std::string& why = context_.schema->no_claims;
  if (!why.empty()) out_.refuse(refuse_claim(column, use.table.full_name, why));
}

/// For messages: the first column whose value is not known, or one that is unique.
void analyzer::name_claimed(const table_use& use, const std::string& column) {
  if (out_.claiming_writes - out_.claims_known > 1) return;
  out_.claimed_column = column;
  out_.claimed_table = use.table.full_name;
}

void analyzer::claim_rows(const sql::insert_query& q, std::size_t index, bool top) {
  const table_use& use = out_.uses[index];
  if (use.table.described == nullptr || use.table.described->claimed.empty() || use.table.through != nullptr) return;
  for (const sql::target& set : q.conflict_set) {
    if (claimed(use, set.name) != nullptr && !takes_own_or_claimed(set, use)) return name_claimed(use, set.name);
  }
  // A column that is left out is NULL: it has no default.
  const auto given = [&](const claimed_column& each) { return position_of(each.column, q, use) != nowhere; };
  const std::vector<claimed_column>& columns = use.table.described->claimed;
  const bool named = !q.columns.empty();
  if (q.source == nullptr || (named && std::none_of(columns.begin(), columns.end(), given))) {
    ++out_.claims_known;
    return;
  }
  const std::vector<std::vector<sql::expr_ptr>>& rows = q.source->values;
  if (!top || rows.empty() || q.overriding_user) return;
  for (const claimed_column& each : columns) {
    const std::size_t position = position_of(each.column, q, use);
    const column* const c = stored(use, each.column);
    if (c == nullptr) return;
    if (position == nowhere) continue;
    claimed_values values{each.column, each.constraint, c->type, c->modifier, {}};
    for (const std::vector<sql::expr_ptr>& row : rows) {
      const sql::expr* value = position < row.size() ? row[position].get() : nullptr;
      if (value == nullptr || value->kind == sql::expr_kind::default_) {
        key_source nothing;
        nothing.null = true;
        values.rows.push_back(std::move(nothing));
        continue;
      }
      auto source = read_key_value(*value, c->type, *context_.schema, marks_);
      if (!source) return name_claimed(use, each.column);
      values.rows.push_back(std::move(*source));
    }
    add_column(out_, use, std::move(values));
  }
  if (out_.claims && q.on_conflict) out_.claims->if_taken = claim_plan::taken::unknowable;
  ++out_.claims_known;
}

void analyzer::claim_changes(const sql::update_query& q, std::size_t index, bool top) {
  const table_use& use = out_.uses[index];
  // A row that moves to another shard is inserted there.
  if (use.table.described == nullptr || use.table.described->claimed.empty() || use.table.through != nullptr ||
      out_.moves)
    return;
  for (std::size_t i = 0; i < q.set.size(); ++i) {
    const sql::target& set = q.set[i];
    const claimed_column* const each = claimed(use, set.name);
    if (each == nullptr) continue;
    name_claimed(use, each->column);
    const sql::expr* const value = set.value.get();
    const bool shares = i + 1 < q.set.size() && q.set[i + 1].value == nullptr;
    const column* const c = stored(use, each->column);
    if (value == nullptr || set.indirection || shares || c == nullptr) return;
    if (value->kind == sql::expr_kind::default_) continue;
    if (value->kind == sql::expr_kind::column && !value->star && value->name.back() == set.name &&
        use_of_column(out_, {use.level, nullptr}, *value) == index)
      continue;
    if (!top) return;
    auto source = read_key_value(*value, c->type, *context_.schema, marks_);
    if (!source) return;
    claimed_values values{each->column, each->constraint, c->type, c->modifier, {}};
    values.rows.push_back(std::move(*source));
    add_column(out_, use, std::move(values));
  }
  ++out_.claims_known;
}

}  // namespace pgbraid::router
