// What of a write may be answered by itself: its WITH entries and subqueries, and who carries out the rest. See
// staged_once.cpp.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "router/plan/analysis.hpp"
#include "router/plan/clauses.hpp"

namespace pgbraid::router {

/// A part of a statement, and what is asked in its place.
struct once_part {
  text_span place;
  std::string query;
  std::string columns;   ///< a SELECT list of the same names, as far as they are known
  bool entry = false;    ///< of the WITH: later parts may name it
  bool first = false;    ///< whatever it is
  bool unnamed = false;  ///< an entry that nothing names
};

/// Who carries out the statement, and which tables it may read where they stand.
struct carrier {
  bool alike = false;              ///< more than one shard, and none for rows of its own: all others come with it
  std::optional<shard_index> one;  ///< one shard: it writes a table of that shard

  bool merges = false;  ///< MERGE: its source comes first anyway, and what its conditions read must too

  [[nodiscard]] bool has(const table_use& use) const {
    const placement where = use.table.where;
    if (where == placement::reference) return true;
    if (merges) return false;
    if (one) {
      return (where == placement::unsharded && use.table.shard == *one) ||
             (where == placement::system && *one == designated_shard);
    }
    return where != placement::unsharded && where != placement::system && where != placement::spread_view && !alike;
  }
};

/// `with_writes`: each shard does its part of the writes in WITH, and one answers the rest.
[[nodiscard]] carrier carrier_of(const analysis& found, bool with_writes);

/// The parts of one statement, in the order in which they are answered.
[[nodiscard]] std::vector<once_part> parts_of(const sql::statement& s, std::string_view text, const analysis& found,
                                              const carrier& by);

/// How often a name stands in a text, outside of constants.
[[nodiscard]] std::size_t occurrences(std::string_view text, const std::string& name);

}  // namespace pgbraid::router
