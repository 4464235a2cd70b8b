// What a function in PL/pgSQL does, as far as it does nothing but compute: its expressions, and what it assigns. Pure.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

struct plpgsql_body {
  std::vector<std::string> expressions;         ///< each as a SELECT
  std::set<std::string, std::less<>> assigned;  ///< columns of a trigger's NEW or OLD
  bool whole_row = false;                       ///< a trigger puts another row in NEW's place
  bool speaks = false;                          ///< RAISE of less than an error
};

/// None: it has a statement that may do more than compute (any SQL command, cursors, EXECUTE, transactions), or one
/// that is not known. `signature` as for router::sql::plpgsql_statements. A trigger's function gives back NEW, OLD or
/// NULL, or none is given.
[[nodiscard]] std::optional<plpgsql_body> read_plpgsql(std::string_view signature, std::string_view body, bool trigger);

}  // namespace pgbraid::proxy
