// Writes over several shards that take more than one step: numbers are drawn first, rows are taken out before they are put
// in, the time or other shards' rows must be known. How each step is done is in drawing.hpp and staged.hpp; here a plan
// that one step could not carry out is made one of several.
#pragma once

#include <string_view>

#include "router/plan/analysis.hpp"
#include "router/plan/route.hpp"

namespace pgbraid::router {

/// An INSERT that leaves columns to sequences: they are drawn first, and what comes of it is planned anew. False: it
/// draws nothing, or cannot be done; `out` is then as it was.
[[nodiscard]] bool plan_drawing_first(const sql::statement& s, std::string_view text, const analysis& found,
                                      const plan_context& context, plan& out);

/// A write of which something must be known first, or whose rows leave their shards. `out` has been planned already; it
/// stays as it is where nothing can be done.
void plan_in_steps(const sql::statement& s, std::string_view text, const analysis& found, const plan_context& context,
                   plan& out);

}  // namespace pgbraid::router
