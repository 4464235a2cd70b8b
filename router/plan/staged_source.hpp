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

/// A query as a statement of its own: which server answers it, or whose rows it needs. `choosing`: it must choose some
/// rows. False where it cannot be asked by itself.
[[nodiscard]] bool plan_query(const std::string& sql, const plan_context& context, staged_query& source,
                              staged_write& out, bool choosing, const writing_with* writing = nullptr);

/// Whether a server that must put rows together is among those that have some, as all who take part do.
[[nodiscard]] bool takes_part(const std::optional<shard_index>& combiner, const plan_context& context);

/// A subquery in WHERE that chooses some rows (LIMIT, a window) and might choose others on each shard is answered once.
/// Fills `out`; false where there is none, or the rest still needs rows of other shards.
[[nodiscard]] bool make_once(const sql::statement& s, std::string_view text, const plan_context& context,
                             staged_write& out);

/// A constant or a parameter that takes the type of the column in which it is stored.
[[nodiscard]] bool takes_column_type(const sql::expr& e);

/// The name of one of pg_catalog's types whose text says all of a value, as SQL; "" for any other.
[[nodiscard]] std::string_view plain_type_name(oid type) noexcept;

/// The query over the rows of one shard, which travel as a JSON array of objects with keys c0, c1...: `types` are those
/// of the columns as the query gave them, `constants` the values of those that have none of their own. Empty: a type
/// that rows of text cannot stand for.
[[nodiscard]] std::string source_select(const staged_source& source, const std::vector<oid>& types,
                                        const std::vector<std::optional<std::string>>& constants,
                                        std::string_view json);

}  // namespace pgbraid::router
