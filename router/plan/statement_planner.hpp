// One statement of a text -> its plan. See make_plan.cpp for the text as a whole.
#pragma once

#include <string_view>

#include "router/plan/constants.hpp"
#include "router/plan/hints.hpp"
#include "router/plan/planner.hpp"

namespace pgbraid::router {

/// `text`: the whole, which `s` is a part of; `alone`: the only one. Constants that the plan goes by are marked in
/// `marks`. `hint`: what the text's comments say.
[[nodiscard]] plan plan_statement(const sql::statement& s, const plan_context& context, constant_marks& marks,
                                  std::string_view text, bool alone, const hint_or_error& hint);

}  // namespace pgbraid::router
