// The options of COPY ... FROM STDIN as far as they decide where rows and their values end. Source: the manual's page
// "COPY", ProcessCopyOptions (copy.c).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "router/sql/ast.hpp"

namespace pgbraid::router {

struct copy_format {
  enum class kind : std::uint8_t { text, csv, binary } form = kind::text;
  bool header = false;  ///< text and csv: the first line holds names
  bool header_match = false;  ///< and they must be the columns'
  char delimiter = '\t', quote = '"', escape = '"';
  std::string null_mark = "\\N";
  std::string encoding;                                 ///< of text and csv; "" for the session's
  std::vector<std::string> force_null, force_not_null;  ///< csv: columns
};

/// Reads what the grammar found, of the new syntax or the old one. Values that a server refuses before it asks for data
/// may come out as anything. Nothing, and the option's name in `problem`: an option that is not known here.
[[nodiscard]] std::optional<copy_format> read_copy_format(std::span<const sql::copy_option> options,
                                                          std::string& problem);

/// Whether every byte below 0x80 stands for itself in text of this encoding, as the server calls it: what lies between
/// rows and values is found without knowing its other characters. False for names that are not known.
[[nodiscard]] bool ascii_safe_encoding(std::string_view name);
/// UTF8, by any of its names.
[[nodiscard]] bool names_utf8(std::string_view name);

}  // namespace pgbraid::router
