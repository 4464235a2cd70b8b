// The last step of a read over several shards: the rows of its sharded tables are fetched from all of them, and one
// PostgreSQL answers the statement over what was fetched. WITH entries stand for the tables: of their own names, so
// that the statement itself stays as it was written, or of names of ours that are put in where no entry can hide the
// table. Views over sharded tables become entries too. The steps are in gather_query.cpp (where the query stands),
// gather_sources.cpp (what it reads), gather_text.cpp (names in its text). Aggregates need not fetch every row: see
// partial.hpp.
#pragma once

#include "router/plan/route.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pgbraid::router {

struct analysis;
struct writing_with;

/// A piece of a text and what stands in its place.
struct text_edit {
  std::size_t at = 0, length = 0;
  std::string text;
};

/// One sharded table whose rows are fetched. They travel as one JSON array of objects, a string or null for each
/// column: json_populate_recordset() hands strings to the column type's own input function, so that every type comes
/// out as it went in, its modifier and collation included. It would take a string for a JSON value where the type is
/// JSON: such columns travel under names of their own and are cast.
struct gather_fragment {
  std::string table;                   ///< "schema.name", for messages
  std::vector<std::string> json_keys;  ///< of each column: the escaped name as JSON, a colon behind it
};

/// What is put into a text when it is known.
enum class gap_kind : std::uint8_t {
  rows,  ///< of fragment `index`, as a string constant: COPY takes no parameters
  type   ///< of column `index` of the fragments' rows (without the fragment's number), see written_type()
};

struct gather_gap {
  std::size_t at = 0;  ///< offset
  gap_kind kind = gap_kind::rows;
  std::size_t index = 0;
};

/// INSERT ... VALUES among what a WITH writes.
struct spread_insert {
  std::string body;     ///< with all rows, and marks where the time belongs
  std::string nothing;  ///< a query of the same columns, for shards that none of them belong to
};

/// What is sent where.
struct gather_plan {
  /// Asked of every shard, as one statement so that it sees one snapshot there. Its first column is the fragment's
  /// number in text; the columns of all fragments follow in their order, NULL where the row is of another fragment.
  std::string fragment_sql;
  std::vector<gather_fragment> fragments;
  std::vector<spread_insert> inserts;  ///< fragment_sql has a mark for each, see with_inserts()
  /// The statement with the WITH entries put in; fragment i is parameter $(parameters + 1 + i) of type json.
  std::string combine_sql;
  std::vector<gather_gap> gaps;  ///< what is put into combine_sql, in order
  bool rows_in_text = false;     ///< the fragments' rows are among the gaps, not parameters
  bool types_in_text = false;    ///< types of the fragment's columns are: a server must be asked for them
  bool casts_text = false;       ///< and what they name is cast from text, so that more types can be written
  /// By n-1: whether $n stands in fragment_sql, in combine_sql.
  std::vector<bool> fragment_parameters, combine_parameters;
  /// How it is done where a column's type is one that cannot be written; none where no type is asked for.
  std::shared_ptr<const gather_plan> otherwise;
  std::string described_sql;     ///< what the statement's errors and columns come from: itself, or the query of COPY
  std::uint32_t parameters = 0;  ///< of the statement itself
  std::optional<shard_index>
      combiner;  ///< the shard that must combine, where the statement reads an unsharded table too
};

/// A query whose tables are to be gathered, and where it stands.
struct gather_query {
  const sql::statement* statement = nullptr;  ///< the SELECT, or the UPDATE or DELETE that reads other tables
  std::string_view text;                      ///< of the whole statement
  std::size_t begin = 0, end = 0;             ///< of the query in it
  bool literals = false;                      ///< fragments are put into the text
  bool kept = false;                          ///< pgbraid reads its rows itself, as text; no client gets them
  std::vector<text_edit> edits{};             ///< what else is changed in the text
  const writing_with* writing =
      nullptr;  ///< what the text's WITH has written; the text is `writing->text`, or ends otherwise
};

/// The plan for one query, or nothing where the rows of its tables cannot stand for the tables: system columns,
/// functions of one's own, row locks.
[[nodiscard]] std::shared_ptr<const gather_plan> make_gather(const gather_query& query, const analysis& found,
                                                             const plan_context& context);

/// The fragments' statement with these texts in the places of its inserts.
[[nodiscard]] std::string with_inserts(std::string_view fragment_sql, std::span<const std::string> inserts);

/// The same with more around the combining statement, which one shard must carry out. It must not be a part of another
/// statement's text.
[[nodiscard]] std::shared_ptr<const gather_plan> wrapped(const gather_plan& plan, std::string_view prefix,
                                                         std::string_view suffix, shard_index combiner);

}  // namespace pgbraid::router
