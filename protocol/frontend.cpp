#include "protocol/frontend.hpp"

#include "protocol/frame.hpp"
#include "protocol/wire.hpp"

namespace pgbraid::protocol {
namespace {

// No code, one for all, or one for each value.
bool formats_fit(const format_list& formats, std::size_t values) {
  return formats.size() <= 1 || formats.size() == values;
}

template <typename View>
bool decode_object(std::string_view body, View& message) {
  wire_reader in{body};
  const char kind = in.character();
  if (kind != 'S' && kind != 'P') return false;
  message.kind = static_cast<object_kind>(kind);
  message.name = in.cstring();
  return in.finished();
}

void append_formats(std::string& out, std::span<const std::int16_t> formats) {
  append_u16(out, static_cast<std::uint16_t>(formats.size()));
  for (const std::int16_t format : formats) append_i16(out, format);
}

void append_values(std::string& out, std::span<const optional_value> values) {
  append_u16(out, static_cast<std::uint16_t>(values.size()));
  for (const optional_value& value : values) {
    if (!value) {
      append_i32(out, -1);
      continue;
    }
    append_u32(out, static_cast<std::uint32_t>(value->size()));
    out.append(*value);
  }
}

void encode_empty(std::string& out, char type) {
  const frame_builder frame{out, type};
}

void encode_object(std::string& out, char type, object_kind kind, std::string_view name) {
  const frame_builder frame{out, type};
  out.push_back(static_cast<char>(kind));
  append_cstring(out, name);
}

}  // namespace

bool frontend::is_known(char type) noexcept {
  return type != '\0' && std::string_view{"BCdcfDEHFPpQSX"}.find(type) != std::string_view::npos;
}

// String text
bool decode(std::string_view body, query_view& message) noexcept {
  wire_reader in{body};
  message.text = in.cstring();
  return in.finished();
}

// String name, String text, Int16 count, { Int32 type }
bool decode(std::string_view body, parse_view& message) noexcept {
  wire_reader in{body};
  message.name = in.cstring();
  message.after_name = in.peek();
  message.text = in.cstring();
  message.types = read_oids(in);
  return in.finished();
}

// String portal, String statement, Int16 count, { Int16 format }, Int16 count, { value }, Int16 count, { Int16 format }
bool decode(std::string_view body, bind_view& message) noexcept {
  wire_reader in{body};
  message.portal = in.cstring();
  message.statement = in.cstring();
  message.after_statement = in.peek();
  message.formats = read_formats(in);
  message.parameters = read_values(in);
  message.result_formats = read_formats(in);
  return in.finished() && formats_fit(message.formats, message.parameters.size());
}

// Byte1 'S' or 'P', String name
bool decode(std::string_view body, describe_view& message) noexcept {
  return decode_object(body, message);
}
bool decode(std::string_view body, close_view& message) noexcept {
  return decode_object(body, message);
}

// String portal, Int32 rows
bool decode(std::string_view body, execute_view& message) noexcept {
  wire_reader in{body};
  message.portal = in.cstring();
  message.max_rows = in.i32();
  return in.finished();
}

// String reason
bool decode(std::string_view body, copy_fail_view& message) noexcept {
  wire_reader in{body};
  message.reason = in.cstring();
  return in.finished();
}

// Int32 function, Int16 count, { Int16 format }, Int16 count, { value }, Int16 result format
bool decode(std::string_view body, function_call_view& message) noexcept {
  wire_reader in{body};
  message.function = in.u32();
  message.formats = read_formats(in);
  message.arguments = read_values(in);
  message.result_format = in.i16();
  return in.finished() && formats_fit(message.formats, message.arguments.size());
}

// String password
bool decode(std::string_view body, password_view& message) noexcept {
  wire_reader in{body};
  message.password = in.cstring();
  return in.finished();
}

// String mechanism, Int32 length or -1, bytes
bool decode(std::string_view body, sasl_initial_response_view& message) noexcept {
  wire_reader in{body};
  message.mechanism = in.cstring();
  const wire_value data = read_value(in);
  message.data.reset();
  if (!data.null) message.data = data.bytes;
  return in.finished();
}

void encode_query(std::string& out, std::string_view text) {
  const frame_builder frame{out, frontend::query};
  append_cstring(out, text);
}

void encode_parse(std::string& out, std::string_view name, std::string_view text,
                  std::span<const std::uint32_t> types) {
  const frame_builder frame{out, frontend::parse};
  append_cstring(out, name);
  append_cstring(out, text);
  append_u16(out, static_cast<std::uint16_t>(types.size()));
  for (const std::uint32_t type : types) append_u32(out, type);
}

void encode_bind(std::string& out, std::string_view portal, std::string_view statement,
                 std::span<const std::int16_t> formats, std::span<const optional_value> parameters,
                 std::span<const std::int16_t> result_formats) {
  const frame_builder frame{out, frontend::bind};
  append_cstring(out, portal);
  append_cstring(out, statement);
  append_formats(out, formats);
  append_values(out, parameters);
  append_formats(out, result_formats);
}

void encode_describe(std::string& out, object_kind kind, std::string_view name) {
  encode_object(out, frontend::describe, kind, name);
}

void encode_close(std::string& out, object_kind kind, std::string_view name) {
  encode_object(out, frontend::close, kind, name);
}

void encode_execute(std::string& out, std::string_view portal, std::int32_t max_rows) {
  const frame_builder frame{out, frontend::execute};
  append_cstring(out, portal);
  append_i32(out, max_rows);
}

void encode_sync(std::string& out) {
  encode_empty(out, frontend::sync);
}
void encode_flush(std::string& out) {
  encode_empty(out, frontend::flush);
}
void encode_terminate(std::string& out) {
  encode_empty(out, frontend::terminate);
}
void encode_copy_done(std::string& out) {
  encode_empty(out, frontend::copy_done);
}

void encode_copy_data(std::string& out, std::string_view data) {
  const frame_builder frame{out, frontend::copy_data};
  out.append(data);
}

void encode_copy_fail(std::string& out, std::string_view reason) {
  const frame_builder frame{out, frontend::copy_fail};
  append_cstring(out, reason);
}

void encode_function_call(std::string& out, std::uint32_t function, std::span<const std::int16_t> formats,
                          std::span<const optional_value> arguments, std::int16_t result_format) {
  const frame_builder frame{out, frontend::function_call};
  append_u32(out, function);
  append_formats(out, formats);
  append_values(out, arguments);
  append_i16(out, result_format);
}

void encode_password(std::string& out, std::string_view password) {
  const frame_builder frame{out, frontend::password};
  append_cstring(out, password);
}

void encode_sasl_initial_response(std::string& out, std::string_view mechanism, optional_value data) {
  const frame_builder frame{out, frontend::password};
  append_cstring(out, mechanism);
  if (!data) {
    append_i32(out, -1);
    return;
  }
  append_u32(out, static_cast<std::uint32_t>(data->size()));
  out.append(*data);
}

void encode_sasl_response(std::string& out, std::string_view data) {
  const frame_builder frame{out, frontend::password};
  out.append(data);
}

void encode_parse_renamed(std::string& out, const parse_view& message, std::string_view statement) {
  const frame_builder frame{out, frontend::parse};
  append_cstring(out, statement);
  out.append(message.after_name);
}

void encode_bind_renamed(std::string& out, const bind_view& message, std::string_view statement) {
  const frame_builder frame{out, frontend::bind};
  // A name that was read up to its NUL has none in it.
  out.append(message.portal).push_back('\0');
  append_cstring(out, statement);
  out.append(message.after_statement);
}

std::size_t renamed_size(const parse_view& message, std::string_view statement) noexcept {
  return frame_header_size + statement.size() + 1 + message.after_name.size();
}

std::size_t renamed_size(const bind_view& message, std::string_view statement) noexcept {
  return frame_header_size + message.portal.size() + 1 + statement.size() + 1 + message.after_statement.size();
}

}  // namespace pgbraid::protocol
