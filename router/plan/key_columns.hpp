// The columns of a key as a declaration names them: in a hint of CREATE TABLE, and in the table's comment, which keeps
// it.
//
//   /* pgbraid: key=customer_id */   COMMENT ON TABLE t IS 'Invoices. pgbraid: key=(tenant, region)'
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::router {

/// The columns that stand behind "key=", folded as unquoted names are; nothing if these are no names.
[[nodiscard]] std::optional<std::vector<std::string>> key_columns(std::string_view value);

/// What stands behind "pgbraid:" and "key=" in a table's comment; nothing if it does not speak to pgbraid, "" if it
/// says no key.
[[nodiscard]] std::optional<std::string_view> declared_key(std::string_view comment) noexcept;

/// The comment that declares this key.
[[nodiscard]] std::string key_declaration(const std::vector<std::string>& columns);

}  // namespace pgbraid::router
