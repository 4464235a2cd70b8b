// When the answers of several shards, put one behind the other, are the answer of the whole.
#pragma once

#include <optional>
#include <string>

#include "router/plan/analysis.hpp"

namespace pgbraid::router {

/// Why a query cannot be asked of several shards and its answers be concatenated; nothing: it can.
struct scatter_problem {
  std::string reason;
  std::string hint;
};

/// Judges a SELECT that reads sharded tables. It is right if each result row comes from rows of one shard, and each
/// such combination is found on exactly one shard: one query level over sharded tables joined key = key, reference
/// tables beside them or on the nullable side, and nothing that looks at more than one result row.
[[nodiscard]] std::optional<scatter_problem> judge_scatter(const analysis& a, const plan_context& context);

/// The same of the rows that FROM and WHERE make, whatever is then made of them.
[[nodiscard]] std::optional<scatter_problem> judge_rows(const analysis& a, const plan_context& context);

/// Why a write to a reference table would not come to the same on every shard; nothing if it does.
[[nodiscard]] std::optional<protocol::error_report> judge_mirror(const analysis& a, bool by_itself,
                                                                 bool chosen = false);

/// True for one UPDATE or DELETE whose rows may be on several shards, where a transaction may write to several.
[[nodiscard]] bool writes_spread(const analysis& a, const plan_context& context);

/// What the statement reads that is neither a sharded table, whose rows are on the shard that does its part, nor the
/// same everywhere: a view over sharded tables, a table of one shard. "" for nothing.
[[nodiscard]] std::string read_elsewhere(const analysis& a);

/// The rows that a query level gives are all there are: nothing in it chooses some of them, in an order that may
/// differ.
[[nodiscard]] bool chooses_none(const query_level& level);

/// Why a query level inside a write may not come to the same on every shard; nothing if it does.
[[nodiscard]] std::optional<std::string> problem_of_nested(const analysis& a, std::size_t level);

/// True if what a FROM list gives is partitioned: each of its rows comes from exactly one shard.
[[nodiscard]] bool keeps_partition(const analysis& a, const std::vector<sql::from_item>& from);

}  // namespace pgbraid::router
