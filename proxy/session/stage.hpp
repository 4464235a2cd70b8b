// A write over several shards of which something must be known first (router/plan/staged.hpp), on its way.
#pragma once

#include "protocol/frontend.hpp"
#include "proxy/session/branch.hpp"
#include "proxy/session/gather_budget.hpp"
#include "router/plan/insert_select.hpp"
#include "router/plan/staged.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace pgbraid::proxy {

/// The rows of an INSERT that are selected first, as they come.
struct source_rows {
  std::vector<router::oid> types;                     ///< of the query's columns
  std::vector<router::source_column> columns;         ///< the same of a query that is no INSERT's: names and modifiers
  std::vector<std::optional<std::string>> constants;  ///< the first row's values
  std::vector<std::string> json;                      ///< of each of the statement's targets: its rows so far
  std::vector<std::size_t> order;                     ///< the target of each row
  std::size_t bytes = 0;
  gather_share share;                                 ///< covers them
  std::vector<gather_share> held;                     ///< cover those that stand in the statement's text by now
  bool any = false;
  bool lacks_collation = false;  ///< some column's is not known
  // UPDATE of the key: of each unique key of the table, what rows have had and what others get. See order_matters().
  std::vector<std::unordered_set<std::string>> before, after;
  bool parsed = false;  ///< the statement itself has been taken: it is the query that has not
};

/// Rows that are picked to be locked, and what was asked for them: where others have locked some, it begins again.
struct rows_to_lock {
  std::string text;         ///< the statement for which they were looked for
  std::uint64_t found = 0;  ///< how many there are
};

struct stage_state {
  std::shared_ptr<const router::staged_write> plan;
  std::vector<std::string> moments;  ///< their values, as they have come
  source_rows source;
  bool asked = false;  ///< the source's query has been sent
  bool collations_asked = false;
  bool planned = false;   ///< see plan_without_rows()
  std::string said;       ///< with a source: the statement
  std::string list;       ///< the keys of rows that are to be locked, as a list of constants
  std::uint64_t listed = 0;       ///< how many
  std::uint64_t passed_over = 0;  ///< as many of them as could not be had before
  std::optional<rows_to_lock> picked;
  bool shown = false;     ///< a server has seen the statement as the client wrote it
  std::string asked_sql;  ///< that query, where its collations may have to be asked for
  branch_index home = 0;  ///< the branch that has the rows, or has been asked for them
  bool done = false;   ///< `text` is what the shards get, or with a source `texts` what each of them gets
  std::string text;
  std::vector<std::string> texts;

  explicit stage_state(std::shared_ptr<const router::staged_write> made) : plan{std::move(made)} {}
};

/// The client's parameters, as far as they stand in a text of ours.
struct own_parameters {
  std::vector<std::uint32_t> types;
  std::vector<std::int16_t> formats;
  std::vector<protocol::optional_value> values;
};

/// Adds a row's values as an object with keys c0, c1... to an array of them.
void add_source_row(std::string& json, const std::vector<std::optional<std::string_view>>& values);
/// Adds a row's values as constants to a list of them, those of several columns in parentheses.
void add_listed_row(std::string& list, const std::vector<std::optional<std::string_view>>& values);

}  // namespace pgbraid::proxy
