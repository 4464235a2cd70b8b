// The first packets of a connection, which carry no type byte, and the negotiation of the protocol's minor version.
// Source: the manual's chapters "Message Formats" (StartupMessage, SSLRequest, GSSENCRequest, CancelRequest,
// NegotiateProtocolVersion) and "Message Flow", "Start-up".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "protocol/frame.hpp"

namespace pgbraid::protocol {

/// Names and values in the order in which they stood on the wire.
using parameter_list = std::vector<std::pair<std::string, std::string>>;

/// Longest first packet that is accepted, its length word not counted: the server's own limit.
inline constexpr std::size_t max_startup_length = 10000;

/// The protocol version that is spoken: 3.0.
inline constexpr std::uint16_t protocol_major = 3;
inline constexpr std::uint16_t protocol_minor = 0;

/// The client's wish to begin a session.
struct startup_message {
  std::uint16_t major = protocol_major;
  std::uint16_t minor = protocol_minor;
  parameter_list parameters;  ///< left empty when `major` is not 3: another protocol lays them out otherwise

  /// The value of the last parameter called `name`, as the server takes the last one too.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept;

  friend bool operator==(const startup_message&, const startup_message&) = default;
};

/// Asks whether the connection may be encrypted by TLS; answered by one byte, 'S' or 'N'.
///
/// Bytes that arrived behind it in the same buffer were sent unencrypted: on 'S' the caller must refuse them.
struct ssl_request {
  friend bool operator==(const ssl_request&, const ssl_request&) = default;
};

/// Asks whether the connection may be encrypted by GSSAPI; answered by one byte, 'G' or 'N'.
struct gssenc_request {
  friend bool operator==(const gssenc_request&, const gssenc_request&) = default;
};

/// Asks to cancel what the session with this BackendKeyData runs. Never answered.
struct cancel_request {
  std::int32_t pid = 0;
  std::int32_t key = 0;

  friend bool operator==(const cancel_request&, const cancel_request&) = default;
};

using startup_packet = std::variant<startup_message, ssl_request, gssenc_request, cancel_request>;

/// Outcome of `decode_startup`.
struct startup_result {
  frame_status status = frame_status::incomplete;
  std::size_t length = 0;   ///< bytes that the packet takes (complete) or will take (incomplete; 0: not known yet)
  std::string_view reason;  ///< malformed, too_large: what is wrong, static storage
};

/// Decodes the untyped packet at the front of `buffer` into `packet`, which is only touched when complete.
[[nodiscard]] startup_result decode_startup(std::string_view buffer, startup_packet& packet);

void encode_startup(std::string& out, const startup_message& message);
void encode_ssl_request(std::string& out);
void encode_gssenc_request(std::string& out);
void encode_cancel_request(std::string& out, const cancel_request& request);

/// Whether a client that sent `message` (major 3) must be told by NegotiateProtocolVersion what is not supported:
/// a newer minor version, or protocol options (parameters whose name begins with `_pq_.`).
[[nodiscard]] bool needs_negotiation(const startup_message& message) noexcept;

/// Whether `name` is a protocol option rather than a run-time parameter.
[[nodiscard]] bool is_protocol_option(std::string_view name) noexcept;

/// Appends the NegotiateProtocolVersion that answers `message`: version 3.0, and its options as not recognised.
void encode_negotiate_protocol_version(std::string& out, const startup_message& message);

/// NegotiateProtocolVersion as a server sends it.
struct negotiate_protocol_version {
  std::uint32_t newest = 0;  ///< version offered: major << 16 | minor, as servers send it
  std::vector<std::string_view> unrecognized_options;
};

/// Decodes the body of a NegotiateProtocolVersion ('v'). False: malformed.
[[nodiscard]] bool decode(std::string_view body, negotiate_protocol_version& message);

}  // namespace pgbraid::protocol
