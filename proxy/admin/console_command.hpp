// What can be said to the console, read from a simple query's text. Pure.
#pragma once

#include <string>
#include <string_view>

namespace pgbraid::proxy {

struct console_command {
  enum class kind {
    none,  ///< an empty text
    unknown,
    show_clients,
    show_servers,
    show_transactions,
    show_databases,
    pause,
    resume
  } what = kind::unknown;
  std::string database;  ///< pause, resume: "" for all
  std::string shard;     ///< "" for all of the database
  friend bool operator==(const console_command&, const console_command&) = default;
};

/// SHOW CLIENTS | SERVERS | TRANSACTIONS | DATABASES, PAUSE [database[.shard]], RESUME [database[.shard]], in any case,
/// with or without a semicolon. Names may be quoted.
[[nodiscard]] console_command read_console_command(std::string_view text);

}  // namespace pgbraid::proxy
