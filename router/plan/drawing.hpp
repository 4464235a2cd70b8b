// What must be known of the rows of an INSERT before they go to their shards. Numbers of sequences: the designated
// shard's sequences are the ones that count, so what the statement leaves to one, and what it asks of one in its rows,
// is drawn there first. Keys that are expressions: they are evaluated with them, and so is what would be another value
// in each copy of a reference table. Then the statement is an ordinary one with these values in its rows. Source: the
// manual's pages "INSERT" and "Sequence Manipulation Functions".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "router/plan/analysis.hpp"

namespace pgbraid::router {

/// What is drawn, and the statement that takes it.
struct drawing {
  std::string sql;        ///< asked of the designated shard: as many values as `text` has marks, row by row
  std::string text;       ///< the statement, with marks as moment_list leaves them
  std::size_t count = 0;  ///< of the values
  bool remembers = false; ///< asks for what was drawn before: currval(), lastval()
  std::string sequence;   ///< all of them are the next numbers of one, one for each row: nextval()'s argument; else ""
  bool keys = false;      ///< evaluates keys: the server sees the statement first, for errors in its own words
  /// Of each value: what it may look like. A constant in quotes: it comes as one, else it stands between quotes.
  std::vector<std::string> samples;
};

/// For INSERT ... VALUES and INSERT ... DEFAULT VALUES, also where one of them stands in a statement's WITH; nothing
/// where it cannot be said what is to be drawn.
[[nodiscard]] std::optional<drawing> make_drawing(const sql::statement& s, std::string_view text, const analysis& found,
                                                  const plan_context& context);

/// The same for a text that a plan of that kind was made from.
[[nodiscard]] std::optional<drawing> plan_drawing(std::string_view text, const plan_context& context);

/// `text` with values in the places of its marks.
[[nodiscard]] std::string with_any_values(const drawing& d);

/// An INSERT's query with further columns for what it leaves to sequences, or a key to chance, one value for each of
/// its rows. The query stands alone between `prefix` and `suffix`.
struct drawing_query {
  std::string prefix, suffix;
};
[[nodiscard]] drawing_query draw_beside(const std::vector<const column*>& columns);

}  // namespace pgbraid::router
