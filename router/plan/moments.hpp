// What has one value in a whole transaction or statement (now(), current_date), where several shards get a statement
// that asks for it: it is evaluated once, and each shard gets the value. Source: the manual's chapter "Date/Time
// Functions and Operators", "Current Date/Time".
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "router/plan/analysis.hpp"
#include "router/plan/clauses.hpp"
#include "router/plan/gather_text.hpp"

namespace pgbraid::router {

/// The calls that are to be evaluated once, and what stands in their place.
class moment_list {
 public:
  /// Adds the calls that `found` has noted in `text` to the edits. False: one of them cannot be found in the text.
  /// Those between `from` and `to` are left as they are. Those in `bare` become constants, which give a column of a
  /// result another name than the calls would.
  [[nodiscard]] bool replace(std::string_view text, const analysis& found, std::vector<text_edit>& edits,
                             std::size_t from = 0, std::size_t to = 0, text_span bare = {});
  /// An expression of the catalog (a column's default) with its calls replaced; nothing where it does not come to the
  /// same on each shard of a statement.
  [[nodiscard]] std::optional<std::string> replace_in_default(std::string_view expression, const plan_context& context);

  /// The query that evaluates them: one row of texts. "" if there are none.
  [[nodiscard]] std::string sql() const;
  /// Values of their types, to plan with.
  [[nodiscard]] std::vector<std::string> samples() const;
  [[nodiscard]] std::size_t size() const noexcept { return calls_.size(); }

 private:
  std::vector<std::string> calls_;  ///< as they are written
  std::vector<std::string> types_;  ///< of each
};

/// What a column's default comes to.
struct default_facts {
  bool by_row = false;     ///< another value in each row
  bool by_moment = false;  ///< one value for a whole statement, another for the next
  bool differs = false;    ///< anything else that may be another value on another shard; also: not known
};
[[nodiscard]] default_facts facts_of_default(const column& c, const plan_context& context);

/// It is left to a default that gives each row its own value, such as gen_random_uuid().
[[nodiscard]] bool has_random_default(const column& c, const plan_context& context);

/// `text`, in which replace() has left its marks, with the values in their places.
[[nodiscard]] std::string with_moments(std::string_view text, std::span<const std::string> values);

/// No text with this character can be edited: it marks what is to be filled in.
inline constexpr char moment_mark = '\1';

}  // namespace pgbraid::router
