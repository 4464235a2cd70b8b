// Prints our syntax tree in one line, so that tests can hold it against a word.
#pragma once

#include <string>

#include "router/sql/ast.hpp"

namespace pgbraid::router::sql::test {

std::string print(const expr* node);
std::string print(const select_query* query);
std::string print(const from_item& item);
std::string print(const statement& statement);

/// Parses `text` and prints all its statements, joined by "; "; "error: <message>" when the parser says no.
std::string parsed(std::string_view text);

}  // namespace pgbraid::router::sql::test
