// Messages that a client sends once it is past startup: views for reading them without allocation, and their encoders.
// Source: the manual's chapter "Frontend/Backend Protocol", "Message Formats", messages marked (F).
//
// `decode` takes a frame's body and gives false when it does not follow the message's grammar to its last byte; the
// view then holds nothing of use. Views point into the body. Encoders append whole frames.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "protocol/values.hpp"

namespace pgbraid::protocol {

/// Type bytes of the client's messages.
namespace frontend {
inline constexpr char bind = 'B';
inline constexpr char close = 'C';
inline constexpr char copy_data = 'd';
inline constexpr char copy_done = 'c';
inline constexpr char copy_fail = 'f';
inline constexpr char describe = 'D';
inline constexpr char execute = 'E';
inline constexpr char flush = 'H';
inline constexpr char function_call = 'F';
inline constexpr char parse = 'P';
inline constexpr char password = 'p';  ///< also SASLInitialResponse and SASLResponse: the conversation tells which
inline constexpr char query = 'Q';
inline constexpr char sync = 'S';
inline constexpr char terminate = 'X';

/// Whether `type` is one of the above: anything else from a client is a protocol violation.
[[nodiscard]] bool is_known(char type) noexcept;
}  // namespace frontend

/// What Describe and Close speak of.
enum class object_kind : char { statement = 'S', portal = 'P' };

struct query_view {
  std::string_view text;
};

struct parse_view {
  std::string_view name;  ///< empty: the unnamed statement
  std::string_view text;
  oid_list types;               ///< parameter types as far as given; OID 0 leaves one open
  std::string_view after_name;  ///< the body behind the name, for sending it on under another one
};

struct bind_view {
  std::string_view portal;
  std::string_view statement;
  format_list formats;  ///< as sent: none, one for all, or one for each parameter (checked)
  value_list parameters;
  format_list result_formats;
  std::string_view after_statement;  ///< the body behind the statement's name, for sending it on under another one

  /// Whether parameter `i` is in binary format.
  [[nodiscard]] bool binary(std::size_t i) const noexcept { return formats.of(i) == binary_format; }
  /// Parameter `i`, in time proportional to `i`; false when there is none. To read all, use `parameters.values()`.
  bool parameter(std::size_t i, wire_value& value) const noexcept { return parameters.at(i, value); }
};

struct describe_view {
  object_kind kind = object_kind::statement;
  std::string_view name;
};

struct close_view {
  object_kind kind = object_kind::statement;
  std::string_view name;
};

struct execute_view {
  std::string_view portal;
  std::int32_t max_rows = 0;  ///< 0, or less: all
};

struct copy_fail_view {
  std::string_view reason;
};

struct function_call_view {
  std::uint32_t function = 0;  ///< OID
  format_list formats;
  value_list arguments;
  std::int16_t result_format = text_format;
};

struct password_view {
  std::string_view password;
};

struct sasl_initial_response_view {
  std::string_view mechanism;
  std::optional<std::string_view> data;  ///< absent: the client waits for an empty challenge
};

[[nodiscard]] bool decode(std::string_view body, query_view& message) noexcept;
[[nodiscard]] bool decode(std::string_view body, parse_view& message) noexcept;
[[nodiscard]] bool decode(std::string_view body, bind_view& message) noexcept;
[[nodiscard]] bool decode(std::string_view body, describe_view& message) noexcept;
[[nodiscard]] bool decode(std::string_view body, close_view& message) noexcept;
[[nodiscard]] bool decode(std::string_view body, execute_view& message) noexcept;
[[nodiscard]] bool decode(std::string_view body, copy_fail_view& message) noexcept;
[[nodiscard]] bool decode(std::string_view body, function_call_view& message) noexcept;
[[nodiscard]] bool decode(std::string_view body, password_view& message) noexcept;
[[nodiscard]] bool decode(std::string_view body, sasl_initial_response_view& message) noexcept;
// CopyData and SASLResponse are their body; Sync, Flush, Terminate and CopyDone have an empty one.

/// One parameter to encode; absent is NULL.
using optional_value = std::optional<std::string_view>;

void encode_query(std::string& out, std::string_view text);
void encode_parse(std::string& out, std::string_view name, std::string_view text,
                  std::span<const std::uint32_t> types = {});
void encode_bind(std::string& out, std::string_view portal, std::string_view statement,
                 std::span<const std::int16_t> formats, std::span<const optional_value> parameters,
                 std::span<const std::int16_t> result_formats);
void encode_describe(std::string& out, object_kind kind, std::string_view name);
void encode_close(std::string& out, object_kind kind, std::string_view name);
void encode_execute(std::string& out, std::string_view portal, std::int32_t max_rows = 0);
void encode_sync(std::string& out);
void encode_flush(std::string& out);
void encode_terminate(std::string& out);
void encode_copy_data(std::string& out, std::string_view data);
void encode_copy_done(std::string& out);
void encode_copy_fail(std::string& out, std::string_view reason);
void encode_function_call(std::string& out, std::uint32_t function, std::span<const std::int16_t> formats,
                          std::span<const optional_value> arguments, std::int16_t result_format);
void encode_password(std::string& out, std::string_view password);
void encode_sasl_initial_response(std::string& out, std::string_view mechanism, optional_value data);
void encode_sasl_response(std::string& out, std::string_view data);

/// The same Parse, respectively Bind, for the statement called `statement`: all behind the name is copied as it came.
void encode_parse_renamed(std::string& out, const parse_view& message, std::string_view statement);
void encode_bind_renamed(std::string& out, const bind_view& message, std::string_view statement);

/// Bytes that `encode_parse_renamed`, respectively `encode_bind_renamed`, will append.
[[nodiscard]] std::size_t renamed_size(const parse_view& message, std::string_view statement) noexcept;
[[nodiscard]] std::size_t renamed_size(const bind_view& message, std::string_view statement) noexcept;

}  // namespace pgbraid::protocol
