// Statements over several shards whose WITH writes: WITH gone AS (DELETE ... RETURNING *) SELECT ... FROM gone. Every
// shard carries out its part of each INSERT, UPDATE and DELETE in the WITH in the one statement that also fetches the
// rows of the tables that the rest reads, so that all of it sees one snapshot there; then the rest is a statement over
// gathered rows (gather.hpp), among them those of RETURNING. Source: the manual's chapter "WITH Queries",
// "Data-Modifying Statements in WITH".
#pragma once

#include "router/plan/analysis.hpp"
#include "router/plan/clauses.hpp"
#include "router/plan/moments.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::router {

/// One column of RETURNING.
struct returned_column {
  std::string name;             ///< as the rest of the statement knows it
  const column* own = nullptr;  ///< a column of the written table, as it is; null: an expression
};

/// One entry of a WITH that writes.
struct writing_entry {
  std::string body;                   ///< with marks where the time belongs
  std::string nothing;                ///< INSERT ... VALUES: see spread_insert; "" for what every shard gets as it is
  const relation* written = nullptr;  ///< of the catalog
  bool deletes = false;               ///< rows that refer to its rows may go or change with them
  bool adds = false;                  ///< it adds rows and changes none
  bool tied = false;                  ///< it changes rows of one key alone
  std::vector<returned_column> columns;
  std::size_t begin = 0, length = 0;  ///< in writing_with::text: what stands for its rows there
};

/// A statement taken apart.
struct writing_with {
  std::string text;  ///< the statement with a query of the same columns in the place of each body
  std::vector<writing_entry> entries;
  moment_list moments;         ///< those of the bodies
  std::size_t parameters = 0;  ///< of the whole statement
};

/// The statement's own WITH, or nullptr.
[[nodiscard]] const sql::with_clause* own_with(const sql::statement& s);

/// What stands in the parentheses of each of the `count` entries of the WITH that a text begins with; nothing where
/// that cannot be followed.
[[nodiscard]] std::optional<std::vector<text_span>> bodies_of_with(std::string_view text, std::size_t count);

/// Whether the type of each parameter in a part follows from this part: all places where it stands are in it. `found`
/// is what was found in the whole statement.
[[nodiscard]] bool has_parameters_alone(std::string_view part, const analysis& found);

/// Whether something in the statement's own WITH writes.
[[nodiscard]] bool writes_in_with(const sql::statement& s);

/// Takes the writes out of a statement's WITH; nothing where a shard could not do its part by itself. `found` is what
/// was found in the whole statement.
[[nodiscard]] std::optional<writing_with> take_writes_out(const sql::statement& s, std::string_view text,
                                                          const analysis& found, const plan_context& context);

/// The rest may come after the writes: it neither reads nor writes what they have changed, but for what is fetched with
/// them. `rest` is what was found in writing_with::text.
[[nodiscard]] bool may_come_after(const writing_with& writing, const sql::statement& s, const analysis& rest,
                                  const plan_context& context);

}  // namespace pgbraid::router
