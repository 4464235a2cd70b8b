#include "protocol/frontend.hpp"

#include "protocol/frame.hpp"
#include "tests/unit/protocol/truncation.hpp"

using namespace pgbraid::protocol;
using namespace pgbraid::protocol::testing;

namespace {

// The frame that `encode` appends; it must be one frame that `next_frame` takes whole.
template <typename Encode>
std::string encoded(Encode encode) {
  std::string out;
  encode(out);
  frame_view frame;
  CHECK(next_frame(out, out.size(), frame) == frame_status::complete);
  CHECK(frame.bytes.size() == out.size());
  return out;
}

const std::string bind_bytes =
    raw("B\0\0\0\x29p\0s1\0"
        "\0\x03\0\0\0\1\0\0"                                  // formats: text, binary, text
        "\0\x03\0\0\0\2hi\0\0\0\4\0\0\0\x2a\xff\xff\xff\xff"  // "hi", 42, NULL
        "\0\x01\0\x01");                                      // results: all binary

}  // namespace

TEST_CASE("the client's messages as bytes") {
  CHECK(encoded([](auto& o) { encode_query(o, "select 1"); }) == raw("Q\0\0\0\x0dselect 1\0"));
  CHECK(encoded([](auto& o) {
          encode_parse(o, "s1", "select $1", std::array<std::uint32_t, 2>{23, 0});
        }) == raw("P\0\0\0\x1bs1\0select $1\0\0\x02\0\0\0\x17\0\0\0\0"));
  CHECK(encoded([](auto& o) {
          encode_bind(o, "p", "s1", std::array<std::int16_t, 3>{0, 1, 0},
                      std::array<optional_value, 3>{"hi", std::string_view{"\0\0\0\x2a", 4}, std::nullopt},
                      std::array<std::int16_t, 1>{1});
        }) == bind_bytes);
  CHECK(encoded([](auto& o) { encode_describe(o, object_kind::statement, "s"); }) == raw("D\0\0\0\x07Ss\0"));
  CHECK(encoded([](auto& o) { encode_close(o, object_kind::portal, "p"); }) == raw("C\0\0\0\x07Pp\0"));
  CHECK(encoded([](auto& o) { encode_execute(o, "p", 5); }) == raw("E\0\0\0\x0ap\0\0\0\0\5"));
  CHECK(encoded([](auto& o) { encode_sync(o); }) == raw("S\0\0\0\4"));
  CHECK(encoded([](auto& o) { encode_flush(o); }) == raw("H\0\0\0\4"));
  CHECK(encoded([](auto& o) { encode_terminate(o); }) == raw("X\0\0\0\4"));
  CHECK(encoded([](auto& o) { encode_copy_data(o, raw("a\0b")); }) == raw("d\0\0\0\7a\0b"));
  CHECK(encoded([](auto& o) { encode_copy_done(o); }) == raw("c\0\0\0\4"));
  CHECK(encoded([](auto& o) { encode_copy_fail(o, "no"); }) == raw("f\0\0\0\7no\0"));
  CHECK(encoded([](auto& o) {
          encode_function_call(o, 2310, std::array<std::int16_t, 1>{1}, std::array<optional_value, 1>{"x"}, 1);
        }) == raw("F\0\0\0\x15\0\0\x09\x06\0\1\0\1\0\1\0\0\0\1x\0\1"));
  CHECK(encoded([](auto& o) { encode_password(o, "secret"); }) == raw("p\0\0\0\x0bsecret\0"));
  CHECK(encoded([](auto& o) { encode_sasl_initial_response(o, "M", "abc"); }) == raw("p\0\0\0\x0dM\0\0\0\0\3abc"));
  CHECK(encoded([](auto& o) { encode_sasl_initial_response(o, "M", std::nullopt); }) ==
        raw("p\0\0\0\x0aM\0\xff\xff\xff\xff"));
  CHECK(encoded([](auto& o) { encode_sasl_response(o, "abc"); }) == raw("p\0\0\0\7abc"));
}

TEST_CASE("decoders of the client's messages take whole bodies only") {
  check_only_whole<query_view>(raw("select 1\0"));
  check_only_whole<parse_view>(raw("s1\0select $1\0\0\x02\0\0\0\x17\0\0\0\0"));
  check_only_whole<bind_view>(body_of(bind_bytes));
  check_only_whole<bind_view>(raw("\0\0\0\0\0\0\0\0"));
  check_only_whole<describe_view>(raw("Ss\0"));
  check_only_whole<close_view>(raw("Pp\0"));
  check_only_whole<execute_view>(raw("p\0\0\0\0\5"));
  check_only_whole<copy_fail_view>(raw("no\0"));
  check_only_whole<function_call_view>(raw("\0\0\x09\x06\0\1\0\1\0\1\0\0\0\1x\0\1"));
  check_only_whole<password_view>(raw("secret\0"));
  check_only_whole<sasl_initial_response_view>(raw("M\0\0\0\0\3abc"));
  check_only_whole<sasl_initial_response_view>(raw("M\0\xff\xff\xff\xff"));
}

TEST_CASE("Parse is read in place") {
  parse_view parse;
  const exact_buffer body{raw("s1\0select $1\0\0\x02\0\0\0\x17\0\0\0\0")};
  REQUIRE(decode(body.view(), parse));
  CHECK(parse.name == "s1");
  CHECK(parse.text == "select $1");
  REQUIRE(parse.types.size() == 2);
  CHECK(parse.types[0] == 23);
  CHECK(parse.types[1] == 0);
}

