// What a view's definition, or an expression of a function's body, reaches. Pure.
#pragma once

#include "router/catalog.hpp"
#include "router/sql/ast.hpp"

#include <set>
#include <string>

namespace pgbraid::proxy {

/// Stands among relations for a definition that was not understood: no relation has a name without a schema.
inline constexpr const char* not_understood = "(not understood)";

struct definition_findings {
  bool safe = true;                      ///< it calls no volatile function, locks and writes nothing
  std::set<std::string> relations;       ///< "schema.name", an unqualified one as one of pg_catalog's
  std::set<std::string> user_code;       ///< functions of pg_catalog that are as good as user code
  std::set<std::string> volatile_calls;  ///< bare names of the volatile functions that it calls
  std::set<std::string>
      varying;  ///< bare names of the stable functions that it calls, and of CURRENT_DATE and the like
  bool calls_user_code = false;          ///< by a name or operator that some user code has
  bool varies = false;     ///< with the time, the settings or the server: something not immutable is in it
  bool only_calls = true;  ///< where it is not safe, nothing but volatile_calls makes it so
};

/// Adds what `query` reaches, its subqueries and WITH entries included.
void walk_definition(const router::catalog& content, const router::sql::select_query* query,
                     definition_findings& found);

}  // namespace pgbraid::proxy
