// A function in PL/pgSQL -> its statements, by PostgreSQL's own grammar (libpg_query's, PostgreSQL 15).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pgbraid::router::sql {

/// Longer bodies are not read.
inline constexpr std::size_t max_plpgsql_bytes = 64 * 1024;

/// The statements of `body` as libpg_query's JSON (an array with one PLpgSQL_function). `signature` stands between the
/// function's name and its body: `(a int) RETURNS int`. None: it is too long, nested too deeply or no PL/pgSQL that
/// this version knows. Never throws on bad input. runs on: any thread (the parser's state is thread-local).
[[nodiscard]] std::optional<std::string> plpgsql_statements(std::string_view signature, std::string_view body);

}  // namespace pgbraid::router::sql
