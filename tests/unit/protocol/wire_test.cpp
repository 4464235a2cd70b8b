#include "protocol/wire.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/protocol/bytes.hpp"

using namespace pgbraid::protocol;
using namespace pgbraid::protocol::testing;

TEST_CASE("the reader reads network order") {
  const exact_buffer buffer{
      raw("\x01\xff\xfe\x80\x00\x00\x01"
          "ab\0\0rest")};
  wire_reader in{buffer.view()};
  CHECK(in.u8() == 1);
  CHECK(in.i16() == -2);
  CHECK(in.u32() == 0x80000001U);
  CHECK(in.cstring() == "ab");
  CHECK(in.cstring().empty());
  CHECK(in.ok());
  CHECK_FALSE(in.finished());
  CHECK(in.remaining() == 4);
  CHECK(in.peek() == "rest");
  CHECK(in.bytes(2) == "re");
  CHECK(in.rest() == "st");
  CHECK(in.finished());
}

TEST_CASE("the reader fails for good at the first read past the end") {
  const auto fails = [](std::string_view bytes, auto read) {
    const exact_buffer buffer{bytes};
    wire_reader in{buffer.view()};
    read(in);
    CHECK_FALSE(in.ok());
    CHECK_FALSE(in.finished());
    CHECK(in.u8() == 0);
    CHECK(in.i32() == 0);
    CHECK(in.cstring().empty());
    CHECK(in.bytes(0).empty());
    CHECK_FALSE(in.ok());
  };
  fails("", [](wire_reader& in) { CHECK(in.u8() == 0); });
  fails("a", [](wire_reader& in) { CHECK(in.u16() == 0); });
  fails("abc", [](wire_reader& in) { CHECK(in.u32() == 0); });
  fails("abc", [](wire_reader& in) { CHECK(in.cstring().empty()); });
  fails("", [](wire_reader& in) { CHECK(in.cstring().empty()); });
  fails("abc", [](wire_reader& in) { CHECK(in.bytes(4).empty()); });
  fails("abc", [](wire_reader& in) { CHECK(in.bytes(static_cast<std::size_t>(-1)).empty()); });
}

TEST_CASE("appends write what the reader reads") {
  std::string out;
  append_u8(out, 200);
  append_i16(out, -2);
  append_u16(out, 65535);
  append_i32(out, -1);
  append_u32(out, 0x01020304);
  append_cstring(out, "x");
  CHECK(out == raw("\xc8\xff\xfe\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04x\0"));
}

TEST_CASE("a string on the wire ends at its first NUL") {
  std::string out;
  append_cstring(out, raw("user\0role\0admin"));
  CHECK(out == raw("user\0"));
}

TEST_CASE("a frame's length is patched back, also behind other frames") {
  std::string out = "before";
  { const frame_builder frame{out, 'S'}; }
  {
    const frame_builder frame{out, 'Q'};
    out.append("abc");
  }
  { const frame_builder frame{out}; }
  CHECK(out == raw("beforeS\0\0\0\x04Q\0\0\0\x07"
                   "abc\0\0\0\x04"));
}
