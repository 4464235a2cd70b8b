// Ids that are unique over all shards: the function pgbraid.id() on each shard's primary, in whose body the shard's
// number stands. All that is known of the numbers is these bodies; who gives one holds a lock on every shard, so any
// instance of pgbraid may do it at any time, several at once. What an id is made of: see docs/architecture.md, "Ids".
#pragma once

#include "proxy/cluster/pg_connection.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

/// As many shards may have a number.
inline constexpr unsigned shard_number_count = 512;

/// What a shard's function knows of its shard.
struct shard_number {
  unsigned number = 0;   ///< of the shard, in each of its ids
  unsigned given = 0;    ///< the greatest number that any shard of the database has been given
  std::string identity;  ///< shard_identity() of the database that it was made for: another one is a copy
  friend bool operator==(const shard_number&, const shard_number&) = default;
};

/// One shard as it has been read.
struct numbered_shard {
  std::string identity;  ///< of the database that was asked
  std::string system_identifier, database;
  std::optional<shard_number> found;  ///< nothing: it has no such function, or one of another make
  bool current = false;               ///< the function is as it is made today, by a role that may be trusted with it
  bool schema = false;                ///< the schema pgbraid is there
  bool primary = false;
};

/// The function's body, and what it says of itself. It raises an error on every shard but its own.
[[nodiscard]] std::string id_function_body(const shard_number& number, std::string_view system_identifier,
                                           std::string_view database);
[[nodiscard]] std::optional<shard_number> parse_id_function(std::string_view body);

/// What each shard must have, in the order of the shards: whoever has a number that no other shard has keeps it; two
/// with one number are a copy and its original, of which the one that stands where it was made keeps it, or else the
/// first. Nothing for those that find no number.
[[nodiscard]] std::vector<std::optional<shard_number>> give_numbers(const std::vector<numbered_shard>& shards);

/// Whether a shard lacks what give_numbers() said.
[[nodiscard]] bool needs_number(const numbered_shard& shard, const std::optional<shard_number>& wanted);

struct number_reading {
  numbered_shard shard;
  std::string error;
};
[[nodiscard]] boost::asio::awaitable<number_reading> read_number(pg_connection& connection,
                                                                 std::chrono::milliseconds timeout);

/// Begins a transaction in which nobody else gives numbers to this shard; "" or why not. Waits for at most two seconds.
[[nodiscard]] boost::asio::awaitable<std::string> lock_numbers(pg_connection& connection,
                                                               std::chrono::milliseconds timeout);

/// Makes the function within that transaction, for everybody who may connect; "" or why not.
[[nodiscard]] boost::asio::awaitable<std::string> make_id_function(pg_connection& connection, numbered_shard shard,
                                                                   shard_number number,
                                                                   std::chrono::milliseconds timeout);

}  // namespace pgbraid::proxy
