// MERGE in two steps: the rows of its source are fetched, and each shard gets those whose key it owns, in the source's
// place. A row finds its partner on that shard and on no other, and is inserted there if there is none.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "router/plan/insert_select.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/staged.hpp"

namespace pgbraid::router {

/// What is known of the source's rows before they come.
struct merge_source {
  std::string alias;  ///< what they are called in the statement
  std::vector<std::string>
      keys;                   ///< the columns that are the target's key, in its order; empty: all shards get all rows
  bool inserts = false;       ///< a row without a partner may be inserted
  bool key_is_there = false;  ///< no row of the target can be without a key: its servers see to that
};

/// Takes the statement apart; null where that cannot be done. Fills the rest of `out`.
[[nodiscard]] std::shared_ptr<const staged_source> make_merge_source(const sql::merge_query& q, std::string_view text,
                                                                     const analysis& found, const plan_context& context,
                                                                     staged_write& out);

/// The same where the source's columns have come: how they are called, and their types. Null: there is no such key.
[[nodiscard]] std::shared_ptr<const staged_source> with_columns(const staged_source& source,
                                                                const std::vector<std::string>& names,
                                                                const std::vector<oid>& types);

/// The time that columns are left to by default (analysis::moment_defaults), written into the statement's actions.
[[nodiscard]] bool write_merge_defaults(const sql::merge_query& q, std::string_view text, const analysis& found,
                                        const plan_context& context, moment_list& moments,
                                        std::vector<text_edit>& edits);

}  // namespace pgbraid::router
