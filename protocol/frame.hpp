// Finds where messages begin and end. This is all that bytes on the fast path go through, hence inline and branch-poor.
// Source: the manual's chapter "Frontend/Backend Protocol", "Message Formats": Byte1 type, Int32 length (itself
// included, the type not), body.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/wire.hpp"

namespace pgbraid::protocol {

/// Bytes in front of a typed message's body.
inline constexpr std::size_t frame_header_size = 5;

/// What stands at the front of a buffer.
enum class frame_status : std::uint8_t {
  complete,    ///< a whole message
  incomplete,  ///< the beginning of a message
  malformed,   ///< a length that no message can have: the stream is out of step and must be closed
  too_large,   ///< a message whose announced length exceeds the limit
};

/// One message in a buffer. Lifetime: views point into that buffer.
struct frame_view {
  char type = 0;           ///< valid as soon as the header is there, see `total`
  std::string_view body;   ///< after the header; only when complete
  std::string_view bytes;  ///< header and body; only when complete
  std::size_t total = 0;   ///< length of header and body as announced; 0 while the header is incomplete
};

/// Looks at the message at the front of `buffer`. `max_length` bounds header and body together.
///
/// On `incomplete` and `too_large`, `frame.type` and `frame.total` say what is coming (total 0: not even the header is
/// there), so that the caller can size its buffer, pass the message on in pieces, or skip it.
[[nodiscard]] inline frame_status next_frame(std::string_view buffer, std::size_t max_length,
                                             frame_view& frame) noexcept {
  if (buffer.size() < frame_header_size) [[unlikely]] {
    frame = {};
    return frame_status::incomplete;
  }
  const std::uint32_t length = load_u32(buffer.data() + 1);
  // The length counts itself; a server or client of ours takes it for a signed number.
  if (length - 4U > 0x7fffffffU - 4U) [[unlikely]] {
    frame = {};
    return frame_status::malformed;
  }
  const std::size_t total = std::size_t{length} + 1;
  frame.type = buffer[0];
  frame.total = total;
  if (total <= buffer.size() && total <= max_length) [[likely]] {
    frame.bytes = std::string_view{buffer.data(), total};
    frame.body = std::string_view{buffer.data() + frame_header_size, total - frame_header_size};
    return frame_status::complete;
  }
  frame.bytes = {};
  frame.body = {};
  return total > max_length ? frame_status::too_large : frame_status::incomplete;
}

/// Length of the run of complete frames of one type that `buffer` begins with: rows and copy data come by the thousand and
/// are passed on together. Stops before anything that next_frame() would not take.
[[nodiscard]] inline std::size_t run_of_frames(std::string_view buffer, char type) noexcept {
  std::size_t past = 0;
  while (buffer.size() - past >= frame_header_size && buffer[past] == type) {
    const std::uint32_t length = load_u32(buffer.data() + past + 1);
    if (length < 4U || length >= buffer.size() - past) break;
    past += std::size_t{length} + 1;
  }
  return past;
}

}  // namespace pgbraid::protocol
