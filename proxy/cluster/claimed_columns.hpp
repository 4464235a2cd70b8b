// Columns that the topology lists as unique: those whose values can be kept apart over the shards, and what stands in
// the way of the others. Pure.
#pragma once

#include "proxy/cluster/catalog_rows.hpp"
#include "router/topology.hpp"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

/// A listed column as one shard has it.
struct listed_column {
  std::string column;
  std::string constraint;  ///< the first that keeps its values apart on this shard
  std::string problem;     ///< why they cannot be kept apart over the shards, as a sentence; "": they can
};

/// By "schema.name" of the table, in the order in which the topology lists its columns.
using listed_by_table = std::map<std::string, std::vector<listed_column>, std::less<>>;

/// Of the tables that this shard has.
[[nodiscard]] listed_by_table listed_columns(const shard_catalog& shard, const router::topology& map);

/// It is a unique constraint over nothing but a listed column: whether it holds over the shards, listed_columns() says.
[[nodiscard]] bool is_on_listed_column(const constraint_facts& constraint, const router::sharded_table& table);

/// Fills `claimed` of the relations of `content`: the columns that fit on every shard. One that has another type on
/// another shard is told in `unenforced`. `shards` as for merge_catalogs().
void take_claimed(router::catalog& content, const std::vector<std::shared_ptr<const shard_catalog>>& shards,
                  const router::topology& map);

/// `finding`, one of a relation's `unenforced`, is a problem of a listed column.
[[nodiscard]] bool is_about_listed_column(std::string_view finding);

/// The topology lists a column as unique, of a table or in a pattern, and there are several shards.
[[nodiscard]] bool lists_unique(const router::topology& map) noexcept;

}  // namespace pgbraid::proxy
