#include "protocol/backend.hpp"
#include "protocol/wire.hpp"

namespace pgbraid::protocol {

bool backend::is_known(char type) noexcept {
  return type != '\0' && std::string_view{"RK23CWdcGHDIEVvnNAtS1sZT"}.find(type) != std::string_view::npos;
}

bool authentication_view::offers(std::string_view mechanism) const noexcept {
  wire_reader in{data};
  while (in.ok() && !in.at_end()) {
    const std::string_view offered = in.cstring();
    if (!offered.empty() && offered == mechanism) return true;
  }
  return false;
}

// Int32 code, then by code: nothing, Byte4 salt, { String mechanism } Byte1(0), or bytes
bool decode(std::string_view body, authentication_view& message) noexcept {
  wire_reader in{body};
  message.code = static_cast<authentication_code>(in.i32());
  message.data = in.peek();
  switch (message.code) {
    case authentication_code::ok:
    case authentication_code::cleartext_password:
      break;
    case authentication_code::md5_password:
      in.bytes(4);
      break;
    case authentication_code::sasl:
      while (in.ok() && !in.cstring().empty()) {
      }
      break;
    default:
      in.rest();
  }
  return in.finished();
}

// Int32 pid, Int32 key
bool decode(std::string_view body, backend_key_data& message) noexcept {
  wire_reader in{body};
  message.pid = in.i32();
  message.key = in.i32();
  return in.finished();
}

// String name, String value
bool decode(std::string_view body, parameter_status_view& message) noexcept {
  wire_reader in{body};
  message.name = in.cstring();
  message.value = in.cstring();
  return in.finished();
}

// Byte1 'I', 'T' or 'E'
bool decode(std::string_view body, ready_for_query_view& message) noexcept {
  wire_reader in{body};
  const char status = in.character();
  if (status != 'I' && status != 'T' && status != 'E') return false;
  message.status = static_cast<transaction_status>(status);
  return in.finished();
}

// Int16 count, { String name, Int32 table, Int16 attribute, Int32 type, Int16 size, Int32 modifier, Int16 format }
bool decode(std::string_view body, row_description& message) {
  wire_reader in{body};
  const std::size_t count = in.u16();
  message.fields.clear();
  // 19 is the least that a field takes: a count that the body cannot hold reserves nothing.
  if (count > in.remaining() / 19) return false;
  message.fields.reserve(count);
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    field_description field;
    field.name = in.cstring();
    field.table = in.u32();
    field.attribute = in.i16();
    field.type = in.u32();
    field.type_size = in.i16();
    field.type_modifier = in.i32();
    field.format = in.i16();
    message.fields.push_back(field);
  }
  return in.finished();
}

// Int16 count, { Int32 type }
bool decode(std::string_view body, parameter_description_view& message) noexcept {
  wire_reader in{body};
  message.types = read_oids(in);
  return in.finished();
}

// Int16 count, { Int32 length or -1, bytes }
bool decode(std::string_view body, data_row_view& message) noexcept {
  wire_reader in{body};
  message.columns = read_values(in);
  return in.finished();
}

// String tag
bool decode(std::string_view body, command_complete_view& message) noexcept {
  wire_reader in{body};
  message.tag = in.cstring();
  return in.finished();
}

// { Byte1 code, String text } Byte1(0)
bool decode(std::string_view body, error_fields_view& message) noexcept {
  wire_reader in{body};
  while (in.ok()) {
    if (in.u8() == 0) break;
    in.cstring();
  }
  if (!in.finished()) return false;
  message.raw_ = body.substr(0, body.size() - 1);
  return true;
}

std::string_view error_fields_view::field(char code) const noexcept {
  wire_reader in{raw_};
  while (in.ok() && !in.at_end()) {
    const char here = in.character();
    const std::string_view text = in.cstring();
    if (here == code) return text;
  }
  return {};
}

std::string_view error_fields_view::severity() const noexcept {
  const std::string_view plain = field('V');
  return plain.empty() ? field('S') : plain;
}

// Int32 pid, String channel, String payload
bool decode(std::string_view body, notification_view& message) noexcept {
  wire_reader in{body};
  message.pid = in.i32();
  message.channel = in.cstring();
  message.payload = in.cstring();
  return in.finished();
}

// Int8 format, Int16 count, { Int16 format }
bool decode(std::string_view body, copy_response_view& message) noexcept {
  wire_reader in{body};
  message.format = static_cast<std::int8_t>(in.u8());
  message.column_formats = read_formats(in);
  return in.finished();
}

// Int32 length or -1, bytes
bool decode(std::string_view body, function_call_response_view& message) noexcept {
  wire_reader in{body};
  message.result = read_value(in);
  return in.finished();
}

}  // namespace pgbraid::protocol
