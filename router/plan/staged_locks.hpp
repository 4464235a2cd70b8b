// SELECT ... FOR UPDATE over several shards whose rows no one but a server can put in order (ORDER BY a text): each
// shard locks and gives its own, of a LIMIT no more than that, and one server answers over them.
#pragma once

#include <memory>
#include <string_view>

#include "router/plan/staged.hpp"

namespace pgbraid::router {

/// Whether it is a SELECT of one table that locks and does nothing else, and waits for its locks.
[[nodiscard]] bool locks_rows_alone(const sql::statement& s, const analysis& found);

/// Null where a shard cannot tell the rows that are meant (WHERE with subqueries), or the clause cannot be found.
[[nodiscard]] std::shared_ptr<const staged_write> make_locked_rows(std::string_view text, const plan_context& context);

}  // namespace pgbraid::router
