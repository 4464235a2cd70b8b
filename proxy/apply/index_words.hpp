// CREATE INDEX CONCURRENTLY by its words: which index of which table, and what it is made of. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pgbraid::proxy::apply {

struct index_words {
  bool unique = false, if_not_exists = false;
  std::string name;        ///< as the catalog has it; "": the server would choose one
  std::string table;       ///< as it is written
  std::string table_name;  ///< its last part, as it is written
  std::string rest;        ///< all that follows the table
};

/// Nothing if the text is not understood. `text` has been parsed as CREATE INDEX.
[[nodiscard]] std::optional<index_words> read_index(std::string_view text);

/// `name` in double quotes.
[[nodiscard]] std::string quoted_name(std::string_view name);

}  // namespace pgbraid::proxy::apply
