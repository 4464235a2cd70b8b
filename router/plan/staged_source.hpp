// INSERT whose rows are selected first: the query, and the statement around it. See insert_select.hpp.
#pragma once

#include "router/plan/insert_select.hpp"
#include "router/plan/moments.hpp"
#include "router/plan/staged.hpp"
#include "router/plan/writing_with.hpp"

namespace pgbraid::router {

/// Takes the statement apart; null where that cannot be done. Fills the rest of `out`: the time that is asked for, the
/// rows that the query reads. `writing`: what `text` has been made of, or null.
[[nodiscard]] std::shared_ptr<const staged_source> make_source(const sql::insert_query& q, std::string_view text,
                                                               const analysis& found, const plan_context& context,
                                                               const writing_with* writing, staged_write& out);

/// A query as a statement of its own: which server answers it, or whose rows it needs. False where it cannot be asked
/// by itself.
[[nodiscard]] bool plan_query(const std::string& sql, const plan_context& context, staged_query& source,
                              staged_write& out, const writing_with* writing = nullptr);

/// The one shard that knows all that is read; nothing where every shard does. Others may still know some of it only.
[[nodiscard]] std::optional<shard_index> only_home(const analysis& found);

/// Whether values of one of these types are compared by a collation.
[[nodiscard]] bool any_collatable(const std::vector<oid>& types) noexcept;

/// Whether something is cast to a type outside pg_catalog, which may be a domain with a collation: a name of one behind
/// "::" or AS, or in front of a constant.
[[nodiscard]] bool names_own_type(std::string_view text, const catalog& schema);

[[nodiscard]] bool gives_no_column(const sql::select_query& q);

/// Whether a server that must put rows together is among those that have some, as all who take part do.
[[nodiscard]] bool takes_part(const std::optional<shard_index>& combiner, const plan_context& context);

/// INSERT into a table of one shard whose query is answered over rows of WITH's writes: the rows it gives take its
/// place on that shard. `rest` stands in writing_with::text, `shown` is the whole statement. Null where that cannot be
/// done.
[[nodiscard]] std::shared_ptr<const staged_write> make_into_one(const sql::statement& rest, const writing_with& writing,
                                                                const analysis& found, std::string_view shown,
                                                                const plan_context& context);

/// A WITH entry or a subquery that no shard may answer for itself, since it chooses some rows (LIMIT, a window) and
/// might choose others on each shard, or reads a table that only one shard has, is answered once; what comes of the
/// statement is planned anew. WITH entries that nobody names are left out. Null where neither is to be done, or the
/// rest cannot be carried out over several shards.
[[nodiscard]] std::shared_ptr<const staged_write> make_once(const sql::statement& s, std::string_view text,
                                                            const analysis& found, const plan_context& context,
                                                            replanning* again);

/// A SELECT that locks rows of one table and does nothing else (locks_rows_alone); null where it cannot be followed.
[[nodiscard]] std::shared_ptr<const staged_write> make_locked_select(const sql::statement& s, std::string_view text,
                                                                     const analysis& found, const plan_context& context,
                                                                     replanning* again);

/// A constant or a parameter that takes the type of the column in which it is stored.
[[nodiscard]] bool takes_column_type(const sql::expr& e);

/// Whether such a one in a SELECT list gets a type of its own before it is stored: what rows are made distinct, grouped
/// or sorted by does. Source: addTargetToSortList() and addTargetToGroupList() in parse_clause.c.
[[nodiscard]] bool has_own_type(const sql::select_query& q, std::size_t at);

/// The name of one of pg_catalog's types whose text says all of a value, as SQL; "" for any other.
[[nodiscard]] std::string_view plain_type_name(oid type) noexcept;

/// The query over the rows of one shard, which travel as a JSON array of objects with keys c0, c1...: `types` are those
/// of the columns as the query gave them, `constants` the values of those that have none of their own. Empty: a type
/// that rows of text cannot stand for.
[[nodiscard]] std::string source_select(const staged_source& source, const std::vector<oid>& types,
                                        const std::vector<std::optional<std::string>>& constants,
                                        std::string_view json);

/// The same where the rows are those of a query that is no INSERT's, with its columns' names, types, modifiers and
/// collations. Calls nothing but immutable functions. `known`: whose tables have columns of the types that users made,
/// by the numbers that clients know them by.
[[nodiscard]] std::string rows_select(const std::vector<source_column>& columns, std::string_view json,
                                      const plan_context& known);

/// Asks for the collations of a query's columns, as names that may stand in a text: one row, without asking for the
/// query's rows. Source: the manual's pg_collation_for().
[[nodiscard]] std::string collations_query(std::string_view sql, const std::vector<oid>& types);

}  // namespace pgbraid::router
