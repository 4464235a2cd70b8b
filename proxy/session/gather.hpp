// A statement that one server answers over rows fetched from all shards (router/plan/gather.hpp), on its way.
#pragma once

#include "protocol/frontend.hpp"
#include "proxy/session/branch.hpp"
#include "proxy/session/gather_budget.hpp"
#include "router/plan/gather.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

/// Marks the answers to the question for the time (machine_stage.cpp) among those that are not the client's.
inline constexpr std::uint32_t asking_moments = 10;
/// The same for the rows of an INSERT or a subquery.
inline constexpr std::uint32_t asking_source = 11;
/// For the collations of its columns.
inline constexpr std::uint32_t asking_collations = 13;
/// For a plan that nobody looks at.
inline constexpr std::uint32_t asking_plan = 14;
/// For the numbers of copied rows.
inline constexpr std::uint32_t asking_copied = 15;
/// And for what is asked before a statement goes where it belongs (machine_question.cpp).
inline constexpr std::uint32_t asking_numbers = 12;
/// The definitions that the transaction sees (machine_learning.cpp).
inline constexpr std::uint32_t asking_definitions = 16;

/// What a Parse and a Bind of ours carry.
struct bound_values {
  std::vector<std::uint32_t> types;
  std::vector<std::int16_t> formats;
  std::vector<protocol::optional_value> values;

  bound_values() = default;
  /// The client's parameters, those that do not stand in the text (`used`, by n-1) as NULLs of a type: a server wants to know
  /// each parameter's type. Views of `m`.
  bound_values(const protocol::bind_view& m, std::span<const router::oid> declared, const std::vector<bool>& used);
};

/// The same where only some of them stand in the text that one server gets.
[[nodiscard]] bound_values only_those_in(std::string_view text, const bound_values& given);

struct gather_state {
  std::shared_ptr<const router::gather_plan> plan;
  bool fetching = false;         ///< the fragments have been asked for
  branch_index combiner = 0;
  std::vector<std::string> json;  ///< of each fragment: its rows so far
  std::size_t bytes = 0;          ///< of all of them
  std::uint64_t rows = 0;         ///< how many
  gather_share share;             ///< covers them
  std::string row_description;    ///< simple protocol: the statement's own, before anything is fetched
  bool taken = false;             ///< simple protocol: the combiner finds nothing wrong with the statement itself
  std::string early;              ///< another server's error before that is known, as it came
  std::vector<std::string> asked;  ///< of each target: its fragments' statement; empty: the plan's, for all
  std::vector<std::string> types;  ///< of the fragments' columns as they are written, where the plan asks for them

  explicit gather_state(std::shared_ptr<const router::gather_plan> made) : plan{std::move(made)}, json(plan->fragments.size()) {}

  /// Adds the row of a DataRow message's body. False: it is none that the fragments' statement gives.
  [[nodiscard]] bool add_row(std::string_view body);
  /// Reads `types` from the fragments' RowDescription message's body: where one cannot be written, it or all are left
  /// empty.
  void read_types(std::string_view body);
  /// All has come, but a type that the combining statement would have to name.
  [[nodiscard]] bool lacks_types() const;
  /// The fragment that takes most, for messages.
  [[nodiscard]] const std::string& biggest() const;
};

/// The combining statement with what its gaps wait for.
[[nodiscard]] std::string combining_text(const gather_state& g);

/// Appends `text` as the inside of a JSON string.
void append_json_text(std::string& out, std::string_view text);

}  // namespace pgbraid::proxy
