// A table of SQL and the tree it must become, as print.hpp shows it.
#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "print.hpp"

namespace pgbraid::router::sql::test {

inline void check_table(const std::vector<std::pair<std::string, std::string>>& rows) {
  for (const auto& [text, expected] : rows) {
    CAPTURE(text);
    CHECK(parsed(text) == expected);
  }
}

}  // namespace pgbraid::router::sql::test
