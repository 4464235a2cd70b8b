// Whether a plan holds whatever columns the catalog knows of its tables, beside their keys: plan::by_columns.
#pragma once

#include "router/plan/analysis.hpp"
#include "router/plan/route.hpp"

namespace pgbraid::router {

/// What the statement's names mean, as far as it matters to where it goes, may be another thing with other columns.
[[nodiscard]] bool names_by_columns(const sql::statement& s, const analysis& a);

/// The same of the whole plan, all but done, which has that in `by_columns`: true for one by which another text than
/// the statement's own is sent, false for one by which one server gets it whole, whichever that is by its tables alone.
[[nodiscard]] bool stays_by_columns(const plan& p);

}  // namespace pgbraid::router
