// Messages that a server sends: views for reading them, and their encoders, for pgbraid is a server to its clients.
// Source: the manual's chapter "Frontend/Backend Protocol", "Message Formats", messages marked (B), and "Error and
// Notice Message Fields".
//
// `decode` takes a frame's body and gives false when it does not follow the message's grammar to its last byte; the
// view then holds nothing of use. Views point into the body. Encoders append whole frames.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/frontend.hpp"
#include "protocol/values.hpp"

namespace pgbraid::protocol {

/// Type bytes of the server's messages.
namespace backend {
inline constexpr char authentication = 'R';
inline constexpr char backend_key_data = 'K';
inline constexpr char bind_complete = '2';
inline constexpr char close_complete = '3';
inline constexpr char command_complete = 'C';
inline constexpr char copy_both_response = 'W';
inline constexpr char copy_data = 'd';
inline constexpr char copy_done = 'c';
inline constexpr char copy_in_response = 'G';
inline constexpr char copy_out_response = 'H';
inline constexpr char data_row = 'D';
inline constexpr char empty_query_response = 'I';
inline constexpr char error_response = 'E';
inline constexpr char function_call_response = 'V';
inline constexpr char negotiate_protocol_version = 'v';
inline constexpr char no_data = 'n';
inline constexpr char notice_response = 'N';
inline constexpr char notification_response = 'A';
inline constexpr char parameter_description = 't';
inline constexpr char parameter_status = 'S';
inline constexpr char parse_complete = '1';
inline constexpr char portal_suspended = 's';
inline constexpr char ready_for_query = 'Z';
inline constexpr char row_description = 'T';

/// Whether `type` is one of the above: anything else from a server means that its stream is out of step.
[[nodiscard]] bool is_known(char type) noexcept;

/// Whether a message of this type may come at any time, as no part of an answer: notice, notification, parameter.
[[nodiscard]] constexpr bool is_asynchronous(char type) noexcept {
  return type == notice_response || type == notification_response || type == parameter_status;
}
}  // namespace backend

/// Where a session stands, as ReadyForQuery tells: the only source for it.
enum class transaction_status : char { idle = 'I', in_transaction = 'T', failed = 'E' };

/// What an Authentication message asks for. Codes that are not listed (GSSAPI and the like) are decoded as they are.
enum class authentication_code : std::int32_t {
  ok = 0,
  cleartext_password = 3,
  md5_password = 5,
  sasl = 10,
  sasl_continue = 11,
  sasl_final = 12,
};

struct authentication_view {
  authentication_code code = authentication_code::ok;
  std::string_view data;  ///< md5: four bytes of salt (checked); sasl: mechanisms; sasl_continue, _final: the message

  /// sasl: whether the server offers `mechanism`.
  [[nodiscard]] bool offers(std::string_view mechanism) const noexcept;
};

struct backend_key_data {
  std::int32_t pid = 0;
  std::int32_t key = 0;

  friend bool operator==(const backend_key_data&, const backend_key_data&) = default;
};

struct parameter_status_view {
  std::string_view name;
  std::string_view value;
};

struct ready_for_query_view {
  transaction_status status = transaction_status::idle;
};

/// One column of a RowDescription. Lifetime of `name`: the message's bytes.
struct field_description {
  std::string_view name;
  std::uint32_t table = 0;     ///< OID; 0: the column is no table's
  std::int16_t attribute = 0;  ///< number of the column in `table`
  std::uint32_t type = 0;      ///< OID
  std::int16_t type_size = 0;
  std::int32_t type_modifier = -1;
  std::int16_t format = text_format;

  friend bool operator==(const field_description&, const field_description&) = default;
};

struct row_description {
  std::vector<field_description> fields;
};

struct parameter_description_view {
  oid_list types;
};

struct data_row_view {
  value_list columns;
};

struct command_complete_view {
  std::string_view tag;  ///< such as "INSERT 0 1"
};

/// Fields of an ErrorResponse or a NoticeResponse.
class error_fields_view {
 public:
  /// The field of this code, empty when there is none.
  [[nodiscard]] std::string_view field(char code) const noexcept;
  /// ERROR, FATAL, PANIC, NOTICE, ...: never translated if the server sent field V.
  [[nodiscard]] std::string_view severity() const noexcept;
  [[nodiscard]] std::string_view sqlstate() const noexcept { return field('C'); }
  [[nodiscard]] std::string_view message() const noexcept { return field('M'); }
  [[nodiscard]] std::string_view detail() const noexcept { return field('D'); }
  [[nodiscard]] std::string_view hint() const noexcept { return field('H'); }

