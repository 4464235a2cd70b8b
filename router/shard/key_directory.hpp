// The function `lookup`: which shard owns a key is said by a table, whose rows are asked for as they are needed. Here
// is what routing wants of whoever knows them.
#pragma once

#include "router/catalog.hpp"
#include "router/topology.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace pgbraid::router {

/// A key that must be looked up, as it stood in the statement.
struct wanted_key {
  std::string bytes;  ///< see key_bytes()
  std::string value;
  bool binary = false;
  oid type = 0;  ///< of the value
};

/// What is known of a key.
struct known_key {
  enum class kind : std::uint8_t {
    unknown,  ///< it has not been looked up
    shard,
    absent,  ///< the directory has no row for it
    unclear  ///< its row names no shard of the topology
  } is = kind::unknown;
  shard_index shard = 0;
};

/// runs on: whoever resolves.
class key_directory {
 public:
  key_directory() = default;
  key_directory(const key_directory&) = delete;
  key_directory& operator=(const key_directory&) = delete;
  virtual ~key_directory() = default;

  [[nodiscard]] virtual known_key find(std::string_view bytes) = 0;
  /// The key is not known, and the route cannot be told before it is.
  virtual void want(wanted_key key) = 0;
};

}  // namespace pgbraid::router
