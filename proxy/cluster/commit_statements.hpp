// What a commit over several shards says to their servers. See proxy/session/commit.hpp.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace pgbraid::proxy {

/// What is prepared, and the decision, must be as safe as the server can make them before anybody acts on them,
/// whatever the client thinks of its own commits; and it must say so if it no longer waits for its replicas, whatever
/// the client wants to hear.
inline constexpr std::string_view commit_durably =
    "SELECT CASE WHEN pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.<>) ALL (ARRAY['on', "
    "'remote_apply']) THEN pg_catalog.set_config('synchronous_commit', 'on', true) END, "
    "CASE WHEN pg_catalog.current_setting('client_min_messages') OPERATOR(pg_catalog.=) 'error' "
    "THEN pg_catalog.set_config('client_min_messages', 'warning', true) END; ";

/// Whoever reads several shards waits until it is committed on all of them, or it waits for them: see hold.hpp.
inline constexpr std::string_view commit_through_gate =
    "SET LOCAL lock_timeout = 0; LOCK TABLE pgbraid.commit_gate IN ROW EXCLUSIVE MODE; ";

/// To the shard that decides, within the transaction; `gated`: reads.snapshot is consistent. Its age counts from now,
/// not from the beginning of a transaction that may be old.
[[nodiscard]] inline std::string record_statement(std::string_view record, bool gated) {
  return fmt::format(
      "{}{}INSERT INTO pgbraid.commit_record (id, committed, at) VALUES ('{}', true, pg_catalog.clock_timestamp())",
      gated ? commit_through_gate : std::string_view{}, commit_durably, record);
}

/// To the others; `id`: prepared_id().
[[nodiscard]] inline std::string prepare_statement(std::string_view id, bool gated) {
  return fmt::format("{}{}PREPARE TRANSACTION '{}'", gated ? commit_through_gate : std::string_view{}, commit_durably,
                     id);
}

}  // namespace pgbraid::proxy
