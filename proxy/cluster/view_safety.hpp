// What reading a view does: which relations it reaches and whether that is nothing but reading. Pure.
#pragma once

#include "proxy/cluster/catalog_rows.hpp"
#include "router/catalog.hpp"

#include <string>
#include <vector>

namespace pgbraid::proxy {

/// Fills view_read_safe, view_relations (see not_understood) and user_code of every view in `content` that `views`
/// defines. Definitions must be printed with only pg_catalog in the search path, so that an unqualified relation is one
/// of pg_catalog's. Views of pg_catalog and information_schema are not followed: they appear in view_relations by their
/// own names.
void judge_views(router::catalog& content, const view_map& views);

}  // namespace pgbraid::proxy
