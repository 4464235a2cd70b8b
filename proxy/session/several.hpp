// A text of several statements that are carried out one after the other, because no one server can carry out all of
// them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

struct several_statements {
  struct part {
    std::size_t offset = 0, length = 0;  ///< bytes of `text`
  };

  std::string text;         ///< the client's, whole
  std::vector<part> parts;  ///< its statements: at least two
  std::size_t next = 0;     ///< the one under way
  std::string frame;        ///< its Query message, which stands for the client's input meanwhile
  std::size_t bytes = 0;    ///< of the client's own message
  bool over = false;        ///< the last one is done, or one has failed: what ends the cycle now ends it for the client

  [[nodiscard]] std::string_view statement() const {
    return std::string_view{text}.substr(parts[next].offset, parts[next].length);
  }
  [[nodiscard]] bool last() const noexcept { return next + 1 == parts.size(); }
};

}  // namespace pgbraid::proxy
