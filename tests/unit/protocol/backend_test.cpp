#include "protocol/backend.hpp"

#include "protocol/frame.hpp"
#include "tests/unit/protocol/truncation.hpp"

using namespace pgbraid::protocol;
using namespace pgbraid::protocol::testing;

namespace {

template <typename Encode>
std::string encoded(Encode encode) {
  std::string out;
  encode(out);
  frame_view frame;
  CHECK(next_frame(out, out.size(), frame) == frame_status::complete);
  CHECK(frame.bytes.size() == out.size());
  CHECK(backend::is_known(frame.type));
  return out;
}

const std::string row_description_bytes =
    raw("T\0\0\0\x31\0\x02"
        "id\0\0\0\x40\0\0\1\0\0\0\x17\0\4\xff\xff\xff\xff\0\1"
        "sum\0\0\0\0\0\0\0\0\0\x06\xa4\xff\xff\0\0\0\x08\0\0");
const std::string error_body = raw("SFEHLER\0VERROR\0C42P01\0Mno such table\0Dd\0Hh\0\0");

}  // namespace

TEST_CASE("the server's messages as bytes") {
  CHECK(encoded([](auto& o) { encode_authentication_ok(o); }) == raw("R\0\0\0\x08\0\0\0\0"));
  CHECK(encoded([](auto& o) { encode_authentication_cleartext(o); }) == raw("R\0\0\0\x08\0\0\0\3"));
  CHECK(encoded([](auto& o) {
          encode_authentication_md5(o, {'a', '\0', 'c', 'd'});
        }) == raw("R\0\0\0\x0c\0\0\0\5a\0cd"));
  CHECK(encoded([](auto& o) {
          encode_authentication_sasl(o, std::array<std::string_view, 2>{"A", "B"});
        }) == raw("R\0\0\0\x0d\0\0\0\x0a"
                  "A\0B\0\0"));
  CHECK(encoded([](auto& o) { encode_authentication_sasl_continue(o, "r=x"); }) == raw("R\0\0\0\x0b\0\0\0\x0br=x"));
  CHECK(encoded([](auto& o) { encode_authentication_sasl_final(o, "v=x"); }) == raw("R\0\0\0\x0b\0\0\0\x0cv=x"));
  CHECK(encoded([](auto& o) { encode_backend_key_data(o, {7, -1}); }) == raw("K\0\0\0\x0c\0\0\0\7\xff\xff\xff\xff"));
  CHECK(encoded([](auto& o) { encode_parameter_status(o, "a", "b"); }) == raw("S\0\0\0\x08"
                                                                              "a\0b\0"));
  CHECK(encoded([](auto& o) { encode_ready_for_query(o, transaction_status::failed); }) == raw("Z\0\0\0\5E"));
  CHECK(encoded([](auto& o) {
          encode_row_description(
              o, std::array<field_description, 2>{field_description{"id", 0x4000, 1, 23, 4, -1, binary_format},
                                                  field_description{"sum", 0, 0, 1700, -1, 8, text_format}});
        }) == row_description_bytes);
  CHECK(encoded([](auto& o) { encode_parameter_description(o, std::array<std::uint32_t, 1>{25}); }) ==
        raw("t\0\0\0\x0a\0\1\0\0\0\x19"));
  CHECK(encoded([](auto& o) {
          encode_data_row(o, std::array<optional_value, 3>{"a", std::nullopt, ""});
        }) == raw("D\0\0\0\x13\0\3\0\0\0\1a\xff\xff\xff\xff\0\0\0\0"));
  CHECK(encoded([](auto& o) { encode_command_complete(o, "SELECT 1"); }) == raw("C\0\0\0\x0dSELECT 1\0"));
  CHECK(encoded([](auto& o) { encode_empty_query_response(o); }) == raw("I\0\0\0\4"));
  CHECK(encoded([](auto& o) { encode_parse_complete(o); }) == raw("1\0\0\0\4"));
  CHECK(encoded([](auto& o) { encode_bind_complete(o); }) == raw("2\0\0\0\4"));
  CHECK(encoded([](auto& o) { encode_close_complete(o); }) == raw("3\0\0\0\4"));
  CHECK(encoded([](auto& o) { encode_no_data(o); }) == raw("n\0\0\0\4"));
  CHECK(encoded([](auto& o) { encode_portal_suspended(o); }) == raw("s\0\0\0\4"));
  CHECK(encoded([](auto& o) { encode_notification(o, 9, "c", "p"); }) == raw("A\0\0\0\x0c\0\0\0\x09"
                                                                             "c\0p\0"));
  CHECK(encoded([](auto& o) { encode_function_call_response(o, std::nullopt); }) == raw("V\0\0\0\x08\xff\xff\xff\xff"));
  CHECK(encoded([](auto& o) { encode_function_call_response(o, "ab"); }) == raw("V\0\0\0\x0a\0\0\0\2ab"));
  CHECK(encoded([](auto& o) {
          encode_copy_response(o, backend::copy_in_response, 1, std::array<std::int16_t, 2>{1, 1});
        }) == raw("G\0\0\0\x0b\1\0\2\0\1\0\1"));
  CHECK(encoded([](auto& o) {
          encode_error_response(o, std::array<error_field, 3>{{{'S', "ERROR"}, {'D', ""}, {'C', "42P01"}}});
        }) == raw("E\0\0\0\x13SERROR\0C42P01\0\0"));
  CHECK(encoded([](auto& o) {
          encode_notice_response(o, std::array<error_field, 1>{{{'M', "hi"}}});
        }) == raw("N\0\0\0\x09Mhi\0\0"));
}

