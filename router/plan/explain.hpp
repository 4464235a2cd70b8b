// EXPLAIN of a statement that several shards are asked for: what pgbraid does itself, in lines above the shards' plans.
#pragma once

#include "router/plan/gather.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::router {

/// How such an EXPLAIN is answered, where its route is several shards.
struct explain_layout {
  std::vector<std::string> steps;  ///< lines
  std::string asked;               ///< what each shard is asked; "": the client's own text, or each its rows of it
  bool json = false;               ///< FORMAT JSON: one row, instead of one for each line
};

/// The plan `out` of an EXPLAIN, where several shards may be asked: gives it its layout, or refuses what cannot be told
/// of several. `query` is the explained SELECT, none for what writes.
void explain_shards(const sql::statement& s, std::string_view text, const std::optional<gather_query>& query,
                    const analysis& a, const plan_context& context, plan& out);

/// The name of the format that an EXPLAIN asks for, in lower case; "text" if it says nothing.
[[nodiscard]] std::string explain_format(std::string_view text);

}  // namespace pgbraid::router
