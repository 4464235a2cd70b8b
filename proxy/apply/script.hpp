// A file of SQL as `pgbraid apply` sees it: statements with their lines, and which of them run in one transaction.
// Pure.
#pragma once

#include "router/sql/ast.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy::apply {

enum class statement_class : std::uint8_t {
  setting,  ///< SET and the like: for all shards, and for the statements behind it
  planned,  ///< goes where the planner says, in a transaction
  alone     ///< outside of transactions
};

struct script_statement {
  statement_class kind = statement_class::planned;
  std::string text;
  std::size_t line = 1;  ///< of its first word
  router::sql::statement tree;
};

/// Statements that are committed together, or one that runs alone.
struct statement_group {
  std::size_t first = 0, count = 0;
  bool alone = false;
};

/// Something to tell of a line of the file.
struct line_report {
  std::size_t line = 0;  ///< 0: of the file as a whole
  std::string message, detail{}, hint{}, sqlstate{}, shard{};
  friend bool operator==(const line_report&, const line_report&) = default;
};

struct script {
  std::vector<script_statement> statements;
  std::vector<statement_group> groups;
  std::vector<line_report> errors;  ///< if there are any, nothing of the rest may run
};

/// Splits by PostgreSQL's own grammar. BEGIN and COMMIT end a group and are no statements of the script; so does
/// whatever runs alone. Refused: what only psql knows (a backslash, data of COPY; but not the \restrict of dumps),
/// transactions that are not simple, and statements that neither define nor change anything.
[[nodiscard]] script read_script(std::string_view text);

/// The line of a byte of `text`, from 1.
[[nodiscard]] std::size_t line_at(std::string_view text, std::size_t offset) noexcept;
/// The byte at which the character `position` (from 1, as PostgreSQL counts) of UTF-8 text begins.
[[nodiscard]] std::size_t byte_of_character(std::string_view text, std::size_t position) noexcept;

/// The line of the file that a server means by a character of the statement; 0: of its first word.
[[nodiscard]] std::size_t line_of(const script_statement& s, std::size_t position) noexcept;

/// On one line and cut short, for messages.
[[nodiscard]] std::string summary_of(std::string_view text);

}  // namespace pgbraid::proxy::apply