TEST_CASE("decoders of the server's messages take whole bodies only") {
  check_only_whole<authentication_view>(raw("\0\0\0\0"));
  check_only_whole<authentication_view>(raw("\0\0\0\3"));
  check_only_whole<authentication_view>(raw("\0\0\0\5salt"));
  check_only_whole<authentication_view>(raw("\0\0\0\x0aSCRAM-SHA-256\0\0"));
  check_only_whole<backend_key_data>(raw("\0\0\0\7\xff\xff\xff\xff"));
  check_only_whole<parameter_status_view>(raw("name\0value\0"));
  check_only_whole<ready_for_query_view>(raw("T"));
  check_only_whole<row_description>(body_of(row_description_bytes));
  check_only_whole<row_description>(raw("\0\0"));
  check_only_whole<parameter_description_view>(raw("\0\2\0\0\0\x19\0\0\0\x17"));
  check_only_whole<data_row_view>(raw("\0\3\0\0\0\1a\xff\xff\xff\xff\0\0\0\0"));
  check_only_whole<command_complete_view>(raw("SELECT 1\0"));
  check_only_whole<error_fields_view>(error_body);
  check_only_whole<error_fields_view>(raw("\0"));
  check_only_whole<notification_view>(
      raw("\0\0\0\x09"
          "c\0p\0"));
  check_only_whole<copy_response_view>(raw("\1\0\2\0\1\0\1"));
  check_only_whole<function_call_response_view>(raw("\0\0\0\2ab"));
  check_only_whole<function_call_response_view>(raw("\xff\xff\xff\xff"));
}

TEST_CASE("Authentication messages are told apart") {
  authentication_view message;
  REQUIRE(decode(lasting("\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"), message));
  CHECK(message.code == authentication_code::sasl);
  CHECK(message.offers("SCRAM-SHA-256"));
  CHECK(message.offers("SCRAM-SHA-256-PLUS"));
  CHECK_FALSE(message.offers("SCRAM-SHA"));
  CHECK_FALSE(message.offers(""));
  REQUIRE(decode(lasting("\0\0\0\x0br=abc"), message));
  CHECK(message.code == authentication_code::sasl_continue);
  CHECK(message.data == "r=abc");
  REQUIRE(decode(lasting("\0\0\0\5salt"), message));
  CHECK(message.data == "salt");
  REQUIRE(decode(lasting("\0\0\0\x07gss"), message));
  CHECK(static_cast<int>(message.code) == 7);
}

