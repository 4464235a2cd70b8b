// Pieces of the texts of a gathered statement; for gather.cpp and gather_returned.cpp alone. See gather.hpp.
#pragma once

#include "router/plan/gather.hpp"
#include "router/plan/gather_sources.hpp"
#include "router/plan/writing_with.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::router {

/// A column's name as JSON, with a colon behind it.
[[nodiscard]] std::string json_key(std::string_view name);
/// The name of the JSON types, "" for all others.
[[nodiscard]] std::string_view json_type_name(oid type);
/// What a column is called that travels as text, by its place in its fragment.
[[nodiscard]] std::string text_name(std::size_t column);
/// A table or view as SQL.
[[nodiscard]] std::string relation_name(const std::string& schema, const std::string& name);
[[nodiscard]] std::string relation_name(const gather_table& table);
/// Marks where a fragment's literal belongs, until all offsets are known: no statement contains a zero byte.
[[nodiscard]] std::string literal_mark(std::size_t fragment);

/// The statement that every shard is asked; `condition` and `rows` (ORDER BY and LIMIT) are those of the query.
[[nodiscard]] std::string fragment_sql(const gather_set& set, std::string_view condition, std::string_view rows);

/// The same with writes in front, and behind it a fragment for the rows of each.
[[nodiscard]] std::string fragment_sql(const gather_set& set, const writing_with& writing);

/// Adds the rows of the writes to a plan, as fragments behind those of the tables, and what stands for them to the edits.
void add_returned(const writing_with& writing, const gather_set& set, gather_plan& plan, std::vector<text_edit>& edits);

}  // namespace pgbraid::router
