// How carefully one database passes from one topology to the next. Pure.
#pragma once

#include "config/config.hpp"

#include <chrono>
#include <cstdint>
#include <string_view>

namespace pgbraid::proxy {

enum class reload_care : std::uint8_t {
  none,       ///< it was not watched before: as at start
  unchanged,  ///< nothing that the control plane reads differs
  gentle,     ///< no row can have come under another rule: the new state takes over when it is known
  sample,     ///< other tables or keys: refused unless samples of the rows fit
  whole       ///< other owners of buckets, or other servers: refused unless every row fits
};

/// What passing from `before` to `after` asks for; `name` is the client's name of the database.
[[nodiscard]] reload_care care_of(const config::database& before, const config::database& after, std::string_view name);

/// How long a reload waits for what its care asks for. `timeout`: of one question to a server.
[[nodiscard]] std::chrono::milliseconds patience(reload_care care, std::chrono::milliseconds timeout);

/// The database of exactly this name ("*" included), or nullptr. Lives as long as `topology`.
[[nodiscard]] const config::database* named_database(const config::topology& topology, std::string_view name);

}  // namespace pgbraid::proxy
