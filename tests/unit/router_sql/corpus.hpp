// Statements that PostgreSQL 15's grammar takes, of all the kinds that clients send.
#pragma once

#include <string_view>
#include <vector>

namespace pgbraid::router::sql::test {

const std::vector<std::string_view>& corpus();

}  // namespace pgbraid::router::sql::test
