// COPY ... FROM STDIN over several shards: what must be known to give each shard its rows.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "router/copy/copy_splitter.hpp"
#include "router/plan/analysis.hpp"

namespace pgbraid::router {

/// How the rows of COPY FROM into `use`, a sharded table, are told apart. Null if they cannot be, and then `a` has a
/// refusal, or had one before.
[[nodiscard]] std::shared_ptr<const copy_layout> copy_into_shards(const sql::statement& s, const table_use& use,
                                                                  const plan_context& context, analysis& a);

/// Whether COPY FROM into `use`, a reference table, does the same on every shard. If it does not, `a` has a refusal.
/// `layout`: set where columns are left to sequences, so that the rows must have numbers first; without keys.
[[nodiscard]] bool copy_into_all(const sql::statement& s, const table_use& use, const plan_context& context,
                                 analysis& a, std::shared_ptr<const copy_layout>& layout);

/// The format of the data of such a COPY if 'now' may stand in it for a time; else null.
[[nodiscard]] std::shared_ptr<const copy_format> format_with_times(const sql::copy_statement& c, const relation& table);

/// The statement with the layout's numbered columns at the end of its list; empty where that is not found.
[[nodiscard]] std::string with_numbered_columns(std::string_view statement, const copy_layout& layout);

}  // namespace pgbraid::router
