// Statements that are no queries: what the session must do about them, and where they may go.
#pragma once

#include <string>
#include <string_view>

#include "router/plan/route.hpp"

namespace pgbraid::router {

/// What the session must know of a statement of this kind.
[[nodiscard]] session_effect effect_of(const sql::statement& s);

/// The command as a user would name it ("CREATE TABLE", "COMMIT PREPARED").
[[nodiscard]] std::string tag_of(const sql::statement& s);

/// True for kinds that do not write, whatever they say: transaction control, settings, cursors.
[[nodiscard]] bool harmless(sql::statement_kind kind) noexcept;

/// True for kinds after which every table's rows are what they were before, triggers and all.
[[nodiscard]] bool changes_no_table(sql::statement_kind kind) noexcept;

/// Over several shards: where a statement that is no query goes. Statements about the session itself (transactions,
/// settings, prepared statements) go to any shard: the session carries them out.
[[nodiscard]] fixed_target session_target(const sql::statement& s);

/// The effect of a text that cannot be parsed, from its first words (of the normalised text).
[[nodiscard]] session_effect effect_of_words(std::string_view normalized);

/// The first words of a normalised text in upper case, for messages.
[[nodiscard]] std::string first_word(std::string_view normalized);

}  // namespace pgbraid::router
