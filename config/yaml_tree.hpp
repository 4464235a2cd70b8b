// A YAML document as a tree of values with their places, built from yaml-cpp's events. Bounded: neither a deep nor an
// alias-multiplied document costs more than a file of the permitted size would.
#pragma once

#include "config/config.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::config::yaml {

constexpr std::size_t max_file_bytes = 4 << 20;
constexpr std::size_t max_nodes = 200'000;  ///< aliases counted as often as they stand
constexpr std::size_t max_depth = 32;

/// One value. Immutable once parsed; an alias shares the node that its anchor names.
struct node {
  enum class kind : std::uint8_t { null, scalar, list, map };

  struct entry {
    std::string key;
    position where;  ///< of the key
    std::shared_ptr<const node> value;
  };

  kind what = kind::null;
  position where;
  std::string text;     ///< a scalar's value
  bool quoted = false;  ///< the scalar was written in quotes or as a block
  std::vector<std::shared_ptr<const node>> items;
  std::vector<entry> entries;  ///< in the order written, no key twice

  /// The entry with this key, or null.
  [[nodiscard]] const entry* find(std::string_view key) const noexcept;
};

/// What a value is, for messages: `"abc"`, "a map", "a list", "nothing".
[[nodiscard]] std::string spelled(const node& n);

struct tree {
  std::shared_ptr<const node> root;  ///< null when nothing could be read
  std::vector<finding> findings;
};

/// Parses one document. Syntax errors, passed limits, duplicate keys, merge keys, tags and a second document are
/// findings. Columns count characters of UTF-8. Throws nothing of yaml-cpp's.
[[nodiscard]] tree parse(const std::string& text);

}  // namespace pgbraid::config::yaml
