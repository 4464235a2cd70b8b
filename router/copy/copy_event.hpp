// What the decoders of copied data tell: where rows end, and what their keys are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace pgbraid::router {

enum class copy_event : std::uint8_t {
  more,   ///< the input is used up
  head,   ///< the header ends here: every server needs it
  key,    ///< the key of the row under way is known
  row,    ///< the row ends here
  end,    ///< the data ends here, whatever still comes
  broken  ///< no server takes what stands here; it belongs to the row under way, or to the header
};

/// What was found, behind how many bytes of the input.
struct copy_found {
  copy_event what = copy_event::more;
  std::size_t bytes = 0;
};

/// The key of a row, as the type's input or receive function gets it.
struct copy_key {
  enum class kind : std::uint8_t { missing, null, value } is = kind::missing;
  std::string value;
};

}  // namespace pgbraid::router
