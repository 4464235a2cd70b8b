// Tables that are sharded from their birth: which ones the topology's patterns or their own comments mean, and whether
// they can be. Pure.
#pragma once

#include "proxy/cluster/catalog_rows.hpp"
#include "router/topology.hpp"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

/// Whether a name fits a pattern: * is any characters, ? is one.
[[nodiscard]] bool fits_pattern(std::string_view name, std::string_view pattern) noexcept;

/// The tables of one shard that are meant: unlisted ordinary and partitioned tables whose comment names a key, or of a
/// name that fits a pattern, with all columns of its key. A partition goes by its root.
[[nodiscard]] std::map<std::string, router::sharded_table> tables_of_patterns(const router::topology& listed,
                                                                              const shard_catalog& shard);

/// What the rows of such a table on one shard have shown.
struct looked_table {
  router::relation as;  ///< as it was then
  router::sharded_table by;
  std::string problem;  ///< rows that do not belong there, or why they could not be read; "" without
};
using looked_tables = std::map<std::string, looked_table>;

/// One shard's catalog, and its rows. `rows` is null where nobody looks at them.
struct seen_shard {
  std::shared_ptr<const shard_catalog> catalog;  ///< null: not read yet
  const looked_tables* rows = nullptr;
};

/// The topology with the tables that are meant: those that are alike on every shard, whose key can be one and
/// whose rows stand where they belong; the others are `unfit`.
[[nodiscard]] router::topology with_pattern_tables(const router::topology& listed,
                                                   const std::vector<seen_shard>& shards);

}  // namespace pgbraid::proxy
