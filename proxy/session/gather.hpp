// A statement that one server answers over rows fetched from all shards (router/plan/gather.hpp), on its way.
#pragma once

#include "proxy/session/branch.hpp"
#include "router/plan/gather.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

/// Marks the answers to the question for the time (machine_stage.cpp) among those that are not the client's.
inline constexpr std::uint32_t asking_moments = 2;
/// The same for the rows of an INSERT.
inline constexpr std::uint32_t asking_source = 3;

struct gather_state {
  std::shared_ptr<const router::gather_plan> plan;
  bool fetching = false;         ///< the fragments have been asked for
  branch_index combiner = 0;
  std::vector<std::string> json;  ///< of each fragment: its rows so far
  std::size_t bytes = 0;          ///< of all of them
  std::string row_description;    ///< simple protocol: the statement's own, before anything is fetched

  explicit gather_state(std::shared_ptr<const router::gather_plan> made) : plan{std::move(made)}, json(plan->fragments.size()) {}

  /// Adds the row of a DataRow message's body. False: it is none that the fragments' statement gives.
  [[nodiscard]] bool add_row(std::string_view body);
  /// The fragment that takes most, for messages.
  [[nodiscard]] const std::string& biggest() const;
};

/// The combining statement with the fragments' rows as string constants in it.
[[nodiscard]] std::string with_literals(const gather_state& g);

/// Appends `text` as the inside of a JSON string.
void append_json_text(std::string& out, std::string_view text);

}  // namespace pgbraid::proxy
