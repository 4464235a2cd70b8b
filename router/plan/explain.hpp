// EXPLAIN of a statement that several shards are asked for: what pgbraid does itself, in lines above the shards' plans.
#pragma once

#include "router/plan/gather.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::router {

/// How such an EXPLAIN is answered, where its route is several shards.
struct explain_layout {
  std::vector<std::string> steps;  ///< lines
  std::string asked;               ///< what each shard is asked; "": the client's own text, or each its rows of it
  bool json = false;               ///< FORMAT JSON: one row, instead of one for each line
};

/// The layout for an EXPLAIN that `p` is the plan of, or nothing where several shards are never asked. `gathered`: how the
/// statement is answered if it is gathered; `merged`: its rows would be merged in their order instead.
[[nodiscard]] std::shared_ptr<const explain_layout> make_explain(std::string_view text, const plan& p,
                                                                 const gather_plan* gathered, bool merged);

/// The name of the format that an EXPLAIN asks for, in lower case; "text" if it says nothing.
[[nodiscard]] std::string explain_format(std::string_view text);

/// True if what this plan does may ask several shards.
[[nodiscard]] bool may_ask_several(const plan& p);

}  // namespace pgbraid::router
