// Concatenation over shards; see scatter.hpp.
#include "router/plan/scatter.hpp"

#include <algorithm>

#include "router/plan/keys.hpp"
#include "router/plan/refusals.hpp"

namespace pgbraid::router {
namespace {

/// How a part of FROM stands on the shards.
enum class spread : std::uint8_t {
  replicated,   ///< the same rows everywhere
  partitioned,  ///< each row on exactly one shard
  neither
};

spread beside(spread left, spread right) {
  if (left == spread::neither || right == spread::neither) return spread::neither;
  // Two partitioned sides are joined key = key: joined_by_key() looks after that.
  return left == spread::replicated && right == spread::replicated ? spread::replicated : spread::partitioned;
}

spread spread_of(const analysis& a, const sql::from_item& item) {
  switch (item.kind) {
    case sql::from_kind::relation: {
      const auto use = a.use_of.find(&item);
      // A WITH entry beside a write reads what stands everywhere: judge_scatter() has looked.
      if (use == a.use_of.end()) return a.writes && a.common_tables ? spread::replicated : spread::neither;
      return a.uses[use->second].table.where == placement::sharded ? spread::partitioned : spread::replicated;
    }
    case sql::from_kind::subquery:
    case sql::from_kind::function:
      return spread::replicated;  // sharded tables below the top level are refused before this is asked
    case sql::from_kind::join:
      break;
    case sql::from_kind::values_like_other:
      return spread::neither;
  }
  if (item.left == nullptr || item.right == nullptr) return spread::neither;
  const spread left = spread_of(a, *item.left);
  const spread right = spread_of(a, *item.right);
  const bool same = left == spread::replicated && right == spread::replicated;
  switch (item.join) {
    case sql::join_kind::inner:
    case sql::join_kind::cross:
      return beside(left, right);
    case sql::join_kind::left:
      // A replicated row without a partner here may have one on another shard.
      return left == spread::partitioned || same ? beside(left, right) : spread::neither;
    case sql::join_kind::right:
      return right == spread::partitioned || same ? beside(left, right) : spread::neither;
    case sql::join_kind::full:
      return same ? spread::replicated : spread::neither;
  }
  return spread::neither;
}

/// `sampled`: a sample of each shard's rows is one of all rows.
std::optional<std::string> problem_of_rows(const query_level& level, bool sampled = false) {
  if (level.tablesample && !(sampled && !level.samples_copies)) return "TABLESAMPLE over several shards";
  if (!level.system_column.empty()) return "system column \"" + level.system_column + "\" over several shards";
  if (level.whole_row) return "a whole row as one value over several shards";
  return std::nullopt;
}

std::optional<std::string> problem_of_level(const query_level& level) {
  if (!level.window.empty()) return "a window function (" + level.window + ") over all shards";
  if (!level.aggregate.empty()) return "an aggregate (" + level.aggregate + ") over all shards";
  if (level.grouped) return "GROUP BY over several shards";
  if (level.having) return "HAVING over several shards";
  if (level.distinct) return "DISTINCT over several shards";
  if (level.ordered) return "ORDER BY over several shards";
  if (level.limited) return "LIMIT or OFFSET over several shards";
  return problem_of_rows(level, true);
}

/// ARRAY(SELECT ...) of a table's rows shows in which order they came.
bool in_any_order_shown(const query_level& level) {
  const auto function = [](const sql::from_item& item) { return item.kind == sql::from_kind::function; };
  return level.array && !level.ordered && level.from != nullptr &&
         !std::all_of(level.from->begin(), level.from->end(), function);
}

/// Subqueries may only read what every shard has, and must come to the same everywhere.
std::optional<std::string> problem_below(const query_level& level) {
  if (!level.window.empty()) return "a window function (" + level.window + ") in a subquery over several shards";
  if (!level.aggregate.empty() && !level.plain_count) {
    return "an aggregate (" + level.aggregate + ") in a subquery over several shards";
  }
  if (level.limited) return "LIMIT or OFFSET in a subquery over several shards";
  if (level.query != nullptr && !level.query->distinct_on.empty())
    return "DISTINCT ON in a subquery over several shards";
  if (in_any_order_shown(level)) return "an array of rows in no order over several shards";
  if (level.distinct && level.ordered) return "DISTINCT in a subquery over several shards";
  if (level.grouped || level.having) return "GROUP BY in a subquery over several shards";
  return problem_of_rows(level);
}

bool reads_no_table(const std::vector<sql::from_item>& items);

bool reads_no_table(const sql::select_query& q) {
  if (!q.with.tables.empty()) return false;
  if (q.set_op == sql::set_operation::none) return reads_no_table(q.from);
  return q.left != nullptr && q.right != nullptr && reads_no_table(*q.left) && reads_no_table(*q.right);
}

bool reads_no_table(const sql::from_item& item) {
  switch (item.kind) {
    case sql::from_kind::function:
      return true;
    case sql::from_kind::subquery:
      return item.query != nullptr && reads_no_table(*item.query);
    case sql::from_kind::join:
      return item.left != nullptr && item.right != nullptr && reads_no_table(*item.left) && reads_no_table(*item.right);
    case sql::from_kind::relation:
    case sql::from_kind::values_like_other:
      break;
  }
  return false;
}

bool reads_no_table(const std::vector<sql::from_item>& items) {
  return std::all_of(items.begin(), items.end(), [](const sql::from_item& item) { return reads_no_table(item); });
}

/// All that a subquery gives comes of the row for which it is asked, whatever it does with that:
/// (SELECT array_agg(t) FROM unnest(tags) t).
bool stands_alone(const query_level& level) {
  return level.query != nullptr && level.by_row.empty() && reads_no_table(*level.query);
}

/// Nested levels of a write: what they read of sharded tables is on the shard of the row that is written.
bool reads_own_shard(const analysis& a, std::size_t level) {
  return std::any_of(a.uses.begin(), a.uses.end(),
                     [&](const table_use& use) { return use.level == level && use.table.where == placement::sharded; });
}

/// As problem_below(), where aggregates over copies of the same rows come to the same.
std::optional<std::string> problem_below_write(const query_level& level) {
  if (level.query == nullptr && level.limited) return "LIMIT or OFFSET in a subquery over several shards";
  if (!level.exact || level.limited || !level.window.empty()) return problem_below(level);
  if (level.query != nullptr && !level.query->distinct_on.empty())
    return "DISTINCT ON in a subquery over several shards";
  const bool chosen = level.tablesample || !level.system_column.empty() || level.whole_row;
  if (chosen || in_any_order_shown(level)) return problem_below(level);
  return std::nullopt;
}

}  // namespace

std::string read_elsewhere(const analysis& a) {
  const auto use = std::find_if(a.uses.begin(), a.uses.end(), [](const table_use& each) {
    const placement where = each.table.where;
    return where == placement::spread_view || where == placement::unsharded || where == placement::system;
  });
  return use == a.uses.end() ? std::string{} : "\"" + use->table.full_name + "\" has other rows on each shard";
}

bool chooses_none(const query_level& level) {
  const bool some = level.limited || !level.window.empty() || !level.by_row.empty();
  return !some && (level.query == nullptr || level.query->distinct_on.empty());
}

std::optional<std::string> problem_of_nested(const analysis& a, std::size_t level) {
  return reads_own_shard(a, level) ? problem_of_rows(a.levels[level]) : problem_below_write(a.levels[level]);
}

bool keeps_partition(const analysis& a, const std::vector<sql::from_item>& from) {
  spread all = spread::replicated;
  for (const sql::from_item& item : from) all = beside(all, spread_of(a, item));
  return all == spread::partitioned;
}

bool writes_spread(const analysis& a, const plan_context& context) {
  if (!context.schema->single_writer.empty() || !a.timed_code.empty()) return false;
  const auto written = [](const table_use& use) { return use.role == table_role::update || use.role == table_role::delete_; };
  const auto other = [&](const table_use& use) {
    return use.role != table_role::read && !written(use) && !(a.merge != nullptr && use.role == table_role::insert);
  };
  return std::count_if(a.uses.begin(), a.uses.end(), written) == 1 && std::none_of(a.uses.begin(), a.uses.end(), other);
}

namespace {

std::optional<scatter_problem> judge(const analysis& a, const plan_context& context, bool rows_only) {
  const auto first = std::find_if(a.uses.begin(), a.uses.end(),
                                  [](const table_use& use) { return use.table.where == placement::sharded; });
  const std::string hint = first == a.uses.end() ? "" : key_hint(*first) + ".";
  const auto problem = [&](std::string reason) { return scatter_problem{std::move(reason), hint}; };

  if (std::string other = read_elsewhere(a); !other.empty()) return problem(std::move(other));
  if (a.writes && !writes_spread(a, context)) return problem("a write");
  if (a.locking && (a.writes || a.locking_below || !context.schema->single_writer.empty())) {
    return problem("row locks (FOR UPDATE, FOR SHARE) on several shards");
  }
  // What a write reads beside its own table may have any shape, if it is the same everywhere.
  const bool write_on_top = std::any_of(a.levels.begin(), a.levels.end(),
                                        [](const query_level& level) { return level.top && level.target != nowhere; });
  if (a.common_tables && !write_on_top) return problem("WITH over several shards");
  if (a.set_operation && !write_on_top) return problem("UNION, INTERSECT or EXCEPT over several shards");
  const auto top = std::find_if(a.levels.begin(), a.levels.end(), [](const query_level& level) { return level.top; });
  if (top == a.levels.end()) return problem("this kind of statement");
  const auto top_index = static_cast<std::size_t>(top - a.levels.begin());
  // A subquery of a write may read what stands on the shard of the row that is written, in any shape.
  const bool own_shard =
      a.writes && top->target != nowhere && (a.merge != nullptr ? joined_by_key(a) : joined_by_key(a, top->target));
  for (const table_use& use : a.uses) {
    if (use.table.where == placement::sharded && use.level != top_index && !own_shard) {
      return problem("a subquery that reads sharded table \"" + use.table.full_name + "\" on all shards");
    }
  }
  for (std::size_t i = 0; i < a.levels.size(); ++i) {
    const query_level& level = a.levels[i];
    std::optional<std::string> reason;
    if (i == top_index) {
      reason = rows_only ? problem_of_rows(level, true) : problem_of_level(level);
    } else if (own_shard && reads_own_shard(a, i)) {
      reason = problem_of_rows(level);
    } else {
      // What is asked anew for each row that is written, may choose anew for each.
      // The rows of an aggregate over columns of a query around it are those of that query. A write has none.
      const bool of_row = a.writes && level.parent == top_index;
      const bool alone = stands_alone(level) && (of_row || level.aggregate.empty());
      const bool anew = (level.of_written_row && level.query != nullptr) || alone;
      reason = anew ? problem_of_rows(level) : a.writes ? problem_below_write(level) : problem_below(level);
    }
    if (reason) return problem(std::move(*reason));
    // In the rows that are written it is another value anyway.
    if ((a.writes || a.locking) && i != top_index && !level.by_row.empty())
      return problem("function \"" + level.by_row + "\" may give another value on each shard");
  }
  const std::string& varying = a.writes || a.locking ? a.functions.differs : a.functions.not_replicable;
  if (!varying.empty()) return problem(varying + " may give another value on each shard");
  if (!joined_by_key(a) && a.merge != nullptr && a.merge->inserts()) {
    return scatter_problem{
        "rows that MERGE would insert on more than one shard",
        "Let ON compare the sharding key with a column of the source, and insert that column as the key."};
  }
  if (!joined_by_key(a)) {
    return scatter_problem{"a join of sharded tables that is not on their sharding keys",
                           "Join the tables on key = key, or tie each of them to one value of its key."};
  }
  // What UPDATE and DELETE change is partitioned; FROM and USING come beside it.
  spread all = a.writes ? spread::partitioned : spread::replicated;
  if (top->from != nullptr) {
    for (const sql::from_item& item : *top->from) all = beside(all, spread_of(a, item));
  }
  if (all != spread::partitioned) {
    return scatter_problem{"an outer join that keeps rows of a reference table without a partner",
                           "Put the sharded table on the side whose rows are kept."};
  }
  return std::nullopt;
}

}  // namespace

std::optional<scatter_problem> judge_scatter(const analysis& a, const plan_context& context) { return judge(a, context, false); }

std::optional<scatter_problem> judge_rows(const analysis& a, const plan_context& context) { return judge(a, context, true); }

std::optional<protocol::error_report> judge_mirror(const analysis& a, bool by_itself, bool chosen) {
  const table_use* written = nullptr;
  for (const table_use& use : a.uses) {
    if (use.role != table_role::read) written = &use;
  }
  const auto refuse = [&](const std::string& why) {
    auto error = protocol::make_error(protocol::error_id::reference_write, written->table.full_name);
    error.detail = why;
    return error;
  };
  if (!by_itself) return refuse("It is a part of another command.");
  for (const table_use& use : a.uses) {
    if (use.table.where != placement::reference) return refuse("It names a table that is not the same on every shard.");
    // MERGE changes no row twice.
    const bool updated = use.role == table_role::update && a.merge == nullptr && !chosen &&
                         a.levels[use.level].from != nullptr && !a.levels[use.level].from->empty();
    if (updated) return refuse("UPDATE ... FROM may choose another row on each shard.");
    if (use.role != table_role::read && use.table.described != nullptr && !use.table.described->user_code.empty()) {
      return refuse("Its triggers or defaults run functions of your own.");
    }
  }
  if (a.set_operation || a.locking) return refuse("Only plain statements are known to do the same on every shard.");
  if (a.conflict_source) return refuse("Which of its rows comes first, and which are in their way, may differ.");
  if (!a.functions.user_code.empty()) return refuse("It calls a function of your own.");
  if (!a.functions.differs.empty()) return refuse(a.functions.differs + " may give another value on each shard.");
  for (const query_level& level : a.levels) {
    if (!level.by_row.empty()) return refuse("Function \"" + level.by_row + "\" may give another value on each shard.");
    if (a.merge != nullptr && level.target != nowhere) {
      if (const auto why = problem_of_rows(level)) return refuse(*why + ".");
    }
    // Which rows these name is another matter in each copy.
    if (level.target != nowhere && (level.tablesample || !level.system_column.empty()))
      return refuse(problem_of_rows(level).value_or("") + ".");
    if (level.target != nowhere) continue;
    // Of values that are equal and written otherwise (1.0 and 1.00) each copy might give another one.
    // Of rows that are the same everywhere, whatever their order.
    if (stands_alone(level) && chooses_none(level) && level.exact && !level.distinct && !level.array) {
      if (const auto why = problem_of_rows(level)) return refuse(*why + ".");
      continue;
    }
    if (const auto why = problem_below(level)) return refuse(*why + ".");
    if (level.distinct) return refuse("Which of equal values it gives may differ.");
    if (level.array && a.uses.size() > 1) return refuse("The order of the values in an array may differ.");
  }
  return std::nullopt;
}

}  // namespace pgbraid::router
