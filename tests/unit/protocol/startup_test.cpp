#include "protocol/startup.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/protocol/bytes.hpp"

using namespace pgbraid::protocol;
using namespace pgbraid::protocol::testing;

namespace {

// What decode_startup makes of `bytes` when they stand in a buffer of exact size.
startup_result decode_exact(std::string_view bytes, startup_packet& packet) {
  const exact_buffer buffer{bytes};
  return decode_startup(buffer.view(), packet);
}

}  // namespace

TEST_CASE("startup packets as bytes, both ways") {
  struct row {
    std::string bytes;
    startup_packet packet;
  };
  const row rows[] = {
      {raw("\0\0\0\x08\x04\xd2\x16\x2f"), ssl_request{}},
      {raw("\0\0\0\x08\x04\xd2\x16\x30"), gssenc_request{}},
      {raw("\0\0\0\x10\x04\xd2\x16\x2e\0\0\x01\x02\xff\xff\xff\xfe"), cancel_request{258, -2}},
      {raw("\0\0\0\x09\0\x03\0\0\0"), startup_message{}},
      {raw("\0\0\0\x20\0\x03\0\0user\0app\0database\0shop\0\0"),
       startup_message{3, 0, {{"user", "app"}, {"database", "shop"}}}},
      {raw("\0\0\0\x1a\0\x03\0\x02_pq_.x\0on\0user\0a\0\0"), startup_message{3, 2, {{"_pq_.x", "on"}, {"user", "a"}}}},
      {raw("\0\0\0\x0e\0\x03\0\0opt\0\0\0"), startup_message{3, 0, {{"opt", ""}}}},
  };
  for (const row& r : rows) {
    std::string encoded;
    if (const auto* message = std::get_if<startup_message>(&r.packet)) encode_startup(encoded, *message);
    if (std::holds_alternative<ssl_request>(r.packet)) encode_ssl_request(encoded);
    if (std::holds_alternative<gssenc_request>(r.packet)) encode_gssenc_request(encoded);
    if (const auto* cancel = std::get_if<cancel_request>(&r.packet)) encode_cancel_request(encoded, *cancel);
    CHECK(encoded == r.bytes);

    startup_packet packet = startup_message{9, 9, {}};
    for (std::size_t size = 0; size < r.bytes.size(); ++size) {
      const startup_result partial = decode_exact(std::string_view{r.bytes}.substr(0, size), packet);
      CHECK(partial.status == frame_status::incomplete);
      CHECK(partial.length == (size < 4 ? 0 : r.bytes.size()));
    }
    CHECK(std::get<startup_message>(packet).major == 9);
    const startup_result whole = decode_exact(r.bytes, packet);
    CHECK(whole.status == frame_status::complete);
    CHECK(whole.length == r.bytes.size());
    CHECK(packet == r.packet);
    CHECK(decode_exact(r.bytes + "more", packet).length == r.bytes.size());
  }
}

TEST_CASE("startup packets that are refused say why") {
  const std::string refused[] = {
      raw("\0\0\0\x04"),
      raw("\0\0\0\x07\0\x03\0"),
      raw("\0\0\0\x09\x04\xd2\x16\x2f\0"),                  // SSLRequest with a surplus byte
      raw("\0\0\0\x0c\x04\xd2\x16\x2e\0\0\0\x01"),          // CancelRequest without its key
      raw("\0\0\0\x11\x04\xd2\x16\x2e\0\0\0\1\0\0\0\2\0"),  // CancelRequest with a surplus byte
      raw("\0\0\0\x08\0\x03\0\0"),                          // no terminator
      raw("\0\0\0\x0d\0\x03\0\0user\0"),                    // a name without a value
      raw("\0\0\0\x0f\0\x03\0\0user\0a\0"),                 // no terminator behind the last value
      raw("\0\0\0\x10\0\x03\0\0user\0a\0\0x"),              // bytes behind the terminator: length is one short
      raw("\0\0\0\x11\0\x03\0\0user\0a\0\0x"),              // bytes behind the terminator
  };
  for (const std::string& bytes : refused) {
    startup_packet packet;
    std::string padded = bytes;
    padded.resize(std::max<std::size_t>(bytes.size(), load_u32(bytes.data())), '\1');
    INFO(Catch::StringMaker<std::string>::convert(bytes));
    const startup_result result = decode_exact(padded, packet);
    if (padded == raw("\0\0\0\x10\0\x03\0\0user\0a\0\0x")) {
      CHECK(result.status == frame_status::complete);  // "x" is the next packet's
      continue;
    }
    CHECK(result.status == frame_status::malformed);
    CHECK_FALSE(result.reason.empty());
  }
}

TEST_CASE("the length of a startup packet is bounded as the server bounds it") {
  std::string out;
  encode_startup(out, {3, 0, {{"user", std::string(max_startup_length - 4 - 5 - 2, 'u')}}});
  CHECK(out.size() == max_startup_length + 4);
  startup_packet packet;
  CHECK(decode_exact(out, packet).status == frame_status::complete);
  out.clear();
  encode_startup(out, {3, 0, {{"user", std::string(max_startup_length - 4 - 5 - 1, 'u')}}});
  CHECK(decode_exact(out, packet).status == frame_status::too_large);
  CHECK(decode_exact("GET / HTTP/1.1\r\n", packet).status == frame_status::too_large);
  CHECK(decode_exact(raw("\xff\xff\xff\xff"), packet).status == frame_status::too_large);
}

TEST_CASE("a packet of another major version is told as such, its parameters unread") {
  startup_packet packet;
  CHECK(decode_exact(raw("\0\0\0\x0a\0\x02\0\0zz"), packet).status == frame_status::complete);
  CHECK(std::get<startup_message>(packet) == startup_message{2, 0, {}});
}

TEST_CASE("the last of several equal parameters counts") {
  const startup_message message{3, 0, {{"user", "a"}, {"user", "b"}}};
  CHECK(message.find("user") == "b");
  CHECK_FALSE(message.find("database"));
}

TEST_CASE("only a newer minor version or a protocol option is negotiated") {
  CHECK_FALSE(needs_negotiation({3, 0, {{"user", "a"}}}));
  CHECK(needs_negotiation({3, 1, {{"user", "a"}}}));
  CHECK(needs_negotiation({3, 0, {{"_pq_.command", "a"}}}));

  std::string out;
  encode_negotiate_protocol_version(out, {3, 2, {{"user", "a"}, {"_pq_.one", "1"}, {"_pq_.two", ""}}});
  CHECK(out == raw("v\0\0\0\x1e\0\x03\0\0\0\0\0\x02_pq_.one\0_pq_.two\0"));
  const std::string body = body_of(out);
  negotiate_protocol_version decoded;
  REQUIRE(decode(body, decoded));
  CHECK(decoded.newest == 0x30000);
  CHECK(decoded.unrecognized_options == std::vector<std::string_view>{"_pq_.one", "_pq_.two"});
  for (std::size_t size = 0; size < body.size(); ++size) {
    const exact_buffer buffer{std::string_view{body}.substr(0, size)};
    CHECK_FALSE(decode(buffer.view(), decoded));
  }
  CHECK_FALSE(decode(body + "x", decoded));
  CHECK_FALSE(decode(lasting("\0\x03\0\0\xff\xff\xff\xff"), decoded));
}