 private:
  friend bool decode(std::string_view body, error_fields_view& message) noexcept;
  std::string_view raw_;  ///< { code, cstring } without the final NUL
};

struct notification_view {
  std::int32_t pid = 0;
  std::string_view channel;
  std::string_view payload;
};

/// CopyInResponse, CopyOutResponse, CopyBothResponse: the type byte tells which.
struct copy_response_view {
  std::int8_t format = 0;  ///< 0 text, 1 binary
  format_list column_formats;
};

struct function_call_response_view {
  wire_value result;
};

[[nodiscard]] bool decode(std::string_view body, authentication_view& message) noexcept;
[[nodiscard]] bool decode(std::string_view body, backend_key_data& message) noexcept;
[[nodiscard]] bool decode(std::string_view body, parameter_status_view& message) noexcept;
[[nodiscard]] bool decode(std::string_view body, ready_for_query_view& message) noexcept;
[[nodiscard]] bool decode(std::string_view body, row_description& message);
[[nodiscard]] bool decode(std::string_view body, parameter_description_view& message) noexcept;
[[nodiscard]] bool decode(std::string_view body, data_row_view& message) noexcept;
[[nodiscard]] bool decode(std::string_view body, command_complete_view& message) noexcept;
[[nodiscard]] bool decode(std::string_view body, error_fields_view& message) noexcept;
[[nodiscard]] bool decode(std::string_view body, notification_view& message) noexcept;
[[nodiscard]] bool decode(std::string_view body, copy_response_view& message) noexcept;
[[nodiscard]] bool decode(std::string_view body, function_call_response_view& message) noexcept;
// NegotiateProtocolVersion is in startup.hpp. CopyData is its body; ParseComplete, BindComplete, CloseComplete, NoData,
// PortalSuspended, EmptyQueryResponse and CopyDone have an empty one.

void encode_authentication_ok(std::string& out);
void encode_authentication_cleartext(std::string& out);
void encode_authentication_md5(std::string& out, const std::array<char, 4>& salt);
void encode_authentication_sasl(std::string& out, std::span<const std::string_view> mechanisms);
void encode_authentication_sasl_continue(std::string& out, std::string_view data);
void encode_authentication_sasl_final(std::string& out, std::string_view data);
void encode_backend_key_data(std::string& out, const backend_key_data& message);
void encode_parameter_status(std::string& out, std::string_view name, std::string_view value);
void encode_ready_for_query(std::string& out, transaction_status status);
void encode_row_description(std::string& out, std::span<const field_description> fields);
void encode_parameter_description(std::string& out, std::span<const std::uint32_t> types);
void encode_data_row(std::string& out, std::span<const optional_value> columns);
void encode_command_complete(std::string& out, std::string_view tag);
void encode_empty_query_response(std::string& out);
void encode_parse_complete(std::string& out);
void encode_bind_complete(std::string& out);
void encode_close_complete(std::string& out);
void encode_no_data(std::string& out);
void encode_portal_suspended(std::string& out);
void encode_notification(std::string& out, std::int32_t pid, std::string_view channel, std::string_view payload);
void encode_function_call_response(std::string& out, optional_value result);
// CopyData and CopyDone are the same in both directions: see frontend.hpp.

/// Appends a CopyInResponse, CopyOutResponse or CopyBothResponse, as `type` says.
void encode_copy_response(std::string& out, char type, std::int8_t format,
                          std::span<const std::int16_t> column_formats);

/// One field of an error or a notice: its code and its text.
using error_field = std::pair<char, std::string_view>;

/// Appends an ErrorResponse, respectively a NoticeResponse, of these fields; empty ones are left out. Errors of
/// pgbraid's own are written by `encode_error` in errors.hpp.
void encode_error_response(std::string& out, std::span<const error_field> fields);
void encode_notice_response(std::string& out, std::span<const error_field> fields);

}  // namespace pgbraid::protocol
