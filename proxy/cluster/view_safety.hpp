// What reading a view or calling a function does: which relations it reaches and whether that is nothing but reading. Pure.
#pragma once

#include "proxy/cluster/catalog_rows.hpp"
#include "router/catalog.hpp"

#include <string>
#include <vector>

namespace pgbraid::proxy {

/// Written into view_relations for a definition that was not understood: no relation has a name without a schema.
inline constexpr const char* not_understood = "(not understood)";

/// Fills view_read_safe, view_relations and user_code of every view in `content` that `views` defines. Definitions must
/// be printed with only pg_catalog in the search path, so that an unqualified relation is one of pg_catalog's. Views of
/// pg_catalog and information_schema are not followed: they appear in view_relations by their own names.
void judge_views(router::catalog& content, const view_map& views);

/// A function that is user code.
struct function_body {
  std::string name;       ///< without schema
  bool provable = false;  ///< SQL, not volatile, nothing about it that its body does not say
  std::string text;
};

/// Takes any_user_code from every name in `content` whose functions all have bodies that read no table and call nothing
/// but functions of which the same is true: such a function is the same on every shard, like a built-in one.
void judge_functions(router::catalog& content, const std::vector<function_body>& bodies);

}  // namespace pgbraid::proxy
