// The schema pgbraid on each primary: what several instances that begin at once must do one after the other there.
#pragma once

#include <string_view>

namespace pgbraid::proxy {

/// Held to the end of the transaction; fails after two seconds. CREATE ... IF NOT EXISTS alone may meet another's.
inline constexpr std::string_view lock_own_schema =
    "SET LOCAL lock_timeout = '2s'; SET LOCAL client_min_messages = warning; "
    "SELECT pg_advisory_xact_lock(7234859569794081792); ";

}  // namespace pgbraid::proxy
