// Calls a function for each expression of a statement, subqueries and inner statements included.
#pragma once

#include <functional>

#include "router/sql/ast.hpp"

namespace pgbraid::router::sql::test {

void for_each_expr(const statement& root, const std::function<void(const expr&)>& call);

/// Also calls `call_from` for each item of each FROM list.
void for_each_part(const statement& root, const std::function<void(const expr&)>& call,
                   const std::function<void(const from_item&)>& call_from);

}  // namespace pgbraid::router::sql::test
