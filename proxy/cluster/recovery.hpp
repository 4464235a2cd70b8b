// What commits over several shards need of a server, and what an interrupted one has left there. Any instance of
// pgbraid may do this at any time, several at once: each step is decided by the servers alone. See
// proxy/session/commit.hpp.
#pragma once

#include "proxy/cluster/pg_connection.hpp"
#include "proxy/cluster/prepared_id.hpp"
#include "proxy/cluster/snapshot.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace pgbraid::proxy {

/// Sees that the table of records is there and may be written to by everybody who may connect. "" or why not.
[[nodiscard]] boost::asio::awaitable<std::string> make_commit_record_table(pg_connection& connection,
                                                                           std::chrono::milliseconds timeout);

struct doubtful_listing {
  std::vector<doubtful_part> parts;  ///< in this database, prepared long enough ago that nobody is about to finish them
  std::vector<doubtful_transaction> told;  ///< the same, for people
  bool any = false;                  ///< there are such, of whatever age
  std::string error;
};
[[nodiscard]] boost::asio::awaitable<doubtful_listing> list_doubtful(pg_connection& connection,
                                                                     std::chrono::milliseconds timeout);

/// Asks the deciding shard, over a connection to it. A transaction without a record gets one that says it is undone: if
/// it is still running there, its own record meets that one and it fails. Nothing if it cannot be told now.
[[nodiscard]] boost::asio::awaitable<std::optional<bool>> was_committed(pg_connection& connection, std::string record,
                                                                        std::chrono::milliseconds timeout);

/// COMMIT PREPARED or ROLLBACK PREPARED; "" or why it failed. That somebody else has done it already is no failure.
[[nodiscard]] boost::asio::awaitable<std::string> finish_part(pg_connection& connection, std::string id, bool commit,
                                                              std::chrono::milliseconds timeout);

/// Removes records that are older than a day. Only when no part stands prepared on any shard.
[[nodiscard]] boost::asio::awaitable<void> forget_old_records(pg_connection& connection,
                                                              std::chrono::milliseconds timeout);

}  // namespace pgbraid::proxy
