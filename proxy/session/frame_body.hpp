// The body of a whole message.
#pragma once

#include "protocol/frame.hpp"

#include <string_view>

namespace pgbraid::proxy {

/// What stands behind the header of `frame`, which has one.
[[nodiscard]] inline std::string_view body_of(std::string_view frame) noexcept {
  return {frame.data() + protocol::frame_header_size, frame.size() - protocol::frame_header_size};
}

}  // namespace pgbraid::proxy
