// Views that are written as if they were the table below: PostgreSQL's automatically updatable views, as far as their
// columns are those of one sharded table. Source: view_query_is_auto_updatable() in rewriteHandler.c.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "router/plan/names.hpp"

namespace pgbraid::router {

/// What a view shows of the table below: as a table of the view's name and columns, which lives where that one does.
struct written_view {
  relation shown;
  sharded_table sharding;
  std::string table;           ///< "schema.name" of the table below all views
  std::vector<column> hidden;  ///< its columns that the view does not show
};

/// `view` with what it shows in the place of its own entry of the catalog, or unchanged where a write to it is not proved
/// to be one to that table with other names: each shard carries out the view's part itself.
[[nodiscard]] resolved_table through_view(resolved_table view, const plan_context& context);

/// Whether a definition gives the same on every shard for the same rows: it chooses none, and neither the time nor the
/// server tells.
[[nodiscard]] bool alike_everywhere(std::string_view definition, const catalog& schema);

}  // namespace pgbraid::router
