// Where each statement of a file goes, by the planner that plans what clients say. No I/O.
#pragma once

#include "proxy/apply/script.hpp"
#include "proxy/cluster/snapshot.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace pgbraid::proxy::apply {

struct destination {
  std::vector<router::shard_index> shards;  ///< ascending
  bool writes = false;
};

struct destinations {
  std::vector<destination> of;      ///< of each statement
  std::vector<line_report> errors;  ///< statements that are refused, and why
};

/// Plans every statement as if `user` said it on the wire, with the settings that those before it have made. Rows of
/// tables that the file itself defines are refused: what the planner must know of them is not in the catalog yet.
[[nodiscard]] destinations find_destinations(const script& file, const std::string& user,
                                             const database_state_ptr& state, std::size_t max_parse);

}  // namespace pgbraid::proxy::apply
