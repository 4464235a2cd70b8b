// In what the shards' definitions differ: tables and their columns, indexes, constraints, triggers, policies, views,
// sequences, functions, types, extensions, owners, privileges and comments.
#pragma once

#include "proxy/cluster/pg_connection.hpp"
#include "router/topology.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <compare>
#include <map>
#include <string>
#include <vector>

namespace pgbraid::proxy {

struct defined_object {
  std::string kind, name;  ///< "index", "public.orders_note"
  friend auto operator<=>(const defined_object&, const defined_object&) = default;
};
struct definition {
  std::string parent;  ///< the relation that it belongs to; "" for none
  std::string text;
};
using definition_map = std::map<defined_object, definition>;

struct definition_reading {
  definition_map found;
  std::string error;
};
/// All that should be on every shard alike; what `map` puts on one shard alone is left out.
[[nodiscard]] boost::asio::awaitable<definition_reading> read_definitions(pg_connection& connection,
                                                                          const router::topology& map,
                                                                          std::chrono::milliseconds timeout);

/// One text for each object that is not everywhere, or not everywhere the same, of lines; `shards` are their names.
/// What belongs to a relation is not missed where the relation is missing. Pure.
[[nodiscard]] std::vector<std::string> differences(const std::vector<definition_map>& all,
                                                   const std::vector<std::string>& shards);

}  // namespace pgbraid::proxy
