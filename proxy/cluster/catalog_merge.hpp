// One catalog for a database out of what its shards say: the designated shard's, made as careful as the others require.
// Pure.
#pragma once

#include "proxy/cluster/catalog_rows.hpp"
#include "router/catalog.hpp"
#include "router/topology.hpp"

#include <memory>
#include <string>
#include <vector>

namespace pgbraid::proxy {

struct merged_catalog {
  router::catalog content;
  std::vector<std::string> warnings;  ///< in what the shards disagree; sorted
};

/// `shards` by shard_index, null for one that has not been read; the first must be there. Functions, operators and code
/// behind tables are as bad as on the worst shard; OIDs and columns are the first shard's, who answers catalog queries.
[[nodiscard]] merged_catalog merge_catalogs(const std::vector<std::shared_ptr<const shard_catalog>>& shards,
                                            const router::topology& map);

}  // namespace pgbraid::proxy
