// What SHOW pgbraid.consistency_token tells and SET takes: points in the WAL of a database's shards, as text that may
// stand in a cookie or a URL. Whoever has set a token reads nothing older. Pure.
//
//   pgb1.<cluster>-<timeline>-<position>[_<cluster>-<timeline>-<position>...].<checksum>     all in hexadecimal
#pragma once

#include "protocol/errors.hpp"
#include "proxy/cluster/snapshot.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace pgbraid::proxy {

/// A point in the WAL of one cluster, which a shard is found by: names and order of shards may differ between two
/// pgbraids before the same servers.
struct wal_position {
  std::uint64_t system_identifier = 0;
  std::uint32_t timeline = 0;
  std::uint64_t lsn = 0;  ///< as a replica can replay it: see replayable()
  friend bool operator==(const wal_position&, const wal_position&) = default;
};

/// One position for each cluster, in ascending order of system identifiers.
using consistency_token = std::vector<wal_position>;

/// Makes `token` demand `more` too: the later of two positions in one cluster is kept.
void demand(consistency_token& token, const wal_position& more);

/// The position in one cluster; nullptr if the token says nothing of it.
[[nodiscard]] const wal_position* position_in(const consistency_token& token, std::uint64_t system_identifier) noexcept;

/// "" for a token that demands nothing.
[[nodiscard]] std::string to_text(const consistency_token& token);

/// nullopt for whatever to_text() cannot have written: cut short, changed, or of another kind. At most 64 kB are read.
[[nodiscard]] std::optional<consistency_token> parse_token(std::string_view text);

/// The same for what SET or a startup packet gives, with the error that is told for it: no token, or one that no server
/// of this database could ever show.
[[nodiscard]] std::variant<consistency_token, protocol::error_report> read_token(std::string_view text,
                                                                                 const database_state& state);

/// Its name as a setting.
inline constexpr std::string_view token_setting = "pgbraid.consistency_token";

}  // namespace pgbraid::proxy
