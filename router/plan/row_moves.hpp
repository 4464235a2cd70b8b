// UPDATE that gives the sharding key another value: the rows are taken out where they are, with their new values, and put
// in where these belong, in one transaction. What PostgreSQL itself does where a row leaves its partition (ExecUpdate in
// nodeModifyTable.c).
#pragma once

#include <memory>
#include <string_view>

#include "router/plan/analysis.hpp"
#include "router/plan/staged.hpp"

namespace pgbraid::router {

/// The DELETE whose rows are the new ones, and the INSERT around them; null where the rows could come out otherwise than
/// from an UPDATE, and `why` then says why.
[[nodiscard]] std::shared_ptr<const staged_write> make_row_move(const sql::update_query& q, std::string_view text,
                                                                const analysis& found, const plan_context& context,
                                                                std::string& why);

}  // namespace pgbraid::router
