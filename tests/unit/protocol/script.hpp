// Scripted conversations for the login machines: frames made by the encoders, given one by one.
#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "protocol/frame.hpp"
#include "tests/unit/protocol/bytes.hpp"

namespace pgbraid::protocol::testing {

/// What `encode` appends.
template <typename Encode>
std::string made(Encode encode) {
  std::string out;
  encode(out);
  return out;
}

/// Gives the one frame in `bytes`, in a buffer of exact size, to `machine`.
template <typename Machine>
typename Machine::action give(Machine& machine, std::string_view bytes) {
  const exact_buffer buffer{bytes};
  frame_view frame;
  REQUIRE(next_frame(buffer.view(), bytes.size(), frame) == frame_status::complete);
  REQUIRE(frame.total == bytes.size());
  return machine.receive(frame);
}

/// The action as the alternative that the script expects.
template <typename Expected, typename Action>
Expected expect(Action action) {
  REQUIRE(std::holds_alternative<Expected>(action));
  return std::get<Expected>(std::move(action));
}

}  // namespace pgbraid::protocol::testing
