// Gathering, the text's part: which query of a statement is gathered, and that query with its tables' names replaced by
// WITH entries. See gather.hpp.
#pragma once

#include "router/plan/gather_sources.hpp"
#include "router/sql/ast.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::router {

/// Where the query of a SELECT, EXPLAIN, DECLARE CURSOR or COPY (query) TO STDOUT stands in its text; nothing for what is none
/// of them, or where the text cannot be followed.
[[nodiscard]] std::optional<gather_query> query_of(const sql::statement& statement, std::string_view text);

/// What stands before the statement that an EXPLAIN explains: the word and its options.
[[nodiscard]] std::string_view explain_words(std::string_view text);

/// COPY table TO STDOUT with the table written as a query of the same rows and columns; nothing where there is none.
/// `described` is the table.
[[nodiscard]] std::optional<std::string> copy_as_query(const sql::copy_statement& copy, const relation& described,
                                                       std::string_view text);

/// What must change in a source: names of tables and views that WITH cannot hide, columns that are named with a schema,
/// and GROUP BY where a primary key lets other columns stand beside it. Nothing where a name cannot be found.
[[nodiscard]] std::optional<std::vector<text_edit>> edits_of(const gather_source& source, const gather_set& set);

/// TABLE orders, the table's name being at `at`: a query that takes no alias.
[[nodiscard]] bool is_table_command(std::string_view text, std::size_t at);

/// A table's name in FROM with something else in its place, which keeps the table's alias. Nothing where it cannot be
/// found.
[[nodiscard]] std::optional<text_edit> in_place_of(const sql::from_item& item, const table_use& use,
                                                   std::string instead, std::string_view text);

/// `text` from `begin` to `end`, edited. Edits must not overlap.
[[nodiscard]] std::string edited(std::string_view text, std::size_t begin, std::size_t end, std::vector<text_edit> edits);

/// Past the name of these parts that begins at `at`; `at` itself where another stands there, or one that only the server
/// decodes (U&"...").
[[nodiscard]] std::size_t end_of_name(std::string_view text, std::size_t at, const sql::qualified_name& name);

/// A name as an identifier in double quotes.
[[nodiscard]] std::string quote_identifier(std::string_view name);

}  // namespace pgbraid::router
