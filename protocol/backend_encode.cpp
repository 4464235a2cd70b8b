#include "protocol/backend.hpp"
#include "protocol/wire.hpp"

namespace pgbraid::protocol {
namespace {

void encode_empty(std::string& out, char type) {
  const frame_builder frame{out, type};
}

void append_optional(std::string& out, const optional_value& value) {
  if (!value) {
    append_i32(out, -1);
    return;
  }
  append_u32(out, static_cast<std::uint32_t>(value->size()));
  out.append(*value);
}

void encode_authentication(std::string& out, authentication_code code, std::string_view data) {
  const frame_builder frame{out, backend::authentication};
  append_i32(out, static_cast<std::int32_t>(code));
  out.append(data);
}

void encode_fields(std::string& out, char type, std::span<const error_field> fields) {
  const frame_builder frame{out, type};
  for (const auto& [code, text] : fields) {
    if (code == '\0' || text.empty()) continue;
    out.push_back(code);
    append_cstring(out, text);
  }
  out.push_back('\0');
}

}  // namespace

void encode_authentication_ok(std::string& out) {
  encode_authentication(out, authentication_code::ok, {});
}

void encode_authentication_cleartext(std::string& out) {
  encode_authentication(out, authentication_code::cleartext_password, {});
}

void encode_authentication_md5(std::string& out, const std::array<char, 4>& salt) {
  encode_authentication(out, authentication_code::md5_password, {salt.data(), salt.size()});
}

void encode_authentication_sasl(std::string& out, std::span<const std::string_view> mechanisms) {
  const frame_builder frame{out, backend::authentication};
  append_i32(out, static_cast<std::int32_t>(authentication_code::sasl));
  for (const std::string_view mechanism : mechanisms) append_cstring(out, mechanism);
  out.push_back('\0');
}

void encode_authentication_sasl_continue(std::string& out, std::string_view data) {
  encode_authentication(out, authentication_code::sasl_continue, data);
}

void encode_authentication_sasl_final(std::string& out, std::string_view data) {
  encode_authentication(out, authentication_code::sasl_final, data);
}

void encode_backend_key_data(std::string& out, const backend_key_data& message) {
  const frame_builder frame{out, backend::backend_key_data};
  append_i32(out, message.pid);
  append_i32(out, message.key);
}

void encode_parameter_status(std::string& out, std::string_view name, std::string_view value) {
  const frame_builder frame{out, backend::parameter_status};
  append_cstring(out, name);
  append_cstring(out, value);
}

void encode_ready_for_query(std::string& out, transaction_status status) {
  const frame_builder frame{out, backend::ready_for_query};
  out.push_back(static_cast<char>(status));
}

void encode_row_description(std::string& out, std::span<const field_description> fields) {
  const frame_builder frame{out, backend::row_description};
  append_u16(out, static_cast<std::uint16_t>(fields.size()));
  for (const field_description& field : fields) {
    append_cstring(out, field.name);
    append_u32(out, field.table);
    append_i16(out, field.attribute);
    append_u32(out, field.type);
    append_i16(out, field.type_size);
    append_i32(out, field.type_modifier);
    append_i16(out, field.format);
  }
}

void encode_parameter_description(std::string& out, std::span<const std::uint32_t> types) {
  const frame_builder frame{out, backend::parameter_description};
  append_u16(out, static_cast<std::uint16_t>(types.size()));
  for (const std::uint32_t type : types) append_u32(out, type);
}

void encode_data_row(std::string& out, std::span<const optional_value> columns) {
  const frame_builder frame{out, backend::data_row};
  append_u16(out, static_cast<std::uint16_t>(columns.size()));
  for (const optional_value& column : columns) append_optional(out, column);
}

void encode_command_complete(std::string& out, std::string_view tag) {
  const frame_builder frame{out, backend::command_complete};
  append_cstring(out, tag);
}

void encode_empty_query_response(std::string& out) {
  encode_empty(out, backend::empty_query_response);
}
void encode_parse_complete(std::string& out) {
  encode_empty(out, backend::parse_complete);
}
void encode_bind_complete(std::string& out) {
  encode_empty(out, backend::bind_complete);
}
void encode_close_complete(std::string& out) {
  encode_empty(out, backend::close_complete);
}
void encode_no_data(std::string& out) {
  encode_empty(out, backend::no_data);
}
void encode_portal_suspended(std::string& out) {
  encode_empty(out, backend::portal_suspended);
}

void encode_notification(std::string& out, std::int32_t pid, std::string_view channel, std::string_view payload) {
  const frame_builder frame{out, backend::notification_response};
  append_i32(out, pid);
  append_cstring(out, channel);
  append_cstring(out, payload);
}

void encode_function_call_response(std::string& out, optional_value result) {
  const frame_builder frame{out, backend::function_call_response};
  append_optional(out, result);
}

void encode_copy_response(std::string& out, char type, std::int8_t format,
                          std::span<const std::int16_t> column_formats) {
  const frame_builder frame{out, type};
  append_u8(out, static_cast<std::uint8_t>(format));
  append_u16(out, static_cast<std::uint16_t>(column_formats.size()));
  for (const std::int16_t column : column_formats) append_i16(out, column);
}

void encode_error_response(std::string& out, std::span<const error_field> fields) {
  encode_fields(out, backend::error_response, fields);
}

void encode_notice_response(std::string& out, std::span<const error_field> fields) {
  encode_fields(out, backend::notice_response, fields);
}

}  // namespace pgbraid::protocol
