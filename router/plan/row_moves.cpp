// UPDATE of the key as DELETE and INSERT; see row_moves.hpp. Source: the manual's pages "UPDATE", "DELETE", "INSERT".
#include "router/plan/row_moves.hpp"

#include <algorithm>
#include <utility>

#include "router/plan/clauses.hpp"
#include "router/plan/gather_text.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/staged_source.hpp"
#include "router/plan/words.hpp"

namespace pgbraid::router {
namespace {

/// What keeps a table's rows from being taken out and put in again without anybody's notice; "" for nothing.
std::string problem_of(const relation& table, const analysis& a, const plan_context& context) {
  if (!context.schema->single_writer.empty()) return context.schema->single_writer;
  if (table.writes_spread || table.row_security || table.kind != 'r') {
    return "triggers, rules, policies, partitions or foreign keys that cascade would see a DELETE and an INSERT";
  }
  if (a.types_differ || a.written_types_differ || a.locking || a.into || a.not_understood)
    return "it contains something that cannot be moved";
  if (!a.functions.differs.empty()) return a.functions.differs + " may give another value on each shard";
  return {};
}

bool generated_column(const column& c) {
  return c.generated && !c.identity;
}

/// Builds the list of RETURNING: what the row will be, then what it was.
class row_writer {
 public:
  row_writer(const sql::update_query& q, std::string_view text, const update_clauses& clauses, const table_use& use,
             const plan_context& context)
      : q_(q), text_(text), clauses_(clauses), use_(use), context_(context) {}

  /// False: `why` says why not.
  bool write(std::string& why) {
    for (const column& c : use_.table.described->columns) {
      if (!generated_column(c) && !write_column(c, why)) return false;
    }
    for (const std::vector<std::string>& key : use_.table.described->unique_keys) write_unique(key);
    return true;
  }

  std::string values;   ///< expressions, behind each other
  std::string columns;  ///< of the INSERT
  bool identity = false;
  staged_source source;

 private:
  [[nodiscard]] std::string own(const std::string& name) const {
    return quote_identifier(use_.alias) + "." + quote_identifier(name);
  }

  void add(const std::string& value) {
    values += (values.empty() ? "" : ", ") + value;
    ++given_;
  }

  bool write_column(const column& c, std::string& why) {
    const auto set = std::find_if(q_.set.begin(), q_.set.end(), [&](const sql::target& t) { return t.name == c.name; });
    std::string value = own(c.name);
    bool untyped = false;
    if (set != q_.set.end()) {
      if (set->indirection || set->value == nullptr) return why = "it sets a part of a column", false;
      if (set->value->kind == sql::expr_kind::default_) {
        const default_facts facts = facts_of_default(c, context_);
        // It is left to the INSERT.
        if (use_.key_part(c.name) == nowhere && !facts.differs && !facts.by_moment) return true;
        return why = "it sets column \"" + c.name + "\" to its default", false;
      }
      value = "(" + std::string{clauses_.values[static_cast<std::size_t>(set - q_.set.begin())].of(text_)} + ")";
      untyped = takes_column_type(*set->value);
    }
    if (use_.key_part(c.name) != nowhere) {
      // As it will be stored, but for the length, which is minded there.
      const std::string_view type = plain_type_name(c.type);
      if (type.empty()) return why = "the key's type cannot be told in text", false;
      value = "CAST(" + value + " AS pg_catalog." + std::string{type} + ")";
      untyped = false;
      source.keys.push_back({c.name, given_, c.type, c.modifier});
    }
    identity = identity || c.identity;
    columns += (columns.empty() ? "" : ", ") + quote_identifier(c.name);
    source.columns.push_back({c.name, c.type, untyped});
    add(value);
    return true;
  }

  void write_unique(const std::vector<std::string>& key) {
    unique_columns unique;
    for (const std::string& name : key) {
      const auto place = std::find_if(source.columns.begin(), source.columns.end(),
                                      [&](const source_column& c) { return c.name == name; });
      // Fewer columns may be alike more often, not less.
      if (place == source.columns.end()) continue;
      unique.after.push_back(static_cast<std::size_t>(place - source.columns.begin()));
      unique.before.push_back(given_);
      add(own(name));
    }
    source.unique.push_back(std::move(unique));
  }

