// Which tables a statement may read and change, as consistency among all sessions (reads.consistency: global) needs to
// know it: too many are harmless, one too few is not.
#pragma once

#include "router/plan/analysis.hpp"

namespace pgbraid::router {

/// Fills the plan's marks from the analysis of its query. What runs behind a table (triggers, cascades, policies) and
/// behind a function is not followed: the plan then says that it may read or change more.
void mark_tables(const analysis& a, const plan_context& context, plan& out);

}  // namespace pgbraid::router
