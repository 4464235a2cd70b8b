// Where a table is that stands whole on one shard.
#pragma once

#include "router/topology.hpp"

#include <optional>
#include <string_view>

namespace pgbraid::router {

/// The shard of an unsharded table ("schema.name"), listed itself or by its schema; nothing for all others.
[[nodiscard]] inline std::optional<shard_index> home_of_unsharded(const topology& map, std::string_view name) {
  if (const auto found = map.unsharded.find(name); found != map.unsharded.end()) return found->second;
  if (map.tables.contains(name) || map.reference_tables.contains(name)) return std::nullopt;
  const std::size_t dot = name.find('.');
  const auto schema = dot == std::string_view::npos ? map.schemas.end() : map.schemas.find(name.substr(0, dot));
  return schema == map.schemas.end() ? std::nullopt : std::optional{schema->second};
}

}  // namespace pgbraid::router