  const sql::update_query& q_;
  std::string_view text_;
  const update_clauses& clauses_;
  const table_use& use_;
  const plan_context& context_;
  std::size_t given_ = 0;
};

}  // namespace

std::shared_ptr<const staged_write> make_row_move(const sql::update_query& q, std::string_view text, const analysis& a,
                                                  const plan_context& context, std::string& why) {
  const auto fail = [&](std::string reason) {
    why = std::move(reason);
    return nullptr;
  };
  const auto written =
      std::find_if(a.uses.begin(), a.uses.end(), [](const table_use& use) { return use.role == table_role::update; });
  const auto writes =
      std::count_if(a.uses.begin(), a.uses.end(), [](const table_use& use) { return use.role != table_role::read; });
  if (writes != 1 || written == a.uses.end() || written->keys.empty() || a.refusal || !a.levels[written->level].top)
    return fail("it is a part of another statement");
  const relation& table = *written->table.described;
  if (std::string problem = problem_of(table, a, context); !problem.empty()) return fail(std::move(problem));
  const query_level& own = a.levels[written->level];
  if (own.row_value || !own.system_column.empty()) return fail("it reads a row as one value, or a system column");
  const auto clauses = update_clauses_of(text);
  if (!clauses || clauses->values.size() != q.set.size()) return fail("its text cannot be taken apart");
  const std::string_view returning = clauses->returning.of(text);
  if (!returning.empty() && !q.from.empty()) return fail("RETURNING may tell of the tables in FROM");
  const std::vector<std::string> words = words_of(returning);
  const bool queries = std::find(words.begin(), words.end(), "select") != words.end();
  const bool draws = std::any_of(a.levels.begin(), a.levels.end(), [&](const query_level& level) {
    return &level != &a.levels[written->level] && !level.by_row.empty();
  });
  if (queries && (a.uses.size() > 1 || draws)) return fail("RETURNING has a subquery");
  const bool timed = std::any_of(a.moments.begin(), a.moments.end(), [&](const sql::expr* call) {
    return !returning.empty() && call->location >= static_cast<std::int32_t>(clauses->returning.begin);
  });
  if (timed) return fail("RETURNING asks for the time");

  row_writer row{q, text, *clauses, *written, context};
  if (!row.write(why)) return nullptr;
  std::string take{text.substr(0, clauses->begin)};
  take.append("DELETE FROM ").append(clauses->target.of(text));
  if (!clauses->from.empty()) take.append(" USING ").append(clauses->from.of(text));
  if (!clauses->where.empty()) take.append(" WHERE ").append(clauses->where.of(text));
  take.append(" RETURNING ").append(row.values);
  const auto taken = plan_staged(take, context);
  if (taken == nullptr || taken->source != nullptr || taken->query != nullptr)
    return fail("the rows that it moves cannot be found on each shard");

  auto out = std::make_shared<staged_write>(*taken);
  auto source = std::make_shared<staged_source>(std::move(row.source));
  source->relation = quote_identifier(table.schema) + "." + quote_identifier(table.name);
  source->before = "INSERT INTO " + source->relation;
  if (written->aliased) source->before += " AS " + quote_identifier(written->alias);
  source->before += " (" + row.columns + ") ";
  if (row.identity) source->before += "OVERRIDING SYSTEM VALUE ";
  if (!returning.empty()) source->after = "RETURNING " + std::string{returning};
  source->table = written->table.full_name;
  // As the key has them: a hash of several goes by their order.
  const auto by_part = [&](const source_key& k) { return written->key_part(k.name); };
  std::sort(source->keys.begin(), source->keys.end(),
            [&](const source_key& x, const source_key& y) { return by_part(x) < by_part(y); });
  source->values = written->values;
  out->source = std::move(source);
  out->moves = true;
  return out;
}

}  // namespace pgbraid::router