TEST_CASE("ReadyForQuery has three states and no other") {
  ready_for_query_view message;
  for (const char status : {'I', 'T', 'E'}) {
    REQUIRE(decode(std::string(1, status), message));
    CHECK(static_cast<char>(message.status) == status);
  }
  for (const char status : {'\0', 'i', 'X'}) CHECK_FALSE(decode(std::string(1, status), message));
}

TEST_CASE("RowDescription goes round") {
  row_description message;
  const std::string body = body_of(row_description_bytes);
  REQUIRE(decode(body, message));
  REQUIRE(message.fields.size() == 2);
  CHECK(message.fields[0] == field_description{"id", 0x4000, 1, 23, 4, -1, binary_format});
  CHECK(message.fields[1] == field_description{"sum", 0, 0, 1700, -1, 8, text_format});
  CHECK_FALSE(decode(lasting("\xff\xff"), message));
}

TEST_CASE("DataRow is read in place") {
  data_row_view message;
  const exact_buffer body{raw("\0\3\0\0\0\1a\xff\xff\xff\xff\0\0\0\0")};
  REQUIRE(decode(body.view(), message));
  REQUIRE(message.columns.size() == 3);
  wire_value value;
  REQUIRE(message.columns.at(0, value));
  CHECK(value == wire_value{"a", false});
  REQUIRE(message.columns.at(1, value));
  CHECK(value == wire_value{{}, true});
  REQUIRE(message.columns.at(2, value));
  CHECK(value == wire_value{"", false});
  CHECK_FALSE(message.columns.at(3, value));
  CHECK_FALSE(decode(lasting("\0\1\xff\xff\xff\xf0"), message));
}

TEST_CASE("fields of an error are found by code") {
  error_fields_view message;
  REQUIRE(decode(error_body, message));
  CHECK(message.severity() == "ERROR");
  CHECK(message.sqlstate() == "42P01");
  CHECK(message.message() == "no such table");
  CHECK(message.detail() == "d");
  CHECK(message.hint() == "h");
  CHECK(message.field('S') == "FEHLER");
  CHECK(message.field('Z').empty());
  REQUIRE(decode(lasting("SPANIC\0\0"), message));
  CHECK(message.severity() == "PANIC");
  CHECK(message.sqlstate().empty());
}

TEST_CASE("small messages are read whole") {
  command_complete_view complete;
  REQUIRE(decode(lasting("INSERT 0 1\0"), complete));
  CHECK(complete.tag == "INSERT 0 1");
  parameter_status_view status;
  REQUIRE(decode(lasting("name\0value\0"), status));
  CHECK(status.name == "name");
  CHECK(status.value == "value");
  notification_view notification;
  REQUIRE(decode(lasting("\0\0\0\x09"
                         "c\0p\0"),
                 notification));
  CHECK(notification.pid == 9);
  CHECK(notification.channel == "c");
  CHECK(notification.payload == "p");
  copy_response_view copy;
  REQUIRE(decode(lasting("\1\0\2\0\1\0\0"), copy));
  CHECK(copy.format == 1);
  CHECK(copy.column_formats.size() == 2);
  CHECK(copy.column_formats[0] == 1);
  CHECK(copy.column_formats[1] == 0);
  backend_key_data key;
  REQUIRE(decode(lasting("\0\0\0\7\xff\xff\xff\xff"), key));
  CHECK(key == backend_key_data{7, -1});
  parameter_description_view parameters;
  REQUIRE(decode(lasting("\0\1\0\0\0\x19"), parameters));
  CHECK(parameters.types[0] == 25);
}

TEST_CASE("type bytes that a server may send") {
  for (const char type : std::string_view{"RK23CWdcGHDIEVvnNAtS1sZT"}) CHECK(backend::is_known(type));
  for (const char type : {'\0', 'B', 'Q', 'X', 'z', '\xff'}) CHECK_FALSE(backend::is_known(type));
  for (const char type : {'N', 'A', 'S'}) CHECK(backend::is_asynchronous(type));
  for (const char type : {'E', 'Z', 'D'}) CHECK_FALSE(backend::is_asynchronous(type));
}
