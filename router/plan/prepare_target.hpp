// Where PREPARE goes, of which EXECUTE says no more than a name.
#pragma once

#include <string>
#include <string_view>

#include "router/plan/route.hpp"
#include "router/sql/ast.hpp"

namespace pgbraid::router {

/// The prepared statement's own text: what stands behind AS. `text` is all that was parsed.
[[nodiscard]] std::string prepared_statement(const sql::statement& prepare, std::string_view text);

/// What it prepares must be what the designated shard can answer by itself; else it may be kept as statements of the
/// protocol are (`by_protocol`), if it stands alone in its text. `inner` is the plan of what it prepares.
[[nodiscard]] fixed_target prepare_target(const sql::statement& prepare, std::string_view text, bool alone,
                                          const plan& inner, const plan_context& context, bool& by_protocol);

}  // namespace pgbraid::router
