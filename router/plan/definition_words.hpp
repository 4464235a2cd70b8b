// What is read from the text of a command that defines something, rather than from its tree.
#pragma once

#include <string>
#include <string_view>

namespace pgbraid::router {

struct catalog;

/// Of what all databases of a server share, or of a database as a whole: shards may be databases of one server, which
/// would wait for each other, and have other names on another. `tag`: the command's.
[[nodiscard]] bool beyond_the_database(const std::string& tag, std::string_view text);

/// ALTER TABLE computes values for the rows that are there, which may be others on each shard. A new default of a
/// column that is there computes nothing.
[[nodiscard]] bool computes(std::string_view text, const catalog& schema);

/// What COMMENT says: all between the first quote and the last.
[[nodiscard]] std::string_view comment_of(std::string_view text);

}  // namespace pgbraid::router