TEST_CASE("Bind is read in place") {
  bind_view bind;
  const exact_buffer body{body_of(bind_bytes)};
  REQUIRE(decode(body.view(), bind));
  CHECK(bind.portal == "p");
  CHECK(bind.statement == "s1");
  REQUIRE(bind.parameters.size() == 3);
  CHECK_FALSE(bind.binary(0));
  CHECK(bind.binary(1));
  CHECK_FALSE(bind.binary(2));
  REQUIRE(bind.result_formats.size() == 1);
  CHECK(bind.result_formats.of(7) == binary_format);

  wire_value value;
  value_list::cursor all = bind.parameters.values();
  REQUIRE(all.next(value));
  CHECK(value == wire_value{"hi", false});
  REQUIRE(all.next(value));
  CHECK(value == wire_value{std::string_view{"\0\0\0\x2a", 4}, false});
  REQUIRE(all.next(value));
  CHECK(value.null);
  CHECK_FALSE(all.next(value));

  REQUIRE(bind.parameter(1, value));
  CHECK(value.bytes.size() == 4);
  REQUIRE(bind.parameter(2, value));
  CHECK(value.null);
  CHECK_FALSE(bind.parameter(3, value));
  CHECK_FALSE(bind.parameter(100, value));
}

TEST_CASE("an empty value is not NULL") {
  bind_view bind;
  REQUIRE(decode(lasting("\0\0\0\0\0\1\0\0\0\0\0\0"), bind));
  wire_value value;
  REQUIRE(bind.parameter(0, value));
  CHECK(value == wire_value{"", false});
}

TEST_CASE("one format code goes for all parameters, none means text") {
  bind_view bind;
  REQUIRE(decode(lasting("\0\0\0\1\0\1\0\2\0\0\0\1x\0\0\0\1y\0\0"), bind));
  CHECK(bind.binary(0));
  CHECK(bind.binary(1));
  REQUIRE(decode(lasting("\0\0\0\0\0\2\0\0\0\1x\0\0\0\1y\0\0"), bind));
  CHECK_FALSE(bind.binary(0));
  CHECK_FALSE(bind.binary(1));
}

TEST_CASE("Bind refuses counts and lengths that do not hold") {
  bind_view bind;
  // two formats for three parameters
  CHECK_FALSE(decode(lasting("\0\0\0\2\0\0\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), bind));
  // a length of -2
  CHECK_FALSE(decode(lasting("\0\0\0\0\0\1\xff\xff\xff\xfe\0\0"), bind));
  // a length beyond the message
  CHECK_FALSE(decode(lasting("\0\0\0\0\0\1\x7f\xff\xff\xff\0\0"), bind));
  // 65,535 parameters in no bytes
  CHECK_FALSE(decode(lasting("\0\0\0\0\xff\xff\0\0"), bind));
}

TEST_CASE("Bind takes as many parameters as the protocol has") {
  const std::vector<optional_value> many(65535, optional_value{"1"});
  std::string out;
  encode_bind(out, "", "", {}, many, {});
  bind_view bind;
  REQUIRE(decode(std::string_view{out}.substr(5), bind));
  CHECK(bind.parameters.size() == 65535);
  wire_value value;
  REQUIRE(bind.parameter(65534, value));
  CHECK(value.bytes == "1");
}

TEST_CASE("Describe and Close know statements and portals only") {
  describe_view describe;
  close_view close;
  CHECK_FALSE(decode(lasting("Xs\0"), describe));
  CHECK_FALSE(decode(lasting("\0s\0"), close));
  REQUIRE(decode(lasting("Pportal\0"), describe));
  CHECK(describe.kind == object_kind::portal);
  CHECK(describe.name == "portal");
  REQUIRE(decode(lasting("Sst\0"), close));
  CHECK(close.kind == object_kind::statement);
}

TEST_CASE("a message is sent on under another statement's name, all else as it came") {
  bind_view bind;
  const std::string body = body_of(bind_bytes);
  REQUIRE(decode(body, bind));
  std::string out;
  encode_bind_renamed(out, bind, "pgb_17");
  CHECK(out.size() == renamed_size(bind, "pgb_17"));
  std::string again = out;
  bind_view renamed;
  REQUIRE(decode(std::string_view{again}.substr(5), renamed));
  CHECK(renamed.portal == "p");
  CHECK(renamed.statement == "pgb_17");
  CHECK(renamed.after_statement == bind.after_statement);

  parse_view parse;
  const std::string parse_body = raw("s1\0select $1\0\0\x01\0\0\0\x17");
  REQUIRE(decode(parse_body, parse));
  out.clear();
  encode_parse_renamed(out, parse, "");
  CHECK(out == raw("P\0\0\0\x15\0select $1\0\0\x01\0\0\0\x17"));
  CHECK(out.size() == renamed_size(parse, ""));
}

TEST_CASE("type bytes that a client may send") {
  for (const char type : std::string_view{"BCdcfDEHFPpQSX"}) CHECK(frontend::is_known(type));
  for (const char type : {'\0', 'A', 'T', 'Z', 'q', '\xff', ' '}) CHECK_FALSE(frontend::is_known(type));
}
