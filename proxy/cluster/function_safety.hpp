// What functions of the user's own are proved to read no table: called anywhere, they are like the server's own. Pure.
#pragma once

#include "proxy/cluster/catalog_rows.hpp"
#include "router/catalog.hpp"

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

/// A function that is user code.
struct function_body {
  std::string name;       ///< without schema
  bool provable = false;  ///< in SQL or PL/pgSQL, nothing about it that its body does not say
  std::string language, text;
  std::string defaults;   ///< of its arguments, as a list of expressions
  std::string signature;  ///< what stands between its name and its body
  bool standard = false;  ///< `text` is the whole definition of one in standard SQL
};

/// Takes any_user_code from every name in `content` whose functions all have bodies that read no table and call nothing
/// but functions of which the same is true: such a function is the same on every shard, like a built-in one. What is
/// declared volatile without need (names of `only_user_code`, nothing in the server shares them) is taken for what it
/// is.
void judge_functions(router::catalog& content, const std::vector<function_body>& bodies,
                     const std::set<std::string>& only_user_code);

/// What a trigger's function in PL/pgSQL does to the row; none where it may do anything else. To be called behind
/// judge_functions.
[[nodiscard]] std::optional<row_trigger> judge_row_trigger(const router::catalog& content, std::string_view body);

/// What a trigger's function ("schema.name") in C does to the row, as far as it is known: those of the contrib modules.
/// None for others, which are taken for harmless.
[[nodiscard]] std::optional<row_trigger> judge_c_trigger(std::string_view function);

}  // namespace pgbraid::proxy
