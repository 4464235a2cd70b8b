// Fuzz target: frames and the messages that a client sends. What decodes must encode to the bytes it came from.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "protocol/frame.hpp"
#include "protocol/frontend.hpp"
#include "tests/fuzz/require.hpp"

using namespace pgbraid::protocol;
using pgbraid::fuzz::require;

namespace {

std::vector<std::int16_t> copy(const format_list& formats) {
  std::vector<std::int16_t> codes;
  for (std::size_t i = 0; i < formats.size(); ++i) codes.push_back(formats[i]);
  return codes;
}

std::vector<optional_value> copy(const value_list& values) {
  std::vector<optional_value> copies;
  wire_value value;
  value_list::cursor all = values.values();
  while (all.next(value)) copies.push_back(value.null ? optional_value{} : optional_value{value.bytes});
  require(copies.size() == values.size());
  require(values.empty() || values.at(values.size() - 1, value));
  require(!values.at(values.size(), value));
  return copies;
}

void check_parse(const frame_view& frame) {
  parse_view parse;
  if (!decode(frame.body, parse)) return;
  std::vector<std::uint32_t> types;
  for (std::size_t i = 0; i < parse.types.size(); ++i) types.push_back(parse.types[i]);
  std::string again;
  encode_parse(again, parse.name, parse.text, types);
  require(again == frame.bytes);
  again.clear();
  encode_parse_renamed(again, parse, parse.name);
  require(again == frame.bytes && renamed_size(parse, parse.name) == again.size());
}

void check_bind(const frame_view& frame) {
  bind_view bind;
  if (!decode(frame.body, bind)) return;
  std::string again;
  encode_bind(again, bind.portal, bind.statement, copy(bind.formats), copy(bind.parameters), copy(bind.result_formats));
  require(again == frame.bytes);
  again.clear();
  encode_bind_renamed(again, bind, bind.statement);
  require(again == frame.bytes && renamed_size(bind, bind.statement) == again.size());
  for (std::size_t i = 0; i < bind.parameters.size() + 1; ++i) (void)bind.binary(i);
}

template <typename View, typename Encode>
void check(const frame_view& frame, Encode encode) {
  View view;
  if (!decode(frame.body, view)) return;
  std::string again;
  encode(again, view);
  require(again == frame.bytes);
}

void check_password(const frame_view& frame) {
  check<password_view>(frame, [](auto& out, const auto& view) { encode_password(out, view.password); });
  check<sasl_initial_response_view>(
      frame, [](auto& out, const auto& view) { encode_sasl_initial_response(out, view.mechanism, view.data); });
}

void check_frame(const frame_view& frame) {
  switch (frame.type) {
    case frontend::query:
      return check<query_view>(frame, [](auto& out, const auto& view) { encode_query(out, view.text); });
    case frontend::parse:
      return check_parse(frame);
    case frontend::bind:
      return check_bind(frame);
    case frontend::describe:
      return check<describe_view>(frame,
                                  [](auto& out, const auto& view) { encode_describe(out, view.kind, view.name); });
    case frontend::close:
      return check<close_view>(frame, [](auto& out, const auto& view) { encode_close(out, view.kind, view.name); });
    case frontend::execute:
      return check<execute_view>(frame,
                                 [](auto& out, const auto& view) { encode_execute(out, view.portal, view.max_rows); });
    case frontend::copy_fail:
      return check<copy_fail_view>(frame, [](auto& out, const auto& view) { encode_copy_fail(out, view.reason); });
    case frontend::function_call:
      return check<function_call_view>(frame, [](auto& out, const auto& view) {
        encode_function_call(out, view.function, copy(view.formats), copy(view.arguments), view.result_format);
      });
    case frontend::password:
      return check_password(frame);
    default:
      (void)frontend::is_known(frame.type);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest{reinterpret_cast<const char*>(data), size};
  frame_view frame;
  while (next_frame(rest, 4096, frame) == frame_status::complete) {
    require(frame.total == frame.bytes.size() && frame.total == frame.body.size() + frame_header_size);
    check_frame(frame);
    rest.remove_prefix(frame.total);
  }
  return 0;
}
