// Aggregates over several shards in two steps: every shard aggregates its own rows by the statement's groups, and one
// server aggregates what came of it, by the rest of the statement. What travels is a row for each group of each shard.
//
//   SELECT country, avg(age) FROM customers GROUP BY country HAVING count(*) > 9 ORDER BY 2
//   on every shard: SELECT country, sum(age), count(age), count(*) FROM customers GROUP BY country
//   on one:         SELECT c0 AS country, sum(c1) / sum(c2) FROM (what came) GROUP BY c0 HAVING sum(c3) > 9 ORDER BY 2
#pragma once

#include <memory>

#include "router/plan/analysis.hpp"
#include "router/plan/gather.hpp"

namespace pgbraid::router {

/// The plan for one query, or nothing where it cannot be split that way, or not beyond doubt: then its rows are
/// gathered. Results are equal to those over all rows but for the last digits of floating-point sums.
[[nodiscard]] std::shared_ptr<gather_plan> make_partial(const gather_query& query, const analysis& found,
                                                        const plan_context& context);

}  // namespace pgbraid::router
