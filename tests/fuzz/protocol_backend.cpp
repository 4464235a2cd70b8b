// Fuzz target: frames and the messages that a server sends. What decodes must encode to the bytes it came from.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "protocol/backend.hpp"
#include "protocol/frame.hpp"
#include "protocol/startup.hpp"
#include "tests/fuzz/require.hpp"

using namespace pgbraid::protocol;
using pgbraid::fuzz::require;

namespace {

template <typename Message, typename Encode>
void check(const frame_view& frame, Encode encode) {
  Message message;
  if (!decode(frame.body, message)) return;
  std::string again;
  encode(again, message);
  require(again == frame.bytes);
}

void check_data_row(const frame_view& frame) {
  check<data_row_view>(frame, [](auto& out, const auto& row) {
    std::vector<optional_value> columns;
    wire_value value;
    value_list::cursor all = row.columns.values();
    while (all.next(value)) columns.push_back(value.null ? optional_value{} : optional_value{value.bytes});
    require(columns.size() == row.columns.size());
    encode_data_row(out, columns);
  });
}

void check_copy_response(const frame_view& frame) {
  check<copy_response_view>(frame, [&](auto& out, const auto& copy) {
    std::vector<std::int16_t> formats;
    for (std::size_t i = 0; i < copy.column_formats.size(); ++i) formats.push_back(copy.column_formats[i]);
    encode_copy_response(out, frame.type, copy.format, formats);
  });
}

void check_parameter_description(const frame_view& frame) {
  check<parameter_description_view>(frame, [](auto& out, const auto& description) {
    std::vector<std::uint32_t> types;
    for (std::size_t i = 0; i < description.types.size(); ++i) types.push_back(description.types[i]);
    encode_parameter_description(out, types);
  });
}

void check_authentication(const frame_view& frame) {
  authentication_view message;
  if (!decode(frame.body, message)) return;
  require(!message.offers(""));
  (void)message.offers("SCRAM-SHA-256");
  require(message.code != authentication_code::md5_password || message.data.size() == 4);
}

void check_error(const frame_view& frame) {
  error_fields_view error;
  if (!decode(frame.body, error)) return;
  for (int code = 0; code < 256; ++code) (void)error.field(static_cast<char>(code));
  (void)error.severity();
}

void check_frame(const frame_view& frame) {
  switch (frame.type) {
    case backend::authentication:
      return check_authentication(frame);
    case backend::backend_key_data:
      return check<backend_key_data>(frame, [](auto& out, const auto& m) { encode_backend_key_data(out, m); });
    case backend::parameter_status:
      return check<parameter_status_view>(
          frame, [](auto& out, const auto& m) { encode_parameter_status(out, m.name, m.value); });
    case backend::ready_for_query:
      return check<ready_for_query_view>(frame,
                                         [](auto& out, const auto& m) { encode_ready_for_query(out, m.status); });
    case backend::row_description:
      return check<row_description>(frame, [](auto& out, const auto& m) { encode_row_description(out, m.fields); });
    case backend::parameter_description:
      return check_parameter_description(frame);
    case backend::data_row:
      return check_data_row(frame);
    case backend::command_complete:
      return check<command_complete_view>(frame, [](auto& out, const auto& m) { encode_command_complete(out, m.tag); });
    case backend::error_response:
    case backend::notice_response:
      return check_error(frame);
    case backend::notification_response:
      return check<notification_view>(
          frame, [](auto& out, const auto& m) { encode_notification(out, m.pid, m.channel, m.payload); });
    case backend::copy_in_response:
    case backend::copy_out_response:
    case backend::copy_both_response:
      return check_copy_response(frame);
    case backend::function_call_response:
      return check<function_call_response_view>(frame, [](auto& out, const auto& m) {
        encode_function_call_response(out, m.result.null ? optional_value{} : optional_value{m.result.bytes});
      });
    case backend::negotiate_protocol_version: {
      negotiate_protocol_version message;
      (void)decode(frame.body, message);
      return;
    }
    default:
      (void)backend::is_known(frame.type);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest{reinterpret_cast<const char*>(data), size};
  frame_view frame;
  while (next_frame(rest, 4096, frame) == frame_status::complete) {
    check_frame(frame);
    rest.remove_prefix(frame.total);
  }
  return 0;
}
