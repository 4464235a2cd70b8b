// Several statements in one text: one plan for all of them.
#pragma once

#include <string_view>
#include <vector>

#include "router/plan/route.hpp"

namespace pgbraid::router {

/// One statement's plan as it is; none: the plan of an empty text. Several: over one shard they go there together; over
/// several shards they must all mean the same single shard, else the text is refused.
[[nodiscard]] plan combine(std::vector<plan> plans, const plan_context& context);

/// What stands behind AS in the text of a PREPARE statement; "" if it cannot be found.
[[nodiscard]] std::string_view prepared_text(std::string_view prepare);

}  // namespace pgbraid::router
