// SELECT of set_config() and of nothing else: over several shards it is what SET is, a change of the session's
// settings.
#pragma once

#include <optional>
#include <vector>

#include "router/plan/constants.hpp"
#include "router/plan/route.hpp"
#include "router/sql/ast.hpp"

namespace pgbraid::router {

/// Its calls, if their arguments are constants and parameters; nothing if it is another statement.
[[nodiscard]] std::optional<std::vector<config_call>> config_calls(const sql::statement& s, const plan_context& context,
                                                                   constant_marks& marks);

}  // namespace pgbraid::router
