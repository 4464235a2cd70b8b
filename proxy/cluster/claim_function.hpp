// pgbraid.claim_values() on each primary: how a transaction sees that no other shard has, or is about to have, a value
// of a column that the topology lists as unique. All that is known of values are locks and the shards' own rows. The
// sequence of calls is a session's: see router/plan/claims.hpp.
//
//   claim_values(of_table, of_column, claimed, elsewhere): the table as "schema"."name", quoted; the column's bare
//   name. Locks the values `claimed` to the end of the transaction, and gives the first of `elsewhere` that a row has
//   here, as the server writes it, or NULL. A row that somebody is about to delete or change is waited for. Nulls are
//   no values. 42501: the caller may not write to the table. 55000: the column is none that the topology lists. 0A000:
//   under REPEATABLE READ and SERIALIZABLE nothing can be looked up, since the snapshot is older than the locks.
#pragma once

#include "proxy/cluster/pg_connection.hpp"
#include "router/topology.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <string>

namespace pgbraid::proxy {

/// Sees that the function is there, as it is made today, and takes the columns that `map` lists; "" or why not. Nobody
/// takes back what another instance has listed.
[[nodiscard]] boost::asio::awaitable<std::string> make_claim_function(pg_connection& connection,
                                                                      const router::topology& map,
                                                                      std::chrono::milliseconds timeout);

/// `pattern` of the topology's file, in which * is any characters and ? is one, as one of LIKE.
[[nodiscard]] std::string like_pattern(std::string_view pattern);

}  // namespace pgbraid::proxy
