#include "protocol/frame.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/protocol/bytes.hpp"

using namespace pgbraid::protocol;
using namespace pgbraid::protocol::testing;

TEST_CASE("a whole frame is found at every length of the buffer that holds it") {
  const std::string frame = raw("Q\0\0\0\x0dselect 1\0");
  for (std::size_t size = 0; size <= frame.size(); ++size) {
    const exact_buffer buffer{std::string_view{frame}.substr(0, size)};
    frame_view found;
    const frame_status status = next_frame(buffer.view(), 1000, found);
    if (size < 5) {
      CHECK(status == frame_status::incomplete);
      CHECK(found.total == 0);
    } else if (size < frame.size()) {
      CHECK(status == frame_status::incomplete);
      CHECK(found.type == 'Q');
      CHECK(found.total == frame.size());
      CHECK(found.body.empty());
    } else {
      CHECK(status == frame_status::complete);
      CHECK(found.type == 'Q');
      CHECK(found.total == frame.size());
      CHECK(found.body == raw("select 1\0"));
      CHECK(found.bytes == frame);
    }
  }
}

TEST_CASE("frames are walked one by one") {
  const exact_buffer buffer{raw("S\0\0\0\x04H\0\0\0\x04X\0\0\0\x05!Q\0")};
  std::string_view rest = buffer.view();
  std::string types;
  frame_view frame;
  while (next_frame(rest, 100, frame) == frame_status::complete) {
    types.push_back(frame.type);
    rest.remove_prefix(frame.bytes.size());
  }
  CHECK(types == "SHX");
  CHECK(rest.size() == 2);
}

TEST_CASE("a length that counts less than itself or is negative is malformed") {
  frame_view frame;
  for (const char last : {'\0', '\1', '\2', '\3'}) {
    const exact_buffer buffer{raw("Q\0\0\0") + last};
    CHECK(next_frame(buffer.view(), 100, frame) == frame_status::malformed);
  }
  CHECK(next_frame(raw("Q\x80\0\0\0"), std::size_t(-1), frame) == frame_status::malformed);
  CHECK(next_frame(raw("Q\xff\xff\xff\xff"), std::size_t(-1), frame) == frame_status::malformed);
  CHECK(next_frame(raw("Q\x7f\xff\xff\xff"), std::size_t(-1), frame) == frame_status::incomplete);
  CHECK(frame.total == 0x80000000U);
}

TEST_CASE("a frame above the limit is told as soon as its header is there") {
  const std::string frame = raw("D\0\0\0\14abcdefgh");
  for (std::size_t size = 5; size <= frame.size(); ++size) {
    const exact_buffer buffer{std::string_view{frame}.substr(0, size)};
    frame_view found;
    CHECK(next_frame(buffer.view(), frame.size() - 1, found) == frame_status::too_large);
    CHECK(found.type == 'D');
    CHECK(found.total == frame.size());
  }
  frame_view found;
  CHECK(next_frame(frame, frame.size(), found) == frame_status::complete);
}

TEST_CASE("a run of frames ends before what is of another type, incomplete or malformed") {
  const std::string row = raw("D\0\0\0\6ab");
  CHECK(run_of_frames({}, 'D') == 0);
  for (const std::string& behind : {std::string{}, raw("D"), raw("D\0\0\0\5"), raw("C\0\0\0\4"), raw("D\0\0\0\3"),
                                    raw("D\0\0\0\0"), raw("D\xff\xff\xff\xff")}) {
    const exact_buffer alone{behind};
    CHECK(run_of_frames(alone.view(), 'D') == 0);
    const exact_buffer buffer{row + row + row + behind};
    CHECK(run_of_frames(buffer.view(), 'D') == 3 * row.size());
  }
}
