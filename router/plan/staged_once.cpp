// A part of a write that is a query by itself is answered once, and the statement is planned anew with its rows in the
// text; see staged_source.hpp. Source: the manual's chapter "WITH Queries": an entry is evaluated once, and not at all
// where nobody names it.
#include <algorithm>
#include <iterator>
#include <utility>

#include "router/plan/clauses.hpp"
#include "router/plan/columns.hpp"
#include "router/plan/gather_text.hpp"
#include "router/plan/insert_select.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/read_text.hpp"
#include "router/plan/same_expression.hpp"
#include "router/plan/scatter.hpp"
#include "router/plan/staged_chosen.hpp"
#include "router/plan/staged_locks.hpp"
#include "router/plan/staged_parts.hpp"
#include "router/plan/staged_source.hpp"
#include "router/plan/staged_tables.hpp"
#include "router/plan/words.hpp"
#include "router/plan/writing_with.hpp"

namespace pgbraid::router {

namespace {

using kind = sql::statement_kind;

/// Where no shard may answer it for itself.
bool must_come_first(const analysis& found, const carrier& by) {
  // What copies of a reference table would each tell in their own way.
  const auto differs = [&](const query_level& level) {
    return by.alike &&
           ((!level.aggregate.empty() && !level.plain_count) || level.grouped || level.distinct || level.array);
  };
  // By the order of rows, string_agg() and sums of floats among them, they might too.
  const auto by_order = [&](const query_level& level) {
    return !by.one && !level.exact && !level.plain_count && !level.aggregate.empty();
  };
  const bool chooses = !by.one && !std::all_of(found.levels.begin(), found.levels.end(), chooses_none);
  return chooses || !std::all_of(found.uses.begin(), found.uses.end(), [&](const table_use& u) { return by.has(u); }) ||
         std::any_of(found.levels.begin(), found.levels.end(), differs) ||
         std::any_of(found.levels.begin(), found.levels.end(), by_order) || (by.alike && found.set_operation);
}

bool has_own_collation(const analysis& found) {
  return std::any_of(found.uses.begin(), found.uses.end(), [](const table_use& use) {
    if (use.table.described == nullptr) return true;
    const std::vector<column>& columns = use.table.described->columns;
    return std::any_of(columns.begin(), columns.end(), [](const column& c) { return !c.default_collation; });
  });
}

std::string mark() {
  return std::string(1, moment_mark) + "0" + std::string(1, moment_mark);
}

enum class verdict : std::uint8_t {
  may_stay,    ///< where it stands: each shard answers it for itself, or it is a part of what does not
  needs_time,  ///< it must come first, and asks for the time, which comes before it
  impossible,  ///< it must come first, and cannot
  comes_first
};

/// What stands in the place of a part.
struct part_answer {
  verdict told = verdict::impossible;
  std::string instead;  ///< with a mark where its rows belong
  text_span bare;       ///< where the time may be a constant: see moment_list::replace()
};

/// A part that locks rows of a table.
part_answer judge_locking(const sql::statement& s, std::string_view body, std::size_t at, const analysis& a,
                          const plan_context& context, const replanning& budget, staged_query& query,
                          staged_write& out) {
  part_answer answer;
  const sql::with_clause* with = own_with(s);
  const bool of_entry = with != nullptr && std::any_of(with->tables.begin(), with->tables.end(), [&](const auto& each) {
                          return occurrences(body, each.name) > 0;
                        });
  const read_text read{body, context};
  if (of_entry || read.select() == nullptr) return answer;
  const sql::select_query& q = *read.select();
  const analysis& found = read.found;
  if (found.unresolved || gives_no_column(q) || !locks_rows_alone(*read.statement(), found)) return answer;
  if (!found.moments.empty()) {
    const auto behind = place_behind_targets(body);
    if (behind) answer = {verdict::needs_time, {}, {at + *behind, at + body.size()}};
    return answer;
  }
  if (!has_parameters_alone(body, a)) return answer;
  if (q.limit != nullptr && !q.lock_waits) {
    const auto rows = pick_rows(body, context, budget.passed_over);
    if (!rows) return answer;
    out.limit = rows->limit;
    out.pick = budget.picked ? picking::locks : picking::finds;
    if (out.pick == picking::finds) {
      const bool follows = make_locked_rows(with_moments(rows->locking, std::vector<std::string>{rows->nothing}),
                                            context, true) != nullptr;
      if (!follows || !plan_query(rows->candidates, context, query, out)) return answer;
      return {verdict::comes_first, rows->locking, {}};
    }
  }
  const auto locked = make_locked_rows(body, context, out.pick == picking::locks);
  if (locked == nullptr) return answer;
  out.rows = locked->rows;
  query.only = out.rows->combiner;
  query.collated = has_own_collation(found) || names_own_type(body, *context.schema) || has_word(body, "collate");
  return {verdict::comes_first, mark(), {}};
}

/// The query as a statement of its own, if it is one that must be answered first.
part_answer judge_part(const once_part& part, const sql::statement& s, std::string_view text, const analysis& a,
                       const carrier& by, const plan_context& context, const replanning& budget, staged_query& query,
                       staged_write& out) {
  constexpr auto told = [](verdict v) {
    return part_answer{v, v == verdict::comes_first ? mark() : std::string{}, {}};
  };
  const read_text read{part.query, context};
  if (read.select() == nullptr) return told(verdict::impossible);
  const analysis& found = read.found;
  if (found.locking) return judge_locking(s, part.place.of(text), part.place.begin, a, context, budget, query, out);
  const bool first = part.first && !found.uses.empty();
  if (!first && !must_come_first(found, by)) return told(verdict::may_stay);
  // A subquery stands for itself only without columns of the queries around it.
  if (found.unresolved || gives_no_column(*read.select())) return told(verdict::impossible);
  if (!has_parameters_alone(part.query, a)) return told(verdict::impossible);
  if (!found.moments.empty()) return told(verdict::needs_time);
  if (!plan_query(part.query, context, query, out)) return told(verdict::impossible);
  query.collated =
      has_own_collation(found) || names_own_type(part.query, *context.schema) || has_word(part.query, "collate");
  return told(verdict::comes_first);
}

std::string with_part(std::string_view text, const text_span& place, std::string_view instead) {
  std::string out{text.substr(0, place.begin)};
  return out.append(instead).append(text.substr(place.end));
}

/// The statement without the bodies of WITH entries that nobody names; "" where all are named.
std::string without_unused(const sql::statement& s, std::string_view text) {
  const sql::with_clause* with = own_with(s);
  if (with == nullptr || with->tables.empty()) return {};
  const auto bodies = bodies_of_with(text, with->tables.size());
  if (!bodies) return {};
  std::vector<text_edit> edits;
  for (std::size_t i = 0; i < bodies->size(); ++i) {
    const text_span& body = (*bodies)[i];
    std::string nothing = "SELECT NULL";
    for (std::size_t k = 1; k < with->tables[i].columns.size(); ++k) nothing += ", NULL";
    const bool writes = with->tables[i].query == nullptr || with->tables[i].query->kind != kind::select;
    if (writes || body.of(text) == nothing || occurrences(text, with->tables[i].name) != 1) continue;
    // A server is to read the values of all parameters.
    if (!parameters_in(body.of(text)).empty()) continue;
    edits.push_back({body.begin, body.end - body.begin, std::move(nothing)});
  }
  return edits.empty() ? std::string{} : edited(text, 0, text.size(), std::move(edits));
}

std::shared_ptr<const gather_plan> combined_at(const gather_plan& plan, shard_index home) {
  auto out = std::make_shared<gather_plan>(plan);
  out->combiner = home;
  if (plan.otherwise != nullptr) out->otherwise = combined_at(*plan.otherwise, home);
  return out;
}

/// The whole statement is shown to the server that is asked, which must know all of its tables. False: another must be
/// asked.
bool ask_at(shard_index home, const plan_context& context, staged_query& query, staged_write& out) {
  if (query.only && *query.only != home) return false;
  query.only = home;
  if (out.rows == nullptr) return true;
  if (!takes_part(home, context)) return false;
  out.rows = combined_at(*out.rows, home);
  return true;
}

/// Names are found in the text, so they must stand there as they are meant; and entries must come after what they name.
bool readable(const sql::statement& s, std::string_view text) {
  constexpr std::size_t longest_name = 63;
  for (const std::string_view decoded : {"u&\"", "U&\""}) {
    if (text.find(decoded) != std::string_view::npos) return false;
  }
  const sql::with_clause* with = own_with(s);
  if (with == nullptr) return true;
  if (with->recursive && with->tables.size() > 1) return false;
  return std::none_of(with->tables.begin(), with->tables.end(),
                      [](const sql::common_table& entry) { return entry.name.size() >= longest_name; });
}

/// Whether a statement with some of its rows in it can be carried out over several shards.
bool may_go_on(const std::string& text, const plan_context& context, replanning& budget) {
  if (budget.left == 0) return false;
  --budget.left;
  return plan_staged(text, context, &budget) != nullptr;
}

/// The statement whose text has a mark where the query's rows belong.
std::shared_ptr<const staged_write> asked_first(std::shared_ptr<staged_write> out,
                                                const std::shared_ptr<staged_query>& query, std::string_view text,
                                                const analysis& a, const plan_context& context) {
  if (const auto home = only_home(a); home && !ask_at(*home, context, *query, *out)) return nullptr;
  out->again = true;
  query->shown = text;
  out->query = query;
  return out;
}

/// The time is asked for, and the rest planned anew with it in the text.
std::shared_ptr<const staged_write> make_timed(std::string_view text, const analysis& a, const plan_context& context,
                                               text_span bare, replanning& budget) {
  moment_list moments;
  std::vector<text_edit> edits;
  if (!moments.replace(text, a, edits, 0, 0, bare)) return nullptr;
  auto out = std::make_shared<staged_write>();
  out->text = edited(text, 0, text.size(), std::move(edits));
  if (!may_go_on(with_moments(out->text, moments.samples()), context, budget)) return nullptr;
  out->moments_sql = moments.sql();
  out->again = true;
  out->shown = text;
  return out;
}

/// UPDATE of a reference table of which the first shard tells what the rows become; null where that cannot be done.
std::shared_ptr<const staged_write> make_chosen(const sql::statement& s, std::string_view text, const analysis& a,
                                                const plan_context& context, replanning& budget) {
  const auto rows = choose_rows(s, text, a, context);
  if (!rows) return nullptr;
  if (rows->timed) return make_timed(text, a, context, {}, budget);
  auto out = std::make_shared<staged_write>();
  const auto query = std::make_shared<staged_query>();
  if (!plan_query(rows->read, context, *query, *out) || out->rows != nullptr) return nullptr;
  query->sql = rows->query;
  query->only = designated_shard;  // where all who write to the table meet
  query->collated =
      has_own_collation(a) || names_own_type(rows->read, *context.schema) || has_word(rows->read, "collate");
  replanning then{budget.left};
  then.chosen = true;
  const bool follows = may_go_on(rows->front + "SELECT NULL" + rows->behind, context, then);
  budget.left = then.left;
  if (!follows) return nullptr;
  out->text = rows->front + mark() + rows->behind;
  out->chosen = true;
  return asked_first(std::move(out), query, text, a, context);
}

/// Whether a column may be left to a default of the moment.
bool defaults_to_moment(const sql::statement& s, const analysis& a) {
  const auto written =
      std::find_if(a.uses.begin(), a.uses.end(), [](const table_use& use) { return use.role != table_role::read; });
  if (written == a.uses.end() || written->table.described == nullptr || s.delete_ != nullptr) return false;
  if (s.update != nullptr) return !a.moment_defaults.empty();
  const std::vector<column>& columns = written->table.described->columns;
  return std::any_of(columns.begin(), columns.end(), [&](const column& c) {
    const auto named = [&](const sql::target& t) { return t.name == c.name; };
    if (!c.default_of_moment) return false;
    return s.insert == nullptr || std::none_of(s.insert->columns.begin(), s.insert->columns.end(), named);
  });
}

/// All that it reads is on the shard whose table it writes.
std::shared_ptr<const staged_write> for_one(const sql::statement& s, std::string_view text, const analysis& a,
                                            const carrier& by, const plan_context& context) {
  const bool here = std::all_of(a.uses.begin(), a.uses.end(), [&](const table_use& use) { return by.has(use); });
  // The transaction's time may be another branch's.
  if (!here || !a.moments.empty() || defaults_to_moment(s, a) || !takes_part(by.one, context)) return nullptr;
  auto out = std::make_shared<staged_write>();
  out->text = text;
  out->only = by.one;
  return out;
}

}  // namespace

std::shared_ptr<const staged_write> make_locked_select(const sql::statement& s, std::string_view text,
                                                       const analysis& a, const plan_context& context,
                                                       replanning* again) {
  replanning own;
  replanning& budget = again == nullptr ? own : *again;
  if (a.moments.empty() && (s.select->limit == nullptr || s.select->lock_waits))
    return make_locked_rows(text, context, false);
  auto out = std::make_shared<staged_write>();
  const auto query = std::make_shared<staged_query>();
  const part_answer answer = judge_locking(s, text, 0, a, context, budget, *query, *out);
  if (answer.told == verdict::needs_time) return make_timed(text, a, context, answer.bare, budget);
  if (answer.told != verdict::comes_first) return nullptr;
  if (out->pick == picking::finds) {
    out->text = answer.instead;
    return asked_first(std::move(out), query, text, a, context);
  }
  auto locked = std::make_shared<staged_write>(*make_locked_rows(text, context, true));
  locked->pick = out->pick;
  locked->limit = out->limit;
  return locked;
}

std::shared_ptr<const staged_write> make_into_one(const sql::statement& rest, const writing_with& writing,
                                                  const analysis& a, std::string_view shown,
                                                  const plan_context& context) {
  const carrier by = carrier_of(a, false);
  const std::string_view text = writing.text;
  const auto at = parts_of_text(text);
  if (!by.one || !at || rest.insert->source == nullptr || a.refusal || a.not_understood || a.default_differs ||
      !a.moments.empty() || !writing.moments.sql().empty() || defaults_to_moment(rest, a) || !takes_part(by.one, context))
    return nullptr;
  const std::string_view after = text.substr(at->end);
  const auto named = [&](const sql::common_table& entry) { return occurrences(after, entry.name) > 0; };
  const std::vector<sql::common_table>& entries = rest.insert->with.tables;
  if (has_word(after, "select") || has_word(after, "table") || std::any_of(entries.begin(), entries.end(), named))
    return nullptr;
  const std::vector<once_part> parts = parts_of(rest, text, a, by);
  const auto source = std::find_if(parts.begin(), parts.end(), [&](const once_part& part) {
    return part.place.begin == at->source && part.place.end == at->end;
  });
  if (source == parts.end() || !has_parameters_alone(source->query, a)) return nullptr;
  auto out = std::make_shared<staged_write>();
  const auto query = std::make_shared<staged_query>();
  if (!plan_query(source->query, context, *query, *out, &writing) || !ask_at(*by.one, context, *query, *out))
    return nullptr;
  query->shown = shown;
  out->shown = shown;
  out->query = query;
  out->only = by.one;
  out->text = std::string{text.substr(at->insert, at->source - at->insert)} + mark() + std::string{after};
  return out;
}

bool names_own_type(std::string_view text, const catalog& schema) {
  const std::vector<std::string> named = names_of_types(text);
  return std::any_of(named.begin(), named.end(),
                     [&](const std::string& name) { return schema.user_types.contains(name); });
}

std::shared_ptr<const staged_write> make_once(const sql::statement& s, std::string_view text, const analysis& a,
                                              const plan_context& context, replanning* again) {
  replanning own;
  replanning& budget = again == nullptr ? own : *again;
  constexpr std::size_t most_parts = 16;  // each is planned on its own, and what is left anew
  if (!readable(s, text)) return nullptr;
  if (const std::string less = without_unused(s, text); !less.empty()) {
    const auto rest = plan_staged(less, context);
    if (rest == nullptr || rest->moves) return nullptr;
    auto out = std::make_shared<staged_write>(*rest);
    const bool asks = out->rows || out->query || !out->moments_sql.empty();
    // A server checks what it does not carry out.
    const auto query = rest->query ? std::make_shared<staged_query>(*rest->query) : std::make_shared<staged_query>();
    query->shown = text;
    if (const auto home = only_home(a)) {
      if ((!rest->rows && !rest->query) || !ask_at(*home, context, *query, *out)) return nullptr;
    }
    if (rest->query) out->query = query;
    if (!asks) out->text = text;
    if (out->shown.empty()) out->shown = text;
    return out;
  }
  // How the rows of a SELECT are merged is planned before they are known.
  if (s.select != nullptr && !writes_in_with(s) &&
      (!s.select->order_by.empty() || s.select->limit != nullptr || s.select->offset != nullptr))
    return nullptr;
  const carrier by = carrier_of(a, writes_in_with(s));
  const std::vector<once_part> parts = parts_of(s, text, a, by);
  if (parts.size() > most_parts) return nullptr;
  for (const once_part& part : parts) {
    auto out = std::make_shared<staged_write>();
    const auto query = std::make_shared<staged_query>();
    const auto [told, instead, bare] = judge_part(part, s, text, a, by, context, budget, *query, *out);
    if (told == verdict::needs_time && !part.unnamed) return make_timed(text, a, context, bare, budget);
    if (told == verdict::impossible && part.entry) break;
    // One server would not evaluate it.
    if (told == verdict::comes_first && part.unnamed) return nullptr;
    if (told != verdict::comes_first) continue;
    // The rest must be what can be carried out over several shards.
    if (!may_go_on(with_part(text, part.place, "SELECT " + part.columns), context, budget)) {
      if (part.entry) break;  // later ones would ask for it again
      continue;
    }
    out->text = with_part(text, part.place, instead);
    return asked_first(std::move(out), query, text, a, context);
  }
  if (a.locking || a.not_understood || a.refusal || !a.functions.user_code.empty() || a.functions.measures_shard)
    return nullptr;
  // Rows that are joined may come in another order on each shard.
  if (a.mirrored && a.conflict_source) return nullptr;
  const auto stays = [&](const table_use& use) { return by.has(use) || (by.merges && a.levels[use.level].top); };
  if (const auto table = fetch_table(text, a, stays)) {
    auto out = std::make_shared<staged_write>();
    const auto query = std::make_shared<staged_query>();
    if (!plan_query(table->query, context, *query, *out)) return nullptr;
    if (!may_go_on(with_rows(*table, "SELECT " + table->columns), context, budget)) return nullptr;
    query->collated = table->collated;
    out->text = with_rows(*table, mark());
    return asked_first(std::move(out), query, text, a, context);
  }
  return by.one ? for_one(s, text, a, by, context) : make_chosen(s, text, a, context, budget);
}

}  // namespace pgbraid::router
