// The schema pgbraid on each primary: what several instances that begin at once must do one after the other there, and
// whose it may be.
#pragma once

#include "proxy/cluster/pg_connection.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <string>
#include <string_view>

namespace pgbraid::proxy {

/// Held to the end of the transaction; fails after two seconds. CREATE ... IF NOT EXISTS alone may meet another's.
inline constexpr std::string_view lock_own_schema =
    "SET LOCAL lock_timeout = '2s'; SET LOCAL client_min_messages = warning; "
    "SELECT pg_advisory_xact_lock(7234859569794081792); ";

/// Why nothing there may be trusted: the schema, or a table in it, belongs to somebody else than the role that asks or
/// a superuser, whose triggers and functions would run with that role's rights. "" where all is well, or nothing is
/// there.
[[nodiscard]] boost::asio::awaitable<std::string> problem_of_own_schema(pg_connection& connection,
                                                                        std::chrono::milliseconds timeout);

}  // namespace pgbraid::proxy
